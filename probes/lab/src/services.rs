//! What the lab's world offers: a resolver, web sites, an SSH-shaped server and control servers, over real sockets.
//!
//! The censor sits between these and the client. Nothing here blocks anything: every name of a censor's list is served
//! like any other, so what a client misses was taken by the judge.

mod accept;
mod authority;
mod controls;
mod dns;
mod plan;
mod ssh;
mod web;
mod world;

use std::{net::SocketAddr, sync::Arc};

use commucat_control::{ControlError, RunningControl};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

pub use self::{
    authority::{Authority, PemIdentity},
    dns::TTL_S,
    plan::{
        BLOCKED_NAME, BRIDGE, CONTROL_DOMESTIC, CONTROL_FOREIGN, CONTROL_NAME, CONTROL_QUIC_PORTS,
        CONTROL_QUIC_RANGE, CONTROL_SECOND, CONTROL_TCP_PORTS, CONTROL_TCP_RANGE, CONTROL_UDP_PORTS,
        CONTROL_UDP_RANGE, ControlSite, DOMESTIC, DOMESTIC_NAME, ECH_PUBLIC_NAME, INNOCENT_NAME, RESOLVER,
        SSH_PORT, Site, WorldPlan,
    },
    ssh::IDENTIFICATION,
    web::BODY_BYTES_MAX,
    world::World,
};
use crate::LabError;

/// Most connections at once over all services but the control servers, which have a limit of their own.
const CONNECTIONS_MAX: usize = 2048;
/// Ports tried before it is believed that none is free for both TCP and UDP.
const PORT_TRIES: usize = 16;

/// Why a service could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// No certificate could be made.
    #[error("the lab's certificates could not be made")]
    Certificate(#[source] rcgen::Error),
    /// The TLS library refused what was made.
    #[error("the lab's TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// An address could not be listened on.
    #[error("the {what} cannot listen at {at}")]
    Listen {
        /// Which service.
        what: &'static str,
        /// Where.
        at: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A control server did not start.
    #[error("a control server of the lab did not start")]
    Control(#[source] ControlError),
    /// The place does not run what it is given.
    #[error("the services cannot run in their place")]
    Place(#[source] LabError),
    /// The authority could not be shown to the programs of a place.
    #[error("the programs of a place cannot be made to trust the lab's authority")]
    Trust(#[source] std::io::Error),
}

/// Running services. They end when this is dropped.
#[derive(Debug)]
pub struct Services {
    plan: WorldPlan,
    controls: Vec<RunningControl>,
    tasks: JoinSet<()>,
}

impl Services {
    /// Starts everything of the plan on the runtime that this is called from, with certificates of this authority.
    ///
    /// # Errors
    /// An address is taken or is not of this machine, or a certificate could not be made.
    pub async fn start(plan: &WorldPlan, authority: &Authority) -> Result<Self, ServiceError> {
        let mut services = Self { plan: plan.clone(), controls: Vec::new(), tasks: JoinSet::new() };
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        services.start_sites(authority, &slots).await?;
        services.start_ssh(&slots).await?;
        services.start_resolver(&slots).await?;
        services.start_controls(authority).await?;
        Ok(services)
    }

    /// What stands where, with the ports that were really taken.
    pub const fn plan(&self) -> &WorldPlan {
        &self.plan
    }

    /// The control servers, in the order of the plan.
    pub fn controls(&self) -> &[RunningControl] {
        &self.controls
    }

    async fn start_sites(
        &mut self,
        authority: &Authority,
        slots: &Arc<Semaphore>,
    ) -> Result<(), ServiceError> {
        for site in &mut self.plan.sites {
            let name: Arc<str> = site.name.as_str().into();
            let config = authority.server_config(&[&site.name], site.https.ip())?;
            let http = listen("web site", &mut site.http).await?;
            let https = listen("web site", &mut site.https).await?;
            let tls = TlsAcceptor::from(Arc::new(config));
            self.tasks.spawn(web::serve_http(http, Arc::clone(slots), Arc::clone(&name)));
            self.tasks.spawn(web::serve_https(https, Arc::clone(slots), name, tls));
        }
        Ok(())
    }

    async fn start_ssh(&mut self, slots: &Arc<Semaphore>) -> Result<(), ServiceError> {
        for at in &mut self.plan.ssh {
            let listener = listen("SSH-shaped server", at).await?;
            self.tasks.spawn(ssh::serve(listener, Arc::clone(slots)));
        }
        Ok(())
    }

    async fn start_resolver(&mut self, slots: &Arc<Semaphore>) -> Result<(), ServiceError> {
        let zone = dns::Zone::new(self.plan.zone());
        let (socket, listener) = bind_both(&mut self.plan.resolver).await?;
        self.tasks.spawn(dns::serve_udp(socket, zone.clone()));
        self.tasks.spawn(dns::serve_tcp(listener, Arc::clone(slots), zone));
        Ok(())
    }
}

async fn listen(what: &'static str, at: &mut SocketAddr) -> Result<TcpListener, ServiceError> {
    let listener = TcpListener::bind(*at).await;
    let listener = listener.map_err(|source| ServiceError::Listen { what, at: *at, source })?;
    *at = listener.local_addr().map_err(|source| ServiceError::Listen { what, at: *at, source })?;
    Ok(listener)
}

/// One port for UDP and TCP. A free port of the one may be taken in the other, so it is tried again.
async fn bind_both(at: &mut SocketAddr) -> Result<(UdpSocket, TcpListener), ServiceError> {
    let wrap = |at: SocketAddr| move |source| ServiceError::Listen { what: "resolver", at, source };
    let mut tries_left = PORT_TRIES;
    loop {
        let socket = UdpSocket::bind(*at).await.map_err(wrap(*at))?;
        let mut found = socket.local_addr().map_err(wrap(*at))?;
        tries_left -= 1;
        match listen("resolver", &mut found).await {
            Ok(listener) => {
                *at = found;
                return Ok((socket, listener));
            }
            Err(error) if at.port() != 0 || tries_left == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
