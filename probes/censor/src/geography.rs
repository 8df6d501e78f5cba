//! Where addresses lie, as the censor sees it: which are the client's, which belong to a CDN, to foreign hosting, to
//! the country itself. Policies ask this map; they never hold addresses of their own.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// A network prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// A text that is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network: write an address and a length, such as 203.0.113.0/24 or 2001:db8::/32")]
pub struct NotACidr(String);

impl Cidr {
    /// The prefix of this length around the address; bits behind the prefix are cleared. `None` when the length is
    /// longer than the address.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let width = width(address);
        (bits <= width).then(|| Self { address: masked(address, bits), bits })
    }

    /// Exactly one address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, bits: width(address) }
    }

    /// The first address of the network.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The length of the prefix in bits.
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether the address lies inside. An IPv4 address is never inside an IPv6 network, nor the other way round.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == self.address
    }
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl TryFrom<String> for Cidr {
    type Error = NotACidr;

    fn try_from(text: String) -> Result<Self, NotACidr> {
        text.parse()
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    /// A bare address is the network of that one address.
    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let wrong = || NotACidr(text.to_owned());
        let Some((address, bits)) = text.split_once('/') else {
            return text.parse().map(Self::host).map_err(|_not_an_address| wrong());
        };
        let address = address.parse().map_err(|_not_an_address| wrong())?;
        let bits = bits.parse().map_err(|_not_a_number| wrong())?;
        Self::new(address, bits).ok_or_else(wrong)
    }
}

/// A set of networks. Asking costs one comparison a network, so it is meant for dozens, not for routing tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetSet(Vec<Cidr>);

impl NetSet {
    /// The union of these networks.
    pub fn new(nets: impl IntoIterator<Item = Cidr>) -> Self {
        let mut nets: Vec<_> = nets.into_iter().collect();
        nets.sort();
        nets.dedup();
        Self(nets)
    }

    /// Every address there is.
    pub fn everything() -> Self {
        let any = [IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)];
        Self::new(any.into_iter().map(|address| Cidr { address, bits: 0 }))
    }

    /// Whether one of the networks holds the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(address))
    }

    /// Whether there is no network at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks in order.
    pub fn iter(&self) -> impl Iterator<Item = &Cidr> {
        self.0.iter()
    }
}

impl FromIterator<Cidr> for NetSet {
    fn from_iter<I: IntoIterator<Item = Cidr>>(nets: I) -> Self {
        Self::new(nets)
    }
}

/// The map a judge is made with. The default is the lab's plan of addresses: documentation prefixes (RFC 5737) and the
/// benchmarking prefix (RFC 2544), so nothing in it can be a real site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Geography {
    /// The resolver that clients are told to use.
    pub resolver: IpAddr,
    /// Content networks that serve allowed and blocked sites from the same addresses.
    pub cdn: NetSet,
    /// Foreign hosting: where bridges and control servers stand.
    pub foreign: NetSet,
    /// Addresses inside the country.
    pub domestic: NetSet,
    /// The clients' network.
    pub client: Cidr,
    /// From where the censor's own probes come.
    pub prober: Cidr,
}

impl Geography {
    /// Whether the address belongs to foreign hosting.
    pub fn is_foreign(&self, address: IpAddr) -> bool {
        self.foreign.contains(address)
    }
}

impl Default for Geography {
    fn default() -> Self {
        let v4 = |a: u8, b: u8, c: u8, d: u8| IpAddr::from([a, b, c, d]);
        let net = |address: IpAddr, bits: u8| Cidr { address, bits };
        Self {
            resolver: v4(192, 0, 2, 53),
            cdn: NetSet::new([net(v4(198, 51, 100, 0), 24)]),
            foreign: NetSet::new([net(v4(203, 0, 113, 0), 24)]),
            domestic: NetSet::new([net(v4(198, 18, 0, 0), 16)]),
            client: net(v4(10, 73, 0, 0), 24),
            prober: net(v4(198, 19, 0, 0), 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_edges_of_a_network() {
        let net: Cidr = "203.0.113.0/24".parse().unwrap();
        for (address, inside) in
            [("203.0.113.0", true), ("203.0.113.255", true), ("203.0.112.255", false), ("203.0.114.0", false)]
        {
            assert_eq!(net.contains(address.parse().unwrap()), inside, "{address}");
        }
        assert!(!net.contains("::ffff:203.0.113.1".parse().unwrap()));
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.255.255.255".parse().unwrap()));
        assert!("2001:db8::/32".parse::<Cidr>().unwrap().contains("2001:db8:ffff::1".parse().unwrap()));
        assert!(NetSet::everything().contains("::1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network() {
        for text in
            ["", "203.0.113.0/33", "203.0.113/24", "203.0.113.0/", "2001:db8::/129", "name/8", "1.2.3.4/-1"]
        {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert_eq!("203.0.113.77/24".parse::<Cidr>().unwrap().to_string(), "203.0.113.0/24");
        assert_eq!("192.0.2.53".parse::<Cidr>().unwrap().bits(), 32);
    }

    #[test]
    fn the_plan_has_no_address_in_two_places() {
        let plan = Geography::default();
        let mut nets: Vec<Cidr> =
            [&plan.cdn, &plan.foreign, &plan.domestic].iter().flat_map(|set| set.iter().copied()).collect();
        nets.extend([plan.client, plan.prober, Cidr::host(plan.resolver)]);
        for (index, one) in nets.iter().enumerate() {
            for other in nets.iter().skip(index + 1) {
                assert!(!one.contains(other.address()) && !other.contains(one.address()), "{one} {other}");
            }
        }
    }

    #[test]
    fn a_file_may_name_only_what_differs() {
        let plan: Geography = serde_json::from_str(r#"{"foreign":["203.0.113.0/25"]}"#).unwrap();
        assert!(!plan.is_foreign("203.0.113.200".parse().unwrap()));
        assert_eq!(plan.resolver, Geography::default().resolver);
        assert!(serde_json::from_str::<Geography>(r#"{"foriegn":[]}"#).is_err());
    }

    proptest! {
        #[test]
        fn text_and_back(bits: u128, v4_bits: u32, length in 0_u8..=128, v4: bool) {
            let address = if v4 { IpAddr::V4(v4_bits.into()) } else { IpAddr::V6(bits.into()) };
            let cidr = Cidr::new(address, if v4 { length % 33 } else { length }).unwrap();
            prop_assert_eq!(cidr.to_string().parse::<Cidr>().unwrap(), cidr);
            prop_assert!(cidr.contains(address));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _answer = text.parse::<Cidr>();
        }
    }
}
