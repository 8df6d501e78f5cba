//! A network of its own for the run: foreign programs reach nothing but loopback, and nobody else's traffic is on it.

use std::{
    env,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::{options::Options, report::say};

/// Set in the process that already runs inside.
const INSIDE: &str = "COMMUCAT_BENCH_INSIDE";
/// Descriptors that a run needs: a thousand connections with both their ends, and room.
const DESCRIPTORS: u64 = 16_384;

/// Whether this process runs in a network of its own.
#[must_use]
pub fn inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Starts this program anew inside a network namespace with only loopback. Returns when that is not possible (not root, tools missing) or not
/// wished, with the reason as a note for the record.
#[must_use]
pub fn enter(options: &Options) -> Option<String> {
    if inside() {
        return None;
    }
    if options.shared_network {
        return Some("the run shared the machine's network, as asked".to_owned());
    }
    let Ok(program) = env::current_exe() else {
        return Some("the harness does not know where it is".to_owned());
    };
    let possible = Command::new("unshare")
        .args(["--net", "--", "ip", "link", "set", "lo", "up"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        return Some(
            "the run shared the machine's network: a namespace of its own needs root and iproute2".to_owned(),
        );
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    command.arg(program).args(env::args_os().skip(1)).env(INSIDE, "1");
    // Returns only when it fails.
    let error = command.exec();
    Some(format!("the run shared the machine's network: {error}"))
}

/// Raises the limit of open files of this process and its children, where it is low.
pub fn raise_descriptors() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if soft_descriptors(&limits).is_none_or(|soft| soft >= DESCRIPTORS)
        || !Path::new("/usr/bin/prlimit").exists()
    {
        return;
    }
    let status = Command::new("/usr/bin/prlimit")
        .arg(format!("--pid={}", std::process::id()))
        .arg(format!("--nofile={DESCRIPTORS}:"))
        .status();
    if !status.is_ok_and(|status| status.success()) {
        say("the limit of open files is low and could not be raised: cells with many connections may fail");
    }
}

fn soft_descriptors(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_the_first_number() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 20000                files\n";
        assert_eq!(soft_descriptors(text), Some(1024));
        assert_eq!(soft_descriptors("Max open files unlimited unlimited files\n"), None);
    }
}
