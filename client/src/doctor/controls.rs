//! Control measurements: do other hosts answer, does a captive portal answer for them, what time is it there.
//!
//! The default ones are what browsers and systems ask for by themselves when they join a network, so asking them tells
//! an observer nothing.

use std::{
    io,
    str::FromStr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use commucat_transport_api::{Cx, Failure, HostPort, HostPortError, Net, Phase, Signal};
use commucat_verdict::{Control, ControlKind, Controls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Time one control may take.
const CONTROL_BUDGET: Duration = Duration::from_secs(6);
/// Most controls of one run.
const MAX_CONTROLS: usize = 16;
/// Longest answer head that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 8 * 1024;
const MAX_FIELDS: usize = 64;

/// A host to compare with, asked over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControlTarget {
    /// Host and port.
    pub address: HostPort,
    /// The path that is asked for.
    pub path: String,
    /// The status that the host itself answers; another one is a captive portal's. `None` takes any below 500.
    pub expect: Option<u16>,
    /// What it controls for.
    pub kind: ControlKind,
}

/// Why a text is no control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlTargetError {
    /// It is no `http://` URL: TLS would hide a captive portal and need a certificate store.
    #[error("a control is an http:// URL, with `domestic:` before it when the host is inside the country")]
    Scheme,
    /// The host cannot be used.
    #[error("the host of the control cannot be used")]
    Host(#[source] HostPortError),
}

impl FromStr for ControlTarget {
    type Err = ControlTargetError;

    fn from_str(text: &str) -> Result<Self, ControlTargetError> {
        let (kind, url) = match text.strip_prefix("domestic:") {
            Some(url) => (ControlKind::Domestic, url),
            None => (ControlKind::Unrelated, text),
        };
        let rest = url.strip_prefix("http://").ok_or(ControlTargetError::Scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = match authority.parse() {
            Err(HostPortError::NoPort) => HostPort::new(authority, 80),
            other => other,
        };
        let clean: String = path.chars().filter(char::is_ascii_graphic).collect();
        Ok(Self {
            address: address.map_err(ControlTargetError::Host)?,
            path: format!("/{clean}"),
            expect: None,
            kind,
        })
    }
}

/// Hosts that systems and browsers ask by themselves.
pub fn default_controls() -> Vec<ControlTarget> {
    let known = [
        ("http://connectivitycheck.gstatic.com/generate_204", 204),
        ("http://detectportal.firefox.com/success.txt", 200),
        ("http://www.msftconnecttest.com/connecttest.txt", 200),
    ];
    known
        .into_iter()
        .filter_map(|(url, status)| Some(ControlTarget { expect: Some(status), ..url.parse().ok()? }))
        .collect()
}

/// Measures all of them at once.
pub(crate) async fn measure(net: &Arc<dyn Net>, targets: &[ControlTarget]) -> Controls {
    let measuring = targets.iter().take(MAX_CONTROLS).map(|target| one(net, target));
    let results = futures_util::future::join_all(measuring).await;
    let mut ahead: Vec<i64> = results.iter().filter_map(|measured| measured.ahead_s).collect();
    ahead.sort_unstable();
    Controls {
        // The middle one: a single wrong clock elsewhere does not decide.
        clock_ahead_s: ahead.get(ahead.len() / 2).copied(),
        measured: results.into_iter().map(|measured| measured.control).collect(),
        ..Controls::none()
    }
}

struct Measured {
    control: Control,
    ahead_s: Option<i64>,
}

async fn one(net: &Arc<dyn Net>, target: &ControlTarget) -> Measured {
    let began = net.now();
    let cx = Cx::new(Arc::clone(net), CONTROL_BUDGET);
    let asked = cx.until_deadline(ask(net, target)).await;
    let elapsed = net.now().saturating_duration_since(began);
    let answer = match asked {
        Some(Ok(answer)) => answer,
        Some(Err((phase, signal))) => {
            let failure = Failure::new(phase, signal, elapsed);
            return Measured { control: Control::new(target.kind, Err(failure)), ahead_s: None };
        }
        None => {
            let failure = Failure::new(Phase::Connect, Signal::Timeout, elapsed);
            return Measured { control: Control::new(target.kind, Err(failure)), ahead_s: None };
        }
    };
    let mut control = Control::new(target.kind, Ok(elapsed));
    control.captive =
        !target.expect.map_or(answer.status < 500 && answer.status != 511, |status| status == answer.status);
    let ahead_s = answer.unix_s.filter(|_| !control.captive).map(|theirs| {
        let ours = i64::try_from(net.unix_time().as_secs()).unwrap_or(i64::MAX);
        ours.saturating_sub(i64::try_from(theirs).unwrap_or(i64::MAX))
    });
    Measured { control, ahead_s }
}

struct Answer {
    status: u16,
    unix_s: Option<u64>,
}

async fn ask(net: &Arc<dyn Net>, target: &ControlTarget) -> Result<Answer, (Phase, Signal)> {
    let at = |phase: Phase| move |error: io::Error| (phase, Signal::from_io(&error));
    let addresses = net.resolve(&target.address).await.map_err(at(Phase::Resolve))?;
    let first = addresses.first().copied().map_or_else(|| target.address.clone(), HostPort::from);
    let mut stream = net.connect_stream(&first).await.map_err(at(Phase::Connect))?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        target.path,
        host_field(&target.address)
    );
    stream.write_all(request.as_bytes()).await.map_err(at(Phase::Handshake))?;
    stream.flush().await.map_err(at(Phase::Handshake))?;
    let mut input = Vec::new();
    loop {
        if let Some(answer) = parse(&input).map_err(|()| (Phase::Handshake, Signal::UnexpectedBytes))? {
            return Ok(answer);
        }
        let read = stream.read_buf(&mut input).await.map_err(at(Phase::Handshake))?;
        if read == 0 {
            return Err((Phase::Handshake, Signal::UnexpectedEof));
        }
    }
}

fn host_field(address: &HostPort) -> String {
    if address.port == 80 && address.host.ip().is_none() {
        address.host.to_string()
    } else {
        address.to_string()
    }
}

fn parse(input: &[u8]) -> Result<Option<Answer>, ()> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(input) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if input.len() < MAX_ANSWER_BYTES => return Ok(None),
        _ => return Err(()),
    }
    let date = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("date"));
    let time = date.and_then(|field| httpdate::parse_http_date(str::from_utf8(field.value).ok()?).ok());
    let unix_s = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
    Ok(Some(Answer { status: response.code.unwrap_or_default(), unix_s }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_read_as_people_write_them() {
        let control: ControlTarget = "http://example.org/x".parse().unwrap();
        assert_eq!((control.address.to_string(), &*control.path), ("example.org:80".to_owned(), "/x"));
        assert_eq!(control.kind, ControlKind::Unrelated);
        let control: ControlTarget = "domestic:http://192.0.2.7:8080".parse().unwrap();
        assert_eq!((control.address.to_string(), &*control.path), ("192.0.2.7:8080".to_owned(), "/"));
        assert_eq!(control.kind, ControlKind::Domestic);
        assert_eq!("https://example.org".parse::<ControlTarget>(), Err(ControlTargetError::Scheme));
        assert!("http://a b/".parse::<ControlTarget>().is_err());
        assert_eq!(default_controls().len(), 3);
    }

    #[test]
    fn an_answer_tells_status_and_time() {
        let text = b"HTTP/1.1 204 No Content\r\nDate: Thu, 01 Jan 1970 00:01:40 GMT\r\n\r\n";
        let answer = parse(text).unwrap().unwrap();
        assert_eq!((answer.status, answer.unix_s), (204, Some(100)));
        assert!(parse(b"HTTP/1.1 204").unwrap().is_none());
        assert!(parse(b"SSH-2.0-x\r\n").is_err());
        assert!(parse(&[b'H'; MAX_ANSWER_BYTES]).is_err());
    }
}
