//! The five exemptions of the filter against fully encrypted traffic (Wu et al., USENIX Security 2023): a first
//! packet that none of them covers was blocked by chance in China from 2021 to 2023. Cheap and exact, so a censor of
//! the lab judges by it and a probe tells which rule covers what we would send.
//!
//! Implementations disagree with the paper in two places; [`Rule`] has a knob for each.

use crate::entropy::is_printable;

/// Set bits a byte, times ten, at or below which, or at or above which, a packet passes.
const TENTHS_OF_SET_BITS: (u64, u64) = (34, 46);
const PRINTABLE_HEAD_BYTES: usize = 6;
const PRINTABLE_RUN_BYTES: usize = 20;
/// The highest minor version that the paper names.
const PAPER_TLS_MINOR_MAX: u8 = 0x09;

/// Why a first packet passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exemption {
    /// Ex1: few or many set bits.
    Entropy,
    /// Ex2: the first six bytes are printable.
    PrintableHead,
    /// Ex3: more than half of the bytes are printable.
    MostlyPrintable,
    /// Ex4: a run of more than twenty printable bytes.
    PrintableRun,
    /// Ex5: it starts like TLS or HTTP.
    KnownProtocol,
}

impl Exemption {
    /// The rule as a word for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::PrintableHead => "printable-head",
            Self::MostlyPrintable => "mostly-printable",
            Self::PrintableRun => "printable-run",
            Self::KnownProtocol => "known-protocol",
        }
    }
}

/// The beginnings that count as HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpSet {
    /// `GET `, `PUT `, `POST ` and `HEAD `, as the paper says. Longer methods pass by [`Exemption::PrintableHead`].
    #[default]
    Paper,
    /// The first three letters of nine methods and no space, as OpenGFW 0.4.1 takes them.
    ThreeLetters,
}

impl HttpSet {
    /// The set of that name: `paper` or `three-letters`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "paper" => Some(Self::Paper),
            "three-letters" => Some(Self::ThreeLetters),
            _ => None,
        }
    }

    const fn beginnings(self) -> &'static [&'static [u8]] {
        match self {
            Self::Paper => &[b"GET ", b"PUT ", b"POST ", b"HEAD "],
            Self::ThreeLetters => &[b"GET", b"HEA", b"POS", b"PUT", b"DEL", b"CON", b"OPT", b"TRA", b"PAT"],
        }
    }
}

/// The filter with its two disputed knobs. The default is what the paper says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The highest minor version of a record that counts as TLS: 9 in the paper, 15 in its authors' program.
    pub tls_minor_max: u8,
    /// What counts as HTTP.
    pub http_set: HttpSet,
}

impl Default for Rule {
    fn default() -> Self {
        Self { tls_minor_max: PAPER_TLS_MINOR_MAX, http_set: HttpSet::Paper }
    }
}

impl Rule {
    /// The first rule that lets the packet pass; `None` when the filter would drop it.
    pub fn exemption(&self, packet: &[u8]) -> Option<Exemption> {
        if few_or_many_set_bits(packet) {
            return Some(Exemption::Entropy);
        }
        let printable = |byte: &u8| is_printable(*byte);
        if packet.get(..PRINTABLE_HEAD_BYTES).is_some_and(|head| head.iter().all(printable)) {
            return Some(Exemption::PrintableHead);
        }
        if packet.iter().filter(|byte| printable(byte)).count() * 2 > packet.len() {
            return Some(Exemption::MostlyPrintable);
        }
        if packet.split(|byte| !printable(byte)).any(|run| run.len() > PRINTABLE_RUN_BYTES) {
            return Some(Exemption::PrintableRun);
        }
        let tls = matches!(packet, [0x16 | 0x17, 3, minor, ..] if *minor <= self.tls_minor_max);
        let http = self.http_set.beginnings().iter().any(|method| packet.starts_with(method));
        (tls || http).then_some(Exemption::KnownProtocol)
    }
}

/// The first rule of the paper that lets the packet pass; `None` when the filter would drop it.
pub fn exemption(packet: &[u8]) -> Option<Exemption> {
    Rule::default().exemption(packet)
}

/// In whole numbers, so that the limits themselves are exact.
fn few_or_many_set_bits(packet: &[u8]) -> bool {
    let (few, many) = TENTHS_OF_SET_BITS;
    let ones: u64 = packet.iter().map(|byte| u64::from(byte.count_ones())).sum();
    let length = u64::try_from(packet.len()).unwrap_or(u64::MAX);
    ones * 10 <= few.saturating_mul(length) || ones * 10 >= many.saturating_mul(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes with four set bits each and none printable.
    fn plain(length: usize) -> Vec<u8> {
        vec![0x8b; length]
    }

    #[test]
    fn each_rule_alone() {
        let with = |at: usize, bytes: &[u8]| {
            let mut packet = plain(200);
            packet[at..at + bytes.len()].copy_from_slice(bytes);
            exemption(&packet)
        };
        assert_eq!(exemption(&plain(200)), None);
        assert_eq!(exemption(&[0; 100]), Some(Exemption::Entropy));
        assert_eq!(exemption(&[0xff; 100]), Some(Exemption::Entropy));
        assert_eq!(exemption(&[]), Some(Exemption::Entropy));
        assert_eq!(with(0, b"SSH-2.0"), Some(Exemption::PrintableHead));
        assert_eq!(with(0, b"GET \x8b"), Some(Exemption::KnownProtocol));
        assert_eq!(with(0, &[0x16, 3, 1]), Some(Exemption::KnownProtocol));
        assert_eq!(with(50, &[b'k'; 21]), Some(Exemption::PrintableRun));
        assert_eq!(with(50, &[b'k'; 20]), None);
        let mut packet = plain(200);
        packet.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = b'k');
        packet[2] = b'k';
        assert_eq!(exemption(&packet), Some(Exemption::MostlyPrintable));
    }

    #[test]
    fn the_limits_of_set_bits_pass() {
        // Ten bytes with 34, 35, 45 and 46 set bits.
        let packet = |more: &[u8]| exemption(&[more, &[0x8b; 10][more.len()..]].concat());
        assert_eq!(packet(&[0x80; 2]), Some(Exemption::Entropy));
        assert_eq!(packet(&[0x80, 0x81, 0x8b]), None);
        assert_eq!(packet(&[0xff, 0x9b]), None);
        assert_eq!(packet(&[0xff, 0xbb]), Some(Exemption::Entropy));
    }

    /// Eleven first payloads and what the text of the paper says about each, with the two knobs where programs differ.
    #[test]
    fn the_table_of_verdicts() {
        let with = |head: &[u8]| {
            let mut packet = plain(100);
            packet[..head.len()].copy_from_slice(head);
            packet
        };
        let run = |length: usize| {
            let mut packet = plain(200);
            packet[100..100 + length].fill(b'k');
            packet
        };
        let paper = Rule::default();
        let blocked = [
            with(&[]),
            with(b"DEL\x01\x02\x03"),
            with(&[0x16, 3, 0x0a]),
            with(&[0x15, 3, 3]),
            with(&[0x18, 3, 3]),
            run(20),
        ];
        for packet in &blocked {
            assert_eq!(paper.exemption(packet), None, "{packet:02x?}");
        }
        for packet in [with(b"GET \x8b"), with(&[0x17, 3, 9]), with(&[0x16, 3, 0]), run(21), with(b"DELETE ")]
        {
            assert!(paper.exemption(&packet).is_some(), "{packet:02x?}");
        }
        let authors = Rule { tls_minor_max: 0x0f, ..paper };
        assert!(authors.exemption(&with(&[0x16, 3, 0x0a])).is_some());
        assert_eq!(authors.exemption(&with(&[0x16, 3, 0x10])), None);
        let letters = Rule { http_set: HttpSet::ThreeLetters, ..paper };
        assert!(letters.exemption(&with(b"DEL\x01\x02\x03")).is_some());
    }
}
