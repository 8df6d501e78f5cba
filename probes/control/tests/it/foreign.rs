//! Clients that nobody here wrote: curl and OpenSSL.

use std::process::{Output, Stdio};

use commucat_control::{RunningControl, wire};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::support::{patiently, start, tcp_of};

async fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let spawned = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = spawned else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    // A client that ended early does not read the rest.
    let _written = stdin.write_all(input).await;
    drop(stdin);
    Some(patiently(child.wait_with_output()).await.unwrap())
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

async fn curl(server: &RunningControl, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let port = tcp_of(server).port();
    let resolve = format!("innocent.example:{port}:127.0.0.1");
    let pin = server.certificate_pin().to_string();
    let mut all =
        vec!["-sS", "--insecure", "--pinnedpubkey", &pin, "--resolve", &resolve, "--max-time", "20"];
    all.extend_from_slice(arguments);
    run("curl", &all, input).await
}

#[tokio::test]
async fn curl_is_seen_as_it_is() {
    let server = start().await;
    let url = format!("https://innocent.example:{}", tcp_of(&server).port());
    let Some(hello) = curl(&server, &[&format!("{url}{}", wire::HELLO)], b"").await else { return };
    let hello: wire::HelloAnswer = serde_json::from_value(json(&hello)).unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("innocent.example"));
    assert!(hello.ja4.unwrap().starts_with("t13d"));

    let target = format!("{url}{}?bytes=1000000", wire::SOURCE);
    let source = curl(&server, &[&target], b"").await.unwrap();
    let mut expected = vec![0; 1_000_000];
    wire::pattern(0, &mut expected);
    assert!(source.stdout == expected, "{}", String::from_utf8_lossy(&source.stderr));

    // Over 1 MiB curl sends `Expect: 100-continue`.
    let target = format!("{url}{}", wire::SINK);
    let sink = curl(&server, &["--data-binary", "@-", &target], &vec![1; 2_000_000]).await.unwrap();
    assert_eq!(json(&sink)["bytes"], 2_000_000);
    let target = format!("{url}{}", wire::ECHO);
    let echo = curl(&server, &["--data-binary", "@-", &target], &expected).await.unwrap();
    assert!(echo.stdout == expected);
}

#[tokio::test]
async fn curl_works_without_tls_and_with_tls_1_2() {
    let server = start().await;
    let port = tcp_of(&server).port();
    let plain = format!("http://innocent.example:{port}/whoami");
    let Some(whoami) = curl(&server, &[&plain], b"").await else { return };
    assert_eq!(json(&whoami)["address"], "127.0.0.1");
    let sealed = format!("https://innocent.example:{port}/hello");
    let hello = curl(&server, &["--tls-max", "1.2", &sealed], b"").await.unwrap();
    assert_eq!(json(&hello)["tls_version"], "1.2");
}

#[tokio::test]
async fn curl_turns_away_from_another_pin() {
    let (server, other) = (start().await, start().await);
    let url = format!("https://innocent.example:{}/time", tcp_of(&server).port());
    let pin = other.certificate_pin().to_string();
    let arguments = ["--pinnedpubkey", pin.as_str(), &url];
    let Some(refused) = curl(&server, &arguments, b"").await else { return };
    assert_eq!(refused.status.code(), Some(90), "CURLE_SSL_PINNEDPUBKEYNOTMATCH");
}

#[tokio::test]
async fn openssl_speaks_by_hand() {
    let server = start().await;
    let address = tcp_of(&server).to_string();
    let request = b"GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n";
    for (flag, version) in [("-tls1_2", "1.2"), ("-tls1_3", "1.3")] {
        let arguments =
            ["s_client", "-quiet", "-ign_eof", flag, "-connect", &address, "-servername", "by.hand"];
        let Some(output) = run("openssl", &arguments, request).await else { return };
        let text = String::from_utf8(output.stdout).unwrap();
        let body = text.split("\r\n\r\n").nth(1).unwrap_or_else(|| panic!("{text}"));
        let hello: wire::HelloAnswer = serde_json::from_str(body).unwrap();
        assert_eq!(hello.server_name.as_deref(), Some("by.hand"));
        assert_eq!(hello.tls_version.as_deref(), Some(version));
        assert_eq!(hello.alpn, None, "openssl offered none");
    }
}

#[tokio::test]
async fn a_browser_is_seen_as_one() {
    let server = start().await;
    let url = format!("https://localhost:{}/hello", tcp_of(&server).port());
    let scratch = tempfile::tempdir().unwrap();
    let profile = format!("--user-data-dir={}", scratch.path().display());
    let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--dump-dom"];
    let arguments = [&flags[..], &[&profile, &url]].concat();
    let Some(output) = run("chromium", &arguments, b"").await else { return };
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some(body) = page.find('{').and_then(|from| page[from..].split_inclusive('}').next()) else {
        return eprintln!("skipped: chromium does not run here: {}", String::from_utf8_lossy(&output.stderr));
    };
    let hello: wire::HelloAnswer = serde_json::from_str(body).unwrap();
    // 15 or 16 cipher suites and 16 to 18 extensions, HTTP/2 offered first: what Chrome says since version 124.
    let ja4 = hello.ja4.unwrap();
    assert!(ja4.starts_with("t13d15") && ja4[8..].starts_with("h2_8daaf6152771_"), "{ja4}");
    assert_eq!((hello.server_name.as_deref(), hello.alpn.as_deref()), (Some("localhost"), Some("http/1.1")));
}
