//! Rules of the house, as tests
#![forbid(unsafe_code)]
