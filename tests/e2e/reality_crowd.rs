//! Ten thousand half-open hellos at a REALITY bridge, each with its connection to the site: memory is bounded, and others
//! are served meanwhile.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::support::{Client, Origin, Process, closed_port, commucat, curl, run, tool};

const NAME: &str = "site.example.org";
/// Half-open hellos held at once, where the bridge may have two descriptors for each.
const CROWD: usize = 10_000;
/// Descriptors of the bridge for everything else.
const OTHER_DESCRIPTORS: usize = 500;
/// With fewer the test would be about something else.
const LEAST_CROWD: usize = 5_000;
/// Memory that each of them may cost the bridge at most, in KiB: what was heard, two buffers to read into, two sockets
/// and the tasks, with room. Of the kernel's memory for two sockets nothing is in here.
const KIB_PER_HELLO: u64 = 48;

/// Sends half a hello on each of many connections and keeps them. Arguments: port, count.
const CROWD_SCRIPT: &str = r"
import os, resource, socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
half = b'\x16\x03\x01\x07\x9e\x01\x00\x07\x9a\x03\x03' + os.urandom(900)
held = []
for n in range(count):
    s = socket.create_connection(('127.0.0.1', port), timeout=30)
    s.send(half)
    held.append(s)
print('standing', flush=True)
sys.stdin.readline()
gone = 0
for s in held:
    s.setblocking(False)
    try:
        s.recv(1)
        gone += 1
    except BlockingIOError:
        pass
    except OSError:
        gone += 1
print(gone, flush=True)
sys.stdin.readline()
";

#[test]
fn ten_thousand_half_open_hellos_are_bounded_and_others_are_served() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::start());
    let site_port = closed_port();
    let Some(count) = crowd_that_is_allowed() else { return };
    let Some(_site) = site(folder.path(), site_port) else { return };
    let Some(python) = tool("python3", "python3") else { return };
    let (bridge, port, link) = bridge(folder.path(), site_port);
    let client = Client::start(&link);
    serves(&client, &origin);

    let before = bridge.resident_kib();
    let mut crowd = Crowd::gather(python, port, count);
    wait_for_descriptors(&bridge, 2 * count);
    let grown = bridge.resident_kib().saturating_sub(before);
    println!("{count} half-open hellos: {grown} KiB, {} KiB each", grown / count as u64);
    assert!(grown < KIB_PER_HELLO * count as u64, "{grown} KiB, at most {KIB_PER_HELLO} each are allowed");
    serves(&client, &origin);
    // Somebody who comes only now.
    serves(&Client::start(&link), &origin);
    assert_eq!(crowd.asks(), "0", "of the crowd nobody was thrown out");
}

/// How many the bridge may hold: two descriptors each. `None` after the line that says why it is too few.
fn crowd_that_is_allowed() -> Option<usize> {
    let limit = run(Command::new("sh").args(["-c", "ulimit -Hn"])).stdout;
    let limit = limit.trim().parse().unwrap_or(usize::MAX);
    let count = CROWD.min(limit.saturating_sub(OTHER_DESCRIPTORS) / 2);
    if count < LEAST_CROWD {
        println!("skipped: {limit} open files are too few for a crowd (`ulimit -Hn`)");
        return None;
    }
    Some(count)
}

fn serves(client: &Client, origin: &Origin) {
    let Some(page) = curl(&["--proxy", &client.socks(), &origin.url("/page")]) else { return };
    assert!(page.stdout.contains("the page of the origin"), "{page:?}");
}

/// nginx for many connections.
fn site(folder: &Path, port: u16) -> Option<Process> {
    let mut made = tool("openssl", "openssl")?;
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| folder.join(name).display().to_string());
    made.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj"]);
    made.arg(format!("/CN={NAME}")).args(["-addext", &format!("subjectAltName=DNS:{NAME}")]);
    assert_eq!(run(made.args(["-keyout", &key, "-out", &certificate])).code, Some(0));
    let config = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log; worker_rlimit_nofile {files};
         events {{ worker_connections {files}; }}
         http {{
             access_log off; client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
             uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
             server {{ listen 127.0.0.1:{port} ssl http2 backlog=16384; ssl_protocols TLSv1.3;
                       ssl_certificate {certificate}; ssl_certificate_key {key}; return 200 'a page'; }}
         }}",
        dir = folder.display(),
        files = CROWD + 500,
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config).unwrap();
    let mut nginx = tool("nginx", "nginx-light")?;
    let process = Process::start(nginx.arg("-c").arg(&file).arg("-p").arg(folder));
    for _attempt in 0..200 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(process);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("nginx does not listen");
}

/// A bridge that may hold so many, its port and a user's link.
fn bridge(folder: &Path, site: u16) -> (Process, u16, String) {
    let port = closed_port();
    let keys =
        run(commucat().args(["reality", "keys", "--json", "--target"]).arg(format!("127.0.0.1:{site}")));
    let keys: serde_json::Value = serde_json::from_str(&keys.stdout).unwrap();
    let mut params = keys["server"].clone();
    params["server_names"] = serde_json::json!([NAME]);
    params["target_dials"] = serde_json::json!({ "per_second": 10_000 });
    let config = serde_json::json!({
        "server": { "public": "127.0.0.1", "admin_bind": "127.0.0.1:0" },
        "egress": { "allow_private": true },
        "limits": { "max_handshakes": 2 * CROWD },
        "endpoints": [{ "transport": "reality", "listen": format!("127.0.0.1:{port}"), "params": params }],
    });
    let (file, state) = (folder.join("bridge.yaml"), folder.join("state"));
    fs::write(&file, config.to_string()).unwrap();
    let files = |command: &mut Command| {
        command.arg("--config").arg(&file).arg("--state").arg(&state);
    };
    let mut add = commucat();
    files(add.args(["user", "add", "anna"]));
    let link = run(&mut add);
    assert_eq!(link.code, Some(0), "{link:?}");
    let mut serve = commucat();
    files(serve.arg("serve"));
    let mut process = Process::start(&mut serve);
    process.wait_for("listening");
    (process, port, link.stdout.trim().to_owned())
}

/// Until each of the crowd has its connection to the site.
fn wait_for_descriptors(bridge: &Process, count: usize) {
    for _attempt in 0..300 {
        if bridge.descriptors() > count {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{} descriptors: not all of the crowd are in", bridge.descriptors());
}

/// The visitors, in a process of their own.
struct Crowd {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Crowd {
    fn gather(mut python: Command, port: u16, count: usize) -> Self {
        python.args(["-c", CROWD_SCRIPT, &port.to_string(), &count.to_string()]);
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut crowd = Self { child, said };
        assert_eq!(crowd.line(), "standing", "is `ulimit -n` above {count}?");
        crowd
    }

    /// How many heard something, an end included.
    fn asks(&mut self) -> String {
        std::io::Write::write_all(self.child.stdin.as_mut().unwrap(), b"\n").unwrap();
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
