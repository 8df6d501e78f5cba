//! Xray as the Python wheel `xray-core`: a library that runs inside a Python process.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
};

use commucat_tests_interop::programs::{Running, cache_dir, free_address, need, skip};
use serde_json::{Value, json};

/// The wheel's version; the core inside is 26.10.10.
const VERSION: &str = "1.8.26.13";
/// SHA-256 of the wheels for CPython 3.11, 3.12 and 3.13 on x86-64 Linux.
const HASHES: [&str; 3] = [
    "eacc9c4ee4ef4cd11fff8335ed18dad210addc8902d6135a2b434444415bca29",
    "36785808dae64e521cfd707fa2f4f04160ed39c0a53ccb6fbdec4d70a1b4040c",
    "8dedbd54b40a5ac5f0b86e17b68fbb0d01fbfd5b00c9bf4512efd30afc1a48f3",
];
/// Runs a configuration until the process is ended.
const HOST: &str = "import signal, sys, xray; xray.startFromJSON(open(sys.argv[1]).read()); signal.pause()";

static INSTALLING: Mutex<()> = Mutex::new(());

/// An Xray that can be started.
pub(crate) struct Xray {
    python: PathBuf,
    packages: PathBuf,
    configs: tempfile::TempDir,
}

impl Xray {
    /// Installs the wheel into the cache when it is not there; `None` after the line that says what was skipped.
    pub(crate) fn find() -> Option<Self> {
        let python = need("python3", "python3-venv").unwrap()?;
        let dir = cache_dir(&format!("xray-core-{VERSION}")).unwrap();
        let packages = dir.join("packages");
        // Two tests of this program begin at the same time.
        let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        if !packages.join("xray").is_dir() && !install(&python, &dir) {
            skip("xray-core could not be installed from the package index (apt-get install python3-venv)")
                .unwrap();
            return None;
        }
        Some(Self { python, packages, configs: tempfile::tempdir().unwrap() })
    }

    fn start(&self, name: &str, config: &Value, cone: bool) -> Running {
        let path = self.configs.path().join(format!("{name}.json"));
        std::fs::write(&path, config.to_string()).unwrap();
        let mut command = Command::new(&self.python);
        command.args(["-c", HOST]).arg(path).env("PYTHONPATH", &self.packages);
        if !cone {
            command.env("XRAY_CONE_DISABLED", "true");
        }
        Running::start(&mut command).unwrap()
    }

    /// A VLESS server with these REALITY settings, which dials what it is asked for.
    pub(crate) async fn server(&self, at: SocketAddr, user: &str, flow: &str, reality: &Value) -> Running {
        let config = json!({
            "log": { "loglevel": "warning", "access": "none" },
            "inbounds": [{
                "listen": at.ip(), "port": at.port(), "protocol": "vless",
                "settings": { "clients": [{ "id": user, "flow": flow }], "decryption": "none" },
                "streamSettings": { "network": "raw", "security": "reality", "realitySettings": reality },
            }],
            // Since 26.5 a server refuses targets on private addresses unless it is told otherwise.
            "outbounds": [{ "protocol": "freedom", "settings": { "finalRules": [{ "action": "allow" }] } }],
        });
        let mut running = self.start(&format!("server-{}", at.port()), &config, true);
        running.listens_at(at).await.unwrap();
        running
    }

    /// A client of this bridge with these REALITY settings: its SOCKS5 port. With `cone` its UDP is XUDP.
    pub(crate) async fn client(
        &self,
        bridge: SocketAddr,
        user: &str,
        flow: &str,
        reality: &Value,
        cone: bool,
    ) -> (Running, SocketAddr) {
        let proxy = free_address().unwrap();
        let config = json!({
            "log": { "loglevel": "warning", "access": "none" },
            "inbounds": [{
                "listen": proxy.ip(), "port": proxy.port(), "protocol": "socks",
                "settings": { "auth": "noauth", "udp": true },
            }],
            "outbounds": [{
                "protocol": "vless",
                "settings": { "vnext": [{
                    "address": bridge.ip(), "port": bridge.port(),
                    "users": [{ "id": user, "encryption": "none", "flow": flow }],
                }] },
                "streamSettings": { "network": "raw", "security": "reality", "realitySettings": reality },
            }],
        });
        let mut running = self.start(&format!("client-{}", proxy.port()), &config, cone);
        running.listens_at(proxy).await.unwrap();
        (running, proxy)
    }
}

fn install(python: &PathBuf, dir: &std::path::Path) -> bool {
    let hashes: String = HASHES.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    let requirements = dir.join("requirements.txt");
    std::fs::write(&requirements, format!("xray-core=={VERSION}{hashes}\n")).unwrap();
    let venv = dir.join("venv");
    let run = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv))
        && run(Command::new(venv.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--require-hashes",
                "--only-binary",
                ":all:",
            ])
            .arg("--target")
            .arg(dir.join("packages"))
            .arg("-r")
            .arg(&requirements))
}
