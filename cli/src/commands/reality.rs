//! `commucat reality`: what an operator of REALITY needs beside the bridge: keys, a site, our hellos and newer ones.

mod fingerprint;
mod keys;
mod pack;

use commucat_measure::{Consent, DestConfig, Risk};

use crate::{commands::probe, exit::Exit};

/// Keys for REALITY, sites to imitate, and the hellos of our clients
#[derive(Debug, clap::Args)]
pub(crate) struct RealityArgs {
    #[command(subcommand)]
    command: RealityCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RealityCommand {
    Keys(keys::KeysArgs),
    CheckTarget(CheckTargetArgs),
    Fingerprint(fingerprint::FingerprintArgs),
    Pack(pack::PackArgs),
}

/// See whether sites are fit to be imitated
#[derive(Debug, clap::Args)]
struct CheckTargetArgs {
    /// The sites, as HOST or HOST:PORT
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,

    /// One JSON line a site
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: RealityArgs) -> anyhow::Result<Exit> {
    match args.command {
        RealityCommand::Keys(args) => keys::run(&args),
        RealityCommand::Fingerprint(args) => fingerprint::run(&args),
        RealityCommand::Pack(args) => pack::run(args),
        RealityCommand::CheckTarget(args) => {
            // Naming a site here is the consent to look at it.
            let mut config = DestConfig::default();
            config.consent = Consent::up_to(Risk::Medium);
            probe::look_at_sites(&args.hosts, &config, args.json).await
        }
    }
}
