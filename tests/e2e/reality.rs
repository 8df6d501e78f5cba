//! A bridge behind a site that is somebody else's: OpenSSL's server, whose visitors must not notice.

use std::{fs, io::Read as _, net::TcpListener, path::Path, process::Stdio, time::Duration};

use crate::support::{Client, Origin, Process, closed_port, commucat, curl, run, tool};

const NAME: &str = "site.example.org";

/// OpenSSL's server with a page that tells its own parameters; `None` after the line that says what was skipped.
fn site(folder: &Path, port: u16) -> Option<Process> {
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| folder.join(name));
    let mut made = tool("openssl", "openssl")?;
    made.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj"]);
    made.arg(format!("/CN={NAME}")).args(["-addext", &format!("subjectAltName=DNS:{NAME}")]);
    assert_eq!(run(made.arg("-keyout").arg(&key).arg("-out").arg(&certificate)).code, Some(0));
    let mut server = tool("openssl", "openssl")?;
    server.args(["s_server", "-www", "-accept", &port.to_string(), "-key"]).arg(key);
    let mut process = Process::start(server.arg("-cert").arg(certificate));
    process.wait_for("ACCEPT");
    Some(process)
}

/// A running bridge before the site, and the link of its user.
struct Deployed {
    bridge: Process,
    port: u16,
    link: String,
}

impl Deployed {
    fn before(site: u16, folder: &Path) -> Self {
        let port = closed_port();
        let keys = commucat()
            .args(["reality", "keys", "--json", "--target"])
            .arg(format!("127.0.0.1:{site}"))
            .output();
        let keys: serde_json::Value = serde_json::from_slice(&keys.unwrap().stdout).unwrap();
        let mut params = keys["server"].clone();
        params["server_names"] = serde_json::json!([NAME]);
        let config = serde_json::json!({
            "server": { "public": "127.0.0.1", "admin_bind": "127.0.0.1:0" },
            "egress": { "allow_private": true },
            "endpoints": [{ "transport": "reality", "listen": format!("127.0.0.1:{port}"), "params": params }],
        });
        let (file, state) = (folder.join("bridge.yaml"), folder.join("state"));
        // JSON is YAML.
        fs::write(&file, config.to_string()).unwrap();
        let link =
            run(commucat().args(["user", "add", "anna", "--config"]).arg(&file).arg("--state").arg(&state));
        assert_eq!(link.code, Some(0), "{link:?}");
        let mut bridge =
            Process::start(commucat().args(["serve", "--config"]).arg(&file).arg("--state").arg(&state));
        bridge.wait_for("listening");
        Self { bridge, port, link: link.stdout.trim().to_owned() }
    }
}

#[test]
fn a_person_browses_and_a_stranger_sees_the_site() {
    let (folder, origin, at) = (tempfile::tempdir().unwrap(), Origin::start(), closed_port());
    let Some(_site) = site(folder.path(), at) else { return };
    let mut deployed = Deployed::before(at, folder.path());

    let client = Client::start(&deployed.link);
    let Some(page) = curl(&["--proxy", &client.socks(), &origin.url("/page")]) else { return };
    assert!(page.stdout.contains("the page of the origin"), "{page:?}\n{}", deployed.bridge.said());

    let native = run(commucat().args(["link", "convert", &deployed.link])).stdout;
    assert!(native.starts_with("vless://"), "other programs read this: {native}");

    let certificate = folder.path().join("cert.pem");
    let connect = format!("{NAME}:{}:127.0.0.1", deployed.port);
    let url = format!("https://{NAME}:{}/", deployed.port);
    let stranger = curl(&["--cacert", certificate.to_str().unwrap(), "--resolve", connect.as_str(), &url]);
    let stranger = stranger.unwrap();
    assert!(stranger.stdout.contains("s_server"), "{stranger:?}");
}

/// Twenty transfers at once need no more than three connections, and each ends whole.
#[test]
fn many_transfers_share_few_connections() {
    const TRANSFERS: usize = 20;
    let (folder, origin, at) = (tempfile::tempdir().unwrap(), Origin::start(), closed_port());
    let Some(_site) = site(folder.path(), at) else { return };
    let mut deployed = Deployed::before(at, folder.path());
    let client = Client::start(&deployed.link);
    let (proxy, url) = (client.socks(), origin.url("/slow"));
    let running: Vec<_> = (0..TRANSFERS)
        .map(|index| {
            let file = folder.path().join(format!("blob-{index}"));
            let mut curl = tool("curl", "curl")?;
            curl.args(["--disable", "--silent", "--max-time", "50", "--proxy", &proxy, &url, "--output"]);
            Some((curl.arg(&file).stdin(Stdio::null()).spawn().unwrap(), file))
        })
        .map_while(|transfer| transfer)
        .collect();
    let mut most = 0;
    let mut unfinished = running;
    while !unfinished.is_empty() {
        most = most.max(connections_to(deployed.port));
        std::thread::sleep(Duration::from_millis(100));
        unfinished.retain_mut(|(curl, file)| {
            let Some(ended) = curl.try_wait().unwrap() else { return true };
            assert!(ended.success(), "{ended}\n{}", deployed.bridge.said());
            assert!(fs::read(file).unwrap() == origin.blob, "a transfer came changed");
            false
        });
    }
    assert!((1..=3).contains(&most), "{most} connections at once");
}

/// Connections of this machine to a port of its own that are open now, as their dialling ends have them.
fn connections_to(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let peer = format!(":{port:04X}");
    table
        .lines()
        .filter(|line| {
            let mut fields = line.split_whitespace().skip(2);
            fields.next().is_some_and(|remote| remote.ends_with(&peer)) && fields.next() == Some(ESTABLISHED)
        })
        .count()
}

#[test]
fn a_bridge_whose_site_is_away_says_so_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let keys = run(commucat()
        .args(["reality", "keys", "--json", "--target"])
        .arg(format!("127.0.0.1:{}", closed_port())));
    let keys: serde_json::Value = serde_json::from_str(&keys.stdout).unwrap();
    let config = serde_json::json!({
        "server": { "public": "127.0.0.1", "admin_bind": "127.0.0.1:0" },
        "endpoints": [{ "transport": "reality", "listen": "127.0.0.1:0", "public": "127.0.0.1:1", "params": keys["server"] }],
    });
    let file = folder.path().join("bridge.yaml");
    fs::write(&file, config.to_string()).unwrap();
    let ended = run(commucat()
        .args(["serve", "--config"])
        .arg(&file)
        .arg("--state")
        .arg(folder.path().join("state")));
    assert_ne!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("target"), "{ended:?}");
}

/// The first record of whoever comes next.
fn first_record(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; 5];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).unwrap();
    [&head[..], &body].concat()
}

#[test]
fn a_pack_of_newer_hellos_is_made_and_signed_and_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let pack = |verb: &str| {
        let mut command = commucat();
        command.args(["reality", "pack", verb]);
        command
    };
    let key = run(pack("key").arg(file("signing.key")));
    assert_eq!(key.code, Some(0), "{key:?}");
    let again = run(pack("key").arg(file("signing.key")));
    assert_eq!(again.code, Some(2), "a key is not written over: {again:?}");
    let template = run(pack("template").arg("chromium")).stdout;
    // A browser without AES with 256 bits, which no JA4 of ours has.
    let newer = template.replace("chromium-156", "chromium-199").replacen("\"1302\",", "", 1);
    assert_ne!(newer.len(), template.len() - "\"1302\",".len() + 1);
    fs::write(file("chromium.json"), &newer).unwrap();
    let made =
        run(pack("make").args(["--version", "2", "--out"]).arg(file("p.json")).arg(file("chromium.json")));
    assert_eq!(made.code, Some(0), "{made:?}");
    let signed = run(pack("sign").arg(file("p.json")).arg("--key").arg(file("signing.key")));
    assert_eq!((signed.code, signed.stdout.trim()), (Some(0), key.stdout.trim()), "{signed:?}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = format!(
        "vless://b831381d-6324-4d53-ad4f-8cda48b30811@{}?security=reality&sni={NAME}&fp=chrome\
         &pbk=CwrpK-8N4hRtW1zEczPLvyCgvtSvNFqLLkSfEb2Nr08",
        listener.local_addr().unwrap()
    );
    let probe = |key: &str| {
        let mut command = commucat();
        command.args(["probe", "transport", &link, "--timeout", "1", "--hello-pack"]);
        command.arg(file("p.json")).args(["--hello-pack-key", key]);
        command
    };
    let heard = std::thread::spawn(move || first_record(&listener));
    run(&mut probe(key.stdout.trim()));
    fs::write(file("captured"), heard.join().unwrap()).unwrap();
    let compare = |more: &[&std::ffi::OsStr]| {
        run(commucat().args(["reality", "fingerprint", "--compare"]).arg(file("captured")).args(more))
    };
    let ours = compare(&["--pack".as_ref(), file("p.json").as_os_str()]);
    assert!(ours.stdout.contains("is one of chromium-199"), "{ours:?}");
    assert!(compare(&[]).stdout.contains("none of ours"));

    // `probe` has a code of its own for bad arguments.
    let stranger = run(&mut probe("CwrpK-8N4hRtW1zEczPLvyCgvtSvNFqLLkSfEb2Nr08"));
    assert!(stranger.code == Some(64) && stranger.stderr.contains("signature"), "{stranger:?}");
    fs::write(file("p.json"), fs::read_to_string(file("p.json")).unwrap().replace("199", "200")).unwrap();
    let changed = run(&mut probe(key.stdout.trim()));
    assert!(changed.code == Some(64) && changed.stderr.contains("signature"), "{changed:?}");
}

/// Mistakes in the parameters are found in the file, before anything starts.
#[test]
fn mistakes_in_the_parameters_are_pointed_at() {
    let folder = tempfile::tempdir().unwrap();
    let keys = run(commucat().args(["reality", "keys", "--json"]));
    let keys: serde_json::Value = serde_json::from_str(&keys.stdout).unwrap();
    let params = toml::to_string(&keys["server"]).unwrap();
    for (mistake, key) in [
        ("target_dials = { per_second = 0 }", "target_dials.per_second"),
        ("fallback_limit = { down = { bytes_per_second = 1 } }", "fallback_limit.down.bytes_per_second"),
        ("spider = \"news\"", "spider"),
        ("hello_pack = \"/nowhere\"", "hello_pack_key"),
    ] {
        let file = folder.path().join("bridge.toml");
        let head =
            "[[endpoints]]\ntransport = \"reality\"\nlisten = \"127.0.0.1:0\"\npublic = \"127.0.0.1:1\"";
        fs::write(&file, format!("{head}\n[endpoints.params]\n{mistake}\n{params}")).unwrap();
        let checked = run(commucat().args(["serve", "--check", "--config"]).arg(&file));
        assert_eq!(checked.code, Some(2), "{checked:?}");
        assert!(checked.stderr.contains(&format!("params.{key}")), "{key}: {checked:?}");
        assert!(checked.stderr.contains("bridge.toml:"), "{checked:?}");
    }
}
