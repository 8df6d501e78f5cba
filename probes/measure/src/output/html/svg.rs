//! The few pieces every chart is drawn from. Charts are plain SVG inside the page: colours come from its style sheet,
//! so they follow the light or dark preference, and every chart has a title and a description for those who listen.

use std::fmt::{self, Write as _};

/// Text inside markup.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Neither control characters nor those that turn the direction of a line.
                c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                    f.write_char(' ')?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Running text with `code` in it.
pub(super) struct Prose<'a>(pub(super) &'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.split('`').enumerate() {
            match at % 2 {
                0 => write!(f, "{}", Text(part))?,
                _ => write!(f, "<code>{}</code>", Text(part))?,
            }
        }
        Ok(())
    }
}

/// A drawing of a size, in units that the page scales.
#[derive(Debug)]
pub(super) struct Drawing {
    id: &'static str,
    width: f64,
    height: f64,
    body: String,
}

impl Drawing {
    pub(super) fn new(id: &'static str, width: f64, height: f64) -> Self {
        Self { id, width, height, body: String::new() }
    }

    pub(super) fn add(&mut self, element: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _infallible = self.body.write_fmt(element);
        self.body.push('\n');
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.add(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        self.add(format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{}</text>"#, Text(text)));
    }

    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut data = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let verb = if at == 0 { 'M' } else { 'L' };
            let _infallible = write!(data, "{verb}{x:.1} {y:.1}");
        }
        self.add(format_args!(r#"<path class="{class}" d="{data}"/>"#));
    }

    pub(super) fn dot(&mut self, class: &str, (x, y): (f64, f64), radius: f64, hint: &str) {
        self.add(format_args!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"><title>{}</title></circle>"#,
            Text(hint)
        ));
    }

    pub(super) fn cell(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), hint: &str) {
        self.add(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="4"><title>{}</title></rect>"#,
            Text(hint)
        ));
    }

    /// Where the picture ends at the right.
    pub(super) const fn right(&self) -> f64 {
        self.width
    }

    /// The drawing as a figure with what it shows in words.
    pub(super) fn finish(self, title: &str, description: &str) -> String {
        let Self { id, width, height, body } = self;
        format!(
            "<svg width=\"{width:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n{body}</svg>",
            Text(title),
            Text(description),
        )
    }
}

/// A way from values to units of the drawing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    bend: Bend,
    most: f64,
    from: f64,
    to: f64,
}

/// How values are spread over the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bend {
    /// Evenly.
    Even,
    /// The beginning gets more room: square root.
    Root,
}

impl Scale {
    /// From 0 at `from` to `most` at `to`.
    pub(super) fn new(bend: Bend, most: f64, from: f64, to: f64) -> Self {
        Self { bend, most: if most > 0.0 { most } else { 1.0 }, from, to }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value / self.most).clamp(0.0, 1.0);
        let share = if self.bend == Bend::Root { share.sqrt() } else { share };
        (self.to - self.from).mul_add(share, self.from)
    }

    /// Round values for its marks, from 0 on.
    pub(super) fn marks(&self) -> Vec<f64> {
        match self.bend {
            Bend::Even => even_marks(self.most),
            Bend::Root => root_marks(self.most),
        }
    }
}

/// Four to seven marks at steps of 1, 2 or 5 times a power of ten.
fn even_marks(most: f64) -> Vec<f64> {
    let rough = most / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|unit| unit * power).find(|step| *step >= rough);
    let step = step.unwrap_or(most);
    (0..=10_u8).map(|n| f64::from(n) * step).take_while(|value| *value <= most * 1.001).collect()
}

/// Round values that lie well apart on a bent axis: 1, 2 or 5 times powers of ten, from the largest down.
fn root_marks(most: f64) -> Vec<f64> {
    let mut marks = Vec::new();
    let mut last = f64::INFINITY;
    let mut power = 10_f64.powf(most.log10().floor());
    for _ in 0..ROOT_DECADES {
        for unit in [5.0, 2.0, 1.0] {
            let value = unit * power;
            let place = (value / most).sqrt();
            if value <= most && last - place >= ROOT_APART && place >= ROOT_APART {
                marks.push(value);
                last = place;
            }
        }
        power /= 10.0;
    }
    marks.push(0.0);
    marks.reverse();
    marks
}

/// Powers of ten that a bent axis can show.
const ROOT_DECADES: usize = 3;
/// Least distance of its marks, as a share of its length.
const ROOT_APART: f64 = 0.15;

/// Bytes for an axis.
pub(super) fn bytes(value: f64) -> String {
    if value >= 1e6 {
        format!("{} MB", trimmed(value / 1e6))
    } else if value >= 1e3 {
        format!("{} KB", trimmed(value / 1e3))
    } else {
        format!("{value:.0} B")
    }
}

/// Seconds for an axis.
pub(super) fn seconds(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value < 1e-3 {
        format!("{:.0} µs", value * 1e6)
    } else if value < 1.0 {
        format!("{:.0} ms", value * 1e3)
    } else {
        format!("{} s", trimmed(value))
    }
}

/// A rate for an axis.
pub(super) fn rate(kbps: f64) -> String {
    if kbps >= 1e6 {
        format!("{} Gbit/s", trimmed(kbps / 1e6))
    } else if kbps >= 1e4 {
        format!("{:.0} Mbit/s", kbps / 1e3)
    } else if kbps >= 1e3 {
        format!("{} Mbit/s", trimmed(kbps / 1e3))
    } else {
        format!("{kbps:.0} kbit/s")
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let hostile = "<script>&\"'\u{202e}\n";
        assert_eq!(Text(hostile).to_string(), "&lt;script&gt;&amp;&quot;&#39;  ");
    }

    #[test]
    fn marks_are_few_and_within() {
        for most in [0.000_3, 0.7, 1.0, 9.9, 17_376.0, 65_536.0, 1e9] {
            for bend in [Bend::Even, Bend::Root] {
                let marks = Scale::new(bend, most, 0.0, 100.0).marks();
                assert!((3..=11).contains(&marks.len()), "{most}: {marks:?}");
                assert!(marks.iter().all(|mark| (0.0..=most * 1.001).contains(mark)), "{most}: {marks:?}");
            }
        }
    }

    #[test]
    fn units_are_chosen() {
        assert_eq!(
            (bytes(17_400.0), bytes(900.0), bytes(2e6)),
            ("17.4 KB".into(), "900 B".into(), "2 MB".into())
        );
        assert_eq!(
            (seconds(0.25), seconds(15.0), seconds(0.0)),
            ("250 ms".into(), "15 s".into(), "0".into())
        );
    }
}
