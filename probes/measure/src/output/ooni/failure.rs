//! Evidence in the words of the OONI data format (df-007-errors).

use commucat_transport_api::{Failure, Phase, Signal};
use commucat_verdict::observations::{Lookup, LookupAnswer};

/// Response codes (RFC 1035 §4.1.1).
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;
const REFUSED: u16 = 5;

/// The failure string of an attempt.
pub(super) fn failure(failure: &Failure) -> String {
    let known = match &failure.signal {
        Signal::Timeout => "generic_timeout_error",
        Signal::Refused => "connection_refused",
        Signal::Reset => "connection_reset",
        Signal::Unreachable => "host_unreachable",
        Signal::LocalNetworkDown => "network_unreachable",
        Signal::NameNotFound => "dns_nxdomain_error",
        Signal::DnsPoisoned => "dns_bogon_error",
        Signal::TlsAlert(_) => "ssl_failed_handshake",
        Signal::WrongCertificate => "ssl_invalid_certificate",
        Signal::UnexpectedEof => "eof_error",
        Signal::UnexpectedBytes if failure.phase == Phase::Handshake => "ssl_failed_handshake",
        other => return format!("unknown_failure: {other}"),
    };
    known.to_owned()
}

/// The failure string of one answer to a question.
pub(super) fn answer(answer: &LookupAnswer) -> Option<String> {
    let known = match answer.rcode {
        _ if answer.bogon => "dns_bogon_error",
        0 if answer.addresses.is_empty() => "dns_no_answer",
        0 => return None,
        SERVFAIL => "dns_servfail_error",
        NXDOMAIN => "dns_nxdomain_error",
        REFUSED => "dns_refused_error",
        other => return Some(format!("unknown_failure: response code {other}")),
    };
    Some(known.to_owned())
}

/// The failure string of a question that got no answer.
pub(super) fn unanswered(lookup: &Lookup) -> String {
    lookup.failure.as_ref().map_or_else(|| "generic_timeout_error".to_owned(), failure)
}
