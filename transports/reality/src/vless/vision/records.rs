//! Where records of the tunnelled TLS end.

/// Bytes of a record's header.
const HEADER_BYTES: usize = 5;
const APPLICATION_DATA: u8 = 0x17;
/// Longest record of TLS 1.2 and 1.3: 2^14 bytes and 2048 (RFC 5246 §6.2.3).
const MAX_RECORD_BYTES: usize = (1 << 14) + 2048;

/// Follows a stream from record to record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records {
    /// Bytes of the record that are still to come.
    left: usize,
    header: [u8; HEADER_BYTES],
    read: usize,
    /// The bytes are no records.
    lost: bool,
}

impl Records {
    pub(super) const fn new() -> Self {
        Self { left: 0, header: [0; HEADER_BYTES], read: 0, lost: false }
    }

    /// Whether the next byte begins a record.
    pub(super) const fn is_at_start(&self) -> bool {
        self.left == 0 && self.read == 0 && !self.lost
    }

    /// Follows these bytes: how many of them stand up to the end of the last whole record of application data.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> usize {
        let (mut at, mut end) = (0, 0);
        while at < bytes.len() && !self.lost {
            if self.left == 0 {
                let Some(slot) = self.header.get_mut(self.read) else { break };
                *slot = bytes.get(at).copied().unwrap_or_default();
                (self.read, at) = (self.read + 1, at + 1);
                if self.read == HEADER_BYTES {
                    self.begin();
                }
                continue;
            }
            let step = self.left.min(bytes.len() - at);
            (self.left, at) = (self.left - step, at + step);
            if self.left == 0 {
                self.read = 0;
                if self.header.first() == Some(&APPLICATION_DATA) {
                    end = at;
                }
            }
        }
        end
    }

    const fn begin(&mut self) {
        let [kind, major, _minor, high, low] = self.header;
        self.left = u16::from_be_bytes([high, low]) as usize;
        // An empty record moves nothing and is nowhere allowed but in old TLS; it ends the looking too.
        self.lost =
            !matches!(kind, 0x14..=0x17) || major != 3 || self.left == 0 || self.left > MAX_RECORD_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = &[0x16, 3, 1, 0, 2, 9, 9, 0x17, 3, 3, 0, 1, 9, 0x17, 3, 3, 0, 3, 9, 9, 9, 0x17, 3];

    #[test]
    fn ends_are_found_however_the_stream_is_cut() {
        assert_eq!(Records::new().follow(STREAM), 21);
        for cut in 0..=STREAM.len() {
            let mut records = Records::new();
            let (first, second) = STREAM.split_at(cut);
            let early = records.follow(first);
            assert_eq!(
                early,
                if cut >= 21 {
                    21
                } else if cut >= 13 {
                    13
                } else {
                    0
                },
                "{cut}"
            );
            assert_eq!(records.is_at_start(), matches!(cut, 0 | 7 | 13 | 21), "{cut}");
            assert_eq!(records.follow(second), 21_usize.saturating_sub(cut), "{cut}");
        }
    }

    #[test]
    fn what_is_no_tls_has_no_ends() {
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], &[0x17, 3, 3, 0, 0, 0x17, 3, 3, 0, 1, 1], &[0x17, 3, 3, 255, 255]]
        {
            let mut records = Records::new();
            assert_eq!(records.follow(bytes), 0);
            assert!(!records.is_at_start());
            assert_eq!(records.follow(&[0x17, 3, 3, 0, 1, 9]), 0, "it stays lost");
        }
    }
}
