//! Connecting to the first address that answers: addresses are tried with a stagger (RFC 8305), families in turn.

use std::{future::poll_fn, io, net::SocketAddr, pin::Pin, task::Poll, time::Duration};

use tokio::{net::TcpStream, time::Sleep};

/// Head start of each address over the next (RFC 8305 §5 recommends 250 ms).
const ATTEMPT_STAGGER: Duration = Duration::from_millis(250);
/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Connects to one of these addresses. `open` starts one attempt.
pub(crate) async fn first_of(
    addresses: Vec<SocketAddr>,
    open: impl Fn(SocketAddr) -> Attempt + Send,
) -> io::Result<TcpStream> {
    let mut waiting = interleave(addresses).into_iter();
    let mut running: Vec<Attempt> = Vec::new();
    // `None` is "at once": even a timer of zero waits for the next tick, which is a millisecond that every connection would pay.
    let mut next: Option<Pin<Box<Sleep>>> = None;
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    poll_fn(|cx| {
        loop {
            let mut at = 0;
            while let Some(attempt) = running.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        last_error = error;
                        drop(running.swap_remove(at));
                        // A refusal frees the next address at once.
                        next = None;
                    }
                    Poll::Pending => at += 1,
                }
            }
            if waiting.len() == 0 {
                if running.is_empty() {
                    return Poll::Ready(Err(std::mem::replace(&mut last_error, io::ErrorKind::Other.into())));
                }
                return Poll::Pending;
            }
            if next.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_pending()) {
                return Poll::Pending;
            }
            next = Some(Box::pin(tokio::time::sleep(ATTEMPT_STAGGER)));
            running.extend(waiting.next().map(&open));
        }
    })
    .await
}

/// The resolver's order, with the families taking turns so that a dead one costs one stagger, not many.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::new();
    while mixed.len() < MAX_ADDRESSES {
        let before = mixed.len();
        mixed.extend(first.next());
        mixed.extend(second.next());
        if mixed.len() == before {
            break;
        }
    }
    mixed.truncate(MAX_ADDRESSES);
    mixed
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mixed = interleave(["[::1]:1", "[::2]:1", "192.0.2.1:1"].map(parse).to_vec());
        assert_eq!(mixed, ["[::1]:1", "192.0.2.1:1", "[::2]:1"].map(parse));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_one_stagger() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = listener.local_addr().unwrap();
        let dead: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let begun = Instant::now();
        let stream = first_of(vec![dead, alive], |to| -> Attempt {
            if to == dead { Box::pin(std::future::pending()) } else { Box::pin(TcpStream::connect(to)) }
        });
        assert_eq!(stream.await.unwrap().peer_addr().unwrap(), alive);
        assert!(begun.elapsed() >= ATTEMPT_STAGGER);
    }

    #[tokio::test]
    async fn the_first_attempt_waits_for_no_timer() {
        let refused = || Err(io::ErrorKind::ConnectionRefused.into());
        let mut connecting = std::pin::pin!(first_of(vec!["127.0.0.1:1".parse().unwrap()], |_to| {
            Box::pin(std::future::ready(refused()))
        }));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(connecting.as_mut().poll(&mut context).is_ready());
    }

    #[tokio::test]
    async fn all_refused_is_refused() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = listener.local_addr().unwrap();
        drop(listener);
        let error = first_of(vec![closed, closed], |to| Box::pin(TcpStream::connect(to))).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
