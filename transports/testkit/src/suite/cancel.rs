//! A dial may be dropped at any moment and leaves nothing behind.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use commucat_transport_api::{Cx, Net};

use super::{
    CheckError, Fixture, Outcome,
    report::ensure,
    services::Service,
    session::{Session, dial_stream},
    streams::exchange,
};
use crate::wrap::Throttle;

/// A dial that is polled more often than this never completes.
const POLLS_MAX: usize = 100_000;
/// Up to here every number of polls is tried; beyond it each is an eighth more than the last.
const POLLS_EACH: usize = 64;

pub(super) async fn cancel_dial(fixture: &Fixture) -> Result<Outcome, CheckError> {
    let session = Session::start(fixture).await?;
    // The plain network first; then one byte at a time, which splits every message at every place.
    let nets = [Arc::clone(&fixture.client_net), Throttle::one_byte().over(Arc::clone(&fixture.client_net))];
    for net in nets {
        cancel_over(&session, &net).await?;
    }
    let mut stream = session.dial(Service::Echo).await?;
    let got = fixture.within("an echo after cancelled dials", exchange(&mut stream, b"still here")).await?;
    ensure(got.map_err(CheckError::io("an echo"))? == b"still here", || "the echo came changed".into())?;
    drop(stream);
    session.finish().await?;
    Ok(Outcome::Passed)
}

/// Drops a dial after 0 polls, after 1, and so on until it completes.
async fn cancel_over(session: &Session<'_>, net: &Arc<dyn Net>) -> Result<(), CheckError> {
    let fixture = session.fixture;
    let mut polls = 0;
    while polls < POLLS_MAX {
        let cx = Cx::new(Arc::clone(net), fixture.pace.dial);
        let dial = Box::pin(dial_stream(fixture, session.client.as_ref(), &cx, Service::Echo));
        let outcome = fixture.within("a dial", PolledAtMost { future: dial, left: polls }).await?;
        if let Some(dialled) = outcome {
            let given = dialled?.is_some();
            return ensure(given, || "the dial of a stream gave no stream".into());
        }
        polls += 1 + if polls < POLLS_EACH { 0 } else { polls / 8 };
    }
    Err(CheckError::broken("the dial does not complete however often it is polled"))
}

/// Gives up a future after a number of polls.
struct PolledAtMost<F> {
    future: F,
    left: usize,
}

impl<F: Future + Unpin> Future for PolledAtMost<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        let outcome = Pin::new(&mut self.future).poll(cx).map(Some);
        if outcome.is_pending() && self.left == 0 {
            return Poll::Ready(None);
        }
        outcome
    }
}
