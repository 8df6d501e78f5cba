//! Which address lies in which place: the geography of the censor, laid out over network namespaces.

use std::net::IpAddr;

use commucat_censor::{Cidr, Geography};

use crate::error::{GeographyProblem, LabError};

/// The number of the client's address in its network: `.1` is left to the gateway that a person would expect there.
const CLIENT_HOST: u8 = 2;
/// The number of the prober's first address in its network.
const PROBER_HOST: u8 = 2;
/// The number, in the first network of the world, of the address from which the world speaks when nobody chose one.
const WORLD_HOST: u8 = 1;

/// The addresses of the three places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The client's address.
    pub client: IpAddr,
    /// The client's network.
    pub client_net: Cidr,
    /// The address from which the world speaks when nobody chose one.
    pub world: IpAddr,
    /// All networks of the world: every address in them accepts connections.
    pub world_nets: Vec<Cidr>,
    /// The prober's first address.
    pub prober: IpAddr,
    /// The prober's network: every address in it may be used.
    pub prober_net: Cidr,
    /// The resolver that the files of all places name.
    pub resolver: IpAddr,
}

impl Layout {
    /// Lays a geography out.
    ///
    /// # Errors
    /// [`LabError::Geography`] when it has two address families, overlaps, or no room for a host.
    pub fn new(geography: &Geography) -> Result<Self, LabError> {
        Self::check(geography).map_err(LabError::Geography)
    }

    fn check(geography: &Geography) -> Result<Self, GeographyProblem> {
        let hosted: Vec<Cidr> = [&geography.foreign, &geography.cdn, &geography.domestic]
            .iter()
            .flat_map(|nets| nets.iter().copied())
            .collect();
        let first = hosted.first().ok_or(GeographyProblem::EmptyWorld)?;
        let world = host(first, WORLD_HOST).ok_or(GeographyProblem::TooSmall("the world"))?;
        let layout = Self {
            client: host(&geography.client, CLIENT_HOST).ok_or(GeographyProblem::TooSmall("the client"))?,
            client_net: geography.client,
            world,
            prober: host(&geography.prober, PROBER_HOST).ok_or(GeographyProblem::TooSmall("the prober"))?,
            prober_net: geography.prober,
            resolver: geography.resolver,
            world_nets: with_resolver(hosted, geography.resolver),
        };
        layout.one_family()?;
        layout.no_overlap()?;
        Ok(layout)
    }

    /// Whether it is laid out in IPv6.
    pub const fn is_ipv6(&self) -> bool {
        self.client.is_ipv6()
    }

    fn one_family(&self) -> Result<(), GeographyProblem> {
        let world = self.world_nets.iter().map(|net| ("the world's network", net.address()));
        let others = [("the prober's network", self.prober_net.address())];
        match world.chain(others).find(|(_what, address)| address.is_ipv6() != self.is_ipv6()) {
            Some((what, address)) => Err(GeographyProblem::Family { what, address }),
            None => Ok(()),
        }
    }

    fn no_overlap(&self) -> Result<(), GeographyProblem> {
        let outside = [self.client_net, self.prober_net];
        let touch = |one: &Cidr, other: &Cidr| one.contains(other.address()) || other.contains(one.address());
        let world = self.world_nets.iter().flat_map(|net| outside.iter().map(move |out| (net, out)));
        let mut pairs = world.chain([(&self.client_net, &self.prober_net)]);
        match pairs.find(|(one, other)| touch(one, other)) {
            Some((one, other)) => {
                Err(GeographyProblem::Overlap { one: one.to_string(), other: other.to_string() })
            }
            None => Ok(()),
        }
    }
}

/// The resolver may stand inside one of the networks, or for itself.
fn with_resolver(mut nets: Vec<Cidr>, resolver: IpAddr) -> Vec<Cidr> {
    if !nets.iter().any(|net| net.contains(resolver)) {
        nets.push(Cidr::host(resolver));
    }
    nets
}

/// The address with this number in the network, when it has one.
fn host(net: &Cidr, number: u8) -> Option<IpAddr> {
    let address = match net.address() {
        IpAddr::V4(first) => IpAddr::V4(first.to_bits().checked_add(number.into())?.into()),
        IpAddr::V6(first) => IpAddr::V6(first.to_bits().checked_add(number.into())?.into()),
    };
    net.contains(address).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geography(client: &str, foreign: &[&str], prober: &str) -> Geography {
        Geography {
            client: client.parse().unwrap(),
            prober: prober.parse().unwrap(),
            foreign: foreign.iter().map(|net| net.parse::<Cidr>().unwrap()).collect(),
            ..Geography::default()
        }
    }

    #[test]
    fn the_plan_of_the_lab_can_be_laid_out() {
        let layout = Layout::new(&Geography::default()).unwrap();
        assert_eq!(layout.client.to_string(), "10.73.0.2");
        assert_eq!(layout.world.to_string(), "203.0.113.1");
        assert_eq!(layout.world_nets.last().unwrap().to_string(), "192.0.2.53/32");
        assert_eq!(layout.prober.to_string(), "198.19.0.2");
    }

    #[test]
    fn what_cannot_be_laid_out_is_said() {
        let problem = |geography: &Geography| Layout::check(geography).unwrap_err();
        let plan = "203.0.113.0/24";
        assert_eq!(
            problem(&geography("10.73.0.0/32", &[plan], "198.19.0.0/24")),
            GeographyProblem::TooSmall("the client")
        );
        assert!(matches!(
            problem(&geography("10.73.0.0/24", &["2001:db8::/32"], "198.19.0.0/24")),
            GeographyProblem::Family { .. }
        ));
        assert!(matches!(
            problem(&geography("10.73.0.0/24", &[plan], "203.0.113.128/25")),
            GeographyProblem::Overlap { .. }
        ));
        assert!(matches!(
            problem(&geography("10.0.0.0/8", &[plan], "10.2.0.0/16")),
            GeographyProblem::Overlap { .. }
        ));
        let mut nothing = geography("10.73.0.0/24", &[], "198.19.0.0/24");
        (nothing.cdn, nothing.domestic) = Default::default();
        assert_eq!(problem(&nothing), GeographyProblem::EmptyWorld);
    }
}
