//! Finds addresses and names in running text.

use std::net::{IpAddr, SocketAddr};

use super::Words;
use crate::explain;

/// What stands in place of a whole link: links of transports hold keys.
const LINK: &str = "[link]";
/// Endings of files that look like top-level domains and are none.
const FILE_ENDINGS: [&str; 9] = ["toml", "json", "jsonl", "html", "pem", "txt", "log", "mmdb", "pcap"];

/// The text with every link, hidden word, address and host name replaced.
pub(super) fn redact(text: &str, words: &Words<'_>) -> String {
    let text = links(text);
    let text = hidden(&text, words);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_token(c) != is_token(first)).unwrap_or(rest.len());
        let (part, later) = rest.split_at(end);
        if is_token(first) {
            out.push_str(&token(part, words));
        } else {
            out.push_str(part);
        }
        rest = later;
    }
    out
}

const fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_') || !c.is_ascii() && c != '–' && c != '→'
}

/// Replaces every word with `://` in it.
fn links(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let word = |word: &str| if word.contains("://") { LINK.to_owned() } else { word.to_owned() };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Replaces hidden words, in any case of letters.
fn hidden(text: &str, words: &Words<'_>) -> String {
    let mut text = text.to_owned();
    for word in &words.gone {
        // Lower case of other alphabets can change lengths; then nothing can be cut out of the original.
        let lower = text.to_lowercase();
        if !lower.contains(word.as_str()) {
            continue;
        }
        let stand_in = words.redactor.name(word);
        let source = if lower.len() == text.len() { text.as_str() } else { lower.as_str() };
        let mut out = String::new();
        let mut from = 0;
        for (at, found) in lower.match_indices(word.as_str()) {
            out.push_str(source.get(from..at).unwrap_or_default());
            out.push_str(&stand_in);
            from = at + found.len();
        }
        out.push_str(source.get(from..).unwrap_or_default());
        text = out;
    }
    text
}

/// A run of characters of which addresses and names are made, with punctuation around it.
fn token(token: &str, words: &Words<'_>) -> String {
    let core = token.trim_matches(['.', '-', '_']);
    let colon = core.trim_end_matches(':');
    // `2001:db8::` ends in colons of its own.
    let core = if core.parse::<IpAddr>().is_ok() { core } else { colon };
    let Some(start) = token.find(core).filter(|_| !core.is_empty()) else { return token.to_owned() };
    let (before, rest) = token.split_at(start);
    let (_, after) = rest.split_at(core.len());
    format!("{before}{}{after}", replaced(core, words))
}

fn replaced(core: &str, words: &Words<'_>) -> String {
    if let Ok(address) = core.parse::<IpAddr>() {
        return words.redactor.address(address).to_string();
    }
    if let Ok(socket) = core.parse::<SocketAddr>() {
        return words.redactor.socket(socket).to_string();
    }
    let (host, port) = match core.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host, Some(port))
        }
        _ => (core, None),
    };
    // `address:203.0.113.7`, `to:bridge.example`: what stands before a colon is a word of its own.
    if let Some((label, value)) = host.split_once(':').filter(|_| host.parse::<IpAddr>().is_err()) {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        return format!("{}:{}", replaced(label, words), replaced(&format!("{value}{port}"), words));
    }
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    if let Ok(address) = host.parse::<IpAddr>() {
        return format!("{}{port}", words.redactor.address(address));
    }
    if is_host(host) && !words.keep.contains(&host.to_lowercase()) {
        return format!("{}{port}", words.redactor.name(host));
    }
    core.to_owned()
}

/// Whether a word is a host name: labels with dots between, the last one of letters; and neither an id nor a file.
fn is_host(word: &str) -> bool {
    let Some((_, last)) = word.rsplit_once('.') else { return false };
    let top = last.to_lowercase();
    let top_level =
        last.chars().count() >= 2 && (last.chars().all(char::is_alphabetic) || top.starts_with("xn--"));
    top_level
        && word.split('.').all(|label| !label.is_empty())
        && !FILE_ENDINGS.contains(&top.as_str())
        && explain::explain(word).is_none()
}
