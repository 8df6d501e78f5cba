//! Clients that send what nobody should, and labs beside each other.

use std::time::Duration;

use commucat_censor::POLICIES;
use commucat_lab::{
    services::{BLOCKED_NAME, INNOCENT_NAME},
    victims::{Outcome, Run, Scene, page},
};

use crate::stage::{Stage, program, succeed};

/// Writes broken packets straight to the device: lengths that lie, versions that do not exist, options without end,
/// fragments, bursts of what is only nearly TLS, QUIC, DNS, WireGuard. The device passes on whatever it is given.
const STORM: &str = r#"
import random, socket, struct, sys
seed, count = int(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
device = next(name for _, name in socket.if_nameindex() if name != "lo")
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind((device, 0x0800))

def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def ip(protocol, body, source="10.73.0.2", to=None, options=b"", flags=0):
    to = to or rng.choice(["203.0.113.10", "203.0.113.20", "198.51.100.10", "192.0.2.53", "198.18.0.10"])
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(body), rng.randrange(65536), flags,
                       rng.randrange(256), protocol, 0, socket.inet_aton(source), socket.inet_aton(to)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body

def tcp(payload, port=None, flags=0x18, source=None):
    return struct.pack("!HHIIBBHHH", source or rng.randrange(65536), port or rng.choice([22, 53, 80, 443, 8443]),
                       rng.randrange(2**32), rng.randrange(2**32), rng.randrange(16) << 4 if rng.random() < .3 else 0x50,
                       flags, rng.randrange(65536), rng.randrange(65536), 0) + payload

def udp(payload, port=None):
    length = 8 + len(payload) if rng.random() < .8 else rng.randrange(65536)
    return struct.pack("!HHHH", rng.randrange(65536), port or rng.choice([53, 443, 1194, 51820]), length, 0) + payload

HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(32) + bytes.fromhex("20") + bytes(32)
QUIC = bytes.fromhex("c300000001088394c8f03e5157080000449e")
DNS = bytes.fromhex("000701000001000000000000") + b"\x07twitter\x03com\0" + bytes.fromhex("00010001")
SHAPES = [HELLO, QUIC, DNS, b"GET / HTTP/1.1\r\nHost: blocked.example\r\n\r\n", b"SSH-2.0-", b"\x01\0\0\0" + bytes(144),
          b"\x38" + bytes(13), b"\x16\xfe\xfd" + bytes(200), b"\x17\x03\x03\xff\xff", b"\x14\x03\x03\0\1\1"]

def payload():
    kind = rng.random()
    body = bytearray(rng.choice(SHAPES) + rng.randbytes(rng.choice([0, 1, 7, 300, 1200])))
    if kind < .6 and body:
        for _ in range(rng.randrange(1, 6)):
            body[rng.randrange(len(body))] = rng.choice([0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)])
    if kind < .3:
        body = body[:rng.randrange(len(body) + 1)]
    return bytes(body[:1400])

def packet():
    kind = rng.randrange(10)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 1500))
    if kind == 1:
        return ip(rng.randrange(256), rng.randbytes(rng.randrange(200)))
    if kind == 2:
        return ip(6, tcp(payload()), flags=rng.choice([0x2000, 0x2001, 0x1fff, 0x4000, 0xffff]))
    if kind == 3:
        return ip(17, udp(payload()), options=rng.randbytes(4 * rng.randrange(11)))
    if kind == 4:
        return ip(6, tcp(payload(), flags=rng.randrange(256)), source=rng.choice(["0.0.0.0", "255.255.255.255", "127.0.0.1", "203.0.113.20"]))
    if kind == 5:
        whole = bytearray(ip(rng.choice([6, 17]), rng.choice([tcp, udp])(payload())))
        for _ in range(3):
            whole[rng.randrange(min(len(whole), 40))] = rng.randrange(256)
        return bytes(whole)
    if kind == 6:
        whole = ip(6, tcp(payload()))
        return whole[:rng.randrange(1, len(whole))]
    if kind == 7:
        return b"\x60" + rng.randbytes(rng.randrange(1, 400))
    if kind == 8:
        return ip(1, rng.randbytes(rng.randrange(100)))
    return ip(rng.choice([6, 17]), rng.choice([tcp, udp])(payload()))

sent = 0
for _ in range(count):
    try:
        raw.send(packet())
        sent += 1
    except OSError:
        pass
print(sent)
"#;

/// Packets of one storm.
const PACKETS: &str = "20000";

fn visit(stage: &Stage, name: &'static str) -> Outcome {
    let scene = Scene::new(&stage.world, Run::Innocent, 1).unwrap();
    stage.lab.client().runtime().unwrap().block_on(async move { page(&scene, name).await }).unwrap()
}

#[test]
fn broken_packets_hurt_nobody() {
    if program("python3", "python3").is_none() {
        return;
    }
    // Every policy sees every packet; those that shut out whole networks or all protocols would shut out the visitor.
    let shuts = ["ru-mobile-wl", "ir-wl-2026", "p443-rst", "volume-ban"];
    let chain: Vec<_> =
        POLICIES.iter().map(|entry| entry.name).filter(|name| !shuts.contains(name)).collect();
    for seed in ["1", "2"] {
        let Some(stage) = Stage::with(&chain.join("+")) else { return };
        let sent: u32 = succeed(stage.lab.client().command("python3").args(["-c", STORM, seed, PACKETS]))
            .trim()
            .parse()
            .unwrap();
        assert!(sent > 15_000, "{sent} packets left");
        assert!(visit(&stage, INNOCENT_NAME).is_intact());
        // The judge has seen them, and called what is no packet so.
        let malformed = stage.lab.wait_for_event(0, Duration::from_secs(10), |event| {
            event.action == commucat_censor::Done::Malformed
        });
        assert!(malformed.is_some());
        stage.lab.stop().unwrap();
    }
}

#[test]
fn each_policy_alone_bears_broken_packets() {
    if program("python3", "python3").is_none() {
        return;
    }
    for entry in POLICIES {
        let Some(stage) = Stage::with(entry.name) else { return };
        succeed(stage.lab.client().command("python3").args(["-c", STORM, "3", "3000"]));
        // The domestic site passes under every policy but the one that shuts its port.
        let outcome = if entry.name == "p443-rst" {
            Outcome::Intact { bytes: 0 }
        } else {
            visit(&stage, "domestic.example")
        };
        assert!(outcome.is_intact(), "{}: {outcome}", entry.name);
        stage.lab.stop().unwrap();
    }
}

#[test]
fn the_censor_of_one_lab_knows_nothing_of_another() {
    let (Some(strict), Some(clean)) = (Stage::with("sni-rst"), Stage::with("clean")) else { return };
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| visit(&strict, BLOCKED_NAME));
        let served = scope.spawn(|| visit(&clean, BLOCKED_NAME));
        assert!(matches!(blocked.join().unwrap(), Outcome::Reset { .. }));
        assert!(served.join().unwrap().is_intact());
    });
    strict.blamed("sni-rst");
    clean.untouched();
}
