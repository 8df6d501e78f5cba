//! The censor's lab: two network namespaces, a link and a censor between them.
#![forbid(unsafe_code)]
