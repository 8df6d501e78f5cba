//! POST /api/p2p/assist: the answer, and the client that asks
#![forbid(unsafe_code)]
