//! The lab: three places, a link and a censor between them.

mod places;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use commucat_censor::{Event, Geography, Judge, Lists, ProbeOutcome, ProbeRequest, Profile, Stats};
use places::Places;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    LabConfig, LabError, Layout, Place, check_privileges,
    record::{CaptureSummary, EventTotal, EventView},
    wire::{Traffic, Wire, WireConfig},
};

/// A running lab. Dropping it ends everything that runs in it; so does the end of this process, whatever ends it.
///
/// Any number of labs run beside each other: nothing of them has a name outside their namespaces.
#[derive(Debug)]
pub struct Lab {
    // Fields drop in this order: the loop ends before the devices that it reads are gone.
    wire: Wire,
    places: Places,
    layout: Layout,
    rules: Rules,
    notes: Vec<String>,
    probes: Mutex<Option<mpsc::Receiver<ProbeRequest>>>,
}

/// What a lab saw from its start to its end.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LabSummary {
    /// How long it ran, in milliseconds.
    pub ran_ms: u64,
    /// What went through it.
    pub traffic: Traffic,
    /// What the censor did, counted exactly.
    pub events: Vec<EventTotal>,
    /// What the judge says of itself; after a change of the profile, the last one.
    pub judge: Stats,
    /// The files that were asked for, each with what became of it.
    pub captures: Vec<CaptureSummary>,
    /// Calls of the active prober that were refused because too many waited.
    pub probes_refused: u64,
    /// What the system did not allow although the lab can do without, a line each.
    pub notes: Vec<String>,
}

/// What a judge is made with, beside a profile.
#[derive(Debug)]
struct Rules {
    geography: Geography,
    lists: Lists,
    time_scale: f64,
}

impl Rules {
    fn judge(&self, profile: &Profile, seed: u64) -> Result<Judge, LabError> {
        Ok(Judge::new(profile, &self.geography, &self.lists, seed, self.time_scale)?)
    }
}

impl Lab {
    /// Makes the places and starts the packet loop between them. Blocks for some tens of milliseconds.
    ///
    /// # Errors
    /// [`LabError::Missing`] when the system does not allow it: call [`crate::ensure_privileges`] at the start of the
    /// program. The others when a part could not be made.
    pub fn start(config: LabConfig) -> Result<Self, LabError> {
        check_privileges()?;
        let layout = Layout::new(&config.geography)?;
        let rules = Rules {
            geography: config.geography.clone(),
            lists: config.lists.clone(),
            time_scale: config.time_scale,
        };
        let judge = rules.judge(&config.profile, config.seed)?;
        let [client, world, prober] = places::make(&layout, config.congestion.as_deref())?;
        let notes = [client.notes, world.notes, prober.notes].concat();
        let (wire, probes) = Wire::start(WireConfig {
            client: client.tun,
            world: world.tun,
            prober: prober.tun,
            client_net: layout.client_net,
            prober_net: layout.prober_net,
            judge,
            link: config.profile.link,
            seed: config.seed,
            capture_dir: config.capture_dir,
            capture_bytes_max: config.capture_bytes_max,
        })?;
        let places = Places { client: client.place, world: world.place, prober: prober.place };
        Ok(Self { wire, places, layout, rules, notes, probes: Mutex::new(Some(probes)) })
    }

    /// Where the censored user is.
    pub const fn client(&self) -> &Place {
        &self.places.client
    }

    /// Where everything else is: resolver, CDN, foreign hosting, domestic sites.
    pub const fn world(&self) -> &Place {
        &self.places.world
    }

    /// From where the censor probes; its packets reach the world without passing the censor.
    pub const fn prober(&self) -> &Place {
        &self.places.prober
    }

    /// Which address lies where.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the system did not allow although the lab can do without, a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How long the lab has run: the time in which events are told.
    pub fn elapsed(&self) -> Duration {
        self.wire.elapsed()
    }

    /// What went through so far.
    pub fn traffic(&self) -> Traffic {
        self.wire.shared().seen().traffic
    }

    /// The number that the next event will have: a point to read from.
    pub fn next_event(&self) -> u64 {
        self.wire.shared().events.next()
    }

    /// The latest events, at most 4096, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.events_since(0).events
    }

    /// Events from a point on: 0, what [`Lab::next_event`] gave, or what the last view says. The latest 4096 are kept.
    pub fn events_since(&self, point: u64) -> EventView {
        self.wire.shared().events.since(point)
    }

    /// The first event from a point on that is wanted; waits for it at most this long.
    pub fn wait_for_event(
        &self,
        point: u64,
        limit: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Option<Event> {
        self.wire.shared().events.wait(point, limit, wanted)
    }

    /// What the censor did since the start, counted exactly.
    pub fn event_totals(&self) -> Vec<EventTotal> {
        self.wire.shared().events.totals()
    }

    /// The calls of the active prober, to whoever takes them first. Calls that nobody takes are refused and counted.
    pub fn probe_requests(&self) -> Option<mpsc::Receiver<ProbeRequest>> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tells the censor what its prober found.
    ///
    /// # Errors
    /// [`LabError::Stopped`].
    pub fn answer_probe(&self, outcome: ProbeOutcome) -> Result<(), LabError> {
        self.wire.outcome(outcome)
    }

    /// Another network from now on: link and policies of this profile, with a censor that remembers nothing. Packets that
    /// are under way arrive; programs and connections stay. It is in force when this returns.
    ///
    /// # Errors
    /// [`LabError::Spec`] or [`LabError::Stopped`].
    pub fn set_profile(&self, profile: &Profile, seed: u64) -> Result<(), LabError> {
        self.wire.replace(self.rules.judge(profile, seed)?, profile.link.clone(), seed)
    }

    /// Ends everything and says what was seen.
    ///
    /// # Errors
    /// [`LabError::Loop`] when the packet loop had ended by itself.
    pub fn stop(self) -> Result<LabSummary, LabError> {
        let ran = self.elapsed();
        let shared = self.wire.stop()?;
        let (seen, events) = (shared.seen(), shared.events.totals());
        Ok(LabSummary {
            ran_ms: u64::try_from(ran.as_millis()).unwrap_or(u64::MAX),
            traffic: seen.traffic,
            events,
            judge: seen.judge,
            captures: seen.captures,
            probes_refused: seen.probes_refused,
            notes: self.notes,
        })
    }
}
