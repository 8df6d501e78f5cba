//! A real transport, end to end: its own probe, dials, requests through it to a control server, datagrams.
//!
//! What is measured is what a user gets: time until a dial is done, bytes both ways with their digests, round trips
//! inside the open channel, and how many dials and datagrams get lost.

#[cfg(test)]
mod tests;
mod through;

use std::{sync::Arc, time::Duration};

use commucat_transport_api::{Client, Cx, DialError, HostPort, Net, ProbeReport, Secret, Target};
use serde::Serialize;

use self::through::Through;

/// Dials whose times are taken.
const DIALS: usize = 5;
/// Round trips inside one channel.
const ROUND_TRIPS: usize = 30;
/// Bytes of one round trip's request and answer.
const ROUND_TRIP_BYTES: usize = 64;
/// Datagrams for the share that gets lost.
const DATAGRAMS: usize = 50;

/// What a transport is measured with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportConfig {
    /// The transport's name, for the report.
    pub name: String,
    /// A TCP port of a control server that speaks HTTP without TLS, as the bridge reaches it. Without one only dials
    /// are measured.
    pub control: Option<HostPort>,
    /// A UDP port of it that echoes.
    pub control_udp: Option<HostPort>,
    /// Its token.
    pub token: Option<Secret<String>>,
    /// Bytes each way.
    pub bytes: u64,
    /// How long a dial, or one request, may take.
    pub patience: Duration,
}

impl TransportConfig {
    /// 256 KiB each way, 20 s for each step, no control server.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            control: None,
            control_udp: None,
            token: None,
            bytes: 256 * 1024,
            patience: Duration::from_secs(20),
        }
    }
}

/// Times of several equal things, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Times {
    /// How many there are.
    pub count: usize,
    /// The median.
    pub p50_us: u64,
    /// The time that 95 of 100 stay below.
    pub p95_us: u64,
}

/// A transfer in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Moved {
    /// Bytes that arrived.
    pub bytes: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// The rate, in kbit/s.
    pub kbps: u64,
}

/// Datagrams that were sent, and those that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DatagramLoss {
    /// Sent.
    pub sent: usize,
    /// Answered.
    pub answered: usize,
}

/// What a transport gave.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TransportReport {
    /// The transport.
    pub transport: String,
    /// The steps of its own probe.
    pub probe: ProbeReport,
    /// From the beginning to the first answer through it, in seconds.
    pub bootstrap_s: Option<f64>,
    /// Times of dials that came about.
    pub dials: Times,
    /// Dials that did not.
    pub dials_failed: usize,
    /// Round trips inside an open channel.
    pub round_trips: Option<Times>,
    /// To the control server.
    pub up: Option<Moved>,
    /// From the control server.
    pub down: Option<Moved>,
    /// Datagrams through it; nothing when it carries none, or the control server's port is not known.
    pub datagrams: Option<DatagramLoss>,
    /// The first thing that failed, in words.
    pub failure: Option<String>,
    /// What was not measured, and why.
    pub left_out: Vec<String>,
}

/// Measures a transport. What fails is part of the report: the measurement itself cannot fail.
pub async fn transport(
    client: &Arc<dyn Client>,
    net: &Arc<dyn Net>,
    config: &TransportConfig,
) -> TransportReport {
    let began = net.now();
    let cx = || Cx::new(Arc::clone(net), config.patience);
    let mut report = TransportReport {
        transport: config.name.clone(),
        probe: client.probe(&cx()).await,
        bootstrap_s: None,
        dials: Times::default(),
        dials_failed: 0,
        round_trips: None,
        up: None,
        down: None,
        datagrams: None,
        failure: None,
        left_out: Vec::new(),
    };
    let target = config.control.clone().map_or(Target::Bridge, Target::Stream);
    dials(&**client, net, config, &target, &mut report).await;
    match &config.control {
        None => report
            .left_out
            .push("transfers and round trips: name a control server that the bridge can reach".to_owned()),
        Some(control) if report.dials.count > 0 => {
            let first = began;
            requests(&**client, net, config, control, &mut report, first).await;
        }
        Some(_no_dial) => report.left_out.push("transfers and round trips: no dial came about".to_owned()),
    }
    match &config.control_udp {
        None => report.left_out.push("datagrams: name a UDP port of a control server".to_owned()),
        Some(echo) => match Box::pin(through::datagrams(&**client, &cx(), echo, DATAGRAMS)).await {
            Ok(loss) => report.datagrams = Some(loss),
            Err(error) => report.left_out.push(format!("datagrams: {}", words(&error))),
        },
    }
    report
}

async fn dials(
    client: &dyn Client,
    net: &Arc<dyn Net>,
    config: &TransportConfig,
    target: &Target,
    report: &mut TransportReport,
) {
    let mut times = Vec::with_capacity(DIALS);
    for _dial in 0..DIALS {
        let began = net.now();
        let cx = Cx::new(Arc::clone(net), config.patience);
        match cx.until_deadline(client.dial(&cx, target)).await {
            Some(Ok(_opened)) => times.push(net.now().saturating_duration_since(began)),
            Some(Err(error)) => {
                report.dials_failed += 1;
                report.failure.get_or_insert_with(|| words(&error));
            }
            None => {
                report.dials_failed += 1;
                report.failure.get_or_insert_with(|| "a dial got no answer in time".to_owned());
            }
        }
    }
    report.dials = Times::of(times);
}

async fn requests(
    client: &dyn Client,
    net: &Arc<dyn Net>,
    config: &TransportConfig,
    control: &HostPort,
    report: &mut TransportReport,
    began: std::time::Instant,
) {
    let measured = async {
        let mut through = Through::open(client, net, config, control).await?;
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        for round in 0..ROUND_TRIPS {
            times.push(through.round_trip(ROUND_TRIP_BYTES).await?);
            if round == 0 {
                report.bootstrap_s = Some(net.now().saturating_duration_since(began).as_secs_f64());
            }
        }
        report.round_trips = Some(Times::of(times));
        report.up = Some(through.upload(config.bytes).await?);
        report.down = Some(through.download(config.bytes).await?);
        Ok::<_, through::Failed>(())
    };
    if let Err(failed) = Box::pin(measured).await {
        report.failure.get_or_insert_with(|| failed.to_string());
    }
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(index).map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
        };
        Self { count: times.len(), p50_us: at(50), p95_us: at(95) }
    }
}

/// A failed dial in words, without addresses.
fn words(error: &DialError) -> String {
    error.failure().map_or_else(|| error.to_string(), ToString::to_string)
}
