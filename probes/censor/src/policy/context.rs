//! What a policy may touch: time, randomness, the map, the lists, its own timer, policers and sentences.

use std::time::Duration;

use super::Injection;
use crate::{
    event::Why,
    flow::Flow,
    geography::Geography,
    lists::Lists,
    random::Random,
    residual::{Sentence, Target},
};

/// Most side effects one call of a policy may leave behind; what is more is lost and counted.
const EFFECTS_MAX: usize = 64;

/// The surroundings of one call of a policy.
#[derive(Debug)]
pub struct Cx<'a> {
    pub(crate) now: Duration,
    pub(crate) random: &'a mut Random,
    pub(crate) geography: &'a Geography,
    pub(crate) lists: &'a Lists,
    pub(crate) effects: &'a mut Effects,
}

/// What calls of policies left behind, for the judge to carry out.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) condemned: Vec<Condemned>,
    pub(crate) injections: Vec<Injection>,
    pub(crate) notes: Vec<Note>,
    pub(crate) wake_at: Option<Duration>,
    pub(crate) ignore: bool,
    pub(crate) lost: u64,
}

#[derive(Debug)]
pub(crate) struct Condemned {
    pub(crate) target: Target,
    pub(crate) sentence: Sentence,
}

#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) about: String,
    pub(crate) why: Why,
}

impl Effects {
    pub(crate) const fn is_empty(&self) -> bool {
        self.condemned.is_empty()
            && self.injections.is_empty()
            && self.notes.is_empty()
            && self.wake_at.is_none()
            && !self.ignore
            && self.lost == 0
    }
}

impl Cx<'_> {
    /// The time since the judge began.
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// This policy's own random numbers.
    pub const fn random(&mut self) -> &mut Random {
        self.random
    }

    /// Where addresses lie.
    pub const fn geography(&self) -> &Geography {
        self.geography
    }

    /// The censor's lists.
    pub const fn lists(&self) -> &Lists {
        self.lists
    }

    /// Does not show this flow to this policy again. Its sentences still hold.
    pub const fn ignore(&mut self) {
        self.effects.ignore = true;
    }

    /// Calls [`Policy::on_tick`](crate::Policy::on_tick) at that time, or earlier if an earlier time is already set.
    pub fn wake_at(&mut self, at: Duration) {
        self.effects.wake_at = Some(self.effects.wake_at.map_or(at, |set| set.min(at)));
    }

    /// Sends a forged packet, beside what the action says.
    pub fn inject(&mut self, injection: Injection) {
        if self.effects.injections.len() < EFFECTS_MAX {
            self.effects.injections.push(injection);
        } else {
            self.effects.lost += 1;
        }
    }

    /// Passes a sentence on something else than the packet at hand: from a tick, after a probe. The scope of the
    /// sentence is not asked.
    pub fn condemn(&mut self, target: Target, sentence: Sentence) {
        if self.effects.condemned.len() < EFFECTS_MAX {
            self.effects.condemned.push(Condemned { target, sentence });
        } else {
            self.effects.lost += 1;
        }
    }

    /// Writes an event that changes nothing.
    pub fn note(&mut self, about: &dyn std::fmt::Display, why: Why) {
        if self.effects.notes.len() < EFFECTS_MAX {
            self.effects.notes.push(Note { about: about.to_string(), why });
        } else {
            self.effects.lost += 1;
        }
    }

    /// Writes an event about this flow that changes nothing.
    pub fn note_flow(&mut self, flow: &Flow, why: Why) {
        self.note(flow.key(), why);
    }
}
