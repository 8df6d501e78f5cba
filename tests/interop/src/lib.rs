//! Tests against software we did not write
#![forbid(unsafe_code)]
