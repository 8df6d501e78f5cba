//! Programs of others: found on the path or passed over, started, and stopped when the test ends.

use std::{ffi::OsStr, io::Write as _, net::TcpListener, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

/// How long a program may take until it listens.
const START_TIME: Duration = Duration::from_secs(20);
const START_POLL: Duration = Duration::from_millis(20);

/// Where a program is. `None`, and one line for people, when it is not installed; an error where `CI` is `true`.
///
/// # Errors
/// It is missing where it must not be.
pub fn find(program: &str, package: &str) -> Result<Option<PathBuf>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            bail!("{program} is missing (apt-get install {package})");
        }
        writeln!(std::io::stderr(), "skipped: {program} is not installed (apt-get install {package})")?;
    }
    Ok(found)
}

/// A port that nobody used a moment ago, for programs that cannot choose one by themselves.
///
/// # Errors
/// The system has none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A started program; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts a program and waits until it listens on that TCP port of loopback.
    ///
    /// # Errors
    /// It does not start, ends early, or never listens.
    pub async fn start<A: AsRef<OsStr>>(
        program: &std::path::Path,
        arguments: impl IntoIterator<Item = A>,
        port: u16,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if let Some(status) = child.try_wait()? {
                    bail!("{} ended early: {status}", program.display());
                }
                tokio::time::sleep(START_POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(START_TIME, listening)
            .await
            .with_context(|| format!("{} does not listen", program.display()))??;
        Ok(Self { child })
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}
