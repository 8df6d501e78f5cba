//! A bridge that cannot start says why; one that stops does it in order.

use std::time::Duration;

use commucat_server::StartError;
use commucat_transport_api::Target;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{BASIC, World, echo, ended_with_reset, is_alive};

#[tokio::test]
async fn a_taken_port_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _holder = TcpListener::bind(taken).await.unwrap();
    let text = BASIC.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{taken}\""));
    let Err(error) = World::try_start(&text).await else { panic!() };
    let message = error.to_string();
    assert!(message.starts_with("endpoints[0] (plain): port "), "{message}");
    assert!(message.contains(&format!("port {} is taken by another program", taken.port())), "{message}");
    assert!(matches!(&error, StartError::Listen { reason, .. } if reason.is_taken()));

    let text = BASIC.replace("admin_bind = \"127.0.0.1:0\"", &format!("admin_bind = \"{taken}\""));
    let Err(error) = World::try_start(&text).await else { panic!() };
    assert!(error.to_string().starts_with("server.admin_bind: port "), "{error}");
}

#[tokio::test]
async fn when_one_endpoint_fails_none_stays() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap();
    let text = BASIC.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{free}\""));
    let text = format!("{text}\n[[endpoints]]\ntransport = \"plain\"\nlisten = \"{taken}\"\n");
    let Err(error) = World::try_start(&text).await else { panic!() };
    assert!(error.to_string().starts_with("endpoints[1] (plain)"), "{error}");
    TcpListener::bind(free).await.expect("the first endpoint's port is free again");
}

#[tokio::test]
async fn a_bad_parameter_is_found_before_anything_starts() {
    let Err(error) = World::try_start(&format!("{BASIC}params = {{ lable = \"x\" }}\n")).await else {
        panic!()
    };
    let message = error.to_string();
    assert!(message.contains("endpoints[0].params.lable: unknown key; did you mean `label`?"), "{message}");
    let Err(error) = World::try_start(&BASIC.replace("\"plain\"", "\"plian\"")).await else { panic!() };
    assert!(error.to_string().contains("endpoints[0].transport: "), "{error}");
    assert!(error.to_string().contains("did you mean `plain`?"), "{error}");
}

#[tokio::test]
async fn a_key_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let cert = dir.path().join("cert.pem");
    std::fs::write(&cert, "").unwrap();
    let tls = format!("[server]\ntls_cert = \"{}\"\ntls_key = \"/nowhere/key.pem\"", cert.display());
    let Err(error) = World::try_start(&BASIC.replace("[server]", &tls)).await else { panic!() };
    assert!(
        error.to_string().contains("server.tls_key: cannot read /nowhere/key.pem: there is no such file"),
        "{error}"
    );
}

#[tokio::test]
async fn draining_lets_open_streams_finish_and_takes_no_new_ones() {
    let world = World::start(BASIC).await;
    let (at, target) = (world.endpoint(0), echo().await);
    let mut stream = world.stream(target).await;
    assert!(is_alive(&mut stream).await);
    let finishing = async {
        // While the bridge drains, nobody new gets in and the open stream works on.
        while tokio::net::TcpStream::connect(at).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(world.admin("/readyz", "").await.0, 503);
        assert!(is_alive(&mut stream).await);
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    };
    let (drained, ()) = tokio::join!(world.bridge.drain(Duration::from_secs(60)), finishing);
    assert_eq!(drained.cut, 0);
}

#[tokio::test]
async fn draining_cuts_at_the_deadline() {
    let world = World::start(BASIC).await;
    let mut stream = world.stream(echo().await).await;
    assert!(is_alive(&mut stream).await);
    let drained = world.bridge.drain(Duration::from_millis(200)).await;
    assert_eq!(drained.cut, 1);
    assert!(ended_with_reset(&mut stream).await);
}

#[tokio::test]
async fn a_dropped_bridge_leaves_nothing() {
    let world = World::start(BASIC).await;
    let at = world.endpoint(0);
    let mut stream = world.stream(echo().await).await;
    assert!(is_alive(&mut stream).await);
    let ann = world.ann.clone();
    drop(world);
    assert!(ended_with_reset(&mut stream).await);
    while crate::support::dial(at, &ann, Target::Bridge).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
