//! A table of one row of the report, and how it looks on a terminal.

use crate::{
    stats::Better,
    summary::{MetricSummary, RowSummary},
};

/// What a figure means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tone {
    /// Neither.
    Plain,
    /// We lead, beyond the noise.
    Good,
    /// We trail, beyond the noise.
    Bad,
}

/// A heading and lines of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Table {
    /// One for each column.
    pub head: Vec<String>,
    /// Fields with their tones.
    pub lines: Vec<Vec<(String, Tone)>>,
}

/// The table of a row: a line for each metric, a column for each product.
#[must_use]
pub fn of(summary: &RowSummary) -> Table {
    let mut head = vec![String::new(), "unit".to_owned()];
    head.extend(summary.products.iter().cloned());
    head.extend(["ratio", "best peer", "eta", "best peer's eta", "noise"].map(str::to_owned));
    let lines = summary.metrics.iter().map(|metric| line(summary, metric)).collect();
    Table { head, lines }
}

fn line(summary: &RowSummary, metric: &MetricSummary) -> Vec<(String, Tone)> {
    let plain = |text: String| (text, Tone::Plain);
    let mut fields = vec![plain(metric.metric.title()), plain(metric.metric.kind.unit().to_owned())];
    for product in &summary.products {
        fields.push(plain(
            metric.figures.get(product).map_or_else(dash, |figure| number(figure.spread.median)),
        ));
    }
    fields.push(ratio(metric));
    fields.push(plain(metric.best_peer.clone().unwrap_or_else(dash)));
    let eta = |id: Option<&String>| {
        id.and_then(|id| metric.figures.get(id)?.eta).map_or_else(dash, |eta| format!("{eta:.2}"))
    };
    fields.push(plain(eta(Some(&summary.subject))));
    fields.push(plain(eta(metric.best_peer.as_ref())));
    fields.push(plain(metric.noise.map_or_else(dash, |noise| format!("±{:.0}%", noise * 100.0))));
    fields
}

fn ratio(metric: &MetricSummary) -> (String, Tone) {
    let (Some(ratio), Some(worst)) = (metric.ratio, metric.worst()) else { return (dash(), Tone::Plain) };
    let leads = match metric.metric.kind.better() {
        Better::Lower => ratio.median < 1.0,
        Better::Higher => ratio.median > 1.0,
    };
    let (mark, tone) = match metric.clear() {
        Some(true) if leads => ("", Tone::Good),
        Some(true) => ("", Tone::Bad),
        Some(false) | None => ("~", Tone::Plain),
    };
    (format!("{mark}{:.2} [{worst:.2}]", ratio.median), tone)
}

fn dash() -> String {
    "–".to_owned()
}

/// A number with about three digits that mean something.
#[must_use]
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Text in the colour of its tone.
#[must_use]
pub fn paint(text: &str, tone: Tone, colour: bool) -> String {
    match tone {
        Tone::Good if colour => format!("\u{1b}[32m{text}\u{1b}[0m"),
        Tone::Bad if colour => format!("\u{1b}[31m{text}\u{1b}[0m"),
        Tone::Plain | Tone::Good | Tone::Bad => text.to_owned(),
    }
}

impl Table {
    /// Columns of even width; the first is left-aligned, the others right-aligned.
    #[must_use]
    pub fn to_terminal(&self, colour: bool) -> String {
        let width = |column: usize| {
            let fields = self.lines.iter().filter_map(|line| line.get(column)).map(|(text, _)| text);
            fields.chain(self.head.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let pad = |text: &str, column: usize, width: usize, tone: Tone| {
            let gap = " ".repeat(width.saturating_sub(text.chars().count()));
            let text = paint(text, tone, colour);
            if column == 0 { format!("{text}{gap}") } else { format!("{gap}{text}") }
        };
        let row = |fields: &[(String, Tone)]| {
            let padded = fields.iter().zip(&widths).enumerate();
            let padded = padded.map(|(column, ((text, tone), width))| pad(text, column, *width, *tone));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let head: Vec<_> = self.head.iter().map(|text| (text.clone(), Tone::Plain)).collect();
        std::iter::once(&head).chain(&self.lines).map(|line| row(line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cells::Row,
        summary::tests::{record, two_rounds},
    };

    #[test]
    fn columns_are_even() {
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        let table = Table {
            head: vec![String::new(), "µs".to_owned()],
            lines: vec![
                vec![plain("long name"), plain("1")],
                vec![plain("x"), ("22".to_owned(), Tone::Good)],
            ],
        };
        assert_eq!(table.to_terminal(false), "           µs\nlong name   1\nx          22\n");
        assert!(table.to_terminal(true).ends_with("x          \u{1b}[32m22\u{1b}[0m\n"));
    }

    #[test]
    fn a_line_holds_everybody_and_the_ratio() {
        let table = of(&RowSummary::of(&record(two_rounds()), Row::Shadowsocks).unwrap());
        let texts: Vec<_> = table.lines[0].iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "up, 1 stream CPU",
                "CPU-s/GB",
                "0.550",
                "1.00",
                "2.00",
                "0.55 [0.60]",
                "sing-box",
                "0.73",
                "0.40",
                "±5%"
            ]
        );
        assert_eq!(table.lines[0][5].1, Tone::Good);
    }

    #[test]
    fn a_ratio_inside_the_noise_is_marked() {
        let mut samples = two_rounds();
        samples.retain(|sample| sample.product != "commucat-again");
        let table = of(&RowSummary::of(&record(samples), Row::Shadowsocks).unwrap());
        assert_eq!(table.lines[0][5], ("~0.55 [0.60]".to_owned(), Tone::Plain));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1234.5, 12.34, 1.234, 0.1234].map(number), ["1234", "12.3", "1.23", "0.123"]);
    }
}
