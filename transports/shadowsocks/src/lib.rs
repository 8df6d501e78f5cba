//! Shadowsocks: 2022 editions and AEAD-2017, both ends
#![forbid(unsafe_code)]
