//! Answers of resolvers over time, and compared rates.

use commucat_verdict::observations::{Lookup, RateComparison, ResolverKind};

use super::svg::{Bend, Drawing, Scale, rate, seconds};
use crate::output::number;

const WIDTH: f64 = 920.0;
const LEFT: f64 = 290.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 10.0;
const ROW: f64 = 28.0;
const BOTTOM: f64 = 40.0;
/// Most questions, and most comparisons, that are drawn.
const ROWS_MAX: usize = 14;
/// Room that a caption beside dots takes.
const LABEL_ROOM: f64 = 120.0;
/// Microseconds in a second.
const SECOND_US: f64 = 1e6;

/// Answers to questions over time: two answers to one question, or any from a host that runs no resolver, are forged.
pub(super) fn answers(lookups: &[Lookup]) -> Option<String> {
    let mut drawn: Vec<_> = lookups.iter().filter(|lookup| !lookup.answers.is_empty()).collect();
    drawn.sort_by_key(|lookup| (!suspicious(lookup), lookup.number));
    drawn.truncate(ROWS_MAX);
    if !drawn.iter().any(|lookup| suspicious(lookup)) {
        return None;
    }
    let latest = drawn.iter().flat_map(|lookup| &lookup.answers).map(|answer| answer.after_us).max();
    let time = Scale::new(Bend::Root, real(latest.unwrap_or(1)) / SECOND_US * 1.1, LEFT, WIDTH - RIGHT);
    let height = ROW.mul_add(count(drawn.len()), TOP + BOTTOM);
    let mut drawing = Drawing::new("answers", WIDTH, height);
    axis(&mut drawing, &time, height, seconds, "after the question");
    for (at, lookup) in drawn.iter().enumerate() {
        let y = ROW.mul_add(count(at), TOP + ROW / 2.0);
        drawing.text("tick end", (LEFT - 12.0, y + 4.0), &format!("{} name, {}", lookup.class, who(lookup)));
        drawing.line("grid", (LEFT, y), (WIDTH - RIGHT, y));
        for answer in &lookup.answers {
            let class =
                if answer.bogon || lookup.resolver == ResolverKind::NoResolver { "bad" } else { "good" };
            let shown: Vec<_> = answer.addresses.iter().map(ToString::to_string).collect();
            let hint = format!("{} ms: {}", answer.after_us / 1_000, shown.join(", "));
            drawing.dot(
                &format!("mark {class}"),
                (time.at(real(answer.after_us) / SECOND_US), y),
                5.0,
                &hint,
            );
        }
    }
    let forged = drawn.iter().filter(|lookup| suspicious(lookup)).count();
    let words = format!("{forged} of {} questions got an answer that was not the resolver's.", drawn.len());
    Some(drawing.finish("Answers to questions", &words))
}

/// Rates of suspects and of their controls, every repeat a dot.
pub(super) fn rates(rates: &[RateComparison]) -> Option<String> {
    let drawn: Vec<_> = rates.iter().take(ROWS_MAX / 2).collect();
    let most = drawn.iter().flat_map(|one| one.suspect_kbps.iter().chain(&one.control_kbps)).copied();
    let most = most.fold(0.0, f64::max);
    if drawn.is_empty() || most <= 0.0 {
        return None;
    }
    let scale = Scale::new(Bend::Root, most * 1.05, LEFT, WIDTH - RIGHT);
    let height = ROW.mul_add(count(drawn.len() * 2), TOP + BOTTOM);
    let mut drawing = Drawing::new("rates", WIDTH, height);
    axis(&mut drawing, &scale, height, rate, "rate, each dot a repeat");
    for (at, compared) in drawn.iter().enumerate() {
        let slowed = compared.ratio.median < compared.threshold;
        let lanes = [
            (&compared.suspect, &compared.suspect_kbps, if slowed { "bad" } else { "good" }),
            (&compared.control, &compared.control_kbps, "control"),
        ];
        for (lane, (condition, values, class)) in lanes.into_iter().enumerate() {
            let y = ROW.mul_add(count(at * 2 + lane), TOP + ROW / 2.0);
            let name =
                condition.name.map_or_else(|| condition.payload.to_string(), |name| format!("{name} name"));
            let role = if lane == 0 { name } else { format!("{name} (control)") };
            drawing.text("tick end", (LEFT - 12.0, y + 4.0), &role);
            drawing.line("grid", (LEFT, y), (WIDTH - RIGHT, y));
            for value in values {
                let hint = format!("{} kbit/s", number(*value));
                drawing.dot(&format!("mark {class}"), (scale.at(*value), y), 5.0, &hint);
            }
            caption(&mut drawing, values, class, &scale, y);
        }
    }
    let words = format!("{} kinds of flow were compared with a control on the same server.", drawn.len());
    Some(drawing.finish("Rates", &words))
}

fn axis(drawing: &mut Drawing, scale: &Scale, height: f64, unit: impl Fn(f64) -> String, name: &str) {
    for mark in scale.marks() {
        let x = scale.at(mark);
        drawing.line("grid", (x, TOP), (x, height - BOTTOM));
        drawing.text("tick mid", (x, height - BOTTOM + 18.0), &unit(mark));
    }
    drawing.text("axis mid", ((LEFT + WIDTH - RIGHT) / 2.0, height - 4.0), name);
}

/// The middle of the repeats in figures, on the side where there is room.
fn caption(drawing: &mut Drawing, values: &[f64], class: &str, scale: &Scale, y: f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(middle), Some(low), Some(high)) = (sorted.get(sorted.len() / 2), sorted.first(), sorted.last())
    else {
        return;
    };
    let text = rate(*middle);
    if scale.at(*high) + LABEL_ROOM < drawing.right() {
        drawing.text(&format!("label {class}"), (scale.at(*high) + 12.0, y + 4.0), &text);
    } else {
        drawing.text(&format!("label end {class}"), (scale.at(*low) - 12.0, y + 4.0), &text);
    }
}

fn suspicious(lookup: &Lookup) -> bool {
    let answered = !lookup.answers.is_empty();
    lookup.answers.len() > 1
        || (answered && lookup.resolver == ResolverKind::NoResolver)
        || lookup.answers.iter().any(|answer| answer.bogon)
}

const fn who(lookup: &Lookup) -> &'static str {
    match lookup.resolver {
        ResolverKind::System => "this network's resolver",
        ResolverKind::Control => "control resolver",
        ResolverKind::NoResolver => "no resolver at all",
        _ => "another",
    }
}

#[allow(clippy::cast_precision_loss, reason = "a pixel is coarser than the rounding")]
const fn real(value: u64) -> f64 {
    value as f64
}

#[allow(clippy::cast_precision_loss, reason = "a handful of rows")]
const fn count(value: usize) -> f64 {
    value as f64
}
