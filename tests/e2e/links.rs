//! Links: looked into, drawn, converted, and refused with the reason.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::support::{Bridge, commucat, run};

#[test]
fn show_tells_endpoints_and_hides_keys() {
    let bridge = Bridge::start();
    let shown = run(commucat().args(["link", "show", &bridge.link]));
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let key = bridge.endpoint("websocket").params["user_key"].as_str().unwrap().to_owned();
    for word in ["shadowsocks", "websocket", "127.0.0.1"] {
        assert!(shown.stdout.contains(word), "{shown:?}");
    }
    assert!(!shown.stdout.contains(&key));
    let json = run(commucat().args(["link", "show", "--json", &bridge.link]));
    assert!(!json.stdout.contains(&key));
    let secrets = run(commucat().args(["link", "show", "--json", "--secrets", &bridge.link]));
    assert!(secrets.stdout.contains(&key));
}

#[test]
fn native_links_convert_both_ways() {
    let bridge = Bridge::start();
    let native = run(commucat().args(["link", "convert", &bridge.link]));
    assert_eq!(native.code, Some(0), "{native:?}");
    let links: Vec<&str> = native.stdout.lines().collect();
    assert!(links.iter().any(|link| link.starts_with("ss://")), "{links:?}");
    assert!(links.iter().any(|link| link.starts_with("commucat-ws://")), "{links:?}");
    for link in links {
        let back = run(commucat().args(["link", "convert", "--to", "json", link]));
        let specs: Vec<commucat_transport_api::Spec> = serde_json::from_str(&back.stdout).unwrap();
        let [spec] = &specs[..] else { panic!("{specs:?}") };
        assert_eq!(spec, &bridge.endpoint(spec.transport.as_str()));
    }
}

#[test]
fn sip008_converts_both_ways() {
    let bridge = Bridge::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("servers.json");
    let document = run(commucat().args(["link", "convert", "--to", "sip008", &bridge.link]));
    assert_eq!(document.code, Some(0), "{document:?}");
    std::fs::write(&file, &document.stdout).unwrap();
    let back = run(commucat().args(["link", "convert", "--to", "json"]).arg(&file));
    let specs: Vec<commucat_transport_api::Spec> = serde_json::from_str(&back.stdout).unwrap();
    assert_eq!(specs, [bridge.endpoint("shadowsocks")]);
}

#[test]
fn qr_draws_and_writes_svg() {
    let bridge = Bridge::start();
    assert!(run(commucat().args(["link", "qr", &bridge.link])).stdout.contains('█'));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("link.svg");
    assert_eq!(run(commucat().args(["link", "qr", &bridge.link, "--svg"]).arg(&file)).code, Some(0));
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("<svg"));
}

#[test]
fn a_bad_link_says_what_is_wrong_with_it() {
    let unknown = format!(
        "commucat://{}",
        URL_SAFE_NO_PAD
            .encode(r#"{"v":1,"endpoints":[{"transport":"websocket","endpoint":"a:1"}],"colour":1}"#)
    );
    let newer = format!("commucat://{}", URL_SAFE_NO_PAD.encode(r#"{"v":9}"#));
    let cases = [
        (unknown.as_str(), "colour"),
        (newer.as_str(), "update"),
        ("commucat://%%%", "damaged"),
        ("vless://x", "link"),
        ("no-such-file", "no-such-file"),
        ("ss://", "ss"),
    ];
    for (link, word) in cases {
        for command in [["link", "show"].as_slice(), &["connect"], &["doctor"]] {
            let refused = run(commucat().args(command).arg(link));
            assert_eq!(refused.code, Some(2), "{link}: {refused:?}");
            assert!(refused.stderr.contains(word), "{link}: {refused:?}");
        }
    }
}
