//! A lab in IPv6, when the geography asks for one; otherwise IPv6 is off inside.

use std::net::{TcpListener, TcpStream, UdpSocket};

use commucat_censor::{Cidr, Geography};
use commucat_lab::Lab;

use crate::support::{allowed, clean_lab, config};

fn geography() -> Geography {
    let net = |text: &str| text.parse::<Cidr>().unwrap();
    let nets = |text: &str| [net(text)].into_iter().collect();
    Geography {
        resolver: "2001:db8:53::53".parse().unwrap(),
        cdn: nets("2001:db8:1::/48"),
        foreign: nets("2001:db8:2::/48"),
        domestic: nets("2001:db8:3::/48"),
        client: net("fd73::/64"),
        prober: net("fd74::/64"),
    }
}

#[test]
fn a_geography_in_ipv6_gives_a_lab_in_ipv6() {
    if !allowed() || !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        return;
    }
    let mut config = config("clean");
    config.geography = geography();
    let lab = Lab::start(config).unwrap();
    let listener = lab.world().run(|| TcpListener::bind("[2001:db8:2::77]:443").unwrap()).unwrap();
    let client = lab.client().run(|| TcpStream::connect("[2001:db8:2::77]:443").unwrap()).unwrap();
    let (_served, from) = listener.accept().unwrap();
    assert_eq!(from, client.local_addr().unwrap());
    assert_eq!(from.ip(), lab.client().address());
    let server = lab.world().run(|| UdpSocket::bind("[2001:db8:1::5]:53").unwrap()).unwrap();
    let prober = lab.prober().run(|| UdpSocket::bind("[fd74::99]:0").unwrap()).unwrap();
    prober.send_to(b"x", "[2001:db8:1::5]:53").unwrap();
    let (_length, from) = server.recv_from(&mut [0; 4]).unwrap();
    assert_eq!(from, prober.local_addr().unwrap());
}

#[test]
fn ipv6_is_off_when_nobody_asked() {
    let Some(lab) = clean_lab() else { return };
    let refused = lab.client().run(|| UdpSocket::bind("[::1]:0").is_err()).unwrap();
    assert!(refused);
}
