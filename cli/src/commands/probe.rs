//! `commucat probe`: what this network does to connections.

mod bridge;
mod files;
mod live;
mod measure;
mod serve;
mod transport;
mod watch;

use commucat_verdict::observations::Subtest;

pub(crate) use self::bridge::look_at_sites;
use crate::exit::{CodedError, Exit};

/// Measure what this network does to connections
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Measurements go to control servers of your own (`commucat probe serve`), named in a file: --targets FILE, see
configs/probe-targets.toml. Nothing is ever uploaded. `commucat lab shell` has a network to try this in.

Exit codes:
  0 nothing found · 1 interference · 2 inconclusive · 3 no network · 64 bad arguments · 70 could not measure")]
pub(crate) struct ProbeArgs {
    #[command(subcommand)]
    command: ProbeCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ProbeCommand {
    /// All that matters, in about a minute
    Quick(measure::MeasureArgs),
    /// This machine: routes, resolvers, clock, tunnels, and whether control servers answer
    Env(measure::MeasureArgs),
    /// Forged, hijacked and missing answers of resolvers
    Dns(measure::MeasureArgs),
    /// Names and fingerprints in TLS hellos
    Tls(measure::MeasureArgs),
    /// QUIC, and names in its Initials
    Quic(measure::MeasureArgs),
    /// Datagrams, and the shapes of VPN protocols
    Udp(measure::MeasureArgs),
    /// Flows that freeze after so many packets or bytes
    Freeze(measure::MeasureArgs),
    /// Limits of parallel connections
    Conns(measure::MeasureArgs),
    /// Names that are slowed down
    Throttle(measure::MeasureArgs),
    /// Networks that let only chosen protocols, ports, names or addresses through
    Allowlist(measure::MeasureArgs),
    /// Traffic without structure that is dropped
    Fet(measure::MeasureArgs),
    /// Encrypted Client Hello that is dropped
    Ech(measure::MeasureArgs),
    Transport(transport::TransportArgs),
    Bridge(bridge::BridgeArgs),
    Dest(bridge::DestArgs),
    Watch(watch::WatchArgs),
    Diff(files::DiffArgs),
    Explain(files::ExplainArgs),
    Report(files::ReportArgs),
    Serve(serve::ServeArgs),
}

/// The exit code for bad arguments (sysexits' EX_USAGE).
pub(crate) const BAD_ARGUMENTS: u8 = 64;
/// The exit code for a measurement that could not be made (sysexits' EX_SOFTWARE).
const NOT_MEASURED: u8 = 70;

pub(crate) async fn run(args: ProbeArgs) -> anyhow::Result<Exit> {
    use ProbeCommand as C;
    let result = match args.command {
        C::Quick(args) => measure::quick(args).await,
        C::Env(args) => measure::single(Subtest::Env, args).await,
        C::Dns(args) => measure::single(Subtest::Dns, args).await,
        C::Tls(args) => measure::single(Subtest::Tls, args).await,
        C::Quic(args) => measure::single(Subtest::Quic, args).await,
        C::Udp(args) => measure::single(Subtest::Udp, args).await,
        C::Freeze(args) => measure::single(Subtest::Freeze, args).await,
        C::Conns(args) => measure::single(Subtest::Conns, args).await,
        C::Throttle(args) => measure::single(Subtest::Throttle, args).await,
        C::Allowlist(args) => measure::single(Subtest::Allowlist, args).await,
        C::Fet(args) => measure::single(Subtest::Fet, args).await,
        C::Ech(args) => measure::single(Subtest::Ech, args).await,
        C::Transport(args) => transport::run(args).await,
        C::Bridge(args) => bridge::run(args).await,
        C::Dest(args) => bridge::dest(args).await,
        C::Watch(args) => watch::run(args).await,
        C::Diff(args) => files::diff(&args),
        C::Explain(args) => files::explain(&args),
        C::Report(args) => files::report(&args),
        C::Serve(args) => serve::run(args).await,
    };
    result.map_err(with_probe_code)
}

/// Within `probe`, 1 and 2 say what was found; what went wrong has codes of its own.
fn with_probe_code(error: anyhow::Error) -> anyhow::Error {
    let coded = error.chain().find_map(|cause| cause.downcast_ref::<CodedError>());
    let (code, hint) = match coded {
        Some(coded) if coded.exit() == Exit::Usage => (BAD_ARGUMENTS, coded.hint().map(str::to_owned)),
        Some(coded) => (NOT_MEASURED, coded.hint().map(str::to_owned)),
        None => (NOT_MEASURED, None),
    };
    CodedError::new(error, Exit::Code(code), hint).into()
}
