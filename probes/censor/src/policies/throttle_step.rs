//! `throttle-step`: halves the rate of a running transfer and watches whether the sender gives way.
//!
//! Ordinary congestion control slows down when half of its packets vanish; a sender with a rate of its own (Brutal and
//! its kind) keeps sending, or sends more. The box measures the rate for a while, polices the flow to a share of it, and
//! compares what is offered in the second half of that time. Who still offers nearly the old rate is cut off; who gives
//! way is left alone for good.
//!
//! Known: 1257 of 1257 such senders found with 16 false alarms (Wang et al. 2025, in extracts). The procedure and all
//! figures here are a choice of this lab. A sender whose rate is set by its content, such as a call, looks stubborn too:
//! that is why flows below `least` are not tried.

use std::time::Duration;

use super::Entry;
use crate::{
    event::{Side, Why},
    flow::{Flow, PerFlow},
    parameter::{Kind, Parameter, Values},
    policer::{Policer, Share},
    policy::{Action, Cx, Policy, Seen},
    residual::{FOREVER, Kill, Scope, Sentence},
    spec::SpecError,
};

const BITS_PER_BYTE: f64 = 8.0;
/// Time that the bucket of the squeeze holds at the squeezed rate.
const BURST_SECONDS: f64 = 0.05;
/// The bucket holds a few full packets at least.
const BURST_MIN: u64 = 6_000;

pub(crate) const ENTRY: Entry = Entry {
    name: "throttle-step",
    about: "halves the rate of a flow in mid-transfer and cuts off senders that do not slow down",
    parameters: &[
        Parameter::new(
            "observe",
            Kind::Penalty,
            "3s",
            "how long the rate is measured before the step",
            "choice of this lab",
        ),
        Parameter::new(
            "squeeze",
            Kind::Penalty,
            "3s",
            "how long the flow is policed; the second half is judged",
            "choice of this lab",
        ),
        Parameter::new(
            "to",
            Kind::Chance,
            "50%",
            "share of the measured rate that passes",
            "sheet of the study: 100 to 50 %",
        ),
        Parameter::new(
            "stubborn",
            Kind::Chance,
            "80%",
            "share of the measured rate that a sender still offers when it is cut off",
            "choice of this lab",
        ),
        Parameter::new(
            "least",
            Kind::Rate,
            "1mbit",
            "slower flows are not tried, in bits a second",
            "choice of this lab: calls and small transfers",
        ),
        Parameter::new(
            "from",
            Kind::Choice(&["world", "client"]),
            "world",
            "whose rate is judged",
            "choice of this lab: downloads",
        ),
    ],
    build,
};

#[derive(Debug)]
struct Step {
    observe: Duration,
    squeeze: Duration,
    to: f64,
    stubborn: f64,
    least: u64,
    from: Side,
    watched: PerFlow<Watch>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Watch {
    #[default]
    Fresh,
    /// Bytes since then.
    Observed { since: Duration, bytes: u64 },
    /// Policed since then; bytes offered in the second half.
    Squeezed { since: Duration, rate: f64, offered: u64 },
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let (observe, squeeze) = (values.duration("observe")?, values.duration("squeeze")?);
    for (name, duration) in [("observe", observe), ("squeeze", squeeze)] {
        if duration.is_zero() {
            return Err(values.refuse(name, &"0s", "a duration above zero").into());
        }
    }
    let (to, stubborn) = (values.chance("to")?, values.chance("stubborn")?);
    if to >= stubborn {
        let problem =
            "`to` must be below `stubborn`: a sender that fills exactly what passes gives way".to_owned();
        return Err(SpecError::Together { policy: ENTRY.name.to_owned(), problem });
    }
    Ok(Box::new(Step {
        observe,
        squeeze,
        to,
        stubborn,
        least: values.number("least")?.max(1),
        from: if values.choice("from")? == "client" { Side::Client } else { Side::World },
        watched: PerFlow::default(),
    }))
}

impl Policy for Step {
    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, flow: &mut Flow) -> Action {
        if seen.from() != self.from || seen.payload().is_empty() {
            return Action::Pass;
        }
        let (now, length) = (cx.now(), seen.len() as u64);
        let watch = self.watched.of(flow);
        match *watch {
            Watch::Fresh => {
                *watch = Watch::Observed { since: now, bytes: length };
                Action::Pass
            }
            Watch::Observed { since, bytes } => {
                let bytes = bytes + length;
                let elapsed = now.saturating_sub(since);
                let rate = bits_per_second(bytes, elapsed);
                *watch = match (elapsed >= self.observe, rate >= whole(self.least)) {
                    (false, _) => Watch::Observed { since, bytes },
                    (true, false) => Watch::Fresh,
                    (true, true) => Watch::Squeezed { since: now, rate, offered: 0 },
                };
                Action::Pass
            }
            Watch::Squeezed { since, rate, offered } => {
                let elapsed = now.saturating_sub(since);
                if elapsed >= self.squeeze {
                    return self.conclude(cx, flow, rate, offered);
                }
                let late = elapsed >= self.squeeze / 2;
                *watch = Watch::Squeezed { since, rate, offered: offered + if late { length } else { 0 } };
                Action::Police(self.policer(flow, rate))
            }
        }
    }

    fn on_flow_end(&mut self, _cx: &mut Cx<'_>, flow: &Flow) {
        self.watched.forget(flow);
    }
}

impl Step {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive and far below 2^63"
    )]
    fn policer(&self, flow: &Flow, rate: f64) -> Policer {
        let squeezed = rate * self.to;
        let burst = (squeezed / BITS_PER_BYTE * BURST_SECONDS) as u64;
        Policer::new(Share::Direction(flow.id(), self.from), squeezed as u64, burst.max(BURST_MIN))
    }

    fn conclude(&mut self, cx: &mut Cx<'_>, flow: &Flow, rate: f64, offered: u64) -> Action {
        let share = bits_per_second(offered, self.squeeze / 2) / rate;
        self.watched.forget(flow);
        let why = Why::new()
            .and("bits_per_second_before", rate.round())
            .and("share_offered", (share * 1000.0).round() / 1000.0)
            .and("stubborn_from", self.stubborn);
        if share < self.stubborn {
            cx.ignore();
            cx.note_flow(flow, why.and("gives_way", true));
            return Action::Pass;
        }
        Action::Kill(Sentence::new(Scope::Flow, Kill::DropBoth, FOREVER, why))
    }
}

fn bits_per_second(bytes: u64, elapsed: Duration) -> f64 {
    whole(bytes) * BITS_PER_BYTE / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[allow(clippy::cast_precision_loss, reason = "the figures of one flow in seconds are far below 2^53")]
const fn whole(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use commucat_dissect::ip::TcpFlags;

    use super::*;
    use crate::{
        event::Done,
        judge::Decision,
        testing::{Bench, random_bytes},
    };

    /// A sender that decides after each 50 ms how many packets the next 50 ms get, and how it ends after ten seconds.
    fn send(
        chain: &str,
        first: usize,
        mut next: impl FnMut(usize, usize) -> usize,
    ) -> (bool, Vec<crate::Event>) {
        let mut bench = Bench::new(chain);
        let mut connection = bench.connect("203.0.113.10", 443);
        let (payload, mut packets) = (random_bytes(1400), first);
        let mut cut_off = false;
        for _round in 0..200 {
            let end = bench.now + Duration::from_millis(50);
            let mut lost = 0;
            for _packet in 0..packets {
                let vanished = connection.segment(&mut bench, Side::World, TcpFlags::ACK, &payload);
                lost += usize::from(vanished == Decision::Drop);
            }
            bench.pass(end.saturating_sub(bench.now));
            cut_off = packets > 0 && lost == packets;
            packets = next(packets, lost);
        }
        (cut_off, bench.events())
    }

    #[test]
    fn a_sender_with_its_own_rate_is_cut_off() {
        let (cut_off, events) = send("throttle-step", 20, |_packets, _lost| 20);
        assert!(cut_off);
        let kill = events.iter().find(|event| event.action == Done::Kill).unwrap();
        assert!(kill.because("share_offered").unwrap().as_f64().unwrap() > 0.9);
    }

    #[test]
    fn a_sender_that_gives_way_is_left_alone() {
        let gives_way = |packets: usize, lost: usize| {
            if lost > 0 { (packets * 7 / 10).max(2) } else { (packets + 1).min(20) }
        };
        let (cut_off, events) = send("throttle-step", 20, gives_way);
        assert!(!cut_off);
        assert!(events.iter().all(|event| event.action != Done::Kill));
        assert!(events.iter().any(|event| event.because("gives_way").is_some()));
    }

    #[test]
    fn slow_flows_and_the_other_direction_are_not_tried() {
        for chain in ["throttle-step?least=20mbit", "throttle-step?from=client"] {
            let (cut_off, events) = send(chain, 20, |_packets, _lost| 20);
            assert!(!cut_off && events.is_empty(), "{chain}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for wrong in ["throttle-step?to=0.9", "throttle-step?observe=0s"] {
            assert!(crate::Profile::parse(wrong).is_err(), "{wrong}");
        }
    }
}
