//! The acceptance suite for transports and a seeded network simulator
#![forbid(unsafe_code)]
