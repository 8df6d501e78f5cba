//! A link as text: `link?delay=80ms&jitter=10ms&loss=5%&rate=10mbit&queue=200ms`.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::loss::Loss;
use crate::{
    parameter::{Kind, Parameter, Values},
    spec::{PolicySpec, Queue, SpecError, queue},
};

/// The name of a link in a chain.
pub const LINK: &str = "link";
const SOURCE: &str = "choice of this lab";
/// Longer ways are beyond the Moon and only hide a typing error.
const DELAY_MAX: Duration = Duration::from_secs(10);
const QUEUE_DEFAULT: Queue = Queue::Time(Duration::from_millis(200));
const BURST_PACKETS_MAX: u64 = 10_000;

/// The parameters of a link.
pub const LINK_PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "delay",
        kind: Kind::Time,
        default: "0s",
        about: "time on the way, in each direction: a ping takes twice as long",
        source: SOURCE,
    },
    Parameter {
        name: "jitter",
        kind: Kind::Time,
        default: "0s",
        about: "how far the delay wanders to either side",
        source: SOURCE,
    },
    Parameter {
        name: "loss",
        kind: Kind::Chance,
        default: "0",
        about: "share of packets lost, in each direction",
        source: SOURCE,
    },
    Parameter {
        name: "burst",
        kind: Kind::Count,
        default: "0",
        about: "mean length of a run of lost packets (Gilbert-Elliott); 0 loses each packet for itself",
        source: SOURCE,
    },
    Parameter {
        name: "rate",
        kind: Kind::Rate,
        default: "0bit",
        about: "bits a second in each direction, IP headers included; 0 has no limit",
        source: SOURCE,
    },
    Parameter {
        name: "up",
        kind: Kind::Rate,
        default: "0bit",
        about: "rate from the client, instead of `rate`",
        source: SOURCE,
    },
    Parameter {
        name: "down",
        kind: Kind::Rate,
        default: "0bit",
        about: "rate to the client, instead of `rate`",
        source: SOURCE,
    },
    Parameter {
        name: "queue",
        kind: Kind::Words,
        default: "200ms",
        about: "how long packets may wait for the rate, or how many bytes; what does not fit is dropped",
        source: SOURCE,
    },
    Parameter {
        name: "reorder",
        kind: Kind::Flag,
        default: "false",
        about: "whether jitter may turn the order of packets round",
        source: SOURCE,
    },
];

/// What a link does. The default does nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LinkSpec {
    /// Time on the way in each direction.
    pub delay: Duration,
    /// How far the delay wanders to either side.
    pub jitter: Duration,
    /// Share of packets lost in each direction, 0 to 1.
    pub loss: f64,
    /// Mean length of a run of lost packets; 0 loses each packet for itself.
    pub burst: u32,
    /// Bits a second from the client; `None` has no limit.
    pub up: Option<u64>,
    /// Bits a second to the client; `None` has no limit.
    pub down: Option<u64>,
    /// What may wait for the rate.
    pub queue: Queue,
    /// Whether jitter may turn the order round.
    pub reorder: bool,
}

impl Default for LinkSpec {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            burst: 0,
            up: None,
            down: None,
            queue: QUEUE_DEFAULT,
            reorder: false,
        }
    }
}

impl LinkSpec {
    /// The link of a text such as `link?delay=80ms`.
    ///
    /// # Errors
    /// A text that is no link, a parameter that a link has not, or a value that it cannot have.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        Self::from_spec(&text.parse()?)
    }

    /// The link of a part of a chain.
    ///
    /// # Errors
    /// See [`LinkSpec::parse`].
    pub fn from_spec(spec: &PolicySpec) -> Result<Self, SpecError> {
        if spec.name != LINK {
            return Err(SpecError::unknown_policy(&spec.name, std::iter::once(LINK)));
        }
        let values = Values::resolve(LINK, LINK_PARAMETERS, &spec.params, 1.0)?;
        let rate = |name: &str| values.number(name).map(|rate| Some(rate).filter(|rate| *rate > 0));
        let both = rate("rate")?;
        let burst = values.number("burst")?;
        if burst > BURST_PACKETS_MAX {
            return Err(values.refuse("burst", &burst, "at most 10000 packets").into());
        }
        let link = Self {
            delay: values.duration("delay")?,
            jitter: values.duration("jitter")?,
            loss: values.chance("loss")?,
            burst: u32::try_from(burst).unwrap_or(u32::MAX),
            up: rate("up")?.or(both),
            down: rate("down")?.or(both),
            queue: queue(&values, "queue")?,
            reorder: values.flag("reorder")?,
        };
        link.checked()
    }

    /// Whether every packet passes at once.
    pub fn is_clear(&self) -> bool {
        self.delay.is_zero()
            && self.jitter.is_zero()
            && self.loss <= 0.0
            && self.up.is_none()
            && self.down.is_none()
    }

    /// The link as a part of a chain: only what differs from a link that does nothing.
    pub fn to_spec(&self) -> PolicySpec {
        let none = Self::default();
        let mut spec = PolicySpec::new(LINK);
        let mut add = |name: &str, value: String| {
            spec.params.insert(name.to_owned(), value);
        };
        let time = |time: Duration| show_time(time.as_nanos());
        if self.delay != none.delay {
            add("delay", time(self.delay));
        }
        if self.jitter != none.jitter {
            add("jitter", time(self.jitter));
        }
        if self.loss > 0.0 {
            add("loss", self.loss.to_string());
        }
        if self.burst != none.burst {
            add("burst", self.burst.to_string());
        }
        match (self.up, self.down) {
            (Some(up), Some(down)) if up == down => add("rate", show_rate(up)),
            (up, down) => {
                up.into_iter().for_each(|up| add("up", show_rate(up)));
                down.into_iter().for_each(|down| add("down", show_rate(down)));
            }
        }
        match self.queue {
            same if same == none.queue => {}
            Queue::Time(longest) => add("queue", time(longest)),
            Queue::Bytes(most) => add("queue", format!("{most}B")),
        }
        if self.reorder {
            add("reorder", "true".to_owned());
        }
        spec
    }

    fn checked(self) -> Result<Self, SpecError> {
        let together =
            |problem: &str| Err(SpecError::Together { policy: LINK.to_owned(), problem: problem.to_owned() });
        if self.delay > DELAY_MAX || self.jitter > DELAY_MAX {
            return together("delay and jitter are at most 10s each");
        }
        if self.loss > Loss::share_max(self.burst) {
            return together("so much loss needs longer runs: with burst=N, loss is at most N/(N+1)");
        }
        Ok(self)
    }
}

fn show_time(nanos: u128) -> String {
    if nanos.is_multiple_of(1_000_000) {
        format!("{}ms", nanos / 1_000_000)
    } else {
        format!("{}us", nanos / 1_000)
    }
}

fn show_rate(rate: u64) -> String {
    match rate {
        rate if rate.is_multiple_of(1_000_000) => format!("{}mbit", rate / 1_000_000),
        rate if rate.is_multiple_of(1_000) => format!("{}kbit", rate / 1_000),
        rate => format!("{rate}bit"),
    }
}

impl fmt::Display for LinkSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_spec().fmt(formatter)
    }
}

impl From<LinkSpec> for String {
    fn from(link: LinkSpec) -> Self {
        link.to_string()
    }
}

impl TryFrom<String> for LinkSpec {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_head() {
        let link = LinkSpec::parse("link?delay=80ms&jitter=10ms&loss=5%&rate=10mbit&queue=200ms").unwrap();
        assert_eq!(link.delay, Duration::from_millis(80));
        assert_eq!((link.up, link.down), (Some(10_000_000), Some(10_000_000)));
        assert!((link.loss - 0.05).abs() < 1e-12);
        assert_eq!(LinkSpec::parse("link").unwrap(), LinkSpec::default());
        assert_eq!(LinkSpec::parse("link?rate=10mbit&up=1mbit").unwrap().up, Some(1_000_000));
    }

    #[test]
    fn what_no_link_can_be() {
        for (text, says) in [
            ("link?dealy=1ms", "did you mean `delay`"),
            ("link?delay=11s", "at most 10s"),
            ("link?queue=many", "64KiB"),
            ("link?loss=60%&burst=1", "longer runs"),
            ("link?burst=20000", "at most 10000"),
            ("lonk?delay=1ms", "did you mean `link`"),
        ] {
            let error = LinkSpec::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(
            delay in 0_u64..10_000_000,
            jitter in 0_u64..10_000,
            loss in 0.0..0.5_f64,
            burst in 1_u32..100,
            up in proptest::option::of(1_u64..4_000_000_000),
            down in proptest::option::of(1_u64..4_000_000_000),
            bytes in proptest::option::of(1_u64..1_000_000),
            reorder: bool,
        ) {
            let link = LinkSpec {
                delay: Duration::from_micros(delay),
                jitter: Duration::from_millis(jitter),
                loss,
                burst,
                up,
                down,
                queue: bytes.map_or(QUEUE_DEFAULT, Queue::Bytes),
                reorder,
            };
            prop_assert_eq!(LinkSpec::parse(&link.to_string()).unwrap(), link);
        }
    }
}
