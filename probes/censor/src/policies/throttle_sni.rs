//! `throttle-sni`: slows connections whose hello names a listed host to 140 kbit/s (Russia, 2021).
//!
//! A policer, not a shaper: what is above the rate vanishes, nothing is delayed. Each direction has its own bucket.
//!
//! Known: 130 to 150 kbit/s in both directions, the excess is dropped (Xue et al. 2021, abstract read). Choice of this
//! lab: the size of the bucket.

use super::{Entry, common};
use crate::{
    event::Why,
    flow::{Flow, PerFlow},
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policer::{Policer, Share},
    policy::{Action, Cx, Policy, Seen},
    spec::{Names, SpecError},
};

/// Below this not even one full packet passes.
const BURST_MIN: u64 = 1500;
/// No conceivable rate takes longer to pass a packet.
const RATE_MIN: u64 = 1000;

pub(crate) const ENTRY: Entry = Entry {
    name: "throttle-sni",
    about: "polices connections with a listed name to a rate; the excess vanishes",
    parameters: &[
        common::LIST,
        Parameter::new(
            "rate",
            Kind::Rate,
            "140kbit",
            "bits a second of IP packets, at least 1kbit",
            "130 to 150 kbit/s: Xue et al. 2021, abstract read",
        ),
        Parameter::new(
            "burst",
            Kind::Bytes,
            "8KiB",
            "bytes that pass at once after a pause, at least 1500",
            "choice of this lab",
        ),
        Parameter::new(
            "share",
            Kind::Choice(&["direction", "flow"]),
            "direction",
            "whether the directions have a bucket each or one together",
            "both directions were slowed: the same; a bucket each is a choice of this lab",
        ),
        Parameter::new(
            "reassembly",
            common::REASSEMBLY,
            "tcp",
            "how much the box puts together: none, TCP segments, TCP segments and TLS records",
            "choice of this lab",
        ),
    ],
    build,
};

#[derive(Debug)]
struct Throttle {
    names: Names,
    rate: u64,
    burst: u64,
    each_direction: bool,
    reassembly: Reassembly,
    /// Whether the flow is slowed.
    slowed: PerFlow<bool>,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let (rate, burst) = (values.number("rate")?, values.number("burst")?);
    if rate < RATE_MIN {
        return Err(values.refuse("rate", &rate, "at least 1kbit").into());
    }
    if burst < BURST_MIN {
        return Err(values
            .refuse("burst", &burst, "at least 1500 bytes, or no full packet would pass")
            .into());
    }
    Ok(Box::new(Throttle {
        names: Names::read(values, "list")?,
        rate,
        burst,
        each_direction: values.choice("share")? == "direction",
        reassembly: common::reassembly(values)?,
        slowed: PerFlow::default(),
    }))
}

impl Policy for Throttle {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if let Some(hello) = seen.new_hello(self.reassembly)
            && let Some(name) = common::listed(hello, &self.names, cx.lists())
        {
            *self.slowed.of(flow) = true;
            cx.note_flow(flow, Why::new().and("sni", name).and("bits_per_second", self.rate));
            return Action::Pass;
        }
        if !self.slowed.get(flow).is_some_and(|slowed| *slowed) {
            return Action::Pass;
        }
        let share = if self.each_direction {
            Share::Direction(flow.id(), seen.from())
        } else {
            Share::Flow(flow.id())
        };
        Action::Police(Policer::new(share, self.rate, self.burst))
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, flow: &Flow) {
        self.slowed.forget(flow);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use commucat_dissect::ip::TcpFlags;

    use crate::{
        event::{Done, Side},
        judge::Decision,
        testing::{Bench, hello, random_bytes},
    };

    /// Bits a second that the world gets through in ten seconds when it sends ten times the rate.
    fn rate(bench: &mut Bench, name: &str, from: Side) -> u64 {
        let mut connection = bench.connect("198.51.100.10", 443);
        connection.client_says(bench, &hello(name));
        let (start, payload, mut passed) = (bench.now, random_bytes(1000), 0_u64);
        while bench.now < start + Duration::from_secs(10) {
            let length = connection.packet(from, TcpFlags::ACK, &payload).len();
            if connection.segment(bench, from, TcpFlags::ACK, &payload) == Decision::Forward {
                passed += length as u64;
            }
            bench.pass(Duration::from_millis(4));
        }
        passed * 8 / 10
    }

    #[test]
    fn a_listed_name_gets_the_rate_in_each_direction() {
        let mut bench = Bench::new("throttle-sni");
        for side in [Side::World, Side::Client] {
            let rate = rate(&mut bench, "twitter.com", side);
            assert!((140_000..148_000).contains(&rate), "{rate}");
        }
        let events = bench.events();
        assert!(events.iter().any(|event| event.action == Done::Police && event.count > 10));
    }

    #[test]
    fn other_names_get_everything() {
        let mut bench = Bench::new("throttle-sni");
        assert!(rate(&mut bench, "innocent.example", Side::World) > 1_500_000);
        assert_eq!(bench.events(), []);
    }

    #[test]
    fn the_rate_is_a_parameter_and_nonsense_is_refused() {
        let mut bench = Bench::new("throttle-sni?rate=300kbit&burst=3000");
        let rate = rate(&mut bench, "twitter.com", Side::World);
        assert!((299_000..304_000).contains(&rate), "{rate}");
        for wrong in ["throttle-sni?rate=0", "throttle-sni?burst=100"] {
            assert!(crate::Profile::parse(wrong).is_err(), "{wrong}");
        }
    }
}
