//! `sni-rst`: resets both ends when a listed name stands in a TLS hello (China, on all ports).
//!
//! The box stands beside the wire: the hello arrives, and so do the resets. Afterwards each payload that the same
//! client sends to the same server and port draws resets, whatever it says, until the residual is over.
//!
//! Known: all ports, residual up to 360 s on client, server and port (papers, in extracts). Until 2024 one record in one
//! segment was read; since December 2025 some boxes join records (field reports). Russian boxes of the first kind do the
//! same with other figures (IMC 2022, from memory).

use std::time::Duration;

use super::{Entry, common};
use crate::{
    event::Why,
    flow::Flow,
    hello::Reassembly,
    parameter::{Kind, Parameter, Values},
    policy::{Action, Cx, Policy, Position, Reset, Seen},
    residual::{Kill, Scope, Sentence},
    spec::{Names, SpecError},
};

pub(crate) const ENTRY: Entry = Entry {
    name: "sni-rst",
    about: "resets both ends of a connection whose TLS hello names a listed host, and later ones to the same service",
    parameters: &[
        common::LIST,
        Parameter::new(
            "reassembly",
            common::REASSEMBLY,
            "tcp",
            "how much the box puts together: none, TCP segments, TCP segments and TLS records",
            "China until 2024: papers, in extracts; records since 2025-12: net4people/bbs 550, reported",
        ),
        Parameter::new(
            "residual",
            Kind::Penalty,
            "360s",
            "how long further connections of the client to the same address and port are reset",
            "up to 360 s in China: papers, in extracts",
        ),
        Parameter::new(
            "resets",
            Kind::Count,
            "3",
            "resets to each end, 1 to 10",
            "known of China for long; from memory",
        ),
        Parameter::new(
            "toward",
            Kind::Choice(&["both", "client"]),
            "both",
            "who gets resets",
            "China: both; papers, in extracts",
        ),
        Parameter::new(
            "p",
            Kind::Chance,
            "1",
            "probability that a listed name is acted on, drawn for each connection",
            "choice of this lab: TLS resets are reliable, those on HTTP hosts 50 to 75 % (papers, in extracts)",
        ),
    ],
    build,
};

#[derive(Debug)]
struct SniReset {
    names: Names,
    reassembly: Reassembly,
    residual: Duration,
    reset: Reset,
    p: f64,
}

fn build(values: &Values) -> Result<Box<dyn Policy>, SpecError> {
    let resets = common::small(values, "resets", 1, 10)?;
    Ok(Box::new(SniReset {
        names: Names::read(values, "list")?,
        reassembly: common::reassembly(values)?,
        residual: values.duration("residual")?,
        reset: match values.choice("toward")? {
            "client" => Reset::client(resets),
            _ => Reset::both(resets),
        },
        p: values.chance("p")?,
    }))
}

impl Policy for SniReset {
    fn position(&self) -> Position {
        Position::OnPath
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, seen: &Seen<'_>, _flow: &mut Flow) -> Action {
        let Some(hello) = seen.new_hello(self.reassembly) else { return Action::Pass };
        let Some(name) = common::listed(hello, &self.names, cx.lists()) else { return Action::Pass };
        if !cx.random().chance(self.p) {
            return Action::Pass;
        }
        let why = Why::new().and("sni", name).and("port", seen.ports().1);
        Action::Kill(Sentence::new(Scope::ThreeTuple, Kill::Reset(self.reset), self.residual, why))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::{Bench, Connection, hello, records};

    const VICTIM: &str = "blocked.example";
    const INNOCENT: &str = "innocent.example";

    fn said(bench: &mut Bench, port: u16, bytes: &[u8]) -> Connection {
        let mut connection = bench.connect("198.51.100.10", port);
        connection.client_says(bench, bytes);
        connection
    }

    #[test]
    fn a_listed_name_is_reset_and_another_is_not() {
        let mut bench = Bench::new("sni-rst");
        for port in [443, 8443, 22] {
            let victim = said(&mut bench, port, &hello(VICTIM));
            assert_eq!((victim.resets_to_client, victim.resets_to_world), (3, 3), "{port}");
            assert!(victim.reset_is_believed, "{port}");
            assert_eq!(victim.lost, 0);
        }
        let mut bench = Bench::new("sni-rst");
        let mut innocent = said(&mut bench, 443, &hello(INNOCENT));
        innocent.exchange(&mut bench, 20);
        assert!(innocent.is_untouched());
        assert_eq!(bench.events(), []);
    }

    #[test]
    fn the_event_says_why_and_until_when() {
        let mut bench = Bench::new("sni-rst");
        said(&mut bench, 443, &hello(VICTIM));
        let events = bench.events();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].because("sni").unwrap(), VICTIM);
        assert_eq!(events[0].until_ms, Some(events[0].t_ms + 360_000));
    }

    #[test]
    fn the_residual_hits_the_same_service_only_and_ends() {
        let mut bench = Bench::new("sni-rst?residual=10s");
        said(&mut bench, 443, &hello(VICTIM));
        bench.pass(Duration::from_secs(5));
        assert!(said(&mut bench, 443, &hello(INNOCENT)).resets_to_client > 0);
        assert!(said(&mut bench, 8443, &hello(INNOCENT)).is_untouched());
        bench.pass(Duration::from_millis(5_100));
        assert!(said(&mut bench, 443, &hello(INNOCENT)).is_untouched());
    }

    #[test]
    fn the_time_scale_shortens_the_default_residual() {
        let mut bench = Bench::scaled("sni-rst", 0.01);
        said(&mut bench, 443, &hello(VICTIM));
        bench.pass(Duration::from_millis(3_500));
        assert!(!said(&mut bench, 443, &hello(INNOCENT)).is_untouched());
        bench.pass(Duration::from_millis(200));
        assert!(said(&mut bench, 443, &hello(INNOCENT)).is_untouched());
    }

    #[test]
    fn what_each_skill_puts_together() {
        let whole = hello(VICTIM);
        let in_records = records(&whole, 30);
        let name_at = whole.windows(VICTIM.len()).position(|part| part == VICTIM.as_bytes()).unwrap();
        for (skill, whole_seen, segments_seen, records_seen, both_seen) in [
            ("none", true, false, false, false),
            ("tcp", true, true, false, false),
            ("tcp-tls", true, true, true, true),
        ] {
            let chain = format!("sni-rst?reassembly={skill}");
            let caught = |bytes: &[u8], cut: Option<usize>| {
                let mut bench = Bench::new(&chain);
                let mut connection = bench.connect("198.51.100.10", 443);
                let (head, tail) = bytes.split_at(cut.unwrap_or(bytes.len()));
                connection.client_says(&mut bench, head);
                connection.client_says(&mut bench, tail);
                !connection.is_untouched()
            };
            assert_eq!(caught(&whole, None), whole_seen, "{skill} whole");
            assert_eq!(caught(&whole, Some(name_at + 3)), segments_seen, "{skill} segments");
            assert_eq!(caught(&in_records, None), records_seen, "{skill} records");
            assert_eq!(caught(&in_records, Some(100)), both_seen, "{skill} both");
        }
    }

    #[test]
    fn a_hello_cut_anywhere_is_put_together() {
        let whole = hello(VICTIM);
        for cut in 1..whole.len() {
            let mut bench = Bench::new("sni-rst?reassembly=tcp");
            let mut connection = bench.connect("198.51.100.10", 443);
            let (head, tail) = whole.split_at(cut);
            connection.client_says(&mut bench, head);
            assert!(connection.is_untouched(), "{cut}");
            connection.client_says(&mut bench, tail);
            assert!(!connection.is_untouched(), "{cut}");
        }
    }

    #[test]
    fn chance_is_drawn_for_each_connection() {
        let mut bench = Bench::new("sni-rst?p=0.5&residual=0s");
        let caught = (0..400).filter(|_| !said(&mut bench, 443, &hello(VICTIM)).is_untouched()).count();
        assert!((150..250).contains(&caught), "{caught}");
    }
}
