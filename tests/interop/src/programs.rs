//! Foreign programs: found or skipped, started, and stopped when the test is over.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::net::TcpStream;

/// Tests of one program begin at the same time.
static BUILDING: Mutex<()> = Mutex::new(());
/// Longest time until a started program listens.
const START_WAIT: Duration = Duration::from_secs(30);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where the program is; `None` after the line that says how to get it.
///
/// # Errors
/// It is not there and `CI=true`.
pub fn need(program: &str, package: &str) -> anyhow::Result<Option<PathBuf>> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = places.map(|place| place.join(program)).find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{program} is not installed (apt-get install {package})"))?;
    }
    Ok(found)
}

/// The program of a crate of the registry, built once into the cache, which takes minutes; `None` after the line that says
/// why it is not there.
///
/// # Errors
/// It could not be built and `CI=true`, or the cache cannot be written.
pub fn built(name: &str, version: &str) -> anyhow::Result<Option<PathBuf>> {
    let root = cache_dir(&format!("{name}-{version}"))?;
    let program = root.join("bin").join(name);
    let _one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if program.is_file() {
        return Ok(Some(program));
    }
    let objects = root.join("objects");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["install", "--locked", "--debug", "--quiet", name, "--version", version]);
    cargo.arg("--root").arg(&root).arg("--target-dir").arg(&objects);
    // Our own flags must not leak into somebody else's build.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    let done = cargo.status().is_ok_and(|status| status.success());
    std::fs::remove_dir_all(&objects).ok();
    if !done {
        skip(&format!("{name} {version} could not be built from the crate registry"))?;
        return Ok(None);
    }
    Ok(Some(program))
}

/// Says that a test is skipped because no registry has what it needs for this machine: CI cannot have it either.
#[allow(clippy::print_stderr, reason = "a skipped test must say so")]
pub fn unserved(why: &str) {
    eprintln!("skipped: {why}");
}

/// Says that a test is skipped.
///
/// # Errors
/// `CI=true`: there nothing may be skipped.
#[allow(clippy::print_stderr, reason = "a skipped test must say so")]
pub fn skip(why: &str) -> anyhow::Result<()> {
    if env::var("CI").is_ok_and(|ci| ci == "true") {
        bail!("{why}");
    }
    eprintln!("skipped: {why}");
    Ok(())
}

/// A started program; killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it. What it prints goes to the test's own output.
    ///
    /// # Errors
    /// The system could not start it.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("starting {:?}", command.get_program()))?))
    }

    /// Waits until something listens there, while the program lives.
    ///
    /// # Errors
    /// It ended, or took too long.
    pub async fn listens_at(&mut self, at: SocketAddr) -> anyhow::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(at).await.is_err() {
            if let Some(status) = self.0.try_wait()? {
                bail!("the program ended at once: {status}");
            }
            if start.elapsed() > START_WAIT {
                bail!("nothing listens at {at} after {} s", START_WAIT.as_secs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A loopback address that nobody listens on just now, and that this process was not given before. Its port is below those
/// that the system gives to outgoing connections, so that none of these takes it until a program listens there.
///
/// # Errors
/// There is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    const PORTS: std::ops::Range<u32> = 10_000..32_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    // Other test programs may run beside this one.
    let first = std::process::id().wrapping_mul(251);
    for _port in PORTS {
        let next = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(PORTS.start + next)?));
        if std::net::TcpListener::bind(at).is_ok() {
            return Ok(at);
        }
    }
    bail!("no port from {} to {} is free", PORTS.start, PORTS.end)
}

/// A folder that stays between runs, outside of the checkout.
///
/// # Errors
/// It cannot be made.
pub fn cache_dir(name: &str) -> anyhow::Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let dir = base.unwrap_or_else(env::temp_dir).join("commucat/interop").join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}
