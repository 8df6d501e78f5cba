//! The probe: controlled measurements of what a network does, and their reports.
#![forbid(unsafe_code)]
