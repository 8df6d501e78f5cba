//! What active probers send, and whether two servers can be told apart by their answers.
#![forbid(unsafe_code)]
