//! Programs of others.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{Client, Origin, Output, run};

/// The program, or `None` after one line that says how to get it. In CI every program must be there.
pub(crate) fn tool(name: &str, package: &str) -> Option<Command> {
    let found = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is missing: apt-get install {package}");
        println!("skipped: {name} is missing (apt-get install {package})");
    }
    found.map(Command::new)
}

/// curl with a limit, without a user's configuration or environment proxies.
pub(crate) fn curl(args: &[&str]) -> Option<Output> {
    let mut command = tool("curl", "curl")?;
    command.args(["--disable", "--silent", "--show-error", "--max-time", "50", "--noproxy", ""]).args(args);
    for variable in ["http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "no_proxy"] {
        command.env_remove(variable);
    }
    Some(run(&mut command))
}

/// Starts to fetch the slow file through a client and gives the running curl once bytes flow.
pub(crate) fn begin_transfer(client: &Client, origin: &Origin) -> Option<Child> {
    let mut curl = tool("curl", "curl")?;
    let (proxy, url) = (client.socks(), origin.url("/slow"));
    curl.args([
        "--disable",
        "--silent",
        "--max-time",
        "50",
        "--output",
        "/dev/null",
        "--proxy",
        &proxy,
        &url,
    ]);
    let transfer = curl.stdin(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    Some(transfer)
}
