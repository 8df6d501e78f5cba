//! First flights and packets of another implementation, recorded once: what the wire format was then, it is today.
//!
//! Origin: the crate `shadowsocks` 1.25.0 as client, by `oracle::record_vectors`; target `example.org:443`.
