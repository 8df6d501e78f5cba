//! The identification string that both sides of SSH send first (RFC 4253 §4.2).

/// The longest identification line with its end (RFC 4253 §4.2).
pub const MAX_BANNER_BYTES: usize = 255;

/// The identification at the beginning of a stream, such as `SSH-2.0-OpenSSH_9.2`, as far as it is there. `None` for
/// anything else.
pub fn banner(stream: &[u8]) -> Option<&str> {
    if !stream.starts_with(b"SSH-2.0-") && !stream.starts_with(b"SSH-1.99-") {
        return None;
    }
    let line = stream.get(..MAX_BANNER_BYTES).unwrap_or(stream);
    let line = line.split(|byte| *byte == b'\n').next()?;
    str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners() {
        assert_eq!(
            banner(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\x00\x00"),
            Some("SSH-2.0-OpenSSH_9.2p1 Debian-2")
        );
        assert_eq!(banner(b"SSH-1.99-x\nrest"), Some("SSH-1.99-x"));
        assert_eq!(banner(b"SSH-2.0-"), Some("SSH-2.0-"));
        assert_eq!(banner(b"SSH-2.0"), None);
        assert_eq!(banner(b"ssh-2.0-x"), None);
        assert_eq!(banner(b"SSH-2.0-\xff\n"), None);
        assert_eq!(banner(&[b"SSH-2.0-".as_slice(), &[b'a'; 400]].concat()).map(str::len), Some(255));
    }
}
