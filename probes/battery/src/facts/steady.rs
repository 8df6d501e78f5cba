//! Takes out of a text what differs from one answer of the same server to the next.

/// A run of hexadecimal digits of this length is taken for an identifier: words are shorter.
const IDENTIFIER_MIN: usize = 16;
/// What stands for an identifier.
const IDENTIFIER: &[u8] = b"<id>";

/// The bytes with each run of 16 or more hexadecimal digits (dashes may stand between) as `<id>`.
pub(crate) fn steady(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let run = run(rest);
        let digits = rest.iter().take(run).filter(|byte| byte.is_ascii_hexdigit()).count();
        if digits >= IDENTIFIER_MIN {
            out.extend_from_slice(IDENTIFIER);
            rest = rest.get(run..).unwrap_or_default();
        } else if run > 0 {
            // The whole run at once: a shorter one inside it is no identifier either.
            out.extend_from_slice(rest.get(..run).unwrap_or_default());
            rest = rest.get(run..).unwrap_or_default();
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

/// Bytes of the run at the front: it begins with a digit, and dashes may follow.
fn run(bytes: &[u8]) -> usize {
    if !bytes.first().is_some_and(u8::is_ascii_hexdigit) {
        return 0;
    }
    bytes.iter().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b'-').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_go_and_words_stay() {
        let cases = [
            ("id=0123456789abcdef;", "id=<id>;"),
            ("550e8400-e29b-41d4-a716-446655440000", "<id>"),
            ("2026-11-21 decade facade", "2026-11-21 decade facade"),
            ("ETag: \"65a1b2c3-267\"", "ETag: \"65a1b2c3-267\""),
            ("deadbeefdeadbeefxyz", "<id>xyz"),
            ("", ""),
        ];
        for (given, expected) in cases {
            assert_eq!(steady(given.as_bytes()), expected.as_bytes(), "{given}");
        }
    }
}
