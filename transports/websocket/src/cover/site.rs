//! The site that is there when the operator gave none: a few plain pages. Its words, colours and dates come from the
//! bridge's key, so no two bridges show the same. A real folder or origin is better cover.

use std::time::{Duration, SystemTime};

use super::local::{Content, Page};

const PLACES: [&str; 16] = [
    "Maple Street",
    "Harbour View",
    "Old Mill",
    "Birch Lane",
    "Lakeside",
    "Hillcrest",
    "Riverside",
    "Orchard Road",
    "Station Road",
    "Meadow Park",
    "Northgate",
    "Chapel Hill",
    "Willow Court",
    "Elm Grove",
    "Stonebridge",
    "Greenfield",
];
const THINGS: [&str; 16] = [
    "Photo Club",
    "Garden Society",
    "Chess Circle",
    "Book Exchange",
    "Walking Group",
    "Model Railway",
    "Bird Watchers",
    "Cycling Club",
    "Bakery Notes",
    "Astronomy Evenings",
    "Choir",
    "Repair Cafe",
    "Film Nights",
    "Sailing Log",
    "Bee Keepers",
    "Pottery Workshop",
];
const NEWS: [&str; 16] = [
    "The next meeting is moved to the first Thursday of the month.",
    "Thanks to everybody who helped to tidy up the store room.",
    "New members are welcome, just come by and say hello.",
    "The spring programme will be posted here when it is ready.",
    "Please bring back borrowed tools before the holidays.",
    "Last week's evening was fully booked, we will repeat it.",
    "Pictures of the summer trip are with the secretary.",
    "The heating in the small hall works again.",
    "We are looking for somebody who takes over the newsletter.",
    "The annual report has been sent to all members by post.",
    "Parking behind the house is not possible until further notice.",
    "The yearly fee stays the same.",
    "A box with found things stands at the entrance.",
    "The autumn walk takes place in any weather.",
    "Our old web address will stop working at the end of the year.",
    "The workshop is closed on public holidays.",
];
/// The pages are this much older than 2026-11-01 at most, in days.
const AGE_MAX_DAYS: u64 = 700;
/// 2026-11-01 00:00 UTC, Unix seconds.
const NEWEST_S: u64 = 1_793_491_200;

/// The site.
#[derive(Debug)]
pub(crate) struct Site {
    pages: [(&'static str, &'static str, String); 4],
    modified: String,
    stamp: u64,
}

impl Site {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        let seed = blake3::derive_key("commucat websocket built-in site v1", seed);
        let [place, thing, first, second, third, hue, width, age_high, age_low, secs @ ..] = seed;
        let title = format!("{} {}", pick(&PLACES, place), pick(&THINGS, thing));
        let hue = u32::from(hue) * 360 / 256;
        let width = 32 + width % 20;
        let css = format!(
            "body{{max-width:{width}rem;margin:2rem auto;padding:0 1rem;font-family:sans-serif;color:#222}}\n\
             h1{{color:hsl({hue},45%,35%)}}\na{{color:hsl({hue},60%,40%)}}\n"
        );
        let news: String = [first, second, third].map(|at| format!("<p>{}</p>\n", pick(&NEWS, at))).concat();
        let home =
            page(&title, &format!("<h1>{title}</h1>\n{news}<p><a href=\"/about.html\">About us</a></p>\n"));
        let about = page(
            &title,
            &format!(
                "<h1>About {title}</h1>\n<p>We meet regularly and enjoy it.</p>\n<p><a href=\"/\">Back</a></p>\n"
            ),
        );
        let age_days = (u64::from(age_high) << 8 | u64::from(age_low)) % AGE_MAX_DAYS;
        let [s0, s1, ..] = secs;
        let stamp = NEWEST_S - age_days * 86_400 - (u64::from(s0) << 8 | u64::from(s1));
        Self {
            pages: [
                ("/", "text/html; charset=utf-8", home),
                ("/about.html", "text/html; charset=utf-8", about),
                ("/style.css", "text/css; charset=utf-8", css),
                ("/robots.txt", "text/plain; charset=utf-8", "User-agent: *\nAllow: /\n".to_owned()),
            ],
            modified: httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(stamp)),
            stamp,
        }
    }

    /// The page at a request path.
    pub(super) fn page(&self, path: &str) -> Page {
        let path = if path == "/index.html" { "/" } else { path };
        let Some((_, content_type, text)) = self.pages.iter().find(|(at, ..)| *at == path) else {
            return Page::status(404);
        };
        Page {
            status: 200,
            content_type,
            content: Content::Bytes(text.clone().into()),
            last_modified: Some(self.modified.clone()),
            etag: Some(format!("\"{:x}-{:x}\"", self.stamp, text.len())),
            location: None,
        }
    }
}

fn pick(words: &[&'static str; 16], at: u8) -> &'static str {
    words.get(usize::from(at % 16)).copied().unwrap_or_default()
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_bridges_have_two_sites() {
        let text = |seed: u8| Site::new(&[seed; 32]).pages[0].2.clone();
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
        assert_eq!(Site::new(&[1; 32]).page("/nothing").status, 404);
    }
}
