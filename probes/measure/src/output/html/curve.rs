//! Bytes over time: where flows stand still.

use commucat_verdict::observations::{Direction, Transfer};

use super::svg::{Bend, Drawing, Scale, bytes, seconds};

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 44.0;
/// Most curves of one chart; more would hide each other.
const CURVES_MAX: usize = 12;
/// Least distance between two labels at line ends.
const LABEL_APART: f64 = 16.0;
/// A control may go so many times higher than the highest flow that stood still; beyond, it leaves the picture.
const HEADROOM: f64 = 4.0;
/// Microseconds in a second.
const SECOND_US: f64 = 1e6;

/// The chart, when a transfer has a course.
pub(super) fn chart(transfers: &[Transfer]) -> Option<String> {
    let drawn = chosen(transfers);
    if drawn.is_empty() {
        return None;
    }
    let (time, amount) = scales(&drawn);
    let mut drawing = Drawing::new("curve", WIDTH, HEIGHT);
    axes(&mut drawing, &time, &amount);
    // Controls first, so that what is under test lies above them.
    for control in [true, false] {
        for transfer in drawn.iter().filter(|transfer| transfer.control.is_some() == control) {
            curve(&mut drawing, transfer, &time, &amount);
        }
    }
    labels(&mut drawing, &drawn, &time, &amount);
    let stalled = drawn.iter().filter(|transfer| transfer.stalled).count();
    let words = format!(
        "Bytes that had moved, over time, for {} transfers. {stalled} of them began and then stood still.",
        drawn.len()
    );
    Some(drawing.finish("Bytes over time", &words))
}

/// Those that stood still, then the controls, then others: as many as the picture bears.
fn chosen(transfers: &[Transfer]) -> Vec<&Transfer> {
    let mut drawn: Vec<_> = transfers.iter().filter(|transfer| transfer.curve.len() > 1).collect();
    drawn.sort_by_key(|transfer| (!transfer.stalled, transfer.control.is_none(), transfer.number));
    let (mut stalled, mut whole) = (0, 0);
    drawn.retain(|transfer| {
        let count = if transfer.stalled { &mut stalled } else { &mut whole };
        *count += 1;
        *count <= CURVES_MAX / 2
    });
    drawn
}

fn scales(drawn: &[&Transfer]) -> (Scale, Scale) {
    let end = |transfer: &&Transfer| transfer.took_us.max(last(transfer).0);
    let longest = real(drawn.iter().map(end).max().unwrap_or(1)) / SECOND_US;
    let highest = |stalled: bool| {
        drawn.iter().filter(|transfer| !stalled || transfer.stalled).map(|transfer| last(transfer).1).max()
    };
    let all = real(highest(false).unwrap_or(1));
    let most = highest(true).map_or(all, |stalled| all.min(real(stalled) * HEADROOM));
    let time = Scale::new(Bend::Root, longest, LEFT, WIDTH - RIGHT);
    (time, Scale::new(Bend::Even, most * 1.05, HEIGHT - BOTTOM, TOP))
}

fn axes(drawing: &mut Drawing, time: &Scale, amount: &Scale) {
    for mark in amount.marks() {
        let y = amount.at(mark);
        drawing.line("grid", (LEFT, y), (WIDTH - RIGHT, y));
        drawing.text("tick end", (LEFT - 8.0, y + 4.0), &bytes(mark));
    }
    for mark in time.marks() {
        let x = time.at(mark);
        drawing.line("grid", (x, TOP), (x, HEIGHT - BOTTOM));
        drawing.text("tick mid", (x, HEIGHT - BOTTOM + 18.0), &seconds(mark));
    }
    drawing.text("axis mid", ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6.0), "time since the transfer began");
}

fn curve(drawing: &mut Drawing, transfer: &Transfer, time: &Scale, amount: &Scale) {
    let place = |at_us: u64, moved: u64| (time.at(real(at_us) / SECOND_US), amount.at(real(moved)));
    let mut points = vec![place(0, 0)];
    points.extend(transfer.curve.iter().map(|point| place(point.at_us, point.bytes)));
    let class = class(transfer);
    drawing.path(&format!("curve {class}"), &points);
    let (at, moved) = last(transfer);
    if transfer.stalled {
        let (from, to) = (place(at, moved), place(transfer.took_us.max(at), moved));
        drawing.path(&format!("curve still {class}"), &[from, to]);
        drawing.dot(&format!("mark {class}"), from, 4.5, &hint(transfer));
    } else {
        drawing.dot(&format!("mark {class}"), place(at, moved), 3.5, &hint(transfer));
    }
}

/// A label at the right end of each kind of curve, pushed apart where they would touch.
fn labels(drawing: &mut Drawing, drawn: &[&Transfer], time: &Scale, amount: &Scale) {
    let mut wanted: Vec<(f64, &str, String)> = Vec::new();
    for transfer in drawn {
        let text = label(transfer);
        if wanted.iter().all(|(_, _, known)| *known != text) {
            wanted.push((amount.at(real(last(transfer).1)), class(transfer), text));
        }
    }
    wanted.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
    let mut free = TOP;
    for (y, class, text) in wanted {
        let y = y.max(free);
        free = y + LABEL_APART;
        drawing.text(&format!("label {class}"), (time.at(f64::INFINITY) + 12.0, y + 4.0), &text);
    }
}

fn label(transfer: &Transfer) -> String {
    let way = match transfer.direction {
        Direction::Up => "upload",
        Direction::Down => "download",
        Direction::Both => "trickle",
    };
    match (transfer.stalled, transfer.control) {
        (true, _) => format!("{way} stands still"),
        (false, Some(_)) => format!("{way}, control"),
        (false, None) => format!("{way} goes on"),
    }
}

const fn class(transfer: &Transfer) -> &'static str {
    match (transfer.stalled, transfer.control.is_some()) {
        (true, _) => "bad",
        (false, true) => "control",
        (false, false) => "good",
    }
}

fn hint(transfer: &Transfer) -> String {
    let packets = transfer.packets.map(|packets| format!(", {packets} packets")).unwrap_or_default();
    let end = if transfer.stalled { "stood still after" } else { "moved" };
    format!("{}: {end} {}{packets}", transfer.condition, bytes(real(transfer.moved)))
}

/// Time and bytes of the last point at which something moved.
fn last(transfer: &Transfer) -> (u64, u64) {
    let most = transfer.curve.last().map_or(0, |point| point.bytes);
    let reached = transfer.curve.iter().find(|point| point.bytes == most);
    (reached.map_or(0, |point| point.at_us), most)
}

#[allow(clippy::cast_precision_loss, reason = "a pixel is coarser than the rounding")]
const fn real(value: u64) -> f64 {
    value as f64
}
