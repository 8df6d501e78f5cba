//! Places: addresses, names, programs, runtimes.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use commucat_lab::LabError;

use crate::support::clean_lab;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn any_address_of_the_world_answers_the_client() {
    let Some(lab) = clean_lab() else { return };
    let listener = lab.world().run(|| TcpListener::bind("203.0.113.77:0").unwrap()).unwrap();
    let to = listener.local_addr().unwrap();
    let mut client = lab.client().run(|| TcpStream::connect(to).unwrap()).unwrap();
    let (mut served, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), lab.client().address());
    client.write_all(b"ping").unwrap();
    let mut got = [0; 4];
    served.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"ping");
}

#[test]
fn the_prober_reaches_the_world_and_not_the_client() {
    let Some(lab) = clean_lab() else { return };
    let echo = lab.world().run(|| UdpSocket::bind("198.51.100.9:0").unwrap()).unwrap();
    let to = echo.local_addr().unwrap();
    // Any address of the prober's network is its own.
    let probe = lab.prober().run(|| UdpSocket::bind("198.19.0.200:0").unwrap()).unwrap();
    probe.send_to(b"probe", to).unwrap();
    let mut buffer = [0; 16];
    let (length, from) = echo.recv_from(&mut buffer).unwrap();
    assert_eq!(from, probe.local_addr().unwrap());
    echo.send_to(&buffer[..length], from).unwrap();
    assert_eq!(probe.recv_from(&mut buffer).unwrap().0, length);
    let client = lab.client().address();
    let sent = probe.send_to(b"probe", (client, 9));
    assert!(sent.is_err(), "there is no way from the prober to the client");
}

#[test]
fn programs_see_the_place_and_its_names() {
    let Some(lab) = clean_lab() else { return };
    let output = lab.client().command("cat").arg("/etc/resolv.conf").output(LIMIT).unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("nameserver 192.0.2.53"));
    let seen = lab.client().run(|| std::fs::read_to_string("/etc/resolv.conf").unwrap()).unwrap();
    assert!(seen.contains("nameserver 192.0.2.53"));
    assert!(!std::fs::read_to_string("/etc/resolv.conf").unwrap().contains("192.0.2.53"));
    lab.client().set_env("LAB_TEST", "here");
    let output = lab.client().command("sh").args(["-c", "echo $LAB_TEST; exit 3"]).output(LIMIT).unwrap();
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"here\n"[..], Some(3)));
}

#[test]
fn sockets_of_daemons_are_apart() {
    let Some(lab) = clean_lab() else { return };
    let made = lab
        .client()
        .command("sh")
        .args(["-c", "echo 1 >/run/commucat-lab-test; ls /run"])
        .output(LIMIT)
        .unwrap();
    let inside = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(inside.contains("commucat-lab-test"), "{made:?}");
    assert!(!std::path::Path::new("/run/commucat-lab-test").exists());
    assert!(lab.world().run(|| !std::path::Path::new("/run/commucat-lab-test").exists()).unwrap());
}

#[test]
fn a_program_that_does_not_exist_or_does_not_end_is_an_error() {
    let Some(lab) = clean_lab() else { return };
    let error = lab.client().command("no-such-program").spawn().unwrap_err();
    assert!(matches!(error, LabError::Spawn { .. }), "{error:?}");
    let error = lab.client().command("sleep").arg("1000").output(Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, LabError::Deadline { .. }), "{error:?}");
}

#[test]
fn a_runtime_is_inside_on_all_its_threads() {
    let Some(lab) = clean_lab() else { return };
    let (world, client) = (lab.world().runtime().unwrap(), lab.client().runtime().unwrap());
    let listener =
        world.block_on(async { tokio::net::TcpListener::bind("203.0.113.10:443").await.unwrap() }).unwrap();
    let accepting = world.spawn(async move { listener.accept().await.unwrap().1.ip() });
    client
        .block_on(async {
            let blocking =
                tokio::task::spawn_blocking(|| std::fs::read_to_string("/etc/resolv.conf").unwrap());
            assert!(blocking.await.unwrap().contains("192.0.2.53"));
            tokio::net::TcpStream::connect("203.0.113.10:443").await.unwrap();
        })
        .unwrap();
    let from: IpAddr = world.block_on(accepting).unwrap().unwrap();
    assert_eq!(from, lab.client().address());
}

#[test]
fn labs_run_beside_each_other() {
    let Some(first) = clean_lab() else { return };
    let second = clean_lab().unwrap();
    let one = first.world().run(|| UdpSocket::bind("203.0.113.10:7").unwrap()).unwrap();
    let other = second.world().run(|| UdpSocket::bind("203.0.113.10:7").unwrap()).unwrap();
    for (lab, server, text) in [(&first, &one, b"1"), (&second, &other, b"2")] {
        let client = lab.client().run(|| UdpSocket::bind("10.73.0.2:4000").unwrap()).unwrap();
        client.send_to(text, "203.0.113.10:7").unwrap();
        let mut got = [0; 1];
        server.recv_from(&mut got).unwrap();
        assert_eq!(&got, text);
    }
    first.stop().unwrap();
    second.stop().unwrap();
}
