//! The link in virtual time: exact rates, losses within statistical bounds, bounded queues, order.

use super::*;

const PACKET: usize = 1_500;

fn link(text: &str) -> Link {
    Link::new(&LinkSpec::parse(text).unwrap(), Direction::Up, 7)
}

fn arrival(fate: Fate) -> Duration {
    match fate {
        Fate::At(at) => at,
        Fate::Lost(reason) => panic!("lost: {reason:?}"),
    }
}

#[test]
fn a_link_that_does_nothing_passes_at_once_and_holds_nothing() {
    let mut link = link("link");
    assert!(link.is_clear());
    for ms in 0..1_000 {
        let now = Duration::from_millis(ms);
        assert_eq!(link.offer(now, PACKET), Fate::At(now));
    }
    assert_eq!(link.in_flight.capacity(), 0);
}

#[test]
fn the_rate_is_exact_over_many_packets() {
    // 7 Mbit/s does not divide 12,000 bits into whole nanoseconds: rounding must not add up.
    let mut link = link("link?rate=7mbit&queue=1h");
    let mut last = Duration::ZERO;
    for _ in 0..14_000 {
        let now = last.saturating_sub(Duration::from_millis(50));
        last = arrival(link.offer(now, PACKET));
    }
    let exact = Duration::from_nanos(14_000 * 12_000 * 1_000 / 7);
    assert!(last.abs_diff(exact) <= Duration::from_nanos(1), "{last:?} {exact:?}");
}

#[test]
fn an_idle_link_sends_a_packet_in_its_own_time() {
    let mut link = link("link?rate=12mbit");
    for second in 0..10 {
        let now = Duration::from_secs(second);
        assert_eq!(arrival(link.offer(now, PACKET)), now + Duration::from_millis(1));
    }
}

#[test]
fn directions_have_their_own_rates() {
    let spec = LinkSpec::parse("link?rate=12mbit&up=1200kbit").unwrap();
    let mut up = Link::new(&spec, Direction::Up, 7);
    let mut down = Link::new(&spec, Direction::Down, 7);
    assert_eq!(up.offer(Duration::ZERO, PACKET), Fate::At(Duration::from_millis(10)));
    assert_eq!(down.offer(Duration::ZERO, PACKET), Fate::At(Duration::from_millis(1)));
}

#[test]
fn a_queue_in_time_holds_that_time() {
    // A packet takes 1 ms. What waits longer than 10 ms is dropped: 11 pass (0 to 10 ms of waiting), then none.
    let mut link = link("link?rate=12mbit&queue=10ms");
    let fates: Vec<_> = (0..100).map(|_| link.offer(Duration::ZERO, PACKET)).collect();
    assert_eq!(fates.iter().filter(|fate| matches!(fate, Fate::At(_))).count(), 11);
    assert_eq!(fates[11], Fate::Lost(Reason::QueueFull));
    assert!(matches!(link.offer(Duration::from_millis(1), PACKET), Fate::At(_)));
    assert!(matches!(link.offer(Duration::from_millis(1), PACKET), Fate::Lost(_)));
}

#[test]
fn a_queue_in_bytes_holds_those_bytes() {
    let mut link = link("link?rate=12mbit&queue=15000B");
    let passed = (0..100).filter(|_| matches!(link.offer(Duration::ZERO, PACKET), Fate::At(_))).count();
    assert_eq!(passed, 10);
    // A packet larger than the queue passes when nothing waits, or it never could.
    let mut narrow = self::link("link?rate=12mbit&queue=1000B");
    assert!(matches!(narrow.offer(Duration::ZERO, PACKET), Fate::At(_)));
    assert!(matches!(narrow.offer(Duration::ZERO, PACKET), Fate::Lost(Reason::QueueFull)));
}

/// Share lost and mean length of the runs of lost packets.
fn losses(text: &str) -> (f64, f64) {
    const OFFERED: u32 = 100_000;
    let mut link = link(text);
    let (mut lost, mut runs, mut before) = (0_u32, 0_u32, false);
    for index in 0..OFFERED {
        let is_lost = matches!(link.offer(Duration::from_micros(u64::from(index)), PACKET), Fate::Lost(_));
        lost += u32::from(is_lost);
        runs += u32::from(is_lost && !before);
        before = is_lost;
    }
    (f64::from(lost) / f64::from(OFFERED), f64::from(lost) / f64::from(runs.max(1)))
}

#[test]
fn the_mean_loss_is_the_one_asked() {
    // Five standard deviations of a binomial of 100,000 at 5 % are 0.35 %.
    let (share, run) = losses("link?loss=5%");
    assert!((share - 0.05).abs() < 0.0035, "{share}");
    assert!((run - 1.0 / 0.95).abs() < 0.03, "{run}");
    assert_eq!(losses("link?loss=100%").0, 1.0);
}

#[test]
fn bursts_keep_the_mean_and_have_the_length() {
    // The variance of the share grows with the length of runs: about (2·burst−1) times the binomial one.
    for burst in [2_u32, 8, 20] {
        let (share, run) = losses(&format!("link?loss=5%&burst={burst}"));
        let bound = 5.0 * (0.05 * 0.95 / 100_000.0 * (2.0 * f64::from(burst))).sqrt();
        assert!((share - 0.05).abs() < bound, "{burst}: {share}");
        assert!((run / f64::from(burst) - 1.0).abs() < 0.2, "{burst}: {run}");
    }
}

#[test]
fn heavy_loss_in_bursts_keeps_the_mean_too() {
    let (share, run) = losses("link?loss=40%&burst=4");
    assert!((share - 0.4).abs() < 0.02, "{share}");
    assert!((run / 4.0 - 1.0).abs() < 0.05, "{run}");
}

#[test]
fn jitter_stays_in_its_bounds_around_the_delay_and_keeps_order() {
    let mut link = link("link?delay=80ms&jitter=20ms");
    let (mut sum, mut low, mut high) = (Duration::ZERO, Duration::MAX, Duration::ZERO);
    for index in 0..2_000_u64 {
        let now = Duration::from_millis(index * 200);
        let delay = arrival(link.offer(now, 84)).abs_diff(now);
        (sum, low, high) = (sum + delay, low.min(delay), high.max(delay));
    }
    let mean = sum / 2_000;
    assert!(mean.abs_diff(Duration::from_millis(80)) < Duration::from_millis(2), "{mean:?}");
    assert!(low >= Duration::from_millis(60) && low < Duration::from_millis(61), "{low:?}");
    assert!(high <= Duration::from_millis(100) && high > Duration::from_millis(99), "{high:?}");

    let mut before = Duration::ZERO;
    for micros in (0..5_000_000).step_by(100) {
        let now = Duration::from_secs(1_000) + Duration::from_micros(micros);
        let at = arrival(link.offer(now, PACKET));
        assert!(at >= before && at >= now + Duration::from_millis(60));
        before = at;
    }
}

#[test]
fn order_turns_round_only_when_asked() {
    let mut link = link("link?delay=80ms&jitter=20ms&reorder=true");
    let arrivals: Vec<_> =
        (0..1_000).map(|ms| arrival(link.offer(Duration::from_millis(ms), PACKET))).collect();
    assert!(arrivals.windows(2).any(|pair| pair[0] > pair[1]));
}

#[test]
fn what_is_under_way_is_bounded() {
    let mut link = link("link?delay=10s");
    let fates: Vec<_> = (0..IN_FLIGHT_PACKETS_MAX + 1).map(|_| link.offer(Duration::ZERO, 40)).collect();
    assert_eq!(fates.last(), Some(&Fate::Lost(Reason::TooManyInFlight)));
    assert!(matches!(fates[IN_FLIGHT_PACKETS_MAX - 1], Fate::At(_)));
    assert!(matches!(link.offer(Duration::from_secs(10), 40), Fate::At(_)));
}

#[test]
fn the_same_seed_gives_the_same_link() {
    let run = |seed| {
        let spec = LinkSpec::parse("link?delay=10ms&jitter=5ms&loss=20%&burst=3&rate=5mbit").unwrap();
        let mut link = Link::new(&spec, Direction::Down, seed);
        (0..500).map(|ms| link.offer(Duration::from_millis(ms), PACKET)).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
