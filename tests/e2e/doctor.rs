//! Eight seeded mistakes: the doctor names the cause in one sentence, and so does the client when it happens.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpListener},
    process::Command,
};

use commucat_transport_api::Spec;
use socket2::SockRef;

use crate::support::{
    Bridge, BridgeOptions, Client, Origin, Output, begin_transfer, closed_port, commucat, curl, run, tool,
};

/// A host that answers, so that the doctor has something to compare with.
fn control() -> SocketAddr {
    Origin::start().address
}

fn doctor(command: &mut Command, link: &str) -> Output {
    run(command.args(["doctor", link, "--control", &format!("http://{}/page", control())]))
}

#[track_caller]
fn assert_named(output: &Output, code: i32, words: &[&str]) {
    let said = output.stdout.to_lowercase();
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {output:?}");
    }
    assert_eq!(output.code, Some(code), "{output:?}");
}

/// What the running client itself says after a request failed.
fn client_says(link: &str) -> String {
    says(Client::start(link))
}

fn says(mut client: Client) -> String {
    let origin = Origin::start();
    if curl(&["--proxy", &client.socks(), &origin.url("/page")]).is_some() {
        client.process.wait_for_event("failed")["cause"].to_string().to_lowercase()
    } else {
        String::new()
    }
}

fn websocket_only(bridge: &Bridge, change: impl FnOnce(&mut Spec)) -> String {
    let mut spec = bridge.endpoint("websocket");
    change(&mut spec);
    Bridge::link_to(spec)
}

#[test]
fn a_working_link_is_ok() {
    let bridge = Bridge::start();
    assert_named(&doctor(&mut commucat(), &bridge.link), 0, &["accepts us"]);
}

#[test]
fn mistake_1_nobody_listens_there() {
    let bridge = Bridge::start();
    let link = websocket_only(&bridge, |spec| spec.endpoint.port = closed_port());
    assert_named(&doctor(&mut commucat(), &link), 3, &["refuses"]);
    assert!(client_says(&link).contains("refuses"));
}

#[test]
fn mistake_2_something_on_the_way_resets_the_handshake() {
    let bridge = Bridge::start();
    let censor = resetting_censor();
    let link = websocket_only(&bridge, |spec| spec.endpoint = censor.into());
    assert_named(&doctor(&mut commucat(), &link), 5, &["blocked", "reset"]);
    assert!(client_says(&link).contains("reset"));
}

/// Accepts, reads the first flight, and resets: what an injecting censor does after a hello it dislikes.
fn resetting_censor() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut first = [0; 64];
            if stream.read(&mut first).unwrap_or(0) > 0 {
                SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
            }
        }
    });
    address
}

#[test]
fn mistake_3_wrong_key() {
    let (bridge, other) = (Bridge::start(), Bridge::start());
    let wrong = other.endpoint("websocket").params["key"].clone();
    let link = websocket_only(&bridge, |spec| spec.params["key"] = wrong);
    assert_named(&doctor(&mut commucat(), &link), 4, &["key"]);
    assert!(client_says(&link).contains("key"));
}

#[test]
fn mistake_4_wrong_user() {
    let bridge = Bridge::start();
    assert_eq!(bridge.user(&["add", "guest"]).code, Some(0));
    let link = bridge.user(&["link", "guest", "--public", "127.0.0.1"]).stdout.trim().to_owned();
    wait_for_code(&link, 0);
    assert_eq!(bridge.user(&["rm", "guest", "--yes"]).code, Some(0));
    wait_for_code(&link, 4);
    assert_named(&doctor(&mut commucat(), &link), 4, &["user"]);
    assert!(client_says(&link).contains("user"));
}

/// A running bridge notices what another process did to its users within seconds.
fn wait_for_code(link: &str, code: i32) {
    for _ in 0..30 {
        if doctor(commucat().args(["--log", "error"]), link).code == Some(code) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    panic!("the doctor never ended in {code}");
}

#[test]
fn mistake_5_the_clock_is_five_minutes_off() {
    let bridge = Bridge::start();
    for (shift, word) in [("+5m", "ahead"), ("-5m", "behind")] {
        let Some(mut shifted) = at_another_time(shift) else { return };
        assert_named(&doctor(&mut shifted, &bridge.link), 4, &["clock", word]);
        let Some(shifted) = at_another_time(shift) else { return };
        let link = websocket_only(&bridge, |_unchanged| ());
        let said = says(Client::start_as(shifted, &link, &[]));
        assert!(said.contains("clock") && said.contains(word), "{said}");
    }
}

/// This program, believing that it is another time of day.
fn at_another_time(shift: &str) -> Option<Command> {
    let mut faketime = tool("faketime", "faketime")?;
    faketime.args(["-f", shift]).arg(env!("CARGO_BIN_EXE_commucat"));
    faketime.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_COLOR", "1");
    Some(faketime)
}

#[test]
fn mistake_6_the_version_is_too_old() {
    let mut bridge = Bridge::start();
    let file = bridge.state_dir().join("bridge.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let newer = config.replacen("[endpoints.params]", "[endpoints.params]\nmin_client_version = 200", 1);
    assert_ne!(newer, config);
    std::fs::write(&file, newer).unwrap();
    bridge.restart();
    let link = websocket_only(&bridge, |_unchanged| ());
    assert_named(&doctor(&mut commucat(), &link), 4, &["version"]);
    assert!(client_says(&link).contains("version"));
}

#[test]
fn mistake_7_the_bridge_is_full() {
    let bridge = Bridge::start_with(&BridgeOptions { max_connections: Some(1), ..Default::default() });
    let client = Client::start_with(&bridge.link, &["--only", "websocket"]);
    let origin = Origin::start();
    let Some(mut holding) = begin_transfer(&client, &origin) else { return };
    let link = websocket_only(&bridge, |_unchanged| ());
    assert_named(&doctor(&mut commucat(), &link), 3, &["full"]);
    assert!(client_says(&link).contains("full"));
    holding.kill().unwrap();
    holding.wait().unwrap();
}

#[test]
fn mistake_8_there_is_no_network() {
    let bridge = Bridge::start();
    let Some(mut unshare) = tool("unshare", "util-linux") else { return };
    // A network namespace of its own, whose loopback is down: as with the cable out.
    let probe = run(unshare.args(["--net", "--map-root-user", "true"]));
    if probe.code != Some(0) {
        println!("skipped: this system lets no unprivileged program make a network namespace (run as root)");
        return;
    }
    let mut unshare = tool("unshare", "util-linux").unwrap();
    unshare.args(["--net", "--map-root-user"]).arg(env!("CARGO_BIN_EXE_commucat")).env("NO_COLOR", "1");
    assert_named(&doctor(&mut unshare, &bridge.link), 3, &["no network"]);
}

#[test]
fn mistake_8_is_said_by_the_client_too() {
    let bridge = Bridge::start();
    let (Some(mut unshare), Some(_ip), Some(_curl)) =
        (tool("unshare", "util-linux"), tool("ip", "iproute2"), tool("curl", "curl"))
    else {
        return;
    };
    let link = websocket_only(&bridge, |spec| spec.endpoint = "192.0.2.1:443".parse().unwrap());
    // Loopback is up, so that a program reaches the proxy; there is no way out.
    let script = "ip link set lo up || exit 77
        \"$0\" connect --json --no-state --listen 127.0.0.1:1080 \"$1\" & client=$!
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            curl --disable --silent --max-time 20 --proxy socks5h://127.0.0.1:1080 http://example.org/
            [ $? = 7 ] || break
            sleep 0.3
        done
        sleep 1
        kill $client";
    unshare
        .args(["--net", "--map-root-user", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_commucat"))
        .arg(&link);
    let output = run(&mut unshare);
    if output.stderr.contains("unshare") || output.code == Some(77) {
        println!("skipped: this system lets no unprivileged program make a network namespace (run as root)");
        return;
    }
    assert!(output.stdout.to_lowercase().contains("no network"), "{output:?}");
}
