//! Message types shared by client and bridge
#![forbid(unsafe_code)]
