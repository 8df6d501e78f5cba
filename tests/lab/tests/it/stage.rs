//! A lab with its services, and programs of others in it.

use std::{
    env,
    path::PathBuf,
    process::Output,
    time::{Duration, Instant},
};

use commucat_censor::{Done, Event, Profile};
use commucat_lab::{
    Lab, LabConfig, PlaceCommand, check_privileges,
    services::{World, WorldPlan},
};

/// Longest time of a foreign program.
pub(crate) const PROGRAM_TIME: Duration = Duration::from_secs(60);

/// Longest time until the judge has said what it did.
const EVENT_TIME: Duration = Duration::from_secs(20);

/// Whether the judge did something to a packet.
const fn touches(event: &Event) -> bool {
    !matches!(event.action, Done::Tag | Done::Probe | Done::Note)
}

/// A lab, what stands in its world, and a client that trusts it.
pub(crate) struct Stage {
    // The services end before the place in which they run.
    pub(crate) world: World,
    pub(crate) lab: Lab,
}

impl Stage {
    /// A lab with this chain, as [`bare`].
    pub(crate) fn with(chain: &str) -> Option<Self> {
        let lab = bare(chain)?;
        let world = World::start(lab.world(), &WorldPlan::default().lean()).unwrap();
        world.trusted_in(lab.client()).unwrap();
        Some(Self { world, lab })
    }

    /// What the judge did that touched packets.
    pub(crate) fn acts(&self) -> Vec<Event> {
        self.lab.events().into_iter().filter(touches).collect()
    }

    /// Asserts that this policy acts, and no other did. The line about a packet may come a moment after the packet.
    #[track_caller]
    pub(crate) fn blamed(&self, policy: &str) {
        self.lab.wait_for_event(0, EVENT_TIME, touches);
        let acts = self.acts();
        assert!(!acts.is_empty(), "the judge did nothing");
        assert!(acts.iter().all(|event| event.policy == policy), "{acts:?}");
    }

    /// Asserts that the judge did nothing to anybody.
    #[track_caller]
    pub(crate) fn untouched(&self) {
        let acts = self.acts();
        assert!(acts.is_empty(), "{acts:?}");
    }
}

/// A lab in whose world nothing listens; `None` after one line that says what is missing. In CI nothing may be.
pub(crate) fn bare(chain: &str) -> Option<Lab> {
    if let Err(missing) = check_privileges() {
        skip(&format!("no lab here: {missing}"));
        return None;
    }
    Some(Lab::start(LabConfig::new(Profile::parse(chain).unwrap())).unwrap())
}

/// Where the program is; `None` after the line that says how to get it. In CI every program must be there.
pub(crate) fn program(name: &str, package: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places =
        env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into(), "/usr/local/sbin".into()]);
    let found = places.map(|place| place.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{name} is missing (apt-get install {package})"));
    }
    found
}

/// Says that a test is skipped; where nothing may be, it fails instead.
#[allow(clippy::print_stdout, reason = "a skipped test must say so")]
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("CI").is_none(), "{why}");
    println!("skipped: {why}");
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn run(command: &mut PlaceCommand<'_>) -> Output {
    command.output(PROGRAM_TIME).unwrap()
}

/// Runs a program that must succeed, and gives what it printed.
#[track_caller]
pub(crate) fn succeed(command: &mut PlaceCommand<'_>) -> String {
    let output = run(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}: {out}{err}", output.status);
    out.into_owned()
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PROGRAM_TIME;
    while !is_so() {
        assert!(Instant::now() < end, "not within {} s: {what}", PROGRAM_TIME.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}
