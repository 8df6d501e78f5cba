//! `commucat lab`: a network with a censor in it, on this machine.

mod check;
mod judge;
mod list;
mod probe;
mod shell;
mod subjects;

use std::path::PathBuf;

use anyhow::Context as _;
use commucat_censor::{Profile, SpecError};
use commucat_lab::{LabError, ensure_privileges};

use crate::exit::{Exit, OrExit as _, usage};

/// Try transports, programs and probes behind a censor that runs on this machine
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A lab is two network namespaces and one process between them. It needs /dev/net/tun, and root or user namespaces;
it touches nothing outside its namespaces and leaves nothing behind.

  commucat lab list                                  what censors there are
  commucat lab run --profile ru-2026 --transport all which transports get through
  commucat lab shell --profile cn-2025               a shell of somebody there: try curl")]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, clap::Subcommand)]
enum LabCommand {
    List(list::ListArgs),
    Run(judge::RunArgs),
    Matrix(judge::MatrixArgs),
    Check(check::CheckArgs),
    Probe(probe::ProbeArgs),
    Shell(shell::ShellArgs),
}

/// Runs in the main thread before there are others: a process without rights becomes root of its own user namespace.
pub(crate) fn run(args: LabArgs) -> anyhow::Result<Exit> {
    if let LabCommand::List(args) = &args.command {
        return list::run(args);
    }
    ensure_privileges().map_err(not_allowed)?;
    match args.command {
        LabCommand::List(_) => Ok(Exit::Ok),
        LabCommand::Run(args) => judge::run(&args),
        LabCommand::Matrix(args) => judge::matrix(&args),
        LabCommand::Check(args) => check::run(&args),
        LabCommand::Probe(args) => probe::run(&args),
        LabCommand::Shell(args) => shell::run(&args),
    }
}

/// The network that a lab has.
#[derive(Debug, clap::Args)]
struct Network {
    /// A profile (see `commucat lab list`), policies such as gfw-fet?p=1+link?delay=80ms, or a TOML file
    #[arg(long, short, value_name = "PROFILE", default_value = "clean")]
    profile: String,

    #[command(flatten)]
    nature: Nature,
}

/// What is random in a lab, and how fast its time runs.
#[derive(Debug, clap::Args)]
struct Nature {
    /// Everything random follows from it
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Multiplies penalties and windows that the profile leaves at their defaults: 0.05 makes 180 s to 9 s
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    time_scale: f64,
}

fn factor(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_error| "a number is expected".to_owned())?;
    if number > 0.0 && number <= 1.0 { Ok(number) } else { Err("more than 0 and at most 1".to_owned()) }
}

/// A profile by name, as a chain, or from a file.
fn profile(text: &str) -> anyhow::Result<Profile> {
    let file = PathBuf::from(text);
    if text.ends_with(".toml") && file.is_file() {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        return Profile::from_toml(&text).map_err(|error| unknown(&error));
    }
    Profile::parse(text).map_err(|error| unknown(&error))
}

fn unknown(error: &SpecError) -> anyhow::Error {
    usage(error, "`commucat lab list` shows profiles, policies and their parameters")
}

fn not_allowed(error: LabError) -> anyhow::Error {
    match error {
        // Its text says what is missing and which command helps.
        LabError::Missing(missing) => {
            usage(missing, "the lab is the only part of this program that needs these rights")
        }
        other => other.into(),
    }
}

/// A lab's failure is nobody's fault in the link or the arguments.
fn failed<T>(result: Result<T, impl Into<anyhow::Error>>) -> anyhow::Result<T> {
    result.or_exit(Exit::Failed)
}
