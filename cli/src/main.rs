//! The `commucat` program: a bridge, a client and the tools around them, each a file under `commands/`.
#![forbid(unsafe_code)]

mod commands {
    pub(crate) mod completions;
    pub(crate) mod connect;
    pub(crate) mod demo;
    pub(crate) mod doctor;
    pub(crate) mod lab;
    pub(crate) mod link;
    pub(crate) mod probe;
    pub(crate) mod reality;
    pub(crate) mod serve;
    pub(crate) mod up;
    pub(crate) mod user;
}
mod exit;
mod given;
mod hellos;
mod live;
mod logging;
mod qr;
mod running;
mod terminal;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::{
    commands::{completions, connect, demo, doctor, lab, link, probe, reality, serve, up, user},
    exit::{CodedError, Exit},
    logging::LogArgs,
    terminal::{Style, Styled, note},
};

const AFTER_HELP: &str = "\
Begin:
  commucat up                    on the bridge: makes keys, starts, prints one link and a QR code
  commucat connect LINK          on the client: one local port that speaks SOCKS5 and HTTP
  commucat doctor LINK           says in one sentence why it does not work
  commucat demo                  both on this machine, with proof

Exit codes:
  0 done · 1 failed · 2 bad arguments, link or configuration · 3 unreachable
  4 the bridge does not accept us (key, user, clock, version) · 5 blocked on the way";

/// Reach the open Internet through bridges that look like something else
#[derive(Debug, clap::Parser)]
#[command(name = "commucat", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Up(up::UpArgs),
    Serve(serve::ServeArgs),
    User(user::UserArgs),
    Connect(connect::ConnectArgs),
    Doctor(doctor::DoctorArgs),
    Lab(lab::LabArgs),
    Link(link::LinkArgs),
    Probe(probe::ProbeArgs),
    Reality(reality::RealityArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
}

impl Command {
    /// What is logged when nobody said: a bridge tells its operator what happens, a client's person sees the status line.
    const fn default_log(&self) -> &'static str {
        match self {
            Self::Up(_) | Self::Serve(_) => "info",
            // What a network does to a measurement is the result, and names addresses.
            Self::Lab(_) | Self::Probe(_) => "warn,quinn_udp=error",
            _ => "warn",
        }
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return bad_arguments(&error),
    };
    match start(cli) {
        Ok(exit) => exit.into(),
        Err(error) => report(&error).into(),
    }
}

/// Help and version are no errors; `probe` has a code of its own for bad arguments, because its 2 says something else.
fn bad_arguments(error: &clap::Error) -> ExitCode {
    // A closed pipe is the reader's choice.
    error.print().ok();
    let of_probe = std::env::args_os().nth(1).is_some_and(|command| command == "probe");
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if of_probe => Exit::Code(probe::BAD_ARGUMENTS).into(),
        _ => Exit::Usage.into(),
    }
}

fn start(cli: Cli) -> anyhow::Result<Exit> {
    logging::start(&cli.log, cli.command.default_log())
        .map_err(|error| exit::usage(format!("{error:#}"), "see --log in `commucat --help`"))?;
    // A lab moves into its namespaces thread by thread: it brings its own runtimes, and must begin with one thread.
    let command = match cli.command {
        Command::Lab(args) => return lab::run(args),
        other => other,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = |result: anyhow::Result<()>| result.map(|()| Exit::Ok);
    let result = runtime.block_on(async {
        match command {
            Command::Up(args) => done(up::run(args).await),
            Command::Serve(args) => done(serve::run(args).await),
            Command::User(args) => done(user::run(args).await),
            Command::Connect(args) => done(connect::run(args).await),
            Command::Doctor(args) => doctor::run(args).await,
            // It returned before there was a runtime.
            Command::Lab(_) => Ok(Exit::Ok),
            Command::Probe(args) => Box::pin(probe::run(args)).await,
            Command::Reality(args) => Box::pin(reality::run(args)).await,
            Command::Link(args) => done(link::run(args)),
            Command::Demo(args) => done(demo::run(args).await),
            Command::Completions(args) => done(completions::run(&args)),
        }
    });
    // A blocking name lookup must not hold the program back when it ends.
    runtime.shutdown_background();
    result
}

/// Says what went wrong, why, and what to do next.
fn report(error: &anyhow::Error) -> Exit {
    note(format_args!("{} {error}", Styled(Style::Bad, "error:")));
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // A wrapper that repeats its source has nothing to add.
        if !said.contains(&cause) {
            note(format_args!("  because: {cause}"));
            said = cause;
        }
    }
    let Some(coded) = error.chain().find_map(|cause| cause.downcast_ref::<CodedError>()) else {
        return Exit::Failed;
    };
    if let Some(hint) = coded.hint() {
        note(format_args!("  {} {hint}", Styled(Style::Bold, "help:")));
    }
    coded.exit()
}
