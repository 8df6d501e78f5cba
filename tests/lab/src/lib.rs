//! Whole-system tests over the lab, in `tests/it`: every policy on its victim and its innocent, software of others under
//! a censor, and clients that send what nobody should. There is no code here.
//!
//! They need a lab: root, or a system where a user may make namespaces and TUN devices. `COMMUCAT_LAB_REPEAT=20` runs
//! every case of the catalogue twenty times, each time with another seed.
#![forbid(unsafe_code)]
