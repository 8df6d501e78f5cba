//! Things that die at the wrong moment.

use crate::support::{Bridge, Client, Origin, begin_transfer, curl};

#[test]
fn a_bridge_killed_in_a_transfer_is_an_error_and_the_next_request_works_after_its_restart() {
    let (mut bridge, origin) = (Bridge::start(), Origin::start());
    for transport in ["shadowsocks", "websocket"] {
        let mut client = Client::start_with(&bridge.link, &["--only", transport]);
        let Some(mut transfer) = begin_transfer(&client, &origin) else { return };
        bridge.restart();
        let status = transfer.wait().unwrap();
        assert!(!status.success(), "{transport}: a transfer that was cut must not look complete");
        let page =
            curl(&["--retry", "8", "--retry-all-errors", "--proxy", &client.socks(), &origin.url("/page")])
                .unwrap();
        assert_eq!(page.code, Some(0), "{transport}: {page:?}\n{}", client.process.said());
        assert!(client.process.is_running());
    }
}

#[test]
fn a_dead_endpoint_is_left_for_one_that_works() {
    let (bridge, origin) = (Bridge::start(), Origin::start());
    let closed = crate::support::closed_port();
    let link = bridge.link_with(|spec| {
        if spec.transport.as_str() == "websocket" {
            spec.endpoint.port = closed;
        }
    });
    let client = Client::start(&link);
    let Some(page) = curl(&["--proxy", &client.socks(), &origin.url("/page")]) else { return };
    assert_eq!(page.code, Some(0), "{page:?}");
}

#[test]
fn sigterm_drains_and_sigint_ends_at_once() {
    let (mut bridge, origin) = (Bridge::start(), Origin::start());
    let mut client = Client::start(&bridge.link);
    let Some(mut transfer) = begin_transfer(&client, &origin) else { return };
    bridge.process.signal("TERM");
    assert!(transfer.wait().unwrap().success(), "a draining bridge lets open transfers finish");
    assert_eq!(bridge.process.wait().code(), Some(0), "{}", bridge.process.said());
    client.process.signal("INT");
    assert_eq!(client.process.wait().code(), Some(0), "{}", client.process.said());
}

#[test]
fn sighup_keeps_open_connections() {
    let (mut bridge, origin) = (Bridge::start(), Origin::start());
    let client = Client::start(&bridge.link);
    let Some(mut transfer) = begin_transfer(&client, &origin) else { return };
    bridge.process.signal("HUP");
    assert!(transfer.wait().unwrap().success());
    assert!(bridge.process.is_running(), "{}", bridge.process.said());
    let page = curl(&["--proxy", &client.socks(), &origin.url("/page")]).unwrap();
    assert_eq!(page.code, Some(0), "{page:?}");
}
