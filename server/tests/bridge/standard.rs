//! The bridge that `commucat up` makes, with the real transports.

use std::net::Ipv4Addr;

use commucat_bundle::Bundle;
use commucat_server::{
    Bridge,
    setup::{SetupOptions, prepare},
};
use commucat_transport_api::{Cx, Host, Target};

use crate::support::{PATIENCE, echo, is_alive, net};

#[tokio::test]
async fn every_endpoint_of_a_fresh_bridge_works_and_finds_itself_working() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = SetupOptions::new("test");
    options.state = Some(dir.path().join("state"));
    options.listen = Some(Ipv4Addr::LOCALHOST.into());
    options.public = Some(Host::Ip(Ipv4Addr::LOCALHOST.into()));
    options.web_port = Some(0);
    let bundle = Bundle::standard();
    let prepared = prepare(options, &bundle, net().as_ref(), std::iter::empty()).await.unwrap();
    let mut config = prepared.config;
    config.egress.allow_private = true;
    config.server.admin_bind = Some((Ipv4Addr::LOCALHOST, 0).into());
    let bridge = Bridge::start(config, bundle.clone(), net(), prepared.storage.clone()).await.unwrap();

    let target = echo().await;
    let link = bridge.client_link(&prepared.user, None).unwrap();
    assert_eq!(link.endpoints.len(), bundle.descriptors().filter(|known| !known.needs_operator).count());
    for spec in &link.endpoints {
        let client = bundle.client(spec).unwrap();
        let opened = client.dial(&Cx::new(net(), PATIENCE), &Target::Stream(target.into())).await.unwrap();
        let mut stream = opened.channel.into_stream().unwrap();
        assert!(is_alive(&mut stream).await, "{}", spec.transport);
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let readiness = bridge.readiness();
        if readiness.endpoints.iter().all(|endpoint| endpoint.self_check == Some(true)) {
            break;
        }
        let checks = prepared.storage.endpoint_checks().await.unwrap();
        assert!(tokio::time::Instant::now() < deadline, "{readiness:?} {checks:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    bridge.shutdown().await;
}
