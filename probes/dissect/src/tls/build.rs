//! Hellos from data.
