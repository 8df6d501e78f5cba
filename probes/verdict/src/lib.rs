//! From evidence to a cause, as a pure function
#![forbid(unsafe_code)]
