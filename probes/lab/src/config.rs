//! What a lab is started with.

use std::path::PathBuf;

use commucat_censor::{Geography, Lists, Profile};

/// Bytes of one capture file, when nothing else is said: about a quarter of an hour of a busy 10 Mbit/s link.
pub const CAPTURE_BYTES_DEFAULT: u64 = 1 << 30;
/// The congestion control of TCP in the lab, when nothing else is said: what most of the Internet's senders use. BBR,
/// which some systems have as their default, hardly notices the losses by which a censor throttles.
pub const CONGESTION_DEFAULT: &str = "cubic";

/// What a lab is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LabConfig {
    /// The network to be judged in: the link and the censor's policies.
    pub profile: Profile,
    /// Which addresses lie where.
    pub geography: Geography,
    /// The censor's lists.
    pub lists: Lists,
    /// Everything random in the lab follows from it.
    pub seed: u64,
    /// Multiplies every penalty and window of a policy that the profile leaves at its default: with 0.05, residuals are
    /// twenty times shorter than in nature.
    pub time_scale: f64,
    /// The folder for `client.pcap`, `world.pcap` and `events.jsonl`; it is made when it does not exist.
    pub capture_dir: Option<PathBuf>,
    /// Largest size of each of these files, in bytes; at that size it stops, and the lab goes on.
    pub capture_bytes_max: u64,
    /// The congestion control of TCP in all places; `None` leaves the system's default.
    pub congestion: Option<String>,
}

impl LabConfig {
    /// A lab with this profile: the lab's own plan of addresses and lists, seed 0, time as in nature, no capture.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            geography: Geography::default(),
            lists: Lists::default(),
            seed: 0,
            time_scale: 1.0,
            capture_dir: None,
            capture_bytes_max: CAPTURE_BYTES_DEFAULT,
            congestion: Some(CONGESTION_DEFAULT.to_owned()),
        }
    }
}
