//! A new configuration while connections are open.

use commucat_server::StartError;
use tokio::net::TcpListener;

use crate::support::{BASIC, World, config, echo, is_alive};

async fn free() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

fn endpoint(listen: &str, params: &str) -> String {
    format!("\n[[endpoints]]\ntransport = \"plain\"\nlisten = \"{listen}\"\nparams = {{ {params} }}\n")
}

fn base() -> &'static str {
    BASIC.split("[[endpoints]]").next().unwrap()
}

#[tokio::test]
async fn what_did_not_change_goes_on_and_open_streams_stay() {
    let (a, b, c) = (free().await, free().await, free().await);
    let world = World::start(&format!("{}{}{}", base(), endpoint(&a, ""), endpoint(&b, ""))).await;
    let target = echo().await;
    let mut through_a = world.stream(target).await;
    let channel = crate::support::dial(
        b.parse().unwrap(),
        &world.ann,
        commucat_transport_api::Target::Stream(target.into()),
    );
    let mut through_b = channel.await.unwrap().into_stream().unwrap();

    let next = format!("{}{}{}", base(), endpoint(&c, ""), endpoint(&a, ""));
    let reloaded = world.bridge.reload(config(&next)).await.unwrap();
    assert_eq!((reloaded.kept, reloaded.started, reloaded.stopped), (1, 1, 1));
    let at: Vec<_> = world.bridge.endpoints().iter().map(|at| at.listen.unwrap().to_string()).collect();
    assert_eq!(at, [c, a], "in the order of the new configuration");
    assert!(is_alive(&mut through_a).await);
    assert!(is_alive(&mut through_b).await, "its endpoint is gone, the stream is not");
    assert!(tokio::net::TcpStream::connect(&b).await.is_err());
    world.await_self_check().await;
}

#[tokio::test]
async fn changed_parameters_replace_the_listener_on_the_same_port() {
    let a = free().await;
    let world = World::start(&format!("{}{}", base(), endpoint(&a, ""))).await;
    let mut stream = world.stream(echo().await).await;
    let reloaded =
        world.bridge.reload(config(&format!("{}{}", base(), endpoint(&a, "label = \"x\"")))).await.unwrap();
    assert_eq!((reloaded.kept, reloaded.started, reloaded.stopped), (0, 1, 1));
    assert!(is_alive(&mut stream).await);
    assert!(is_alive(&mut world.stream(echo().await).await).await);
}

#[tokio::test]
async fn a_renewed_certificate_replaces_the_listener() {
    let a = free().await;
    let world = World::start(BASIC).await;
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| world.dir.path().join(name));
    std::fs::write(&cert, "first").unwrap();
    std::fs::write(&key, "key").unwrap();
    let tls = format!("[server]\ntls_cert = \"{}\"\ntls_key = \"{}\"\n", cert.display(), key.display());
    let text = format!("{}{}", base().replace("[server]\n", &tls), endpoint(&a, ""));
    world.bridge.reload(config(&text)).await.unwrap();
    assert_eq!(world.bridge.reload(config(&text)).await.unwrap().kept, 1, "nothing changed");
    std::fs::write(&cert, "second").unwrap();
    let reloaded = world.bridge.reload(config(&text)).await.unwrap();
    assert_eq!((reloaded.kept, reloaded.started), (0, 1), "same path, other certificate");
}

#[tokio::test]
async fn a_configuration_that_does_not_work_changes_nothing() {
    let a = free().await;
    let world = World::start(&format!("{}{}", base(), endpoint(&a, ""))).await;
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let mut stream = world.stream(echo().await).await;
    let error =
        world.bridge.reload(config(&format!("{}{}", base(), endpoint(&taken, "")))).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    assert_eq!(world.endpoint(0).to_string(), a, "the old endpoint is back");
    assert!(is_alive(&mut stream).await);
    assert!(is_alive(&mut world.stream(echo().await).await).await);
}

#[tokio::test]
async fn limits_change_at_once_and_what_cannot_is_told() {
    let a = free().await;
    let text = format!("{}{}", base(), endpoint(&a, ""));
    let world = World::start(&text).await;
    let target = echo().await;
    let mut first = world.stream(target).await;
    assert!(is_alive(&mut first).await);
    let next = format!("{text}\n[limits]\nmax_connections_per_user = 1\n[log]\nlevel = \"debug\"\n");
    let reloaded = world.bridge.reload(config(&next)).await.unwrap();
    assert_eq!(reloaded.needs_restart, ["log"]);
    assert!(!is_alive(&mut world.stream(target).await).await);
    assert!(is_alive(&mut first).await);
}
