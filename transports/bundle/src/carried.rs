//! A transport together with the one that carries it.

use std::sync::Arc;

use commucat_transport_api::{
    BoxFuture, Client, ConfigError, Cx, DialError, HostPort, ListenError, Listener, Opened, ProbeReport,
    Secret, Server, Spec, Target, User,
};

use crate::via_net::ViaNet;

/// The dialling end of a carried transport.
#[derive(Debug)]
pub(crate) struct CarriedClient {
    pub(crate) client: Arc<dyn Client>,
    pub(crate) carrier: Arc<dyn Client>,
}

impl CarriedClient {
    fn over_carrier(&self, cx: &Cx) -> Cx {
        cx.clone().with_net(Arc::new(ViaNet::dialling(cx.clone(), Arc::clone(&self.carrier))))
    }
}

impl Client for CarriedClient {
    fn dial<'a>(&'a self, cx: &'a Cx, target: &'a Target) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move { self.client.dial(&self.over_carrier(cx), target).await })
    }

    fn probe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async move {
            // The carrier first: when it fails, the steps above it cannot say why.
            let mut report = self.carrier.probe(cx).await;
            for step in &mut report.steps {
                step.name = format!("carrier {}", step.name).into();
            }
            if report.first_failure().is_none() {
                report.steps.extend(self.client.probe(&self.over_carrier(cx)).await.steps);
            }
            report
        })
    }

    fn link(&self, name: &str) -> Option<Secret<String>> {
        self.client.link(name)
    }
}

/// The listening end of a carried transport.
#[derive(Debug)]
pub(crate) struct CarriedServer {
    pub(crate) server: Arc<dyn Server>,
    pub(crate) carrier: Arc<dyn Server>,
}

impl Server for CarriedServer {
    fn listen<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Box<dyn Listener>, ListenError>> {
        Box::pin(async move {
            let net = Arc::new(ViaNet::listening(cx.clone(), Arc::clone(&self.carrier)));
            self.server.listen(&cx.clone().with_net(net)).await
        })
    }

    fn client_spec(&self, public: &HostPort, user: &User) -> Result<Spec, ConfigError> {
        let mut spec = self.server.client_spec(public, user)?;
        spec.via = Some(Box::new(self.carrier.client_spec(public, user)?));
        Ok(spec)
    }
}
