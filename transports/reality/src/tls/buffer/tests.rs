//! Bytes stay whole and in order whatever buffer they are in, and idle streams hold none.

use std::future::poll_fn;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;
use crate::tls::pair::Portions;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn an_idle_inbox_holds_no_large_buffer() {
    run(async {
        let (mut far, near) = duplex(64 << 10);
        let mut near: BoxStream = Box::new(near);
        let mut inbox = Inbox::default();
        far.write_all(b"0123456789").await.unwrap();
        poll_fn(|cx| inbox.poll_fill(cx, &mut near)).await.unwrap();
        inbox.use_up(4, 1..3);
        let mut given = [0; 8];
        let mut buf = ReadBuf::new(&mut given);
        inbox.give(&mut buf);
        assert_eq!(buf.filled(), b"12");
        assert!(poll_fn(|cx| Poll::Ready(inbox.poll_fill(cx, &mut near).is_pending())).await);
        assert!(inbox.lent.is_none());
        assert_eq!(inbox.wire(), b"456789");
        far.write_all(b"ab").await.unwrap();
        poll_fn(|cx| inbox.poll_fill(cx, &mut near)).await.unwrap();
        assert_eq!(inbox.wire(), b"456789ab");
        assert_eq!(inbox.take_wire(), b"456789ab");
        assert!(inbox.lent.is_none() && inbox.wire().is_empty());
    });
}

#[test]
fn what_waits_for_long_waits_in_a_small_buffer() {
    run(async {
        let (mut far, near) = duplex(512 << 10);
        let mut near: BoxStream = Box::new(near);
        let mut inbox = Inbox::default();
        for _ in 0..3 {
            far.write_all(&[7; 400 << 10]).await.unwrap();
            while poll_fn(|cx| Poll::Ready(inbox.poll_fill(cx, &mut near).is_ready())).await {
                let whole = inbox.wire().len();
                inbox.use_up(whole.saturating_sub(9000), 0..0);
            }
        }
        assert_eq!(inbox.class, 2);
        assert_eq!(inbox.lent.as_ref().unwrap().0.len(), SIZES[0]);
        assert_eq!(inbox.wire(), [7; 9000]);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever portions come and however much is used up between them, the bytes are the same.
    #[test]
    fn an_inbox_keeps_every_byte(
        portions in proptest::collection::vec(1..60_000_usize, 1..20),
        uses in proptest::collection::vec(1..50_000_usize, 1..9),
        early in 0..9000_usize,
    ) {
        run(async {
            let mut next = 0_u32;
            let mut bytes = |count: usize| -> Vec<u8> {
                (0..count).map(|_| { next += 1; u8::try_from(next % 251).unwrap() }).collect()
            };
            let (opened, arrived) = (bytes(early), bytes(early / 2));
            let mut expected = [&opened[..], &arrived].concat();
            let portions: Vec<_> = portions.iter().map(|count| bytes(*count)).collect();
            expected.extend(portions.concat());
            let mut inbox = Inbox::new(opened, &arrived);
            let (carrier, _) = Portions::new(portions, usize::MAX);
            let mut carrier: BoxStream = Box::new(carrier);
            let mut uses = uses.iter().cycle();
            let mut heard = inbox.take_opened();
            loop {
                let wire = inbox.wire().len();
                let used = wire.min(*uses.next().unwrap());
                // At most a part of a record stays.
                if wire > 0 && (wire >= MAX_RECORD_BYTES || used % 3 > 0) {
                    inbox.use_up(used, 0..used);
                    heard.extend(inbox.take_opened());
                    continue;
                }
                if poll_fn(|cx| inbox.poll_fill(cx, &mut carrier)).await.unwrap() == 0 {
                    heard.extend(inbox.take_wire());
                    break;
                }
            }
            prop_assert!(heard == expected);
            Ok(())
        })?;
    }

    /// Bytes leave in order, through any carrier, while more are added.
    #[test]
    fn an_outbox_keeps_every_byte(
        adds in proptest::collection::vec(1..90_000_usize, 1..12),
        most in 1..200_000_usize,
    ) {
        run(async {
            let (carrier, written) = Portions::new([], most);
            let mut carrier: BoxStream = Box::new(carrier);
            let (mut outbox, mut expected) = (Outbox::default(), Vec::new());
            for (number, add) in adds.iter().enumerate() {
                let room = outbox.room(*add);
                let count = (*add).min(room.len());
                room[..count].fill(u8::try_from(number).unwrap());
                outbox.add(count);
                expected.resize(expected.len() + count, u8::try_from(number).unwrap());
                if number % 3 == 2 {
                    poll_fn(|cx| outbox.poll_drain(cx, &mut carrier)).await.unwrap();
                    assert!(outbox.lent.is_none() && outbox.waiting() == 0);
                }
            }
            poll_fn(|cx| outbox.poll_drain(cx, &mut carrier)).await.unwrap();
            assert!(written.lock().unwrap().0 == expected);
        });
    }
}

#[test]
fn an_outbox_waits_for_a_narrow_carrier() {
    run(async {
        let (mut far, near) = duplex(3);
        let mut near: BoxStream = Box::new(near);
        let mut outbox = Outbox::default();
        outbox.room(10)[..10].copy_from_slice(b"0123456789");
        outbox.add(10);
        let reading = async {
            let mut heard = [0; 10];
            far.read_exact(&mut heard).await.unwrap();
            heard
        };
        let (sent, heard) = tokio::join!(poll_fn(|cx| outbox.poll_drain(cx, &mut near)), reading);
        sent.unwrap();
        assert_eq!(heard, *b"0123456789");
    });
}

#[test]
fn the_store_is_bounded() {
    let lent: Vec<Lent> = (0..40).map(|_| Lent::take(2)).collect();
    drop(lent);
    STORE.with_borrow(|store| assert_eq!(store[2].len(), KEPT[2]));
}
