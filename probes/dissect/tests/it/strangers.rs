//! What programs and libraries of others say about the bytes written here: rustls as a server, tshark as a reader.

use std::{fs, process::Command, sync::Arc};

use commucat_dissect::{
    craft::{self, EchoSpec, TcpSpec, UdpSpec},
    dns,
    ip::TcpFlags,
    quic::{InitialSpec, VERSION_2, crypto_frame, seal_initial},
    tls::{
        self,
        build::{HelloSpec, X25519, X25519_MLKEM768},
        split_records,
    },
};
use rustls::{
    ServerConfig, ServerConnection,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

const NAME: &str = "blocked.example";

/// What a rustls server answers first.
fn answer_of_rustls(hello: &[u8]) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let mut rest = hello;
    while !rest.is_empty() {
        server.read_tls(&mut rest).unwrap();
        server.process_new_packets().unwrap();
    }
    assert_eq!(server.server_name(), Some(NAME));
    let mut answer = Vec::new();
    server.write_tls(&mut answer).unwrap();
    answer
}

#[test]
fn a_server_takes_the_hellos_for_real_ones() {
    let specs = [
        (HelloSpec::chrome_current(), X25519_MLKEM768),
        (HelloSpec::chrome_stale(), X25519_MLKEM768),
        (HelloSpec::firefox(), X25519_MLKEM768),
        (HelloSpec::curl_like(), X25519),
    ];
    for (spec, group) in specs {
        for seed in 0..4 {
            let message = spec.clone().with_server_name(NAME).message(seed).unwrap();
            for sizes in [&[][..], &[7, 200]] {
                let answer = answer_of_rustls(&split_records(&message, sizes));
                let hello = tls::server_hello(&answer).expect("a ServerHello");
                assert_eq!((hello.version(), hello.group(), hello.is_retry()), (0x0304, Some(group), false));
            }
        }
    }
}

/// A capture file of raw IP packets, as the pcap format describes it.
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    const LINKTYPE_RAW: u32 = 101;
    let head = [0xa1b2_c3d4, 0x0002_0004, 0, 0, 0xffff, LINKTYPE_RAW];
    let mut file: Vec<u8> = head.iter().flat_map(|word: &u32| word.to_be_bytes()).collect();
    for (number, packet) in (0_u32..).zip(packets) {
        let length = u32::try_from(packet.len()).unwrap();
        file.extend([number, 0, length, length].iter().flat_map(|word| word.to_be_bytes()));
        file.extend(packet);
    }
    file
}

fn packets() -> Vec<Vec<u8>> {
    let at = |text: &str| text.parse().unwrap();
    let message = HelloSpec::curl_like().with_server_name(NAME).message(1).unwrap();
    let tcp = |sequence, flags, payload: &[u8]| {
        let spec = TcpSpec::new(at("10.73.0.2:40000"), at("198.51.100.7:443"), flags);
        craft::tcp(&TcpSpec { sequence, payload, ..spec })
    };
    let stream = split_records(&message, &[100, 300]);
    let (one, two) = stream.split_at(180);

    let quic = HelloSpec::quic(vec![4, 4, 0x80, 1, 0, 0]).with_server_name(NAME).message(2).unwrap();
    let frames = [crypto_frame(120, &quic[120..]), crypto_frame(0, &quic[..120])].concat();
    let v1 = seal_initial(&InitialSpec::first(&[7; 8], &[9; 8], &frames)).unwrap();
    let v2 = InitialSpec { version: VERSION_2, ..InitialSpec::first(&[6; 8], &[9; 8], &frames) };
    let v2 = seal_initial(&v2).unwrap();
    let udp = |from, to, payload: &[u8]| craft::udp(&UdpSpec::new(at(from), at(to), payload));

    let query = dns::query(77, NAME, dns::TYPE_AAAA).unwrap();
    let forged = dns::forge_answer(&query, &["2001::1".parse().unwrap()], 60).unwrap();
    vec![
        tcp(99, TcpFlags::SYN, &[]),
        tcp(100, TcpFlags::PSH_ACK, one),
        tcp(280, TcpFlags::PSH_ACK, two),
        udp("10.73.0.2:50000", "198.51.100.7:443", &v1),
        udp("[2001:db8::2]:50001", "[2001:db8::7]:443", &v2),
        udp("[2001:db8::53]:53", "[2001:db8::2]:5000", &forged),
        craft::icmp_echo(&EchoSpec {
            source: "2001:db8::2".parse().unwrap(),
            destination: "2001:db8::7".parse().unwrap(),
            ttl: 1,
            reply: false,
            identifier: 1,
            sequence: 2,
            payload: b"ping",
        }),
    ]
}

#[test]
fn tshark_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crafted.pcap");
    fs::write(&file, capture(&packets())).unwrap();
    let fields = [
        "ip.checksum.status",
        "tcp.checksum.status",
        "udp.checksum.status",
        "icmpv6.checksum.status",
        "tls.handshake.extensions_server_name",
        "dns.aaaa",
    ];
    let checks = ["ip", "tcp", "udp"].map(|layer| format!("{layer}.check_checksum:TRUE"));
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&file).args(["-n", "-T", "fields", "-E", "separator=;"]);
    command.args(checks.iter().flat_map(|check| ["-o", check]));
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let Ok(output) = command.output() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "tshark is missing, and with CI set nothing may be skipped"
        );
        eprintln!("skipped: no tshark here to read what was written (apt-get install tshark)");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    // One line a packet; 1 says that a checksum is right. The hello of the stream is shown where it ends.
    let expected = [
        "1;1;;;;",
        "1;1;;;;",
        "1;1;;;blocked.example;",
        "1;;1;;blocked.example;",
        ";;1;;blocked.example;",
        ";;1;;;2001::1",
        ";;;1;;",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{}", String::from_utf8_lossy(&output.stderr));
}
