//! `commucat probe bridge` and `commucat probe dest`: a bridge as an active prober sees it, and sites to hide behind.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use commucat_measure::{
    BridgeConfig, DestConfig, Impression, ProbeConfig, Suitability, Surroundings, Targets, bridge as survey,
    dest as look, single,
};
use commucat_net::SystemNet;
use commucat_transport_api::{HostPort, Net};
use commucat_verdict::observations::Subtest;

use super::measure::RiskClass;
use crate::{
    exit::{Exit, OrExit as _},
    terminal::{note, say, say_json},
};

/// See a bridge as an active prober does, and whether it differs from the site it imitates
#[derive(Debug, clap::Args)]
pub(super) struct BridgeArgs {
    /// The bridge
    #[arg(value_name = "HOST:PORT")]
    bridge: HostPort,

    /// The site it imitates
    #[arg(long, value_name = "HOST:PORT")]
    dest: Option<HostPort>,

    /// The name to say in hellos
    #[arg(long, value_name = "HOST")]
    name: Option<String>,

    /// Replay this recorded first flight, too
    #[arg(long, value_name = "FILE")]
    flight: Option<PathBuf>,

    /// Agree to active probes; they are risk class high
    #[arg(long, value_name = "CLASS", value_enum, default_value_t = RiskClass::Low)]
    risk: RiskClass,

    /// Targets to find out with whether this network is censored: from inside one, this burns the bridge
    #[arg(long, value_name = "FILE", env = "COMMUCAT_PROBE_TARGETS")]
    targets: Option<PathBuf>,

    /// Go on although this network is censored, or nobody knows whether it is
    #[arg(long)]
    i_understand: bool,

    /// Decides the random ones among the probes
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Everything as one JSON document
    #[arg(long)]
    json: bool,
}

/// See whether sites are fit to be imitated by REALITY
#[derive(Debug, clap::Args)]
pub(super) struct DestArgs {
    /// The sites
    #[arg(value_name = "HOST:PORT", required = true)]
    hosts: Vec<String>,

    /// Agree to looking at other people's hosts; that is risk class medium
    #[arg(long, value_name = "CLASS", value_enum, default_value_t = RiskClass::Low)]
    risk: RiskClass,

    /// One JSON line a site
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: BridgeArgs) -> anyhow::Result<Exit> {
    let net: Arc<dyn Net> = SystemNet::new();
    let mut config = BridgeConfig::new(args.bridge);
    config.dest = args.dest;
    config.name = args.name;
    config.seed = args.seed;
    config.understood = args.i_understand;
    config.consent = args.risk.consent();
    if let Some(file) = &args.flight {
        config.flight = Some(std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    if let Some(file) = &args.targets {
        let targets = Targets::load(file).or_exit(Exit::Usage)?;
        let run = single(Subtest::Allowlist, ProbeConfig::new(targets, args.seed), Arc::new(()))
            .await
            .or_exit(Exit::Usage)?;
        config.surroundings = Surroundings::of(&run);
    }
    let report = survey(&net, &config).await.or_exit(Exit::Usage)?;
    if args.json {
        say_json(&report)?;
    } else {
        say(&report.summary)?;
        if let Some(comparison) = &report.comparison {
            for difference in &comparison.differences {
                say(format_args!("  {difference}"))?;
            }
        }
        report.left_out.iter().for_each(|left| note(format_args!("not probed: {left}")));
    }
    Ok(match report.impression {
        Impression::LikeSite => Exit::Ok,
        Impression::UnlikeSite => Exit::Code(1),
        _ => Exit::Code(2),
    })
}

pub(super) async fn dest(args: DestArgs) -> anyhow::Result<Exit> {
    let mut config = DestConfig::default();
    config.consent = args.risk.consent();
    look_at_sites(&args.hosts, &config, args.json).await
}

/// Looks at sites and says of each whether it is fit; the best one decides the exit code.
pub(crate) async fn look_at_sites(hosts: &[String], config: &DestConfig, json: bool) -> anyhow::Result<Exit> {
    let hosts = hosts.iter().map(|host| parse(host)).collect::<anyhow::Result<Vec<_>>>()?;
    let net: Arc<dyn Net> = SystemNet::new();
    let reports = look(&net, &hosts, config).await.or_exit(Exit::Usage)?;
    let mut best = Suitability::Unsuitable;
    for report in reports {
        if report.suitability < best {
            best = report.suitability;
        }
        if json {
            say_json(&report)?;
            continue;
        }
        say(format_args!("{}: {}", report.host, word(report.suitability)))?;
        for reason in &report.reasons {
            say(format_args!("  {} {}", sign(reason.weight), reason.text))?;
        }
    }
    Ok(match best {
        Suitability::Suitable => Exit::Ok,
        Suitability::Usable => Exit::Code(2),
        _ => Exit::Code(1),
    })
}

/// A host alone means port 443.
fn parse(text: &str) -> anyhow::Result<HostPort> {
    text.parse().or_else(|_no_port| format!("{text}:443").parse()).or_usage("write HOST or HOST:PORT")
}

const fn word(suitability: Suitability) -> &'static str {
    match suitability {
        Suitability::Suitable => "suitable",
        Suitability::Usable => "usable",
        _ => "unsuitable",
    }
}

const fn sign(weight: Suitability) -> &'static str {
    match weight {
        Suitability::Suitable => "✓",
        Suitability::Usable => "~",
        _ => "✗",
    }
}
