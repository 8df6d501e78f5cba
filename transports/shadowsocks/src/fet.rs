//! The five exemptions of the filter against fully encrypted traffic (Wu et al., USENIX Security 2023): a first
//! packet that none of them covers was blocked by chance in China from 2021 to 2023. Cheap and exact, so a probe
//! tells which rule covers what we would send.

/// Set bits a byte at or below which, or at or above which, a packet passes.
const POPCOUNT: (f64, f64) = (3.4, 4.6);
const PRINTABLE_HEAD_BYTES: usize = 6;
const PRINTABLE_RUN_BYTES: usize = 20;

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

/// The first rule that lets the packet pass; `None` when the filter would drop it.
pub fn exemption(packet: &[u8]) -> Option<Exemption> {
    let printable = |byte: &u8| matches!(byte, 0x20..=0x7e);
    let length = u32::try_from(packet.len()).map_or(f64::INFINITY, f64::from);
    let ones = f64::from(packet.iter().map(|byte| byte.count_ones()).sum::<u32>()) / length;
    if packet.is_empty() || ones <= POPCOUNT.0 || ones >= POPCOUNT.1 {
        return Some(Exemption::Entropy);
    }
    if packet.get(..PRINTABLE_HEAD_BYTES).is_some_and(|head| head.iter().all(printable)) {
        return Some(Exemption::PrintableHead);
    }
    if packet.iter().filter(|byte| printable(byte)).count() * 2 > packet.len() {
        return Some(Exemption::MostlyPrintable);
    }
    if packet.split(|byte| !printable(byte)).any(|run| run.len() > PRINTABLE_RUN_BYTES) {
        return Some(Exemption::PrintableRun);
    }
    let tls = matches!(packet, [0x16 | 0x17, 3, 0..=9, ..]);
    let http = [&b"GET "[..], b"PUT ", b"POST ", b"HEAD "].iter().any(|method| packet.starts_with(method));
    (tls || http).then_some(Exemption::KnownProtocol)
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
}
