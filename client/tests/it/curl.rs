//! curl as a foreign local program, in every way it can use a proxy.

use std::net::SocketAddr;

use commucat_client::{Credentials, Options};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use crate::peer::{Ends, origin, plain, within};

const PAGE_BYTES: usize = 300_000;

async fn page() -> (SocketAddr, Ends) {
    origin(|mut stream| async move {
        let mut request = [0; 4096];
        while stream.read(&mut request).await.unwrap_or(0) > 0 {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {PAGE_BYTES}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b'x'; PAGE_BYTES]).await.unwrap();
        }
    })
    .await
}

/// Runs curl; gives its exit code and what it printed.
async fn curl(arguments: &[&str]) -> (i32, String) {
    let output =
        within(Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).output()).await;
    let output = output.expect("curl is installed");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

#[tokio::test]
async fn curl_fetches_through_every_kind_of_proxy() {
    let (_bridge, client) = plain(Options::default()).await;
    let (page, _task) = page().await;
    let (proxy, url) = (client.local_addr(), format!("http://localhost:{}/", page.port()));
    for scheme in ["socks5", "socks5h", "socks4", "socks4a", "http"] {
        let proxy = format!("{scheme}://{proxy}");
        // Twice the same URL: the second request goes over the kept connection.
        let report = "%{http_code} %{size_download}\n";
        let arguments = ["-x", &proxy, "-w", report, "-o", "/dev/null", &url, "-o", "/dev/null", &url];
        let (code, text) = curl(&arguments).await;
        assert_eq!((code, &*text), (0, &*format!("200 {PAGE_BYTES}\n").repeat(2)), "{scheme}");
    }
    let proxy = format!("http://{proxy}");
    let (code, text) = curl(&["-p", "-x", &proxy, "-w", "%{http_code}", "-o", "/dev/null", &url]).await;
    assert_eq!((code, &*text), (0, "200"), "CONNECT");
}

#[tokio::test]
async fn curl_is_told_why_not() {
    let credentials = Credentials::new("ann", "secret");
    let (bridge, client) = plain(Options { credentials, ..Options::default() }).await;
    let (page, _task) = page().await;
    let (proxy, url) = (client.local_addr(), format!("http://{page}/"));
    let with = |user: &str| (format!("socks5h://{user}@{proxy}"), format!("http://{user}@{proxy}"));
    for proxy in <[_; 2]>::from(with("ann:secret")) {
        assert_eq!(curl(&["-x", &proxy, "-o", "/dev/null", &url]).await.0, 0, "{proxy}");
    }
    let (socks, http) = with("ann:wrong");
    assert_ne!(curl(&["-x", &socks, &url]).await.0, 0);
    assert!(curl(&["-x", &http, &url]).await.1.contains("asks for a user name and a password"));
    bridge.change(|manner| manner.user = "somebody-else");
    let (_, http) = with("ann:secret");
    let (_, text) = curl(&["-x", &http, &url]).await;
    assert!(text.contains("Wrong user") && text.contains("fresh link"), "{text}");
}
