//! Event lines: decisions one by one, effects of standing decisions as one line a second with their count.

use std::{collections::VecDeque, time::Duration};

use crate::{
    bounded::Bounded,
    event::{Done, Event, Why},
    residual::{FOREVER, Target},
};

/// Lines that wait to be polled. When nobody polls, further lines are lost and counted.
const LINES_MAX: usize = 16 * 1024;
/// Series of equal effects that are followed at once.
const SERIES_MAX: usize = 8 * 1024;
/// How often a series gives a line.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// What a series is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A flow by number.
    Flow(u64),
    /// Something condemned.
    Target(Target),
    /// Packets without a flow.
    Stray,
}

/// What one packet of a series says about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    pub(super) now: Duration,
    pub(super) policy: &'static str,
    pub(super) place: usize,
    pub(super) subject: Subject,
    pub(super) action: Done,
    pub(super) packet: u64,
    pub(super) bytes: u64,
    pub(super) until: Option<Duration>,
}

#[derive(Debug)]
struct Series {
    /// The last line, to be written again with new numbers.
    line: Event,
    said_at: Duration,
    /// Packets since the last line.
    unsaid: u64,
}

#[derive(Debug)]
pub(super) struct Recorder {
    lines: VecDeque<Event>,
    series: Bounded<(usize, Subject, Done), Series>,
    pub(super) lost: u64,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { lines: VecDeque::new(), series: Bounded::new(SERIES_MAX), lost: 0 }
    }

    pub(super) fn poll(&mut self) -> Option<Event> {
        self.lines.pop_front()
    }

    /// Whether a series has something that is not yet in a line.
    pub(super) fn is_waiting(&self) -> bool {
        !self.series.is_empty()
    }

    /// A line of its own.
    pub(super) fn line(&mut self, line: Event) {
        if self.lines.len() < LINES_MAX {
            self.lines.push_back(line);
        } else {
            self.lost += line.count;
        }
    }

    /// One more packet of a series. `about` is asked for the flow and the reason only when a line begins.
    pub(super) fn effect(&mut self, effect: &Effect, about: impl FnOnce() -> (String, Why)) {
        let key = (effect.place, effect.subject, effect.action);
        let Some(series) = self.series.get(&key) else {
            let (flow, why) = about();
            let line = Event {
                t_ms: millis(effect.now),
                policy: effect.policy,
                flow,
                packet: effect.packet,
                bytes: effect.bytes,
                action: effect.action,
                why,
                until_ms: until_millis(effect.until),
                count: 1,
            };
            self.line(line.clone());
            if let Some((_key, left)) =
                self.series.insert(key, Series { line, said_at: effect.now, unsaid: 0 })
            {
                self.say_rest(left);
            }
            return;
        };
        series.unsaid += 1;
        series.line.t_ms = millis(effect.now);
        series.line.packet = effect.packet;
        series.line.bytes = effect.bytes;
        series.line.until_ms = until_millis(effect.until);
        if effect.now.saturating_sub(series.said_at) >= LINE_EVERY {
            series.said_at = effect.now;
            let count = std::mem::take(&mut series.unsaid);
            let line = Event { count, ..series.line.clone() };
            self.line(line);
        }
    }

    /// Writes what is due and forgets series that went quiet.
    pub(super) fn sweep(&mut self, now: Duration) {
        let mut next = self.series.oldest();
        while let Some(key) = next {
            next = self.series.newer(&key);
            let quiet = |series: &Series| now.saturating_sub(series.said_at) >= LINE_EVERY;
            if self.series.peek(&key).is_some_and(quiet)
                && let Some(left) = self.series.remove(&key)
            {
                self.say_rest(left);
            }
        }
    }

    /// Writes everything that is not yet in a line.
    pub(super) fn finish(&mut self) {
        while let Some((_key, left)) = self.series.pop_oldest() {
            self.say_rest(left);
        }
    }

    fn say_rest(&mut self, series: Series) {
        if series.unsaid > 0 {
            self.line(Event { count: series.unsaid, ..series.line });
        }
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn until_millis(until: Option<Duration>) -> Option<u64> {
    until.filter(|until| *until < FOREVER).map(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(millis: u64, packet: u64) -> Effect {
        Effect {
            now: Duration::from_millis(millis),
            policy: "made",
            place: 0,
            subject: Subject::Flow(1),
            action: Done::ResidualDrop,
            packet,
            bytes: packet * 100,
            until: Some(FOREVER),
        }
    }

    #[test]
    fn a_series_gives_one_line_a_second_and_counts_every_packet() {
        let mut recorder = Recorder::new();
        for step in 0..25 {
            recorder.effect(&effect(step * 100, step + 1), || ("flow".to_owned(), Why::new()));
        }
        recorder.finish();
        let lines: Vec<Event> = std::iter::from_fn(|| recorder.poll()).collect();
        let told: Vec<_> = lines.iter().map(|line| (line.t_ms, line.packet, line.count)).collect();
        assert_eq!(told, [(0, 1, 1), (1000, 11, 10), (2000, 21, 10), (2400, 25, 4)]);
        assert!(lines.iter().all(|line| line.until_ms.is_none()));
    }

    #[test]
    fn a_quiet_series_is_closed() {
        let mut recorder = Recorder::new();
        recorder.effect(&effect(0, 1), || ("flow".to_owned(), Why::new()));
        recorder.effect(&effect(10, 2), || ("flow".to_owned(), Why::new()));
        recorder.sweep(Duration::from_millis(500));
        assert!(recorder.is_waiting());
        recorder.sweep(Duration::from_millis(1000));
        assert!(!recorder.is_waiting());
        assert_eq!(std::iter::from_fn(|| recorder.poll()).map(|line| line.count).sum::<u64>(), 2);
    }

    #[test]
    fn no_line_is_kept_beyond_the_limit_and_the_loss_is_counted() {
        let mut recorder = Recorder::new();
        for id in 0..(LINES_MAX + SERIES_MAX) as u64 {
            let one = Effect { subject: Subject::Flow(id), ..effect(0, 1) };
            recorder.effect(&one, || (String::new(), Why::new()));
        }
        assert_eq!(recorder.lines.len(), LINES_MAX);
        assert_eq!(recorder.lost, SERIES_MAX as u64);
        assert_eq!(recorder.series.len(), SERIES_MAX);
    }
}
