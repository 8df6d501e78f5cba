//! What a verdict id means, for a person: `commucat probe explain ID`, and the words of every report.

mod bridge;
mod dns;
mod flow;
mod net;
mod proto;
mod tcp;
mod tls;

use std::fmt;

use serde::Serialize;

/// Column at which [`Explanation`] wraps its text.
const WIDTH: usize = 78;
/// How alike a mistyped id must be to be offered (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.75;

/// What a verdict id means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The id, one of `commucat_verdict::ids`.
    pub id: &'static str,
    /// A few words, for headings.
    pub title: &'static str,
    /// What it means for the person who measured.
    pub means: &'static str,
    /// How it was measured.
    pub measured: &'static str,
    /// What else could explain it.
    pub otherwise: &'static str,
    /// What to do.
    pub to_do: &'static str,
}

/// The explanation of a verdict id.
pub fn explain(id: &str) -> Option<&'static Explanation> {
    all().find(|explanation| explanation.id == id)
}

/// Every explanation, in the order of reading.
pub fn all() -> impl Iterator<Item = &'static Explanation> {
    [net::ALL, dns::ALL, tcp::ALL, tls::ALL, flow::ALL, proto::ALL, bridge::ALL].into_iter().flatten()
}

/// The known id that is most like this text, when one is like it at all.
pub fn nearest(text: &str) -> Option<&'static str> {
    all()
        .map(|explanation| (strsim::jaro_winkler(text, explanation.id), explanation.id))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, id)| id)
}

/// The heading of an id; the id itself when it is none of ours.
pub(crate) fn title(id: &str) -> &str {
    explain(id).map_or(id, |explanation| explanation.title)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.id, self.title)?;
        let parts = [
            ("What it means", self.means),
            ("How it was measured", self.measured),
            ("What else could explain it", self.otherwise),
            ("What to do", self.to_do),
        ];
        for (heading, text) in parts {
            writeln!(f, "\n{heading}")?;
            for line in wrap(text, WIDTH - 2) {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

/// Breaks a text at spaces so that no line has more than `width` characters; a longer word stands alone. Spaces that
/// join (as within a figure) do not break.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split([' ', '\t', '\n']).filter(|word| !word.is_empty()) {
        let Some(line) = lines.last_mut() else { break };
        let joined = line.chars().count() + 1 + word.chars().count();
        if line.is_empty() {
            line.push_str(word);
        } else if joined <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids as the crate that owns them declares them: a new one without an explanation fails here.
    fn declared() -> Vec<&'static str> {
        let source = include_str!("../../verdict/src/ids.rs");
        let ids: Vec<_> = source
            .lines()
            .filter(|line| line.starts_with("pub const ") && line.contains(": &str = "))
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        assert!(ids.len() > 40, "the declarations have another shape now");
        ids
    }

    #[test]
    fn every_id_has_exactly_one_explanation() {
        let ids = declared();
        for id in &ids {
            assert_eq!(all().filter(|one| one.id == *id).count(), 1, "{id}");
        }
        for one in all() {
            assert!(ids.contains(&one.id), "{} is explained and does not exist", one.id);
        }
    }

    #[test]
    fn explanations_say_something_each() {
        for one in all() {
            assert!(one.title.chars().count() <= 48, "{}: the heading is long", one.id);
            assert!(!one.title.ends_with('.'), "{}: a heading is no sentence", one.id);
            for text in [one.means, one.measured, one.otherwise, one.to_do] {
                assert!(text.len() > 30 && text.ends_with('.'), "{}: {text:?}", one.id);
                assert!(!text.contains("  ") && !text.contains('\n'), "{}: stray space in {text:?}", one.id);
            }
        }
    }

    #[test]
    fn a_mistyped_id_finds_its_neighbour() {
        assert_eq!(nearest("flow.freeze_packet"), Some("flow.freeze_packets"));
        assert_eq!(nearest("dns.inject"), Some("dns.injected"));
        assert_eq!(nearest("???"), None);
    }

    #[test]
    fn text_is_wrapped_and_whole() {
        for one in all() {
            let text = one.to_string();
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert!(words(&text).windows(words(one.means).len()).any(|part| part == words(one.means)));
        }
    }
}
