//! The bridge of a run: accepts, shakes hands and answers exchanges, until it is dropped.

use std::{sync::Arc, time::Duration};

use commucat_mux::Config;
use commucat_net::SystemNet;
use commucat_transport_api::{
    Accepted, BoxStream, Channel, Cx, ListenError, Listener, MuxSession, Server, Target,
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::exchange::answer;
use crate::{LabError, PlaceRuntime};

/// Connections that a bridge of the lab serves at one time: the active prober opens many.
const CONNECTIONS_MAX: usize = 512;
/// Time to bind the port.
const LISTEN_MAX: Duration = Duration::from_secs(5);

/// Starts to listen in the place of this runtime, and serves in the background.
pub(super) fn serve(
    runtime: &PlaceRuntime,
    server: Arc<dyn Server>,
) -> Result<Result<(), ListenError>, LabError> {
    let listening = runtime.block_on(async move {
        let cx = Cx::new(SystemNet::new(), LISTEN_MAX);
        server.listen(&cx).await
    })?;
    Ok(listening.map(|listener| {
        // It runs until the runtime of its place is dropped.
        drop(runtime.spawn(accept(listener)));
    }))
}

async fn accept(mut listener: Box<dyn Listener>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut running = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let incoming = match listener.accept().await {
            Ok(incoming) => incoming,
            Err(ListenError::Closed) => return,
            Err(_passing) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        running.spawn(async move {
            let _slot = slot;
            // A stranger was answered in there as the cover service answers.
            let Ok(accepted) = incoming.handshake().await else { return };
            talk(accepted).await;
        });
        while running.try_join_next().is_some() {}
    }
}

async fn talk(accepted: Accepted) {
    match (accepted.channel, accepted.target) {
        (Channel::Stream(carrier), Target::Mux) => {
            let (session, driver) = commucat_mux::accepted(carrier, SystemNet::new(), Config::default());
            tokio::join!(driver, talk_inside(Arc::new(session)));
        }
        (Channel::Mux(session), _) => talk_inside(session).await,
        (Channel::Stream(stream), _) => exchange(stream).await,
        _ => {}
    }
}

/// Serves the streams of a session until no more can come and all have ended.
async fn talk_inside(session: Arc<dyn MuxSession>) {
    let mut running = JoinSet::new();
    while let Some((channel, _target)) = session.accept().await {
        if let Ok(stream) = channel.into_stream() {
            running.spawn(exchange(stream));
        }
        while running.try_join_next().is_some() {}
    }
    drop(session);
    running.join_all().await;
}

async fn exchange(mut stream: BoxStream) {
    if answer(&mut stream).await.is_err() {
        // A transfer that broke must not look finished.
        commucat_net::abort(stream);
    }
}
