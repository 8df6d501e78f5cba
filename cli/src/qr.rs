//! QR codes: on the terminal, and as SVG.

use anyhow::Context as _;
use fast_qr::{ECL, QRBuilder, QRCode};

/// Light modules around the code, as the standard asks (ISO/IEC 18004 §6.3.8).
const QUIET_ZONE: usize = 4;

/// The code of a text, at the lowest error correction: links are long and screens are clean.
pub(crate) fn encode(text: &str) -> anyhow::Result<QRCode> {
    QRBuilder::new(text).ecl(ECL::L).build().context("the link is too long for a QR code; share it as text")
}

/// The code as lines of half blocks, dark on light whatever the terminal's colours.
pub(crate) fn terminal(code: &QRCode, colour: bool) -> String {
    let mut out = String::new();
    for row in (0..code.size + 2 * QUIET_ZONE).step_by(2) {
        if colour {
            out.push_str("\u{1b}[30;107m");
        }
        for column in 0..code.size + 2 * QUIET_ZONE {
            // With colour the foreground is black; without it the terminal's light foreground draws the light modules.
            let (top, bottom) = (dark(code, row, column) == colour, dark(code, row + 1, column) == colour);
            out.push(match (top, bottom) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str(if colour { "\u{1b}[0m\n" } else { "\n" });
    }
    out.pop();
    out
}

/// Columns the drawn code takes.
pub(crate) fn width(code: &QRCode) -> usize {
    code.size + 2 * QUIET_ZONE
}

/// The code as an SVG document.
pub(crate) fn svg(code: &QRCode) -> String {
    let side = width(code);
    let mut path = String::new();
    for row in 0..side {
        for column in (0..side).filter(|column| dark(code, row, *column)) {
            path.push_str(&format!("M{column} {row}h1v1h-1z"));
        }
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><rect width="{side}" height="{side}" fill="#fff"/><path d="{path}"/></svg>"##
    )
}

fn dark(code: &QRCode, row: usize, column: usize) -> bool {
    let inside = |at: usize| at.checked_sub(QUIET_ZONE).filter(|at| *at < code.size);
    let (Some(row), Some(column)) = (inside(row), inside(column)) else { return false };
    code.data.get(row * code.size + column).is_some_and(|module| module.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_drawings_show_the_same_code() {
        let code = encode("commucat://example").unwrap();
        let drawn = terminal(&code, false);
        let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        assert_eq!(lines.len(), width(&code).div_ceil(2));
        let mut dark_modules = 0;
        for (row, column) in
            (0..width(&code)).flat_map(|row| (0..width(&code)).map(move |column| (row, column)))
        {
            let light = match lines[row / 2][column] {
                '█' => true,
                '▀' => row % 2 == 0,
                '▄' => row % 2 == 1,
                _ => false,
            };
            assert_eq!(light, !dark(&code, row, column), "row {row}, column {column}");
            dark_modules += usize::from(!light);
        }
        assert_eq!(svg(&code).matches("h1v1h-1z").count(), dark_modules);
    }

    #[test]
    fn too_much_text_is_an_error() {
        assert!(encode(&"a".repeat(4000)).is_err());
    }
}
