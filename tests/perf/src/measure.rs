//! One visit: one product under one load, with the clocks of both its processes.

pub mod cipher;
pub mod cpu;
pub mod memory;
pub mod relay;
pub mod system;

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use self::{
    cpu::ProcessCpu,
    system::{SystemClock, foreign_cores},
};
use crate::{
    cells::{Cell, Route},
    load::{
        bulk::Bulk,
        connect::{Entry, first_bytes, ping},
        connections::Connections,
        end, meter,
    },
    rig::Rig,
    sample::Reading,
};

/// Rest after opening idle connections, so that buffers of the openings are given back.
const IDLE_SETTLE: Duration = Duration::from_secs(2);
/// Rest after the last handshake, so that its end is counted.
const HANDSHAKE_SETTLE: Duration = Duration::from_millis(100);
/// How long the connections of a visit may take to go before the next visit starts anyway.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// How long and how often.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Effort {
    /// Before a window.
    pub warm_up: Duration,
    /// Of a bulk or connection window.
    pub window: Duration,
    /// Connections of a first-byte visit.
    pub first_bytes: usize,
    /// Ends of streams of each kind.
    pub ends: usize,
}

/// What a visit found, and who else used the processor meanwhile.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The figure.
    pub reading: Reading,
    /// Cores used by others; `None` where it is not watched.
    pub foreign_cores: Option<f64>,
}

/// Visits one product. A failure is a reading too.
#[must_use]
pub fn visit(rig: &Rig, cell: Cell, effort: &Effort) -> Outcome {
    let outcome = try_visit(rig, cell, effort).unwrap_or_else(|error| Outcome {
        reading: Reading::Failed { reason: format!("{error:#}") },
        foreign_cores: None,
    });
    // Slow closers keep their connections for seconds; the next visit does not have to share with them.
    rig.target.wait_idle(LEAVE_LIMIT);
    outcome
}

fn try_visit(rig: &Rig, cell: Cell, effort: &Effort) -> anyhow::Result<Outcome> {
    match cell {
        Cell::Bulk { direction, streams } => {
            let bulk = Bulk::start(rig.forward, &rig.target, direction, streams, rig.inside)?;
            let span = observe(rig, effort, || bulk.received())?;
            bulk.check()?;
            let (bytes, stalled_streams) = meter::between(&span.before, &span.after);
            let reading = Reading::Bulk {
                bytes,
                seconds: span.seconds,
                client_cpu_s: span.client_cpu_s,
                server_cpu_s: span.server_cpu_s,
                stalled_streams,
            };
            Ok(Outcome { reading, foreign_cores: Some(span.foreign_cores) })
        }
        Cell::Connections { in_flight } => {
            let load = Connections::start(rig.forward, in_flight)?;
            let span = observe(rig, effort, || load.read())?;
            let [completed, failed] = span.after;
            let reading = Reading::Connections {
                completed: completed.saturating_sub(span.before[0]),
                failed: failed.saturating_sub(span.before[1]),
                seconds: span.seconds,
                client_cpu_s: span.client_cpu_s,
                server_cpu_s: span.server_cpu_s,
            };
            Ok(Outcome { reading, foreign_cores: Some(span.foreign_cores) })
        }
        Cell::FirstByte { route } => {
            let entry = match route {
                Route::Forward => Entry::Forward(rig.forward),
                Route::Socks => Entry::Socks {
                    proxy: rig.socks.context("this product has no SOCKS5 inbound here")?,
                    target: rig.target.address(),
                },
            };
            let micros = first_bytes(entry, effort.first_bytes)?;
            Ok(Outcome { reading: Reading::FirstByte { micros }, foreign_cores: None })
        }
        Cell::Handshake { connections } => handshakes(rig, connections),
        Cell::IdleMemory { connections } => idle_memory(rig, connections),
        Cell::EndOfStream => ends(rig, effort.ends),
        Cell::Cipher => anyhow::bail!("the cipher is measured without a product"),
    }
}

/// What happened between two readings of a counter.
struct Observed<T> {
    before: T,
    after: T,
    seconds: f64,
    client_cpu_s: f64,
    server_cpu_s: f64,
    foreign_cores: f64,
}

fn observe<T>(rig: &Rig, effort: &Effort, read: impl Fn() -> T) -> anyhow::Result<Observed<T>> {
    let clocks = [ProcessCpu::of(rig.client_pid()), ProcessCpu::of(rig.server_pid())];
    let own = ProcessCpu::of(std::process::id());
    thread::sleep(effort.warm_up);
    let cpu_before = [clocks[0].read()?, clocks[1].read()?, own.read()?];
    let system_before = SystemClock::read()?;
    let (start, before) = (Instant::now(), read());
    thread::sleep(effort.window);
    let (seconds, after) = (start.elapsed().as_secs_f64(), read());
    let cpu_after = [clocks[0].read()?, clocks[1].read()?, own.read()?];
    let system_after = SystemClock::read()?;
    let [client, server, harness] = std::array::from_fn(|i| match (cpu_before.get(i), cpu_after.get(i)) {
        (Some(before), Some(after)) => after.since(before).as_secs_f64(),
        _ => 0.0,
    });
    let busy = system_after.busy_since(&system_before);
    Ok(Observed {
        before,
        after,
        seconds,
        client_cpu_s: client,
        server_cpu_s: server,
        foreign_cores: foreign_cores(busy, client + server + harness, seconds),
    })
}

fn handshakes(rig: &Rig, connections: usize) -> anyhow::Result<Outcome> {
    let clocks = [ProcessCpu::of(rig.client_pid()), ProcessCpu::of(rig.server_pid())];
    let before = [clocks[0].read()?, clocks[1].read()?];
    for _ in 0..connections {
        ping(Entry::Forward(rig.forward))?;
    }
    // What a product does late belongs to the connection too.
    rig.target.wait_idle(LEAVE_LIMIT);
    thread::sleep(HANDSHAKE_SETTLE);
    let [client_cpu_s, server_cpu_s] = [
        clocks[0].read()?.since(&before[0]).as_secs_f64(),
        clocks[1].read()?.since(&before[1]).as_secs_f64(),
    ];
    let reading = Reading::Handshake { connections, client_cpu_s, server_cpu_s };
    Ok(Outcome { reading, foreign_cores: None })
}

fn idle_memory(rig: &Rig, connections: usize) -> anyhow::Result<Outcome> {
    // The first connections make the product load what it loads once.
    for _ in 0..3 {
        ping(Entry::Forward(rig.forward))?;
    }
    rig.target.wait_idle(LEAVE_LIMIT);
    let (client_base_kib, server_base_kib) =
        (memory::pss_kib(rig.client_pid())?, memory::pss_kib(rig.server_pid())?);
    let open = |number: usize| {
        ping(Entry::Forward(rig.forward))
            .with_context(|| format!("connection {} of {connections}", number + 1))
    };
    let held: Vec<_> = (0..connections).map(open).collect::<anyhow::Result<_>>()?;
    thread::sleep(IDLE_SETTLE);
    let (client_kib, server_kib) = (memory::pss_kib(rig.client_pid())?, memory::pss_kib(rig.server_pid())?);
    drop(held);
    let reading =
        Reading::IdleMemory { connections, client_base_kib, server_base_kib, client_kib, server_kib };
    Ok(Outcome { reading, foreign_cores: None })
}

fn ends(rig: &Rig, tries: usize) -> anyhow::Result<Outcome> {
    let (mut down_ms, mut up_ms, mut answered) = (Vec::new(), Vec::new(), 0);
    let millis = |delay: Duration| delay.as_secs_f64() * 1e3;
    for _ in 0..tries {
        down_ms.push(millis(end::target_closes(rig.forward, &rig.target)?));
        let half = end::client_half_closes(rig.forward, &rig.target)?;
        up_ms.extend(half.delay.map(millis));
        answered += usize::from(half.answered);
    }
    let reading = Reading::EndOfStream { down_ms, up_ms, half_closes: tries, answered };
    Ok(Outcome { reading, foreign_cores: None })
}
