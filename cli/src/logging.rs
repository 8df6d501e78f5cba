//! Where log lines go: standard error, so that results on standard output stay clean.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

use crate::terminal;

/// How much is logged, and in which form.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// What to log: error, warn, info, debug, trace, or a filter such as `info,commucat_websocket=debug`
    #[arg(long, global = true, env = "COMMUCAT_LOG", value_name = "FILTER", help_heading = "Logging")]
    log: Option<String>,

    /// Log lines as JSON
    #[arg(long, global = true, help_heading = "Logging")]
    log_json: bool,

    /// Show addresses and host names of users in debug lines; they are redacted otherwise
    #[arg(long, global = true, help_heading = "Logging")]
    log_addresses: bool,
}

/// Starts logging; `default` is the filter when none was given.
pub(crate) fn start(args: &LogArgs, default: &str) -> anyhow::Result<()> {
    commucat_transport_api::reveal_redacted(args.log_addresses);
    let filter = EnvFilter::try_new(args.log.as_deref().unwrap_or(default))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(terminal::colour(io::stderr().is_terminal()))
        .with_writer(io::stderr);
    if args.log_json {
        subscriber.json().init();
    } else {
        subscriber.with_target(false).compact().init();
    }
    Ok(())
}
