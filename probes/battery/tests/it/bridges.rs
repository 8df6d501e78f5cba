//! Our own bridges, as a prober meets them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use commucat_battery::{Answer, Aspect, Class, Survey, compare};
use commucat_net::SystemNet;
use commucat_shadowsocks::Shadowsocks;
use commucat_transport_api::{
    Client, Cx, PluggableTransport, Secret, Server, Spec, Target, TransportId, User, UserTable,
};
use commucat_websocket::WebSocket;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{certificate, nginx, survey};

fn anna() -> User {
    User { id: "anna".parse().unwrap(), secret: Secret::new([7; 32]) }
}

fn cx() -> Cx {
    Cx::new(SystemNet::new(), Duration::from_secs(10))
}

/// A bridge that shakes hands and then keeps the channel open.
async fn bridge(
    transport: &dyn PluggableTransport,
    id: TransportId,
    over: Value,
) -> (SocketAddr, Arc<dyn Server>) {
    let mut params = transport.generate_server_params().unwrap();
    params.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
    let spec = Spec::new(id, "127.0.0.1:0".parse().unwrap(), params).unwrap();
    let users = Arc::new(UserTable::new(vec![anna()]));
    let server = transport.server(&spec, &users).unwrap();
    let mut listener = server.listen(&cx()).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok(incoming) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(accepted) = incoming.handshake().await else { return };
                let Ok(mut stream) = accepted.channel.into_stream() else { return };
                let mut buffer = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..count]).await.ok();
                    stream.flush().await.ok();
                }
            });
        }
    });
    (at, server)
}

/// The first bytes that a client of this bridge sends.
async fn first_flight(transport: &dyn PluggableTransport, server: &dyn Server) -> Vec<u8> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let client: Arc<dyn Client> =
        transport.client(&server.client_spec(&here.into(), &anna()).unwrap()).unwrap();
    let dialling = tokio::spawn(async move {
        let opened = client.dial(&cx(), &Target::Stream("site.example:80".parse().unwrap())).await;
        if let Ok(Ok(mut stream)) = opened.map(|opened| opened.channel.into_stream()) {
            stream.write_all(b"hello").await.ok();
            stream.flush().await.ok();
        }
    });
    let (mut stream, _peer) = listener.accept().await.unwrap();
    let mut flight = vec![0; 4096];
    let count = stream.read(&mut flight).await.unwrap();
    flight.truncate(count);
    dialling.abort();
    flight
}

/// Plays a first flight once, as its owner does, so that what comes after is a replay.
async fn play(at: SocketAddr, flight: &[u8]) {
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    stream.write_all(flight).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut [0; 64])).await;
    heard.expect("the owner is answered").unwrap();
}

fn classes(survey: &Survey) -> Vec<(&str, Class)> {
    survey
        .observed
        .iter()
        .flat_map(|one| one.rounds.iter().map(|answer| (&*one.probe, answer.class())))
        .collect()
}

#[tokio::test]
async fn shadowsocks_says_nothing_to_anybody() {
    let transport = Shadowsocks::new();
    let (at, server) = bridge(&transport, commucat_shadowsocks::ID, json!({})).await;
    let flight = first_flight(&transport, &*server).await;
    play(at, &flight).await;
    let survey = survey(at, Some(flight)).await;
    for (probe, class) in classes(&survey) {
        // A stranger who closes his half is answered by an end.
        let expected = if probe == "site-half-request" { Class::Fin } else { Class::Silence };
        assert_eq!(class, expected, "{probe}");
    }
    for found in &survey.thresholds {
        assert_eq!((found.close, found.reset), (None, None), "it reads for ever");
    }
}

#[tokio::test]
async fn two_websocket_bridges_with_other_keys_are_one_site() {
    let dir = tempfile::tempdir().unwrap();
    let (chain, key) = certificate(dir.path());
    let pages = tempfile::tempdir().unwrap();
    std::fs::write(pages.path().join("index.html"), "<h1>home</h1>").unwrap();
    let params = json!({
        "cert_file": chain, "key_file": key, "path": "/one", "cover": { "folder": pages.path() },
    });
    let transport = WebSocket::new();
    let (one, server) = bridge(&transport, commucat_websocket::ID, params.clone()).await;
    let (other, _) = bridge(&transport, commucat_websocket::ID, params).await;
    let flight = first_flight(&transport, &*server).await;
    let (left, right) = tokio::join!(survey(one, Some(flight.clone())), survey(other, Some(flight)));
    let found = compare(&left, &right);
    assert!(found.differences.is_empty(), "{:#?}", found.differences);
}

#[tokio::test]
async fn a_websocket_bridge_beside_the_site_it_fetches() {
    let site = nginx(None).await;
    let transport = WebSocket::new();
    let cover = json!({ "origin": format!("http://{}", site.at) });
    let (at, server) = bridge(
        &transport,
        commucat_websocket::ID,
        json!({ "tls": "off", "path": "/secret", "cover": cover }),
    )
    .await;
    let flight = first_flight(&transport, &*server).await;
    play(at, &flight).await;
    let (left, right) = tokio::join!(survey(at, Some(flight.clone())), survey(site.at, Some(flight)));
    let found = compare(&left, &right);
    // What a prober who can also reach the origin sees: a request that is one gets the origin's answer with an
    // identifier more, and no `CONNECT` ends the connection; what is no request is answered in the bridge's own words,
    // and after two bytes where nginx needs one. Nothing else differs, and nobody is met with silence.
    let unexpected: Vec<_> = found
        .differences
        .iter()
        .filter(|one| match one.aspect {
            Aspect::HttpFields => !(one.left.contains("X-Request-Id: <id>")),
            Aspect::HttpBody => {
                !left.of(&one.probe).unwrap().rounds.iter().all(|answer| status(answer) == 400)
            }
            Aspect::End => one.probe != "connect",
            Aspect::CloseThreshold => (&*one.left, &*one.right) != ("2 bytes", "1 bytes"),
            _ => true,
        })
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert!(left.observed.iter().all(|one| one.probe == "empty" || one.rounds[0].class() == Class::Bytes));
    // A replay of the owner's own request is answered as the page that is not there.
    assert_eq!(status(&left.of("replay").unwrap().rounds[0]), 404);
    assert_eq!(status(&right.of("replay").unwrap().rounds[0]), 404);
}

fn status(answer: &Answer) -> u16 {
    answer.reply.as_ref().and_then(|reply| reply.http.as_ref()).map_or(0, |http| http.status)
}
