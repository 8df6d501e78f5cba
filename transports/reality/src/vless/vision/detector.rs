//! What the tunnelled bytes are: TLS 1.3, older TLS, or something else. Looks at the first buffers of both directions.

/// Buffers looked at, of both directions together. Xray's number: both ends stop about the same time.
const BUFFERS: u32 = 8;
/// Before it, a ServerHello has no cipher suite: record header, message header, version, random, session id of 32.
const SHORTEST_SERVER_HELLO: usize = 79;
/// Where the length of a ServerHello's session id stands, from the start of its record.
const SESSION_ID_LENGTH_AT: usize = 43;
/// The extension supported_versions of a ServerHello that chose TLS 1.3.
const CHOSE_TLS_1_3: [u8; 6] = [0x00, 0x2b, 0x00, 0x02, 0x03, 0x04];
/// Suites of TLS 1.3 that may go on below: all but AES-128-CCM-8, whose records are not shaped like the others'.
const DIRECT_SUITES: std::ops::RangeInclusive<u16> = 0x1301..=0x1304;

/// A direction of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// What we read from the tunnel.
    In,
    /// What we write to it.
    Out,
}

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Detector {
    left: u32,
    tls: bool,
    answered: Option<Direction>,
    /// Bytes of the ServerHello that are still to come, and its suite.
    hello: usize,
    suite: u16,
    direct: bool,
    /// Something came the other way after the ServerHello: the client's Finished.
    finished: bool,
}

impl Detector {
    pub(super) const fn new() -> Self {
        Self { left: BUFFERS, tls: false, answered: None, hello: 0, suite: 0, direct: false, finished: false }
    }

    /// A hello of TLS was seen.
    pub(super) const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The inner TLS may go on below the outer one.
    pub(super) const fn is_direct(&self) -> bool {
        self.direct
    }

    /// No TLS was answered so far, and with the next buffer nobody looks for it any more.
    pub(super) const fn gives_up(&self) -> bool {
        self.answered.is_none() && self.left <= 1
    }

    /// What goes that way is behind the inner handshake's flights, as far as can be seen from outside.
    pub(super) fn is_past_flights(&self, direction: Direction) -> bool {
        self.answered.is_some_and(|answerer| self.finished || answerer != direction)
    }

    /// Looks at a buffer of that direction.
    pub(super) fn observe(&mut self, direction: Direction, buffer: &[u8]) {
        if buffer.is_empty() {
            return;
        }
        self.finished |= self.answered.is_some_and(|answerer| answerer != direction);
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        match buffer {
            [0x16, 3, 3, high, low, 2, ..] => {
                self.hello = usize::from(u16::from_be_bytes([*high, *low])) + 5;
                (self.tls, self.answered) = (true, Some(direction));
                self.suite = suite(buffer, self.hello);
            }
            [0x16, 3, _, _, _, 1, ..] => self.tls = true,
            _ => {}
        }
        if self.hello > 0 {
            self.read_hello(buffer);
        }
    }

    fn read_hello(&mut self, buffer: &[u8]) {
        let part = buffer.get(..self.hello.min(buffer.len())).unwrap_or_default();
        self.hello -= part.len();
        if part.windows(CHOSE_TLS_1_3.len()).any(|window| window == CHOSE_TLS_1_3) {
            self.direct = DIRECT_SUITES.contains(&self.suite);
            (self.left, self.hello) = (0, 0);
        } else if self.hello == 0 {
            // TLS 1.2.
            self.left = 0;
        }
    }
}

/// The suite of a ServerHello whose record is that long; 0 when it is too short to tell.
fn suite(buffer: &[u8], hello: usize) -> u16 {
    if buffer.len() < SHORTEST_SERVER_HELLO || hello < SHORTEST_SERVER_HELLO {
        return 0;
    }
    let read = || {
        let session_id = usize::from(*buffer.get(SESSION_ID_LENGTH_AT)?);
        let at = SESSION_ID_LENGTH_AT + 1 + session_id;
        buffer.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Direction::*, *};

    const CLIENT_HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

    /// A ServerHello of that suite, with or without the extension of TLS 1.3.
    fn server_hello(suite: u16, tls_1_3: bool) -> Vec<u8> {
        let mut hello = vec![0x16, 3, 3, 0, 0, 2, 0, 0, 0, 3, 3];
        hello.resize(SESSION_ID_LENGTH_AT, 9);
        hello.push(32);
        hello.resize(hello.len() + 32, 8);
        hello.extend_from_slice(&suite.to_be_bytes());
        hello.extend_from_slice(&[0, 0, 12]);
        hello.extend_from_slice(&[0, 0x17, 0, 0]);
        hello.extend_from_slice(if tls_1_3 { &CHOSE_TLS_1_3 } else { &[0xff, 1, 0, 2, 0, 0] });
        let length = u16::try_from(hello.len() - 5).unwrap().to_be_bytes();
        hello[3..5].copy_from_slice(&length);
        hello
    }

    fn seen(buffers: &[(Direction, &[u8])]) -> Detector {
        let mut detector = Detector::new();
        buffers.iter().for_each(|(direction, buffer)| detector.observe(*direction, buffer));
        detector
    }

    #[test]
    fn tls_1_3_is_known_by_its_server_hello() {
        for suite in 0x1301..=0x1304 {
            let detector = seen(&[(Out, CLIENT_HELLO), (In, &server_hello(suite, true))]);
            assert!(detector.is_tls() && detector.is_direct() && !detector.gives_up(), "{suite:x}");
        }
        let ccm_8 = seen(&[(Out, CLIENT_HELLO), (In, &server_hello(0x1305, true))]);
        assert!(ccm_8.is_tls() && !ccm_8.is_direct());
    }

    #[test]
    fn older_tls_and_other_protocols_never_go_below() {
        let old = seen(&[(Out, CLIENT_HELLO), (In, &server_hello(0xc02f, false))]);
        assert!(old.is_tls() && !old.is_direct() && !old.gives_up());
        let detector = seen(&[(Out, &b"GET / HTTP/1.1\r\n\r\n"[..]); 7]);
        assert!(!detector.is_tls() && detector.gives_up());
        assert!(!seen(&[(Out, &b"GET / HTTP/1.1\r\n\r\n"[..]); 6]).gives_up());
        // Of a hello that comes too late nobody hears.
        let mut late = seen(&[(Out, &b"x"[..]); 8]);
        late.observe(In, &server_hello(0x1301, true));
        assert!(!late.is_direct());
    }

    #[test]
    fn a_server_hello_in_pieces_is_read_to_its_end() {
        let hello = server_hello(0x1301, true);
        for cut in [SHORTEST_SERVER_HELLO, 85] {
            let (first, second) = hello.split_at(cut);
            assert!(seen(&[(In, first), (In, second)]).is_direct(), "{cut}");
        }
        // Without its suite it is not trusted.
        let (first, second) = hello.split_at(60);
        assert!(!seen(&[(In, first), (In, second)]).is_direct());
        // The bytes of the extension behind the hello mean nothing.
        let after = [server_hello(0x1301, false), CHOSE_TLS_1_3.to_vec()].concat();
        assert!(!seen(&[(In, &after)]).is_direct());
    }

    #[test]
    fn the_flights_are_over_when_the_other_side_spoke() {
        let mut server = seen(&[(In, CLIENT_HELLO), (Out, &server_hello(0x1301, true))]);
        assert!(!server.is_past_flights(Out) && server.is_past_flights(In));
        server.observe(Out, b"certificates");
        assert!(!server.is_past_flights(Out));
        server.observe(In, b"finished");
        assert!(server.is_past_flights(Out));
    }
}
