//! `commucat lab probe`: whether the probe names what the lab's censors do, and nothing else.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::Context as _;
use commucat_censor::Profile;
use commucat_lab::{
    Lab, LabConfig,
    services::{World, WorldPlan},
};
use commucat_measure::{ProbeConfig, Run, Targets, quick};
use commucat_verdict::{Confidence, ids};
use serde::Serialize;

use super::profile;
use crate::{
    exit::Exit,
    terminal::{note, say, say_json, table},
};

/// Run `commucat probe quick` behind censors, and compare what it names with what they do
#[derive(Debug, clap::Args)]
pub(super) struct ProbeArgs {
    /// The profiles; all by default
    #[arg(long, short, value_name = "PROFILE", value_delimiter = ',')]
    profile: Vec<String>,

    /// Runs a profile, each with another seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    seeds: u16,

    /// The first seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Labs at one time
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,

    /// One JSON line a run
    #[arg(long)]
    json: bool,
}

/// One run beside what its profile holds.
#[derive(Clone, Debug, Serialize)]
struct Judged {
    profile: String,
    seed: u64,
    named: BTreeSet<String>,
    missed: Vec<String>,
    invented: Vec<String>,
    /// Why there was no run.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

impl Judged {
    fn right(&self) -> bool {
        self.missed.is_empty() && self.invented.is_empty() && self.broken.is_none()
    }
}

pub(super) fn run(args: &ProbeArgs) -> anyhow::Result<Exit> {
    let profiles = match args.profile.as_slice() {
        [] => Profile::all(),
        some => some.iter().map(|name| profile(name)).collect::<anyhow::Result<_>>()?,
    };
    let seeds = args.seed..args.seed.saturating_add(args.seeds.into());
    let work: Vec<(&Profile, u64)> =
        seeds.flat_map(|seed| profiles.iter().map(move |profile| (profile, seed))).collect();
    let judged = all(&work, args.jobs.into(), |one| {
        if !args.json {
            let sign = if one.right() { "✓" } else { "✗" };
            note(format_args!("{sign} {} seed {}: {}", one.profile, one.seed, words(one)));
        }
    });
    for one in judged.iter().filter(|_| args.json) {
        say_json(one)?;
    }
    if !args.json {
        say(summary(&profiles, &judged))?;
    }
    Ok(if judged.iter().all(Judged::right) { Exit::Ok } else { Exit::Failed })
}

fn all(work: &[(&Profile, u64)], jobs: usize, tell: impl Fn(&Judged) + Sync) -> Vec<Judged> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _job in 0..jobs {
            scope.spawn(|| {
                while let Some((profile, seed)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = judge(profile, *seed);
                    tell(&one);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn judge(profile: &Profile, seed: u64) -> Judged {
    let mut judged = Judged {
        profile: profile.name.clone(),
        seed,
        named: BTreeSet::new(),
        missed: Vec::new(),
        invented: Vec::new(),
        broken: None,
    };
    let run = match measure(profile, seed) {
        Ok(run) => run,
        Err(error) => {
            judged.broken = Some(format!("{error:#}"));
            return judged;
        }
    };
    judged.named = named(&run);
    let missing = |id: &&String| *id != ids::OK && !judged.named.contains(*id);
    judged.missed = profile.expected.iter().filter(missing).cloned().collect();
    let unknown = |id: &&String| !profile.expected.contains(*id) && !profile.also_true.contains(*id);
    judged.invented = judged.named.iter().filter(unknown).cloned().collect();
    judged
}

/// One run of the quick set in a lab of its own.
fn measure(profile: &Profile, seed: u64) -> anyhow::Result<Run> {
    let mut config = LabConfig::new(profile.clone());
    config.seed = seed;
    let lab = Lab::start(config)?;
    let plan = WorldPlan::default();
    let world = World::start(lab.world(), &plan)?;
    let targets = Targets::parse(&plan.probe_targets()).context("the lab's own targets")?;
    let config = ProbeConfig::new(targets, seed);
    let runtime = lab.client().runtime()?;
    let run = runtime.block_on(async move { quick(config, Arc::new(())).await })??;
    drop(runtime);
    drop(world);
    lab.stop()?;
    Ok(run)
}

/// What was found, without what stays open.
fn named(run: &Run) -> BTreeSet<String> {
    run.findings
        .iter()
        .filter(|found| found.confidence > Confidence::Open)
        .map(|found| found.verdict_id.to_string())
        .filter(|id| id != ids::OK && id != ids::INCONCLUSIVE)
        .collect()
}

fn words(one: &Judged) -> String {
    if let Some(broken) = &one.broken {
        return format!("could not be run: {broken}");
    }
    let list = |what: &str, ids: &[String]| match ids {
        [] => String::new(),
        some => format!("; {what} {}", some.join(" ")),
    };
    let named: Vec<&str> = one.named.iter().map(String::as_str).collect();
    let named = if named.is_empty() { "nothing".to_owned() } else { named.join(" ") };
    format!("named {named}{}{}", list("missed", &one.missed), list("invented", &one.invented))
}

fn summary(profiles: &[Profile], judged: &[Judged]) -> String {
    let mut rows = vec![["profile", "should name", "right"].map(str::to_owned).to_vec()];
    for profile in profiles {
        let of = || judged.iter().filter(|one| one.profile == profile.name);
        let right = of().filter(|one| one.right()).count();
        rows.push(vec![
            profile.name.clone(),
            profile.expected.join(" "),
            format!("{right}/{}", of().count()),
        ]);
    }
    table(&rows)
}
