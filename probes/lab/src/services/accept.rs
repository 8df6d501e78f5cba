//! Accepting connections: one task each, as many at once as there are slots.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// Pause after the system could not accept, for instance because no descriptor is left.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs `handler` for each connection. A connection that finds no slot is closed. Ends only by being aborted.
pub(super) async fn serve<H, F>(listener: TcpListener, slots: Arc<Semaphore>, handler: H)
where
    H: Fn(TcpStream) -> F,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    // Connections end with their listener: dropping the set aborts them.
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        let work = handler(stream);
        tasks.spawn(async move {
            // How a stranger's connection ended concerns nobody here.
            drop(work.await);
            drop(slot);
        });
    }
}
