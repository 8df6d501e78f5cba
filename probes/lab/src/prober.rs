//! The censor's active prober: takes the judge's calls, probes the server from several addresses, and says what it found.
//!
//! It first waits [`ProberConfig::start_after`] (probes of a real censor came as early as 0.28 s after the first data
//! packet), then sends the recorded flight again and, for a whole battery, everything that [`commucat_battery`] knows.
//! What it finds goes back to the judge, which bans the address and port of a server that behaved like a proxy.
//!
//! A server is a proxy for it when
//! * it answers a replayed flight of no known protocol with data, and random bytes of the same length not, or
//! * it names a site in whose name it speaks, and differs from that site in what it answers, or
//! * the byte counts at which it gives up are those of a proxy that is known for them.
//!
//! Silence alone condemns nobody: many honest hosts keep silent.

mod attend;
mod examine;
mod rules;
mod source;

pub use self::{
    attend::{Examinations, ProberConfig, attended},
    examine::{Examination, Examiner},
    rules::Finding,
    source::SourceNet,
};
