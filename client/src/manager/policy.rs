//! Which endpoint a new connection tries, in which order, after which pauses. Pure functions and their constants.

use std::time::{Duration, Instant};

use commucat_transport_api::{Failure, Retry};

use super::health::{EndpointState, Health};

/// Pause before the next endpoint is tried beside the first (RFC 8305 §5 recommends 250 ms).
pub(crate) const STAGGER: Duration = Duration::from_millis(250);
/// Longest such pause, however slow the endpoint is used to be.
pub(crate) const STAGGER_MAX: Duration = Duration::from_secs(2);
/// Endpoints that one connection tries at once.
pub(crate) const MAX_PARALLEL: usize = 3;
/// How long a failed endpoint rests at first; doubles with each failure in a row.
pub(crate) const REST_BASE: Duration = Duration::from_secs(2);
/// Longest rest of an endpoint whose failure may pass by itself.
pub(crate) const REST_MAX: Duration = Duration::from_secs(120);
/// First rest of an endpoint that refused us: the same attempt would fail again.
pub(crate) const REST_REFUSED: Duration = Duration::from_secs(60);
/// Longest rest of an endpoint that refused us.
pub(crate) const REST_REFUSED_MAX: Duration = Duration::from_secs(600);
/// Longest rest that an endpoint itself may ask for.
pub(crate) const REST_ASKED_MAX: Duration = Duration::from_secs(3600);
/// An endpoint that refused us is not even tried for want of another, unless this long ago.
pub(crate) const REFUSED_PAUSE: Duration = Duration::from_secs(3);
/// How long suspicion lasts when nothing confirms or clears it.
pub(crate) const SUSPECT_TTL: Duration = Duration::from_secs(60);
/// Silences within [`STRIKE_WINDOW`] after which a passed check no longer clears an endpoint: flows through it freeze
/// although its handshake works.
pub(crate) const MAX_STRIKES: u32 = 3;
/// How long a silence counts.
pub(crate) const STRIKE_WINDOW: Duration = Duration::from_secs(120);
/// Silences closer together than this are one.
pub(crate) const STRIKE_PAUSE: Duration = Duration::from_secs(5);
/// Jitter of rests, in percent either way, so that many clients do not return at once.
const JITTER_PERCENT: u32 = 20;

/// An endpoint that may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Which one.
    pub(crate) at: usize,
    /// Whether it is suspect or resting: then its channel waits a moment for a better one.
    pub(crate) doubtful: bool,
}

/// The endpoints worth trying now, best first: the last winner, those that answered before, those nobody tried, the
/// suspect, those that rest.
pub(crate) fn order(
    now: Instant,
    endpoints: &[Health],
    winner: Option<usize>,
    usable: impl Fn(usize) -> bool,
) -> Vec<Candidate> {
    let mut ranked: Vec<_> = endpoints
        .iter()
        .enumerate()
        .filter(|(at, health)| usable(*at) && !refused_just_now(now, health))
        .map(|(at, health)| {
            let state = health.state(now);
            let class = match state {
                EndpointState::Proven | EndpointState::Untested if winner == Some(at) => 0,
                EndpointState::Proven => 1,
                EndpointState::Untested => 2,
                EndpointState::Suspect => 3,
                EndpointState::Resting => 4,
            };
            (class, health.resting_until().filter(|_| class == 4), at)
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(class, _, at)| Candidate { at, doubtful: class >= 3 }).collect()
}

fn refused_just_now(now: Instant, health: &Health) -> bool {
    health.refused(now)
        && health.last_attempt().is_some_and(|at| now.saturating_duration_since(at) < REFUSED_PAUSE)
}

/// How long to wait for an endpoint before another is tried beside it: twice what it usually takes.
pub(crate) fn stagger(usual: Option<Duration>) -> Duration {
    usual.map_or(STAGGER, |usual| (usual * 2).clamp(STAGGER, STAGGER_MAX))
}

/// How long an endpoint rests after `failures` failures in a row, this one included.
pub(crate) fn rest(failures: u32, failure: &Failure, random: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let (base, max) = match failure.retry() {
        Retry::After(asked) => return asked.min(REST_ASKED_MAX),
        Retry::Never => (REST_REFUSED, REST_REFUSED_MAX),
        Retry::Now => return Duration::ZERO,
        _ => (REST_BASE, REST_MAX),
    };
    let plain = base.saturating_mul(1 << doublings).min(max);
    let percent = 100 - JITTER_PERCENT + random % (2 * JITTER_PERCENT + 1);
    plain * percent / 100
}

#[cfg(test)]
mod tests {
    use commucat_transport_api::{Phase, Signal};

    use super::*;

    #[test]
    fn rests_grow_to_a_limit_and_stay_within_the_jitter() {
        let failure = |signal| Failure::new(Phase::Connect, signal, Duration::ZERO);
        let mut last = Duration::ZERO;
        for failures in 1..40 {
            let rest = rest(failures, &failure(Signal::Timeout), JITTER_PERCENT);
            assert!(rest >= last && rest <= REST_MAX);
            last = rest;
        }
        assert_eq!(last, REST_MAX);
        for random in 0..1000 {
            let rest = rest(1, &failure(Signal::Refused), random);
            assert!((Duration::from_millis(1600)..=Duration::from_millis(2400)).contains(&rest));
        }
        assert!(rest(1, &failure(Signal::AuthRejected), 0) > rest(1, &failure(Signal::Timeout), 40));
        assert!(rest(40, &failure(Signal::UnknownUser), 40) <= REST_REFUSED_MAX * 2);
    }

    #[test]
    fn the_stagger_follows_the_endpoint() {
        assert_eq!(stagger(None), STAGGER);
        assert_eq!(stagger(Some(Duration::from_millis(10))), STAGGER);
        assert_eq!(stagger(Some(Duration::from_millis(400))), Duration::from_millis(800));
        assert_eq!(stagger(Some(Duration::from_secs(9))), STAGGER_MAX);
    }
}
