//! SQLite and PostgreSQL behind one set of traits
#![forbid(unsafe_code)]
