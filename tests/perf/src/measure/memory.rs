//! Memory of a process as its proportional set size, so that shared pages are not counted twice.

use std::fs;

use anyhow::Context;

/// The proportional set size of a process in KiB.
///
/// # Errors
/// When the process is gone or belongs to somebody else.
pub fn pss_kib(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    parse_pss(&text).with_context(|| format!("no Pss in {path}"))
}

fn parse_pss(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_line_is_read() {
        let text =
            "55d0-7fff ---p 0 00:00 0 [rollup]\nRss:    1724 kB\nPss:     290 kB\nPss_Dirty:  112 kB\n";
        assert_eq!(parse_pss(text), Some(290));
        assert_eq!(parse_pss("Rss: 1 kB\nPss_Dirty: 4 kB\n"), None);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(pss_kib(std::process::id()).unwrap() > 100);
    }
}
