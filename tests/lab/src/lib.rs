//! Every policy on its victim and its innocent, with software of others, in the lab.
#![forbid(unsafe_code)]
