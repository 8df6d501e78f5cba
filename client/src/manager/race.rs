//! One connection's race between endpoints, in the manner of Happy Eyeballs (RFC 8305): the first at once, the next
//! when that failed or after a stagger. Pure: the driver dials and tells what came of it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    budget::Budget,
    policy::{Candidate, MAX_PARALLEL},
};

/// Pause after which an attempt that the budget refused is asked for again.
const BUDGET_PAUSE: Duration = Duration::from_millis(250);

/// How long a channel of a doubtful endpoint waits for a better one.
const HOLD: Duration = Duration::from_secs(1);

/// What the driver should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Dial this endpoint.
    Start(usize),
    /// Use the channel that this endpoint gave. Those that were started before it and still run were overtaken.
    Won { at: usize, overtaken: Vec<usize> },
    /// Nobody is left.
    Lost,
}

/// A race in progress.
#[derive(Debug)]
pub(crate) struct Race {
    waiting: VecDeque<Candidate>,
    /// In the order they were started.
    running: Vec<Candidate>,
    /// A channel of an endpoint in doubt, and until when the others may still overtake it.
    held: Option<(usize, Instant)>,
    next_start: Option<Instant>,
    first: bool,
    events: VecDeque<Event>,
    over: bool,
}

impl Race {
    /// A race of these, best first.
    pub(crate) fn new(now: Instant, candidates: Vec<Candidate>) -> Self {
        let mut race = Self {
            waiting: candidates.into(),
            running: Vec::new(),
            held: None,
            next_start: Some(now),
            first: true,
            events: VecDeque::new(),
            over: false,
        };
        race.end_if_through();
        race
    }

    /// When [`Self::handle_timeout`] should be called next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let held_until = self.held.map(|(_, until)| until);
        self.start_due().into_iter().chain(held_until).min()
    }

    fn start_due(&self) -> Option<Instant> {
        let room = self.running.len() < MAX_PARALLEL;
        self.next_start.filter(|_| room && !self.waiting.is_empty())
    }

    /// The next thing to do.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Time passed. `stagger` says how long to wait for an endpoint before the next is tried beside it.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        budget: &mut Budget,
        stagger: impl Fn(usize) -> Duration,
    ) {
        if let Some((at, until)) = self.held
            && now >= until
        {
            return self.win(at, Vec::new());
        }
        if self.over || self.start_due().is_none_or(|due| now < due) {
            return;
        }
        if !self.first && !budget.take(now) {
            self.next_start = Some(now + BUDGET_PAUSE);
            return;
        }
        let Some(candidate) = self.waiting.pop_front() else { return };
        self.first = false;
        self.next_start = Some(now + stagger(candidate.at));
        self.running.push(candidate);
        self.events.push_back(Event::Start(candidate.at));
    }

    /// A dial gave a channel. That alone may prove little: Shadowsocks spends no round trip on proof.
    pub(crate) fn handle_success(&mut self, now: Instant, at: usize) {
        let Some(position) = self.running.iter().position(|candidate| candidate.at == at) else { return };
        let candidate = self.running.remove(position);
        let others = !self.running.is_empty() || !self.waiting.is_empty();
        if candidate.doubtful && others && self.held.is_none() {
            self.held = Some((at, now + HOLD));
            self.next_start = Some(now);
            return;
        }
        let overtaken = self.running.iter().take(position).map(|candidate| candidate.at).collect();
        self.win(at, overtaken);
    }

    /// A dial failed: the next is tried at once.
    pub(crate) fn handle_failure(&mut self, now: Instant, at: usize) {
        self.running.retain(|candidate| candidate.at != at);
        self.next_start = Some(now);
        self.end_if_through();
    }

    fn win(&mut self, at: usize, overtaken: Vec<usize>) {
        if !self.over {
            self.over = true;
            self.events.push_back(Event::Won { at, overtaken });
        }
    }

    fn end_if_through(&mut self) {
        if self.over || !self.running.is_empty() || !self.waiting.is_empty() {
            return;
        }
        match self.held.take() {
            Some((at, _)) => self.win(at, Vec::new()),
            None => {
                self.over = true;
                self.events.push_back(Event::Lost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const STAGGER: Duration = Duration::from_millis(250);

    fn sure(at: usize) -> Candidate {
        Candidate { at, doubtful: false }
    }

    fn doubtful(at: usize) -> Candidate {
        Candidate { at, doubtful: true }
    }

    /// What one endpoint does when dialled: after how long, and whether it gives a channel.
    #[derive(Clone, Copy)]
    struct Script(Duration, bool);

    type Ended = (Option<usize>, Vec<usize>, Duration, Vec<(usize, Duration)>);

    /// Runs a race in simulated time; gives the winner, the overtaken, when it ended, and who was started when.
    fn run(candidates: Vec<Candidate>, scripts: &[Script], budget: &mut Budget, begin: Instant) -> Ended {
        let mut race = Race::new(begin, candidates);
        let (mut now, mut dials, mut started) = (begin, Vec::new(), Vec::new());
        loop {
            race.handle_timeout(now, budget, |_| STAGGER);
            while let Some(event) = race.poll_event() {
                match event {
                    Event::Start(at) => {
                        started.push((at, now - begin));
                        dials.push((now + scripts[at].0, at));
                    }
                    Event::Won { at, overtaken } => return (Some(at), overtaken, now - begin, started),
                    Event::Lost => return (None, Vec::new(), now - begin, started),
                }
            }
            assert!(dials.len() <= MAX_PARALLEL, "bounded");
            let next_dial = dials.iter().copied().min();
            let wake = race.poll_timeout();
            match (next_dial, wake) {
                (Some((due, at)), wake) if wake.is_none_or(|wake| due <= wake) => {
                    now = now.max(due);
                    dials.retain(|dial| *dial != (due, at));
                    match scripts[at].1 {
                        true => race.handle_success(now, at),
                        false => race.handle_failure(now, at),
                    }
                }
                (_, Some(wake)) => now = now.max(wake),
                (_, None) => panic!("the race hangs"),
            }
        }
    }

    fn full() -> (Budget, Instant) {
        let now = Instant::now();
        (Budget::full(now), now)
    }

    #[test]
    fn a_quick_first_one_is_alone() {
        let (mut budget, now) = full();
        let scripts = [Script(100 * MS, true), Script(MS, true)];
        let (won, overtaken, took, started) = run(vec![sure(0), sure(1)], &scripts, &mut budget, now);
        assert_eq!((won, overtaken, took, started.len()), (Some(0), vec![], 100 * MS, 1));
    }

    #[test]
    fn a_silent_first_one_is_overtaken_after_the_stagger() {
        let (mut budget, now) = full();
        let scripts = [Script(Duration::from_secs(10), false), Script(50 * MS, true)];
        let (won, overtaken, took, _) = run(vec![sure(0), sure(1)], &scripts, &mut budget, now);
        assert_eq!((won, overtaken, took), (Some(1), vec![0], 300 * MS));
    }

    #[test]
    fn a_failed_first_one_is_followed_at_once() {
        let (mut budget, now) = full();
        let scripts = [Script(5 * MS, false), Script(50 * MS, true)];
        let (won, _, took, _) = run(vec![sure(0), sure(1)], &scripts, &mut budget, now);
        assert_eq!((won, took), (Some(1), 55 * MS));
    }

    #[test]
    fn a_channel_of_a_doubtful_endpoint_waits_a_moment_for_the_others() {
        let (mut budget, now) = full();
        let scripts = [Script(600 * MS, true), Script(MS, true)];
        let (won, ..) = run(vec![sure(0), doubtful(1)], &scripts, &mut budget, now);
        assert_eq!(won, Some(0));
        let scripts = [Script(600 * MS, false), Script(MS, true)];
        let (won, _, took, _) = run(vec![sure(0), doubtful(1)], &scripts, &mut budget, now);
        assert_eq!((won, took), (Some(1), 600 * MS), "better than nothing");
        let scripts = [Script(9000 * MS, true), Script(MS, true)];
        let (won, _, took, _) = run(vec![sure(0), doubtful(1)], &scripts, &mut budget, now);
        assert_eq!((won, took), (Some(1), 251 * MS + HOLD), "not for ever");
    }

    #[test]
    fn nobody_left_is_a_loss() {
        let (mut budget, now) = full();
        assert_eq!(run(vec![], &[], &mut budget, now).0, None);
        let scripts = [Script(MS, false), Script(MS, false)];
        assert_eq!(run(vec![sure(0), sure(1)], &scripts, &mut budget, now).0, None);
    }

    #[test]
    fn an_empty_budget_slows_retries_but_not_first_attempts() {
        let (mut budget, now) = full();
        while budget.take(now) {}
        let scripts = [Script(MS, false), Script(MS, true)];
        let (won, _, took, started) = run(vec![sure(0), sure(1)], &scripts, &mut budget, now);
        assert_eq!(started[0], (0, Duration::ZERO));
        assert_eq!(won, Some(1));
        assert!(took >= 125 * MS, "a token comes back in an eighth of a second");
    }

    /// Whatever the endpoints do, a race ends, is bounded, and finds a working endpoint when there is one.
    #[test]
    fn every_seed_ends_well() {
        for seed in 0..2000_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut random = move |bound: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % bound
            };
            let count = 1 + usize::try_from(random(6)).unwrap();
            let scripts: Vec<_> = (0..count)
                .map(|_| {
                    let works = random(2) == 0;
                    Script(Duration::from_millis(random(3000)), works)
                })
                .collect();
            let candidates = (0..count).map(|at| Candidate { at, doubtful: random(3) == 0 }).collect();
            let (mut budget, now) = full();
            let (won, _, took, started) = run(candidates, &scripts, &mut budget, now);
            let some_work = scripts.iter().any(|script| script.1);
            assert_eq!(won.is_some(), some_work, "seed {seed}");
            if let Some(at) = won {
                assert!(scripts[at].1, "seed {seed}");
            }
            assert!(took <= Duration::from_secs(20) && started.len() <= count, "seed {seed}");
        }
    }
}
