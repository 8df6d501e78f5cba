//! What a client does that met the site instead of its bridge, as links say it: `spx`, a path with some numbers.

use std::time::Duration;

use commucat_transport_api::ConfigError;

use crate::config::bad;

/// Longest text of a plan, in bytes.
const MAX_PLAN_BYTES: usize = 1024;
/// Bounds of what a link may ask for; what is above is taken as the bound.
const MAX_PADDING_BYTES: u32 = 1024;
const MAX_WALKERS: u32 = 8;
const MAX_PAGES: u32 = 16;
const MAX_INTERVAL_MS: u32 = 10_000;
const MAX_VISIT_MS: u32 = 30_000;
/// How long a visit lasts that the plan gives no time.
const VISIT_TIME: Duration = Duration::from_secs(3);

/// `/path?p=a-b&c=a-b&t=a-b&i=a-b&r=a-b`: each number is drawn between two; other fields of the query are the path's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// As it was written; empty for the usual one.
    text: String,
    /// The page that is asked for first, with its query.
    pub(super) path: String,
    /// Length of a cookie that changes the length of requests.
    pub(super) padding: Span,
    /// Pages that are followed at the same time once the first was read.
    pub(super) walkers: Span,
    /// Pages that each of them asks for.
    pub(super) pages: Span,
    /// Milliseconds between two of them.
    pub(super) interval_ms: Span,
    /// Milliseconds until the dial is reported as failed.
    visit_ms: Span,
}

/// Where random bits come from.
pub(super) type Draw<'a> = dyn FnMut() -> u32 + Send + 'a;

/// From the one to the other, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(u32, u32);

impl Plan {
    /// Reads a plan; the empty text is the usual one: the page `/`, and no other.
    ///
    /// # Errors
    /// It is no path, or a number is none.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |why| Err(bad("spider", why));
        let mut plan = Self {
            text: text.to_owned(),
            path: "/".to_owned(),
            padding: Span::default(),
            walkers: Span::default(),
            pages: Span::default(),
            interval_ms: Span::default(),
            visit_ms: Span::default(),
        };
        if text.is_empty() {
            return Ok(plan);
        }
        if text.len() > MAX_PLAN_BYTES
            || !text.starts_with('/')
            || !text.bytes().all(|b| b.is_ascii_graphic())
        {
            return wrong(
                "a path that begins with / is expected, as in /news?c=1-2&t=2-4&i=200-900&r=2000-4000",
            );
        }
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut rest = Vec::new();
        for field in query.split('&').filter(|field| !field.is_empty()) {
            let (span, most) = match field.split_once('=').map(|(name, _)| name) {
                Some("p") => (&mut plan.padding, MAX_PADDING_BYTES),
                Some("c") => (&mut plan.walkers, MAX_WALKERS),
                Some("t") => (&mut plan.pages, MAX_PAGES),
                Some("i") => (&mut plan.interval_ms, MAX_INTERVAL_MS),
                Some("r") => (&mut plan.visit_ms, MAX_VISIT_MS),
                _ => {
                    rest.push(field);
                    continue;
                }
            };
            match field.split_once('=').and_then(|(_, value)| Span::parse(value, most)) {
                Some(read) => *span = read,
                None => return wrong("p, c, t, i and r are a number or two, such as 2-4"),
            }
        }
        plan.path = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
        Ok(plan)
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// How long the visit lasts.
    pub(super) fn visit_time(&self, draw: &mut Draw<'_>) -> Duration {
        match self.visit_ms.draw(draw) {
            0 => VISIT_TIME,
            millis => Duration::from_millis(millis.into()),
        }
    }
}

impl Span {
    fn parse(text: &str, most: u32) -> Option<Self> {
        let (least, greatest) = text.split_once('-').unwrap_or((text, text));
        let (least, greatest): (u32, u32) = (least.parse().ok()?, greatest.parse().ok()?);
        (least <= greatest).then_some(Self(least.min(most), greatest.min(most)))
    }

    /// One of its numbers, from 32 random bits.
    pub(super) fn draw(self, draw: &mut Draw<'_>) -> u32 {
        let Self(least, greatest) = self;
        if least == greatest { least } else { least + draw() % (greatest - least + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read() {
        let plan = Plan::parse("/news?lang=en&p=10-20&c=1-2&t=3&i=100-200&r=99-999999&x").unwrap();
        assert_eq!(plan.path, "/news?lang=en&x");
        assert_eq!((plan.padding, plan.walkers, plan.pages), (Span(10, 20), Span(1, 2), Span(3, 3)));
        assert_eq!((plan.interval_ms, plan.visit_ms), (Span(100, 200), Span(99, MAX_VISIT_MS)));
        assert!(plan.text().starts_with("/news?lang"));
        let usual = Plan::parse("").unwrap();
        assert_eq!((usual.path.as_str(), usual.text()), ("/", ""));
        assert_eq!(usual.visit_time(&mut || 7), VISIT_TIME);
        assert_eq!(Plan::parse("/").unwrap().path, "/");
        for wrong in ["news", "/a b", "/?c=x", "/?t=5-2", "/?r=-5", "/\u{e9}", "/\r\n", "/?i="] {
            assert_eq!(Plan::parse(wrong).unwrap_err().field(), Some("spider"), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_drawn_between_their_ends() {
        let mut next = 0_u32;
        let mut draw = || {
            next = next.wrapping_add(0x9e37_79b9);
            next
        };
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| Span(3, 6).draw(&mut draw)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert_eq!(Span(0, u32::MAX - 1).draw(&mut || 12), 12);
    }
}
