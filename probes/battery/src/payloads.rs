//! The payloads, each with its name and origin. Lengths and positions are those of the publications.

mod methodika;
mod random;
mod replay;
mod site;
mod tls_relay;

use fastrand::Rng;

pub use self::{
    methodika::methodika,
    random::{noise, random},
    replay::replays,
    site::site,
    tls_relay::tls_relay,
};
use crate::{BatteryError, Probe};

/// What the payloads are made of.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// The name of the site that the server claims to be: in hellos and `Host` fields. Without one, `example.com`.
    pub site: Option<String>,
    /// A recorded first flight of a real client. Without one there are no replays.
    pub flight: Option<Vec<u8>>,
    /// What the random bytes are drawn from: the same seed gives both servers the same bytes.
    pub seed: u64,
}

/// The site that is named when nobody named one (RFC 2606 §3).
pub const DEFAULT_SITE: &str = "example.com";

impl Material {
    /// The site's name.
    pub fn site(&self) -> &str {
        self.site.as_deref().unwrap_or(DEFAULT_SITE)
    }
}

/// The whole battery.
///
/// # Errors
/// [`BatteryError::BadServerName`] when the site's name fits into no hello.
pub fn all(material: &Material) -> Result<Vec<Probe>, BatteryError> {
    let mut rng = Rng::with_seed(material.seed);
    let mut probes = Vec::new();
    if let Some(flight) = &material.flight {
        probes.extend(replays(flight, &mut rng));
    }
    probes.extend(random(&mut rng));
    probes.extend(methodika(material.site(), &mut rng)?);
    probes.extend(tls_relay(material.site(), &mut rng));
    probes.extend(site(material.site()));
    Ok(probes)
}

/// `length` random bytes.
fn bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Family, Step};

    #[test]
    fn the_battery_is_whole_named_and_repeatable() {
        let material = Material { flight: Some(vec![7; 200]), seed: 5, ..Material::default() };
        let probes = all(&material).unwrap();
        let names: BTreeSet<_> = probes.iter().map(|probe| probe.name.as_str()).collect();
        assert_eq!(names.len(), probes.len(), "names are unique");
        let of = |family| probes.iter().filter(|probe| probe.family == family).count();
        assert_eq!(of(Family::Replay), 6);
        assert_eq!(of(Family::Random), 21 + 1);
        assert_eq!(of(Family::Methodika), 8);
        assert_eq!(of(Family::TlsRelay), 3);
        let again = all(&material).unwrap();
        for (one, other) in probes.iter().zip(&again) {
            // A hello has fresh keys each time.
            assert!(one == other || one.name == "hello-invalid-sni", "{}", one.name);
        }
        let without = all(&Material::default()).unwrap();
        assert!(without.iter().all(|probe| probe.family != Family::Replay));
    }

    #[test]
    fn replays_change_the_bytes_they_name() {
        let flight: Vec<u8> = (0..=255).collect();
        let changed = |name: &str| {
            let probe = replays(&flight, &mut Rng::with_seed(1)).into_iter().find(|probe| probe.name == name);
            let Some(Step::Send(sent)) = probe.unwrap().steps.into_iter().next() else { panic!("it sends") };
            assert_eq!(sent.len(), flight.len());
            (0..flight.len()).filter(|&at| sent[at] != flight[at]).collect::<Vec<_>>()
        };
        assert_eq!(changed("replay"), [] as [usize; 0]);
        assert_eq!(changed("replay-byte-0"), [0]);
        assert_eq!(changed("replay-bytes-0-7-31"), [0, 1, 2, 3, 4, 5, 6, 7, 31]);
        assert_eq!(changed("replay-bytes-0-7-62"), [0, 1, 2, 3, 4, 5, 6, 7, 62, 63]);
        assert_eq!(changed("replay-byte-16"), [16]);
        assert_eq!(changed("replay-bytes-6-16"), [6, 16]);
    }

    #[test]
    fn a_short_flight_is_changed_where_it_has_bytes() {
        let probes = replays(&[1, 2, 3], &mut Rng::with_seed(1));
        assert!(probes.iter().all(|probe| matches!(&probe.steps[..], [Step::Send(sent)] if sent.len() == 3)));
        // What would change nothing is the plain replay again, and is left out.
        let names: Vec<_> = probes.iter().map(|probe| probe.name.as_str()).collect();
        assert_eq!(names, ["replay", "replay-byte-0", "replay-bytes-0-7-31", "replay-bytes-0-7-62"]);
    }
}
