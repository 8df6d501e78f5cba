//! Is the link true? Measures rate, delay and loss of a running lab, with programs that nobody here wrote where they are
//! installed (iperf3, ping), so that the lab does not confirm itself.

mod measure;

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    process::Stdio,
    time::Duration,
};

use commucat_censor::Direction;
pub use measure::{Effort, Truth, measure};
use nix::sys::socket::{
    setsockopt,
    sockopt::{RcvBuf, RcvBufForce},
};
use serde::Serialize;

use crate::{Lab, LabError, Place};

/// The port of iperf3's server, inside the world's namespace.
const IPERF_PORT: u16 = 5201;
/// Time beyond the measurement that iperf3 has to start, connect and report.
const IPERF_SLACK: Duration = Duration::from_secs(20);
/// Time beyond the measurement that ping has.
const PING_SLACK: Duration = Duration::from_secs(15);
/// TCP finds the rate in this time, in seconds; the losses by which it does so are not the link's truth.
const WARM_UP_S: &str = "2";
const PING_INTERVAL_S: &str = "0.02";
/// Datagrams sent in a row when loss is counted; a pause follows, so that no queue fills and the only losses are those
/// of chance.
const BURST_DATAGRAMS: u32 = 20;
const BURST_PAUSE: Duration = Duration::from_millis(2);
/// No datagram comes any more when none came for this long: above twice the delay of the slowest profile.
const QUIET: Duration = Duration::from_millis(1500);
const DATAGRAM_BYTES: usize = 64;
/// Room for all datagrams of a count; the kernel books about 800 bytes for a small one.
const RECEIVE_BYTES: usize = 64 * 1024 * 1024;

/// What TCP achieved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Throughput {
    /// What the receiver got, in bits a second of payload.
    pub goodput_bit_s: f64,
    /// The same with IP and TCP headers of full packets: what the link carried.
    pub link_bit_s: f64,
    /// Segments that were sent again.
    pub retransmits: u64,
}

/// Round trips.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RoundTrip {
    /// Shortest, in milliseconds.
    pub min_ms: f64,
    /// Mean, in milliseconds.
    pub mean_ms: f64,
    /// Longest, in milliseconds.
    pub max_ms: f64,
}

/// Why a measurement gave no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TruthError {
    /// The lab could not run it.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A foreign program failed or said something that is no figure.
    #[error("`{program}` gave no figure: {said}")]
    NoFigure {
        /// The program.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// A socket failed.
    #[error("a socket of the measurement failed")]
    Socket(#[from] io::Error),
}

/// Measures what TCP achieves in one direction, by iperf3, over this time after two seconds of warming up. What
/// waits in the link's queue may be counted in or out at both ends: make the time twenty times the queue and the delay.
///
/// # Errors
/// [`TruthError`]; [`LabError::Spawn`] in it when iperf3 is not installed.
pub fn throughput(lab: &Lab, direction: Direction, over: Duration) -> Result<Throughput, TruthError> {
    let at = lab.world().address();
    let (port, bind) = (IPERF_PORT.to_string(), at.to_string());
    let mut server = lab
        .world()
        .command("iperf3")
        .args(["--server", "--one-off", "--bind", &bind, "--port", &port])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    wait_for_listener(lab.world(), SocketAddr::new(at, IPERF_PORT))?;
    let seconds = over.as_secs().max(1).to_string();
    let mut client = lab.client().command("iperf3");
    client.args(["--client", &bind, "--port", &port, "--json", "--omit", WARM_UP_S, "--time", &seconds]);
    if direction == Direction::Down {
        client.arg("--reverse");
    }
    let output = client.output(over + IPERF_SLACK)?;
    server.kill();
    parse_iperf(&output.stdout)
}

/// Measures round trips from client to world by ping.
///
/// # Errors
/// [`TruthError`]; [`LabError::Spawn`] in it when ping is not installed.
pub fn round_trip(lab: &Lab, pings: u32) -> Result<RoundTrip, TruthError> {
    let (count, to) = (pings.to_string(), lab.world().address().to_string());
    let output = lab
        .client()
        .command("ping")
        .args(["-n", "-q", "-c", &count, "-i", PING_INTERVAL_S, &to])
        .output(PING_SLACK + BURST_PAUSE * pings * 20)?;
    parse_ping(&String::from_utf8_lossy(&output.stdout))
}

/// Counts which share of this many small datagrams is lost in one direction.
///
/// # Errors
/// [`TruthError::Lab`] or [`TruthError::Socket`].
pub fn loss(lab: &Lab, direction: Direction, datagrams: u32) -> Result<f64, TruthError> {
    let (from, to) = match direction {
        Direction::Up => (lab.client(), lab.world()),
        Direction::Down => (lab.world(), lab.client()),
    };
    let receiver = bind(to)?;
    // On a busy machine the counter may not run for long: what waits for it must not be lost. Root of a user namespace
    // may not go above the system's limit.
    if setsockopt(&receiver, RcvBufForce, &RECEIVE_BYTES).is_err() {
        setsockopt(&receiver, RcvBuf, &RECEIVE_BYTES).map_err(io::Error::from)?;
    }
    receiver.set_read_timeout(Some(QUIET))?;
    let sender = bind(from)?;
    sender.connect(receiver.local_addr()?)?;
    let came = std::thread::scope(|scope| {
        let counting = scope.spawn(|| count_datagrams(&receiver));
        let sent = send_datagrams(&sender, datagrams);
        let came = counting.join().unwrap_or_else(|_panic| Err(io::Error::other("the counter panicked")));
        sent.and(came)
    })?;
    Ok(1.0 - f64::from(came) / f64::from(datagrams.max(1)))
}

fn bind(place: &Place) -> Result<UdpSocket, TruthError> {
    let address: IpAddr = place.address();
    Ok(place.run(|| UdpSocket::bind((address, 0)))??)
}

fn send_datagrams(sender: &UdpSocket, datagrams: u32) -> io::Result<()> {
    let datagram = [0; DATAGRAM_BYTES];
    for number in 0..datagrams {
        sender.send(&datagram)?;
        if number % BURST_DATAGRAMS == BURST_DATAGRAMS - 1 {
            std::thread::sleep(BURST_PAUSE);
        }
    }
    Ok(())
}

fn count_datagrams(receiver: &UdpSocket) -> io::Result<u32> {
    let mut buffer = [0; DATAGRAM_BYTES];
    let mut came = 0;
    loop {
        match receiver.recv(&mut buffer) {
            Ok(_length) => came += 1,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(came);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits until something listens; a connection is tried from inside the same place, so the link does not see it.
fn wait_for_listener(place: &Place, at: SocketAddr) -> Result<(), TruthError> {
    const TRIES: u32 = 500;
    const PAUSE: Duration = Duration::from_millis(10);
    // iperf3 would take a connection for its client, so the table of sockets is read instead.
    let listens = || {
        let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap_or_default();
        let port = format!(":{:04X}", at.port());
        table.lines().any(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let local = columns.next().unwrap_or_default();
            let (_remote, state) = (columns.next(), columns.next());
            local.ends_with(&port) && state == Some("0A")
        })
    };
    let came = place.run(|| {
        (0..TRIES).any(|_try| {
            let there = listens();
            if !there {
                std::thread::sleep(PAUSE);
            }
            there
        })
    })?;
    let said = || format!("its server does not listen at {at}");
    came.then_some(()).ok_or_else(|| TruthError::NoFigure { program: "iperf3", said: said() })
}

fn parse_iperf(report: &[u8]) -> Result<Throughput, TruthError> {
    let no_figure = |said: String| TruthError::NoFigure { program: "iperf3", said };
    let report: serde_json::Value =
        serde_json::from_slice(report).map_err(|error| no_figure(error.to_string()))?;
    if let Some(error) = report.get("error").and_then(|error| error.as_str()) {
        return Err(no_figure(error.to_owned()));
    }
    let figure = |pointer: &str| report.pointer(pointer).and_then(serde_json::Value::as_f64);
    let goodput = figure("/end/sum_received/bits_per_second");
    let goodput_bit_s = goodput.ok_or_else(|| no_figure("no bits a second".to_owned()))?;
    let segment = figure("/start/tcp_mss_default").filter(|bytes| *bytes > 0.0).unwrap_or(1448.0);
    // 20 bytes of IP, 20 of TCP, 12 of its time stamp option: iperf3 says the segment size without the option.
    let headers = 20.0 + 20.0 + 12.0;
    let retransmits = report.pointer("/end/sum_sent/retransmits").and_then(serde_json::Value::as_u64);
    Ok(Throughput {
        goodput_bit_s,
        link_bit_s: goodput_bit_s * (segment + headers) / segment,
        retransmits: retransmits.unwrap_or(0),
    })
}

/// Reads `rtt min/avg/max/mdev = 0.030/0.041/0.055/0.010 ms` (iputils; busybox says `round-trip` and has no mdev).
fn parse_ping(report: &str) -> Result<RoundTrip, TruthError> {
    let no_figure = || TruthError::NoFigure { program: "ping", said: report.trim().to_owned() };
    let figures = report
        .lines()
        .find(|line| line.contains("min/avg/max"))
        .and_then(|line| line.split_once('='))
        .ok_or_else(no_figure)?
        .1;
    let mut numbers = figures.trim().trim_end_matches("ms").split('/').map(|number| number.trim().parse());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(min_ms)), Some(Ok(mean_ms)), Some(Ok(max_ms))) => Ok(RoundTrip { min_ms, mean_ms, max_ms }),
        _no_three_numbers => Err(no_figure()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_both_pings_are_read() {
        let iputils = "--- x ---\nrtt min/avg/max/mdev = 80.052/80.101/80.400/0.030 ms\n";
        let busybox = "round-trip min/avg/max = 80.052/80.101/80.400 ms\n";
        for report in [iputils, busybox] {
            let rtt = parse_ping(report).unwrap();
            assert_eq!((rtt.min_ms, rtt.mean_ms, rtt.max_ms), (80.052, 80.101, 80.4));
        }
        assert!(parse_ping("3 packets transmitted, 0 received\n").is_err());
    }

    #[test]
    fn what_iperf_says_is_read_or_refused() {
        let report = br#"{"start":{"tcp_mss_default":1448},
            "end":{"sum_sent":{"retransmits":3},"sum_received":{"bits_per_second":1448000.0}}}"#;
        let figures = parse_iperf(report).unwrap();
        assert_eq!(
            (figures.goodput_bit_s, figures.link_bit_s, figures.retransmits),
            (1_448_000.0, 1_500_000.0, 3)
        );
        let refused = parse_iperf(br#"{"error":"unable to connect"}"#).unwrap_err();
        assert!(refused.to_string().contains("unable to connect"), "{refused}");
        assert!(parse_iperf(b"iperf3: error").is_err());
    }
}
