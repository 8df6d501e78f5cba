//! A client whose streams share a few carriers of another client.

use std::{sync::Arc, time::Duration};

use commucat_transport_api::{
    BoxFuture, BoxStream, Client, Cx, DialError, Opened, ProbeReport, Secret, Target,
};

use crate::pool::{CarrierPolicy, Carriers, Spawn};

/// Dials through carriers that the client inside opens to [`Target::Mux`]. Whatever is no stream and no association goes
/// to that client itself.
#[derive(Debug)]
pub struct Carried {
    inner: Arc<dyn Client>,
    carriers: Carriers,
}

impl Carried {
    /// Around a client whose bridge speaks this crate's protocol. `spawn` runs each carrier's driver.
    pub fn new(inner: Arc<dyn Client>, policy: CarrierPolicy, spawn: Spawn) -> Self {
        Self { inner, carriers: Carriers::new(policy, spawn) }
    }

    /// The carriers.
    pub const fn carriers(&self) -> &Carriers {
        &self.carriers
    }

    /// A dial of a carrier, with the time that a stream's dial has, from when it begins.
    fn connect(&self, cx: &Cx, budget: Duration) -> BoxFuture<'static, Result<BoxStream, DialError>> {
        let (inner, cx) = (Arc::clone(&self.inner), cx.clone());
        Box::pin(async move {
            let cx = Cx::new(Arc::clone(&cx.net), budget).with_events(cx.events);
            let opened = inner.dial(&cx, &Target::Mux).await?;
            opened.channel.into_stream().map_err(|_no_stream| DialError::UnsupportedTarget)
        })
    }
}

impl Client for Carried {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        match target {
            Target::Bridge | Target::Stream(_) | Target::Datagrams => Box::pin(async move {
                let budget = cx.deadline.saturating_duration_since(cx.net.now());
                self.carriers.open(cx, target, || self.connect(cx, budget)).await
            }),
            _ => self.inner.dial(cx, target),
        }
    }

    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        self.inner.probe(cx)
    }

    fn link(&self, name: &str) -> Option<Secret<String>> {
        self.inner.link(name)
    }
}
