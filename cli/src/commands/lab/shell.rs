//! `commucat lab shell`: to be somebody in that country, and try by hand.

use std::{ffi::OsString, io::Write as _, path::PathBuf};

use anyhow::Context as _;
use commucat_lab::{
    Lab, LabConfig, Place,
    services::{World, WorldPlan},
};

use super::{Network, failed, profile};
use crate::{
    exit::Exit,
    terminal::{Style, Styled, note},
};

/// Open a shell behind the censor, or run one command there
#[derive(Debug, clap::Args)]
pub(super) struct ShellArgs {
    #[command(flatten)]
    network: Network,

    /// Where to be
    #[arg(long, value_enum, default_value_t = Where::Client)]
    place: Where,

    /// Keep client.pcap, world.pcap and events.jsonl in this folder
    #[arg(long, value_name = "FOLDER")]
    capture: Option<PathBuf>,

    /// The command, after --; your shell by default
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Where {
    /// The censored user's machine
    Client,
    /// Everything else: bridges, web sites, control servers
    World,
    /// From where the censor probes
    Prober,
}

pub(super) fn run(args: &ShellArgs) -> anyhow::Result<Exit> {
    let mut config = LabConfig::new(profile(&args.network.profile)?);
    config.seed = args.network.nature.seed;
    config.time_scale = args.network.nature.time_scale;
    config.capture_dir.clone_from(&args.capture);
    let name = config.profile.name.clone();
    let lab = failed(Lab::start(config))?;
    let plan = WorldPlan::default();
    let world = failed(World::start(lab.world(), &plan))?;
    let place: &Place = match args.place {
        Where::Client => lab.client(),
        Where::World => lab.world(),
        Where::Prober => lab.prober(),
    };
    failed(world.trusted_in(place))?;
    let mut targets = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    targets.write_all(plan.probe_targets().as_bytes()).context("cannot write a temporary file")?;
    place.set_env("COMMUCAT_PROBE_TARGETS", targets.path());
    for remark in lab.notes() {
        note(remark);
    }
    let status = match args.command.split_first() {
        Some((program, rest)) => failed(place.interactive(program, rest))?,
        None => {
            introduce(&name, &plan);
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
            failed(place.interactive(shell, std::iter::empty::<OsString>()))?
        }
    };
    drop(world);
    let summary = failed(lab.stop())?;
    for event in &summary.events {
        let packets =
            if event.packets == 1 { "1 packet".to_owned() } else { format!("{} packets", event.packets) };
        note(format_args!("the censor: {} {}, {packets}", event.policy, action(event.action)));
    }
    // What a signal ended has no code.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(Exit::Failed, Exit::Code))
}

/// What a policy did, in the words of the event file.
fn action(done: commucat_censor::Done) -> String {
    serde_json::to_value(done).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn introduce(profile: &str, plan: &WorldPlan) {
    note(Styled(Style::Bold, format_args!("You are in the lab, behind {profile}. Leave it with `exit`.")));
    for site in &plan.sites {
        note(format_args!("  {:<24} https://{}", site.https.ip(), site.name));
    }
    for control in &plan.controls {
        let at = control.tcp.first().map(|at| at.ip().to_string()).unwrap_or_default();
        note(format_args!("  {at:<24} control server {}", control.name.as_deref().unwrap_or_default()));
    }
    note(
        "  try: curl -sv https://innocent.example/   curl -sv https://blocked.example/   commucat probe quick",
    );
}
