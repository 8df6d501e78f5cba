//! Who may probe a bridge, and what is said of servers on loopback.

use std::{net::SocketAddr, time::Duration};

use commucat_net::SystemNet;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

fn config(bridge: SocketAddr) -> BridgeConfig {
    let mut config = BridgeConfig::new(bridge.into());
    config.consent = Consent::up_to(Risk::High);
    config.surroundings = Surroundings::Open;
    config.limits = Limits {
        patience: Duration::from_millis(300),
        quiet: Duration::from_millis(80),
        parallel: 16,
        rounds: 1,
        threshold_bytes: 0,
        ..Limits::default()
    };
    config
}

/// A server that answers every connection's first bytes with these, or never.
async fn server(answer: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    if let Some(answer) = answer {
                        stream.write_all(answer).await.ok();
                        // All that was sent is read before the end, so that the end is never a reset.
                        stream.shutdown().await.ok();
                    }
                }
            });
        }
    });
    at
}

#[tokio::test]
async fn it_refuses_without_agreement_and_from_inside() {
    let net: Arc<dyn Net> = SystemNet::new();
    let at = server(None).await;
    let mut refused = config(at);
    refused.consent = Consent::up_to(Risk::Medium);
    assert!(matches!(bridge(&net, &refused).await, Err(BridgeError::Consent(_))));
    refused = config(at);
    refused.surroundings = Surroundings::Censored(vec!["tls.rst_after_ch".to_owned()]);
    let error = bridge(&net, &refused).await.unwrap_err();
    assert!(error.to_string().contains("tls.rst_after_ch") && error.to_string().contains("--i-understand"));
    refused.surroundings = Surroundings::Unknown;
    assert!(matches!(bridge(&net, &refused).await, Err(BridgeError::Unknown)));
    refused.understood = true;
    assert!(bridge(&net, &refused).await.is_ok());
}

#[tokio::test]
async fn it_says_what_a_stranger_sees() {
    let net: Arc<dyn Net> = SystemNet::new();
    let (page, other) = (b"HTTP/1.1 404 Not Found\r\n\r\nlost", b"HTTP/1.1 403 Forbidden\r\n\r\n");
    let mut asked = config(server(None).await);
    let silent = bridge(&net, &asked).await.unwrap();
    assert_eq!(silent.impression, Impression::Silent, "{}", silent.summary);
    assert_eq!(silent.left_out.len(), 2);
    asked = config(server(Some(page)).await);
    asked.dest = Some(server(Some(page)).await.into());
    asked.name = Some("site.example".to_owned());
    let like = bridge(&net, &asked).await.unwrap();
    assert_eq!(like.impression, Impression::LikeSite, "{:#?}", like.comparison);
    asked.dest = Some(server(Some(other)).await.into());
    let unlike = bridge(&net, &asked).await.unwrap();
    assert_eq!(unlike.impression, Impression::UnlikeSite);
    assert!(unlike.summary.contains("404") && unlike.summary.contains("403"), "{}", unlike.summary);
    assert!(serde_json::to_value(&unlike).is_ok());
}

#[tokio::test]
async fn a_bridge_that_is_gone_is_an_error() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let net: Arc<dyn Net> = SystemNet::new();
    let error = bridge(&net, &config(gone)).await.unwrap_err();
    assert!(matches!(error, BridgeError::Bridge(BatteryError::Unreachable(_))), "{error}");
}
