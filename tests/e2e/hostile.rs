//! Strangers at the door: garbage, slowness, crowds. The bridge stays up, keeps its memory, and serves others.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::support::{Bridge, Client, Origin, curl, run, tool};

/// Half-open connections held at once.
const CROWD: usize = 10_000;
/// Memory that a half-open connection may cost at most, in KiB: a TLS acceptor before its first byte, with room.
const KIB_PER_CONNECTION: u64 = 24;

fn ports(bridge: &Bridge) -> Vec<SocketAddr> {
    bridge.parsed_link().endpoints.iter().map(|spec| spec.endpoint.socket_addr().unwrap()).collect()
}

fn assert_serves(bridge: &Bridge, origin: &Origin) {
    for transport in ["shadowsocks", "websocket"] {
        let client = Client::start_with(&bridge.link, &["--only", transport]);
        let Some(page) = curl(&["--proxy", &client.socks(), &origin.url("/page")]) else { return };
        assert_eq!(page.code, Some(0), "{transport}: {page:?}");
    }
}

#[test]
fn garbage_on_every_port_hurts_nobody() {
    let (mut bridge, origin) = (Bridge::start(), Origin::start());
    let mut garbage = vec![0; 100_000];
    blake3::Hasher::new().update(b"garbage").finalize_xof().fill(&mut garbage);
    let flights: [&[u8]; 6] = [
        &garbage,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\xff\xff",
        b"SSH-2.0-x\r\n",
        &[0; 5000],
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ];
    let before = bridge.process.descriptors();
    for address in ports(&bridge) {
        for flight in flights {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            // The bridge may have closed already; that is its right.
            stream.write_all(flight).ok();
            stream.read_exact(&mut [0; 1]).ok();
        }
        let mut slow = TcpStream::connect(address).unwrap();
        for byte in garbage.iter().take(200) {
            if slow.write_all(&[*byte]).is_err() {
                break;
            }
        }
    }
    assert_serves(&bridge, &origin);
    assert!(bridge.process.is_running(), "{}", bridge.process.said());
    assert!(!bridge.process.said().contains("panicked"), "{}", bridge.process.said());
    for _ in 0..100 {
        if bridge.process.descriptors() <= before + 4 {
            return;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    panic!("descriptors leaked: {before} before, {} after", bridge.process.descriptors());
}

/// Opens the crowd from a process of its own, which needs 10,000 descriptors, and says when it stands.
const CROWD_SCRIPT: &str = r"
import resource, socket, sys
count, addresses = int(sys.argv[1]), sys.argv[2:]
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
held = []
for n in range(count):
    host, port = addresses[n % len(addresses)].rsplit(':', 1)
    s = socket.create_connection((host, int(port)), timeout=30)
    s.send(b'\x16\x03\x01' if n % 2 else b'x')
    held.append(s)
print('standing', len(held), flush=True)
sys.stdin.readline()
";

#[test]
fn ten_thousand_half_open_connections_are_bounded_and_others_are_served() {
    let (mut bridge, origin) = (Bridge::start(), Origin::start());
    assert_serves(&bridge, &origin);
    let before = bridge.process.resident_kib();
    let Some(mut python) = tool("python3", "python3") else { return };
    let addresses: Vec<String> = ports(&bridge).iter().map(ToString::to_string).collect();
    python.args(["-c", CROWD_SCRIPT, &CROWD.to_string()]).args(&addresses);
    let mut crowd =
        python.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut first = [0; 8];
    crowd
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .expect("the crowd stands (is `ulimit -n` above 10,100?)");
    let grown = bridge.process.resident_kib().saturating_sub(before);
    let most = KIB_PER_CONNECTION * CROWD as u64;
    assert!(grown < most, "{grown} KiB for {CROWD} half-open connections, at most {most} allowed");
    assert_serves(&bridge, &origin);
    assert!(bridge.process.is_running());
    crowd.kill().unwrap();
    crowd.wait().unwrap();
}

#[test]
fn a_stranger_sees_the_same_site_on_a_wrong_path_and_on_an_unknown_page() {
    let bridge = Bridge::start();
    let address =
        ports(&bridge)[usize::from(bridge.parsed_link().endpoints[0].transport.as_str() != "websocket")];
    let url = |path: &str| format!("https://{address}{path}");
    let upgrade =
        ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13", "-H"];
    let key = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    let get = |extra: &[&str], path: &str| {
        let mut args = vec!["--insecure", "--include", "--http1.1"];
        args.extend_from_slice(extra);
        let url = url(path);
        args.push(&url);
        let answer = curl(&args)?;
        let varying = |line: &&str| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("date:") && !line.starts_with("x-request-id:")
        };
        Some(answer.stdout.lines().filter(varying).collect::<Vec<_>>().join("\n"))
    };
    let Some(unknown) = get(&[], "/no/such/page") else { return };
    let path = bridge.endpoint("websocket").params["path"].as_str().unwrap().to_owned();
    let upgrade: Vec<&str> = upgrade.iter().chain(&key).copied().collect();
    assert_eq!(get(&upgrade, "/no/such/page").unwrap(), unknown, "an upgrade on an unknown path");
    assert_eq!(get(&upgrade, &path).unwrap(), unknown, "an upgrade on our path without a key");
    assert_eq!(get(&[], &path).unwrap(), unknown, "a plain request for our path");
    assert!(
        run(crate::support::commucat().args(["link", "show", &bridge.link])).stdout.contains("websocket")
    );
}
