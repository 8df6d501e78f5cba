//! Observations that are amounts: transfers over time, counted limits, compared rates.

use commucat_transport_api::Failure;
use serde::{Deserialize, Serialize};

use super::{Condition, Subtest};
use crate::ControlKind;

/// A transfer of many bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Its number in the run, shared with the trials.
    pub number: u32,
    /// The condition.
    pub condition: Condition,
    /// What it controls for; `None` for what is under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlKind>,
    /// Which way the bytes went.
    pub direction: Direction,
    /// When it began, in microseconds since the run began.
    pub at_us: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// Payload bytes that should have moved.
    pub asked: u64,
    /// Payload bytes that are known to have arrived.
    pub moved: u64,
    /// Packets of the whole flow that are known to have passed, both directions, handshakes included.
    pub packets: Option<u32>,
    /// Payload bytes of the whole flow that are known to have passed, both directions, handshakes included.
    pub flow_bytes: u64,
    /// How packets were counted.
    pub counting: Counting,
    /// It began, then nothing moved any more until the deadline.
    pub stalled: bool,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// Its course: bytes that had moved by then; bounded.
    pub curve: Vec<CurvePoint>,
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From us to the server.
    Up,
    /// From the server to us.
    Down,
    /// A message and its echo, in turns.
    Both,
}

/// How packets were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// The kernel's segment counters of the connection (`TCP_INFO` by `sock_diag`).
    Kernel,
    /// One write is one segment, and one answer is one segment; acknowledgements without data are not seen.
    Construction,
    /// Packets were not counted.
    None,
}

/// A point of a transfer's course.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Microseconds since the transfer began.
    pub at_us: u64,
    /// Bytes that had moved.
    pub bytes: u64,
}

/// A limit that was counted, more than once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Whose.
    pub subtest: Subtest,
    /// Under which condition.
    pub condition: Condition,
    /// What was counted.
    pub unit: Unit,
    /// The largest amount that passed.
    pub value: Spread,
    /// How packets were counted, where they were.
    pub counting: Counting,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Packets of a flow, both directions.
    Packets,
    /// Payload bytes of a flow, both directions.
    Bytes,
    /// Connections beside each other.
    Connections,
    /// Kilobits a second (1000 bit), IP headers included.
    KbitPerSecond,
}

/// Repeated measurements of one amount.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The smallest, or the lower end of the 95 % interval of a ratio.
    pub low: f64,
    /// The largest, or the upper end of the 95 % interval of a ratio.
    pub high: f64,
    /// How many measurements.
    pub repeats: u32,
}

/// Rates of a suspect and of its control on the same server, measured in turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateComparison {
    /// What is under test.
    pub suspect: Condition,
    /// What it is compared with.
    pub control: Condition,
    /// Rates of the suspect, kbit/s, one a repeat.
    pub suspect_kbps: Vec<f64>,
    /// Rates of the control, kbit/s, one a repeat.
    pub control_kbps: Vec<f64>,
    /// Suspect divided by control: median and 95 % bootstrap interval.
    pub ratio: Spread,
    /// How much slower than this an arm is that nothing slows (0 to 1): the ratio from which a finding begins.
    pub threshold: f64,
}
