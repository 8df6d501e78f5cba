//! The commonest end of a flow: both directions vanish, no reset, until the flow is forgotten.

use crate::{
    event::Why,
    policy::Action,
    residual::{FOREVER, Kill, Scope, Sentence},
};

/// Silences the flow of this packet, with this packet.
pub(super) const fn silence(why: Why) -> Action {
    Action::Kill(Sentence::new(Scope::Flow, Kill::DropBoth, FOREVER, why))
}
