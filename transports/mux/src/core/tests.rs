//! The core against itself, one behaviour after the other; what breaks the rules is refused.

mod model;

use std::{
    collections::{BTreeMap, BTreeSet},
    task::Context,
    time::Duration,
};

use tokio::io::ReadBuf;

use super::*;
use crate::{
    error::Broken,
    frame::{MAX_BODY_BYTES, MAX_FRAME_BYTES},
};

fn seeded(seed: u64) -> Source {
    let mut chance = fastrand::Rng::with_seed(seed);
    Box::new(move |bytes| {
        chance.fill(bytes);
        true
    })
}

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn web() -> OpenTarget {
    OpenTarget::new(&Target::Stream("example.org:443".parse().unwrap())).unwrap()
}

/// Two cores with a pipe between them, and one time.
struct Pair {
    now: Instant,
    near: Core,
    far: Core,
}

impl Pair {
    fn new(config: Config) -> Self {
        let now = start();
        Self {
            now,
            near: Core::new(Side::Dialled, config, now, seeded(1)),
            far: Core::new(Side::Accepted, config, now, seeded(2)),
        }
    }

    /// Hands over everything that is to be sent, both ways, until nothing is; gives the bytes that `near` said.
    fn exchange(&mut self) -> usize {
        let mut said = 0;
        loop {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            self.near.poll_transmit(self.now, &mut there);
            self.far.poll_transmit(self.now, &mut back);
            if there.is_empty() && back.is_empty() {
                return said;
            }
            said += there.len();
            self.far.handle_input(self.now, &there);
            self.near.handle_input(self.now, &back);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.near.handle_timeout(self.now);
        self.far.handle_timeout(self.now);
    }

    /// A stream that both ends hold.
    fn stream(&mut self) -> u32 {
        let id = self.near.open(&web()).unwrap();
        self.exchange();
        let Poll::Ready(Some((accepted, target))) = self.far.poll_accept(&cx()) else {
            panic!("it was opened")
        };
        assert_eq!((accepted, target), (id, Target::Stream("example.org:443".parse().unwrap())));
        self.exchange();
        id
    }
}

fn write(core: &mut Core, id: u32, bytes: &[u8]) -> Option<usize> {
    match core.poll_write(&cx(), id, bytes) {
        Poll::Ready(written) => Some(written.unwrap()),
        Poll::Pending => None,
    }
}

fn read(core: &mut Core, id: u32, most: usize) -> Poll<Result<Vec<u8>, Broken>> {
    let mut bytes = vec![0; most];
    let mut buf = ReadBuf::new(&mut bytes);
    core.poll_read(&cx(), id, &mut buf).map_ok(|()| buf.filled().to_vec())
}

#[test]
fn a_full_data_frame_fills_one_tls_record() {
    let mut pair = Pair::new(Config::default());
    let id = pair.stream();
    for _frame in 0..8 {
        write(&mut pair.near, id, &[1; 2000]).unwrap();
    }
    pair.exchange();
    write(&mut pair.near, id, &[1; 3 * MAX_BODY_BYTES]).unwrap();
    let mut said = Vec::new();
    pair.near.poll_transmit(pair.now, &mut said);
    assert_eq!(said.len(), 3 * MAX_FRAME_BYTES);
}

#[test]
fn the_first_frames_hide_their_lengths() {
    let mut pair = Pair::new(Config::default());
    let id = pair.stream();
    let mut lengths = BTreeSet::new();
    for _frame in 0..7 {
        write(&mut pair.near, id, &[7; 100]).unwrap();
        let said = pair.exchange();
        assert!((909..1409).contains(&said), "{said}");
        lengths.insert(said);
    }
    assert!(lengths.len() > 3, "{lengths:?}");
    write(&mut pair.near, id, &[7; 100]).unwrap();
    assert_eq!(pair.exchange(), 107);
    let Poll::Ready(Ok(bytes)) = read(&mut pair.far, id, 2000) else { panic!("it arrived") };
    assert_eq!(bytes, [7; 800]);
}

#[test]
fn a_reader_that_sleeps_holds_one_window_and_nobody_else() {
    let mut pair = Pair::new(Config::default());
    let (slow, quick) = (pair.stream(), pair.stream());
    let mut taken = 0;
    while let Some(written) = write(&mut pair.near, slow, &[1; 50_000]) {
        taken += written;
        pair.exchange();
    }
    assert_eq!(taken, Config::default().window);
    let mut passed = 0;
    while passed < 20_000_000 {
        passed += write(&mut pair.near, quick, &[2; 60_000]).unwrap();
        pair.exchange();
        while let Poll::Ready(Ok(_bytes)) = read(&mut pair.far, quick, 100_000) {}
        pair.exchange();
    }
    assert_eq!(pair.far.held(), taken);
}

#[test]
fn windows_grow_with_consumption_and_stay_in_their_bound() {
    let config = Config { max_streams: 8, max_receive: 3 << 20, ..Config::default() };
    let mut pair = Pair::new(config);
    let ids: Vec<u32> = (0..8).map(|_stream| pair.stream()).collect();
    for round in 0..200 {
        let id = ids[round % ids.len()];
        while write(&mut pair.near, id, &[1; 60_000]).is_some() {
            pair.exchange();
        }
        while let Poll::Ready(Ok(_bytes)) = read(&mut pair.far, id, 100_000) {}
        pair.exchange();
        let together: usize = pair.far.streams.values().map(|stream| stream.window).sum();
        assert_eq!(together, pair.far.granted);
        assert!(together <= config.max_receive);
    }
    assert!(pair.far.streams.values().any(|stream| stream.window > config.window));
    for id in ids {
        pair.far.drop_stream(id);
    }
    assert_eq!(pair.far.granted, 0);
}

#[test]
fn writers_take_turns() {
    let mut pair =
        Pair::new(Config { max_window: 1 << 30, window: 1 << 24, max_receive: 1 << 30, ..Config::default() });
    let ids: Vec<u32> = (0..5).map(|_stream| pair.stream()).collect();
    let mut written = BTreeMap::new();
    for _round in 0..50 {
        // Each writes as long as it may; the first would take everything.
        for id in &ids {
            while let Some(took) = write(&mut pair.near, *id, &[1; 100_000]) {
                *written.entry(*id).or_insert(0usize) += took;
            }
        }
        let mut said = Vec::new();
        pair.near.poll_transmit(pair.now, &mut said);
    }
    let (least, most) = (written.values().min().unwrap(), written.values().max().unwrap());
    assert!(written.len() == 5 && most - least <= 9 * MAX_FRAME_BYTES, "{written:?}");
}

#[test]
fn a_turn_that_is_not_taken_is_gone_past() {
    struct Driver;
    impl std::task::Wake for Driver {
        fn wake(self: std::sync::Arc<Self>) {}
    }
    let driver = Waker::from(std::sync::Arc::new(Driver));
    let mut pair = Pair::new(Config::default());
    let (lazy, eager) = (pair.stream(), pair.stream());
    while write(&mut pair.near, lazy, &[1; 50_000]).is_some() {}
    pair.near.poll_transmit(pair.now, &mut Vec::new());
    while pair.near.take_wakes::<8>(&mut [const { None }; 8]) {}
    pair.near.park(&driver);
    assert_eq!(write(&mut pair.near, eager, b"mine?"), None, "it is the other's turn");
    let mut batch = [const { None }; 8];
    pair.near.take_wakes(&mut batch);
    assert!(batch.iter().flatten().any(|woken| woken.will_wake(&driver)));
    pair.near.give_turns();
    assert_eq!(write(&mut pair.near, eager, b"mine."), Some(5));
}

#[test]
fn an_end_is_an_end_and_a_reset_is_none() {
    let mut pair = Pair::new(Config::default());
    let id = pair.stream();
    write(&mut pair.near, id, b"all").unwrap();
    pair.near.shutdown(id).unwrap();
    pair.exchange();
    assert!(matches!(pair.near.poll_write(&cx(), id, b"x"), Poll::Ready(Err(Broken::Ended))));
    assert!(matches!(read(&mut pair.far, id, 9), Poll::Ready(Ok(bytes)) if bytes == b"all"));
    assert!(matches!(read(&mut pair.far, id, 9), Poll::Ready(Ok(bytes)) if bytes.is_empty()));
    write(&mut pair.far, id, b"back").unwrap();
    pair.far.drop_stream(id);
    pair.exchange();
    assert!(matches!(read(&mut pair.near, id, 9), Poll::Ready(Ok(bytes)) if bytes == b"back"));
    assert!(matches!(read(&mut pair.near, id, 9), Poll::Ready(Err(Broken::Reset))));
    pair.near.drop_stream(id);
    assert_eq!((pair.near.streams(), pair.far.streams()), (0, 0));
}

#[test]
fn a_reset_after_the_end_spares_what_was_ended() {
    let mut pair = Pair::new(Config::default());
    let id = pair.stream();
    write(&mut pair.near, id, b"all").unwrap();
    pair.near.shutdown(id).unwrap();
    pair.near.drop_stream(id);
    pair.exchange();
    assert!(matches!(pair.far.poll_write(&cx(), id, b"x"), Poll::Ready(Err(Broken::Reset))));
    assert!(matches!(read(&mut pair.far, id, 9), Poll::Ready(Ok(bytes)) if bytes == b"all"));
    assert!(matches!(read(&mut pair.far, id, 9), Poll::Ready(Ok(bytes)) if bytes.is_empty()));
}

#[test]
fn streams_beyond_the_limits_are_refused_and_the_rest_goes_on() {
    let config = Config { max_unaccepted: 2, ..Config::default() };
    let mut pair = Pair::new(config);
    let ids: Vec<u32> = (0..3).map(|_stream| pair.near.open(&web()).unwrap()).collect();
    pair.exchange();
    assert!(matches!(read(&mut pair.near, ids[2], 9), Poll::Ready(Err(Broken::Refused))));
    assert!(read(&mut pair.near, ids[0], 9).is_pending());
    assert!(!pair.far.has_failed());
    let mut few = Core::new(Side::Dialled, Config { max_streams: 1, ..config }, pair.now, seeded(1));
    few.open(&web()).unwrap();
    assert_eq!(few.open(&web()), Err(Refusal::TooManyStreams));
    assert_eq!(pair.far.open(&web()), Err(Refusal::WrongEnd));
}

/// What an accepting core says to these bytes: the violation ends it.
fn is_violation(prepare: impl FnOnce(&mut Vec<u8>)) -> bool {
    let mut core = Core::new(Side::Accepted, Config::default(), start(), seeded(1));
    let mut bytes = Vec::new();
    frame::put_open(&mut bytes, 1, &web(), None);
    prepare(&mut bytes);
    core.handle_input(start(), &bytes);
    let mut said = Vec::new();
    core.poll_transmit(start(), &mut said);
    core.has_failed() && core.is_closing() && said == [8, 0, 0, 0, 0, 0, 1, frame::go_away::VIOLATION]
}

#[test]
fn floods_and_frames_out_of_place_end_the_session_with_a_go_away() {
    assert!(!is_violation(|out| frame::put_data(out, 1, &[1; 100], None)));
    assert!(is_violation(|out| frame::put_data(out, 3, b"x", None)));
    assert!(is_violation(|out| frame::put_data(out, 2, b"x", None)));
    assert!(is_violation(|out| frame::put_open(out, 1, &web(), None)));
    assert!(is_violation(|out| frame::put_open(out, 4, &web(), None)));
    assert!(is_violation(|out| (0..5).for_each(|_frame| frame::put_data(
        out,
        1,
        &[1; MAX_BODY_BYTES],
        None
    ))));
    assert!(is_violation(|out| {
        frame::put_end(out, 1);
        frame::put_data(out, 1, b"x", None);
    }));
    assert!(is_violation(|out| {
        frame::put_end(out, 1);
        frame::put_end(out, 1);
    }));
    assert!(is_violation(|out| (0..2).for_each(|_frame| frame::put_window(out, 1, u32::MAX))));
    assert!(is_violation(|out| (0..100).for_each(|id| frame::put_ping(out, id))));
    assert!(is_violation(|out| (0..10_000).for_each(|_frame| frame::put_sign(out))));
    assert!(is_violation(|out| (0..10_000).for_each(|_frame| frame::put_data(out, 1, &[], None))));
    assert!(is_violation(|out| (0..10_000).for_each(|_frame| frame::put_window(out, 1, 0))));
    assert!(is_violation(|out| {
        for id in 1..10_000 {
            frame::put_open(out, 2 * id + 1, &web(), None);
            frame::put_reset(out, 2 * id + 1, 0);
        }
    }));
}

#[test]
fn patience_comes_back_with_time() {
    let now = start();
    let mut core = Core::new(Side::Accepted, Config::default(), now, seeded(1));
    let mut signs = Vec::new();
    (0..recv::PATIENCE / 8).for_each(|_frame| frame::put_sign(&mut signs));
    for second in 1..100 {
        core.handle_input(now + Duration::from_secs(second), &signs);
        assert!(!core.has_failed(), "second {second}");
    }
}

#[test]
fn a_carrier_is_asked_in_silence_and_dies_of_it() {
    let mut pair = Pair::new(Config::default());
    let id = pair.stream();
    pair.pass(Duration::from_secs(10));
    write(&mut pair.near, id, b"anybody?").unwrap();
    let mut lost = Vec::new();
    pair.near.poll_transmit(pair.now, &mut lost);
    assert_eq!(pair.near.poll_timeout(), Some(pair.now + Duration::from_secs(2)));
    pair.pass(Duration::from_secs(2));
    lost.clear();
    pair.near.poll_transmit(pair.now, &mut lost);
    assert_eq!(lost.first(), Some(&6), "a ping");
    assert_eq!(pair.near.poll_timeout(), Some(pair.now + Duration::from_secs(6)));
    pair.pass(Duration::from_millis(5999));
    assert!(!pair.near.has_failed());
    pair.pass(Duration::from_millis(1));
    let Poll::Ready(Err(Broken::Carrier(failure))) = read(&mut pair.near, id, 9) else {
        panic!("it is dead")
    };
    assert_eq!((failure.phase, failure.signal), (Phase::Data, Signal::Timeout));
    assert!(pair.near.is_over());
}

#[test]
fn an_idle_stream_is_kept_alive_and_an_idle_session_is_silent() {
    let mut pair = Pair::new(Config { idle_close: None, ..Config::default() });
    let id = pair.stream();
    let mut gaps = BTreeSet::new();
    for _beat in 0..10 {
        let at = pair.near.poll_timeout().unwrap();
        let gap = at - pair.now;
        assert!((Duration::from_secs(15)..Duration::from_secs(40)).contains(&gap), "{gap:?}");
        gaps.insert(gap);
        pair.pass(gap);
        assert!(pair.exchange() > 0);
    }
    assert!(gaps.len() > 5);
    pair.near.drop_stream(id);
    pair.far.drop_stream(id);
    pair.exchange();
    pair.pass(Duration::from_secs(3600));
    assert_eq!(pair.exchange(), 0);
    assert_eq!(pair.near.poll_timeout(), None);
}

#[test]
fn who_only_receives_says_so_once_a_second() {
    let mut pair = Pair::new(Config::default());
    let id = pair.stream();
    pair.pass(Duration::from_secs(5));
    let mut signs = 0;
    for _tick in 0..30 {
        pair.now += Duration::from_millis(100);
        write(&mut pair.near, id, b"a drop").unwrap();
        let (mut there, mut back) = (Vec::new(), Vec::new());
        pair.near.poll_transmit(pair.now, &mut there);
        pair.far.handle_input(pair.now, &there);
        pair.far.poll_transmit(pair.now, &mut back);
        signs += usize::from(!back.is_empty());
        pair.near.handle_input(pair.now, &back);
        pair.near.handle_timeout(pair.now);
    }
    assert_eq!(signs, 3);
}

#[test]
fn a_session_ends_in_order_when_nobody_needs_it() {
    let mut pair = Pair::new(Config { idle_close: Some(Duration::from_secs(60)), ..Config::default() });
    let id = pair.stream();
    pair.near.disown();
    pair.exchange();
    assert!(!pair.near.is_closing());
    pair.near.drop_stream(id);
    pair.exchange();
    assert!(pair.near.is_closing());
    let mut idle = Pair::new(Config { idle_close: Some(Duration::from_secs(60)), ..Config::default() });
    idle.exchange();
    assert_eq!(idle.near.poll_timeout(), Some(idle.now + Duration::from_secs(60)));
    idle.pass(Duration::from_secs(60));
    idle.exchange();
    assert!(idle.near.is_closing());
}
