//! The censor's lab: three network namespaces, a link and a censor between them.
//!
//! [`Lab::start`] makes a client's place, a world with every address of the plan, and a place for the censor's own
//! probes, each with a TUN device. One thread moves the packets between them: whole, unbundled IP packets of at most
//! 1500 bytes. Nothing of a lab has a name in the file system or outside its namespaces, so nothing stays behind when
//! the process ends, and labs run beside each other.
#![forbid(unsafe_code)]

mod config;
mod error;
mod lab;
mod layout;
mod namespace;
mod network;
mod place;
mod privilege;
pub mod prober;
mod record;
pub mod report;
pub mod runs;
pub mod services;
pub mod truth;
mod tun;
pub mod victims;
mod wire;

pub use config::{CAPTURE_BYTES_DEFAULT, CONGESTION_DEFAULT, LabConfig};
pub use error::{GeographyProblem, LabError};
pub use lab::{Lab, LabSummary};
pub use layout::Layout;
pub use place::{Place, PlaceChild, PlaceCommand, PlaceRuntime};
pub use privilege::{Missing, Privilege, check_privileges, ensure_privileges};
pub use record::{CaptureSummary, EventTotal, EventView};
pub use wire::{Count, Traffic};
