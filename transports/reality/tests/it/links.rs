//! `vless://` links as other clients write them.

use commucat_reality::Reality;
use commucat_transport_api::PluggableTransport as _;

const LINK: &str = "vless://b831381d-6324-4d53-ad4f-8cda48b30811@192.0.2.7:443?type=tcp&encryption=none&security=reality&sni=www.example.com&fp=chrome&pbk=CwrpK-8N4hRtW1zEczPLvyCgvtSvNFqLLkSfEb2Nr08&sid=01ab&spx=%2F#bridge";

#[test]
fn a_link_is_read_and_written() {
    let spec = Reality::new().parse_link(LINK).unwrap();
    assert_eq!(spec.endpoint.to_string(), "192.0.2.7:443");
    let client = Reality::new().client(&spec).unwrap();
    let written = client.link("a bridge").unwrap();
    assert!(written.expose().ends_with("#a%20bridge"));
    assert_eq!(Reality::new().parse_link(written.expose()).unwrap(), {
        let mut spec = spec;
        // Short ids are written in full.
        spec.params["short_id"] = "01ab000000000000".into();
        spec
    });
}

#[test]
fn the_flow_of_a_link_is_kept() {
    for flow in ["xtls-rprx-vision", "xtls-rprx-vision-udp443"] {
        let spec = Reality::new().parse_link(&LINK.replace("&spx", &format!("&flow={flow}&spx"))).unwrap();
        assert_eq!(spec.params["flow"], flow);
        let written = Reality::new().client(&spec).unwrap().link("").unwrap();
        assert!(written.expose().contains(&format!("&flow={flow}")), "{}", written.expose());
        assert_eq!(Reality::new().parse_link(written.expose()).unwrap().params["flow"], flow);
    }
    let plain = Reality::new().parse_link(LINK).unwrap();
    assert_eq!(plain.params.get("flow"), None);
}

#[test]
fn the_visit_that_a_link_asks_for_is_kept() {
    let link = LINK.replace("spx=%2F", "spx=%2Fnews%3Fc%3D1-2%26t%3D2-4%26i%3D200-900");
    let spec = Reality::new().parse_link(&link).unwrap();
    assert_eq!(spec.params["spider"], "/news?c=1-2&t=2-4&i=200-900");
    let written = Reality::new().client(&spec).unwrap().link("").unwrap();
    assert_eq!(Reality::new().parse_link(written.expose()).unwrap().params["spider"], spec.params["spider"]);
    let error = Reality::new().parse_link(&link.replace("1-2", "2-1")).unwrap_err();
    assert_eq!(error.field(), Some("spider"));
}

#[test]
fn what_is_not_spoken_is_said() {
    let change = |from: &str, to: &str| {
        let error = Reality::new().parse_link(&LINK.replace(from, to)).unwrap_err();
        error.field().unwrap_or_default().to_owned()
    };
    assert_eq!(change("type=tcp", "type=xhttp"), "type");
    assert_eq!(change("security=reality", "security=tls"), "security");
    assert_eq!(change("encryption=none", "encryption=mlkem768x25519plus.native"), "encryption");
    assert_eq!(change("&spx", "&flow=xtls-rprx-direct&spx"), "flow");
    assert_eq!(change("pbk=Cwrp", "pbk=C"), "public_key");
    assert_eq!(change(":443", ""), "server");
    assert_eq!(change("b831381d", "b83"), "user");
}
