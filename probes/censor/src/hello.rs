//! The ClientHello as boxes of different skill see it: in one segment, over segments, over TLS records too. Found once
//! for a flow and shared by all policies.

use std::sync::{Arc, OnceLock};

use commucat_dissect::{
    quic::{self, Initial},
    tls::{self, ClientHello, Defragment, Transport},
};

use crate::reassembly::PREFIX_BYTES_MAX;

/// Type, version and length of a TLS record.
const RECORD_HEADER_BYTES: usize = 5;

/// How much a box puts together before it reads a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing else to put together")]
pub enum Reassembly {
    /// Nothing: what it reads must lie in one record at the start of one segment. A hello that goes on in the next
    /// segment is read as far as it is there.
    None,
    /// TCP segments: the hello must lie in one record.
    Tcp,
    /// TCP segments and TLS records.
    TcpTls,
}

/// A ClientHello that a box saw.
#[derive(Debug)]
pub struct Hello {
    client_hello: ClientHello,
    server_name: Option<String>,
    transport: Transport,
    ja4: OnceLock<String>,
}

impl Hello {
    pub(crate) fn new(client_hello: ClientHello, transport: Transport) -> Self {
        let server_name = client_hello.server_name().map(str::to_ascii_lowercase);
        Self { client_hello, server_name, transport, ja4: OnceLock::new() }
    }

    /// The host name of server_name, in lower case. `None` without one.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The JA4 fingerprint. It means little when the hello [is not whole](ClientHello::is_whole).
    pub fn ja4(&self) -> &str {
        self.ja4.get_or_init(|| self.client_hello.ja4(self.transport))
    }

    /// The hello with everything in it.
    pub const fn client_hello(&self) -> &ClientHello {
        &self.client_hello
    }
}

/// The Initial packets of one UDP datagram, opened, with the hello if all of it is there.
#[derive(Debug)]
pub struct QuicHello {
    initial: Initial,
    hello: Option<Hello>,
}

impl QuicHello {
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let initial = quic::initial(datagram)?;
        let hello = initial.client_hello().map(|hello| Hello::new(hello, Transport::Quic));
        Some(Self { initial, hello })
    }

    /// What the packets hold.
    pub const fn initial(&self) -> &Initial {
        &self.initial
    }

    /// The hello, when this datagram holds all of it, in whatever frames.
    pub const fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }
}

/// The hellos of one flow, by skill.
#[derive(Debug, Default)]
pub(crate) struct Hellos {
    single: Slot,
    tcp: Slot,
    tcp_tls: Slot,
    /// The prefix must be this long before it is worth another look.
    look_again_at: usize,
}

/// The hellos that one packet completed.
#[derive(Debug, Default)]
pub(crate) struct NewHellos {
    single: Option<Arc<Hello>>,
    tcp: Option<Arc<Hello>>,
    tcp_tls: Option<Arc<Hello>>,
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Undecided,
    Never,
    Found(Arc<Hello>),
}

impl Slot {
    const fn hello(&self) -> Option<&Arc<Hello>> {
        match self {
            Self::Found(hello) => Some(hello),
            Self::Undecided | Self::Never => None,
        }
    }

    const fn is_undecided(&self) -> bool {
        matches!(self, Self::Undecided)
    }
}

impl NewHellos {
    pub(crate) fn get(&self, reassembly: Reassembly) -> Option<&Hello> {
        match reassembly {
            Reassembly::None => self.single.as_deref(),
            Reassembly::Tcp => self.tcp.as_deref(),
            Reassembly::TcpTls => self.tcp_tls.as_deref(),
        }
    }
}

impl Hellos {
    pub(crate) const fn get(&self, reassembly: Reassembly) -> Option<&Arc<Hello>> {
        match reassembly {
            Reassembly::None => self.single.hello(),
            Reassembly::Tcp => self.tcp.hello(),
            Reassembly::TcpTls => self.tcp_tls.hello(),
        }
    }

    /// Whether another segment can still change something.
    pub(crate) const fn is_open(&self) -> bool {
        self.single.is_undecided() || self.tcp.is_undecided() || self.tcp_tls.is_undecided()
    }

    /// Looks at one segment of the client: alone, and as the end of the prefix it may have lengthened.
    pub(crate) fn look(&mut self, segment: &[u8], prefix: &[u8], seen_bytes: u64) -> NewHellos {
        let mut new = NewHellos::default();
        if self.single.is_undecided() {
            if let Some(hello) = tls::client_hello_prefix(segment) {
                let hello = Arc::new(Hello::new(hello, Transport::Tcp));
                new.single = Some(Arc::clone(&hello));
                self.single = Slot::Found(hello);
            } else if seen_bytes >= PREFIX_BYTES_MAX as u64 {
                self.single = Slot::Never;
            }
        }
        let worth_it = prefix.len() >= self.look_again_at.clamp(1, PREFIX_BYTES_MAX);
        if worth_it && (self.tcp.is_undecided() || self.tcp_tls.is_undecided()) {
            self.look_at_prefix(prefix, &mut new);
        }
        new
    }

    fn look_at_prefix(&mut self, prefix: &[u8], new: &mut NewHellos) {
        if self.tcp.is_undecided() {
            match tls::client_hello(prefix, Defragment::None) {
                tls::Hello::Complete(hello) => {
                    let hello = Arc::new(Hello::new(*hello, Transport::Tcp));
                    new.tcp = Some(Arc::clone(&hello));
                    new.tcp_tls = Some(Arc::clone(&hello));
                    self.tcp = Slot::Found(Arc::clone(&hello));
                    self.tcp_tls = Slot::Found(hello);
                    return;
                }
                tls::Hello::NotTls => {
                    self.tcp = Slot::Never;
                    self.tcp_tls = Slot::Never;
                    return;
                }
                tls::Hello::Fragmented => self.tcp = Slot::Never,
                tls::Hello::Incomplete => {}
            }
        }
        if self.tcp_tls.is_undecided() {
            match tls::client_hello(prefix, Defragment::Records) {
                tls::Hello::Complete(hello) => {
                    let hello = Arc::new(Hello::new(*hello, Transport::Tcp));
                    new.tcp_tls = Some(Arc::clone(&hello));
                    self.tcp_tls = Slot::Found(hello);
                }
                tls::Hello::NotTls => self.tcp_tls = Slot::Never,
                tls::Hello::Fragmented | tls::Hello::Incomplete => {}
            }
        }
        if prefix.len() >= PREFIX_BYTES_MAX {
            let give_up = |slot: &mut Slot| {
                if slot.is_undecided() {
                    *slot = Slot::Never;
                }
            };
            give_up(&mut self.tcp);
            give_up(&mut self.tcp_tls);
        }
        self.look_again_at = end_of_unfinished_record(prefix);
    }
}

/// Where the first record ends that is not all there. Nothing new can be read before.
fn end_of_unfinished_record(prefix: &[u8]) -> usize {
    let mut start = 0;
    loop {
        let after_header = start + RECORD_HEADER_BYTES;
        let Some([_, _, _, high, low]) = prefix.get(start..after_header) else { return after_header };
        let end = after_header + usize::from(u16::from_be_bytes([*high, *low]));
        if end > prefix.len() {
            return end;
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_longer_than_the_prefix_is_given_up() {
        // One record of 16 KiB that promises a hello of 60,000 bytes.
        let mut stream = vec![22, 3, 1, 0x40, 0, 1, 0, 0xea, 0x60];
        stream.resize(PREFIX_BYTES_MAX, 0);
        let mut hellos = Hellos::default();
        for end in (1400..=stream.len()).step_by(1400).chain([stream.len()]) {
            assert!(hellos.is_open());
            hellos.look(&[], &stream[..end], end as u64);
        }
        assert!(!hellos.is_open());
        assert!(hellos.get(Reassembly::TcpTls).is_none());
    }

    #[test]
    fn other_protocols_are_given_up_at_once_over_segments() {
        let mut hellos = Hellos::default();
        hellos.look(b"SSH-2.0", b"SSH-2.0", 7);
        assert!(matches!((&hellos.tcp, &hellos.tcp_tls), (Slot::Never, Slot::Never)));
    }
}
