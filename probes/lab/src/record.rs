//! What a lab remembers: captures of both sides, and a line an event.

mod capture;
mod events;
mod file;

pub(crate) use capture::Capture;
pub use capture::CaptureSummary;
pub(crate) use events::EventLog;
pub use events::{EventTotal, EventView};
