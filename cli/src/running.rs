//! What every long-running subcommand needs from the system.

use std::{fs, io, os::unix::fs::DirBuilderExt as _, path::Path};

use tokio::signal::unix::{SignalKind, signal};

/// Raises the soft limit of open files to the hard one: each connection takes two, and the soft default is 1,024.
pub(crate) fn raise_descriptor_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays low");
    }
}

/// Resolves when the program is asked to end: ctrl-C or SIGTERM.
pub(crate) async fn end_signal() -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Makes a directory that only its owner can enter, with its parents.
pub(crate) fn make_private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
