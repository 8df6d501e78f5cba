//! Captures and events: readable by others, bounded, and never the end of a lab.

use std::{
    fs::{self, File},
    net::UdpSocket,
    path::Path,
    time::Duration,
};

use commucat_dissect::ip;
use commucat_lab::{Lab, LabConfig, LabSummary};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use pcap_file::{DataLink, TsResolution, pcap::PcapReader};

use crate::support::{allowed, config};

const DATAGRAM: [u8; 1000] = [7; 1000];

/// Sends datagrams from client to world and back, and ends the lab.
fn talk(config: LabConfig, datagrams: usize) -> LabSummary {
    let lab = Lab::start(config).unwrap();
    let server = lab.world().run(|| UdpSocket::bind("203.0.113.10:7").unwrap()).unwrap();
    let client = lab.client().run(|| UdpSocket::bind("10.73.0.2:7").unwrap()).unwrap();
    client.connect("203.0.113.10:7").unwrap();
    let mut buffer = [0; 2000];
    for _datagram in 0..datagrams {
        client.send(&DATAGRAM).unwrap();
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], from).unwrap();
        client.recv(&mut buffer).unwrap();
    }
    lab.stop().unwrap()
}

fn packets(file: &Path) -> Vec<(Duration, Vec<u8>)> {
    let mut reader = PcapReader::new(File::open(file).unwrap()).unwrap();
    assert_eq!(reader.header().datalink, DataLink::RAW);
    assert_eq!(reader.header().ts_resolution, TsResolution::NanoSecond);
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        packets.push((packet.timestamp, packet.data.into_owned()));
    }
    packets
}

#[test]
fn both_sides_are_captured_with_right_checksums() {
    if !allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("link?delay=10ms");
    config.capture_dir = Some(folder.path().join("made/by/the/lab"));
    let summary = talk(config, 5);
    assert_eq!(summary.captures.len(), 3);
    assert!(summary.captures.iter().all(|file| file.ended.is_none() && file.missed == 0), "{summary:?}");
    let [client, world] = ["client.pcap", "world.pcap"].map(|name| {
        let all = packets(&folder.path().join("made/by/the/lab").join(name));
        all.into_iter().filter(|(_at, packet)| packet.len() == 1028).collect::<Vec<_>>()
    });
    assert_eq!((client.len(), world.len()), (10, 10));
    for (_at, packet) in client.iter().chain(&world) {
        let parsed = ip::parse(packet).unwrap();
        assert!(parsed.checksum_ok(), "{parsed:?}");
    }
    // The same packet leaves the client first and reaches the world ten milliseconds later.
    assert_eq!(client[0].1, world[0].1);
    assert!(world[0].0 - client[0].0 >= Duration::from_millis(10));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(now - client[0].0 < Duration::from_secs(600), "the time of day is right");
}

#[test]
fn a_capture_ends_at_its_size_and_the_lab_goes_on() {
    if !allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("clean");
    config.capture_dir = Some(folder.path().to_owned());
    config.capture_bytes_max = 10_000;
    let summary = talk(config, 20);
    let client = &summary.captures[0];
    assert!(client.bytes <= 10_000 && client.bytes > 8000, "{client:?}");
    assert!(client.ended.as_deref().unwrap().contains("size") && client.missed >= 30, "{client:?}");
    assert_eq!(fs::metadata(&client.path).unwrap().len(), client.bytes);
    assert_eq!(packets(&client.path).len(), 9);
    assert_eq!(summary.traffic.client_received.packets, 20);
}

#[test]
fn a_full_disk_ends_the_capture_and_not_the_lab() {
    if !allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    mount(Some("tmpfs"), &disk, Some("tmpfs"), MsFlags::empty(), Some("size=400k")).unwrap();
    let mut config = config("clean");
    config.capture_dir = Some(disk.clone());
    let summary = talk(config, 500);
    let [client, world] = [&summary.captures[0], &summary.captures[1]];
    let read = [client, world].map(|file| packets(&file.path).len());
    let lengths = [client, world].map(|file| fs::metadata(&file.path).unwrap().len());
    umount2(&disk, MntFlags::MNT_DETACH).unwrap();
    assert_eq!(summary.traffic.client_received.packets, 500);
    assert!(
        [client, world].iter().any(|file| file.ended.as_deref().is_some_and(|why| why.contains("refused"))),
        "{summary:?}"
    );
    assert!(client.missed + world.missed > 0);
    assert!(read.iter().any(|packets| *packets > 0), "what was written before is readable");
    assert_eq!(lengths, [client.bytes, world.bytes], "no half record stands at the end");
}

#[test]
fn a_folder_that_cannot_be_made_is_said_at_the_start() {
    if !allowed() {
        return;
    }
    let mut config = config("clean");
    config.capture_dir = Some("/proc/nowhere".into());
    let error = Lab::start(config).unwrap_err();
    assert!(error.to_string().contains("/proc/nowhere"), "{error}");
}
