//! Every file in `configs/` parses as what its name says, and the guide or the README mentions it. That the server
//! takes the values too is tested in the server, where its types are.

use commucat_tests_tidy::{File, expect_none, files};

/// Ini sections of systemd units.
const UNIT_SECTIONS: [&str; 6] = ["Unit", "Service", "Socket", "Timer", "Path", "Install"];

fn violations(file: &File) -> Vec<String> {
    let problem = match file.extension() {
        "toml" => file.text.parse::<toml::Table>().err().map(|error| error.to_string()),
        "yaml" | "yml" => {
            serde_saphyr::from_str::<serde_json::Value>(&file.text).err().map(|error| error.to_string())
        }
        "json" => serde_json::from_str::<serde_json::Value>(&file.text).err().map(|error| error.to_string()),
        "service" | "socket" | "timer" | "path" => unit(&file.text).err(),
        "conf" if file.path.ends_with("sysusers.conf") => sysusers(&file.text).err(),
        "conf" => braces(&file.text).err(),
        "env" => assignments(&file.text).err(),
        "md" => None,
        _ => Some("nobody knows how to parse this kind of file".to_owned()),
    };
    problem.map(|problem| format!("{}: {problem}", file.path)).into_iter().collect()
}

/// A systemd unit: sections that systemd knows, and in each `Key=value`.
fn unit(text: &str) -> Result<(), String> {
    let mut section = None;
    let mut continued = false;
    for (number, line) in text.lines().enumerate() {
        let here = |what: &str| format!("line {}: {what}", number + 1);
        let starts_here = !continued;
        continued = line.ends_with('\\');
        let line = line.trim();
        if !starts_here || line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = UNIT_SECTIONS.iter().find(|known| **known == name);
            section.ok_or_else(|| here("unknown section"))?;
            continue;
        }
        section.ok_or_else(|| here("a setting before any section"))?;
        let (key, _value) = line.split_once('=').ok_or_else(|| here("no `Key=value`"))?;
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(here("no name of a setting"));
        }
    }
    section.map(|_last| ()).ok_or_else(|| "no section".to_owned())
}

/// Users of systemd: lines of a known kind with a name.
fn sysusers(text: &str) -> Result<(), String> {
    let bad = text.lines().position(|line| {
        let mut words = line.split_whitespace();
        let known = words
            .next()
            .is_none_or(|kind| kind.starts_with('#') || ["u", "u!", "g", "m", "r"].contains(&kind));
        !known || (!line.trim().is_empty() && words.next().is_none())
    });
    bad.map_or(Ok(()), |number| Err(format!("line {}: not a line of sysusers.d", number + 1)))
}

/// A configuration of nginx: balanced braces, and every statement ends. nginx itself reads it in the interop tests.
fn braces(text: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        depth += line.matches('{').count();
        depth = depth
            .checked_sub(line.matches('}').count())
            .ok_or_else(|| format!("line {}: a `}}` too many", number + 1))?;
        if !line.is_empty() && !line.ends_with(['{', '}', ';', ',']) && !line.starts_with(['\'', '"']) {
            return Err(format!("line {}: the statement does not end", number + 1));
        }
    }
    if depth == 0 { Ok(()) } else { Err("a `{` is not closed".to_owned()) }
}

fn assignments(text: &str) -> Result<(), String> {
    let bad = text
        .lines()
        .position(|line| !line.trim().is_empty() && !line.starts_with('#') && !line.contains('='));
    bad.map_or(Ok(()), |number| Err(format!("line {}: no `NAME=value`", number + 1)))
}

fn unmentioned(configs: &[File], guide: &[File]) -> Vec<String> {
    configs
        .iter()
        .filter(|config| !guide.iter().any(|page| page.text.contains(&config.path)))
        .map(|config| format!("{}: neither the guide nor the README mentions it", config.path))
        .collect()
}

#[test]
fn every_config_parses() {
    expect_none("configs parse", &files("configs").unwrap().iter().flat_map(violations).collect::<Vec<_>>());
}

#[test]
fn every_config_is_explained() {
    let mut guide = files("docs/src").unwrap();
    guide.extend(files("").unwrap().into_iter().filter(|file| file.path == "README.md"));
    expect_none("configs are explained", &unmentioned(&files("configs").unwrap(), &guide));
}

#[test]
fn broken_configs_are_caught() {
    for (path, text) in [
        ("configs/a.toml", "[server\n"),
        ("configs/a.yaml", "a: [1, 2\n"),
        ("configs/a.json", "{,}"),
        ("configs/a.service", "ExecStart=/bin/true\n"),
        ("configs/a.service", "[Service]\nExecStart /bin/true\n"),
        ("configs/a.service", "[Servce]\nExecStart=/bin/true\n"),
        ("configs/a.conf", "server {\n  listen 80;\n"),
        ("configs/a.conf", "server {\n  listen 80\n}\n"),
        ("configs/a.env", "COMMUCAT_NAME\n"),
        ("configs/a-sysusers.conf", "user commucat\n"),
        ("configs/a-sysusers.conf", "u\n"),
        ("configs/a.ini2", "anything"),
    ] {
        assert_eq!(violations(&File::new(path, text)).len(), 1, "not caught: {path}: {text}");
    }
}

#[test]
fn good_configs_pass() {
    for (path, text) in [
        ("configs/a.toml", "[server]\nbind = \"[::]:443\"\n"),
        ("configs/a.yaml", "server:\n  bind: \"[::]:443\"\n"),
        ("configs/a.service", "# why\n[Unit]\nDescription=A\n[Service]\nExecStart=/bin/true \\\n  --flag\n"),
        ("configs/a.conf", "server {\n  listen 80; # why\n}\n"),
        ("configs/a-sysusers.conf", "# who\nu commucat - \"A\" /var/lib/commucat\n"),
    ] {
        assert_eq!(violations(&File::new(path, text)), [""; 0]);
    }
}

#[test]
fn an_unexplained_config_is_caught() {
    let config = [File::new("configs/a.toml", "")];
    assert_eq!(unmentioned(&config, &[File::new("docs/src/a.md", "see a.toml")]).len(), 1);
    assert!(unmentioned(&config, &[File::new("docs/src/a.md", "see `configs/a.toml`")]).is_empty());
}
