//! The forecast drawn: a column a day, as SVG that takes its colours from the page.

use std::fmt::Write;

use minijinja::Value;

use crate::report::document::ForecastDay;

/// In units of the drawing, which is scaled to the page.
const COLUMN: u64 = 14;
const HEIGHT: u64 = 150;
const LEFT: u64 = 46;
const BELOW: u64 = 24;
const ABOVE: u64 = 10;

/// The parts of a day's column, bottom up, by the page's classes.
fn parts(day: &ForecastDay) -> [(&'static str, u64); 4] {
    [("replace", day.replace), ("notify", day.notify + day.adopt), ("disable", day.disable), ("delete", day.delete)]
}

/// The chart. It holds numbers and dates alone, so nothing in it needs to be escaped.
pub(super) fn forecast(days: &[ForecastDay]) -> Value {
    let total = |day: &ForecastDay| parts(day).iter().map(|(_, keys)| keys).sum::<u64>();
    let top = nice(days.iter().map(total).max().unwrap_or(0));
    let width = LEFT + COLUMN * days.len() as u64 + 10;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {}\" role=\"img\" aria-label=\"Keys that the rules would replace, disable and delete, by day\">",
        ABOVE + HEIGHT + BELOW
    );
    for (share, keys) in [(0, 0), (1, top / 2), (2, top)] {
        let y = ABOVE + HEIGHT - HEIGHT * share / 2;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{width}\" y1=\"{y}\" y2=\"{y}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{keys}</text>",
            LEFT - 6,
            y + 4
        );
    }
    for (place, day) in (0..).zip(days) {
        column(&mut svg, LEFT + COLUMN * place, day, top);
        if place % 10 == 0 {
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\">{}</text>",
                LEFT + COLUMN * place,
                ABOVE + HEIGHT + 17,
                day.date.strftime("%b %-d")
            );
        }
    }
    svg.push_str("</svg>");
    Value::from_safe_string(svg)
}

fn column(svg: &mut String, x: u64, day: &ForecastDay, top: u64) {
    let told: Vec<String> =
        parts(day).iter().filter(|(_, keys)| *keys > 0).map(|(what, keys)| format!("{keys} {what}")).collect();
    if told.is_empty() {
        return;
    }
    let _ = write!(svg, "<g><title>{}: {}</title>", day.date, told.join(", "));
    let mut below = 0;
    for (class, keys) in parts(day).into_iter().filter(|(_, keys)| *keys > 0) {
        let (from, to) = (HEIGHT * below / top, HEIGHT * (below + keys) / top);
        let height = (to - from).max(1);
        let y = (ABOVE + HEIGHT - from).saturating_sub(height);
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{height}\"/>",
            x + 1,
            COLUMN - 3
        );
        below += keys;
    }
    svg.push_str("</g>");
}

/// The next number of the form 2, 4, 6, 8, 10, 20, 40 ...: its half is whole.
fn nice(most: u64) -> u64 {
    let mut unit = 1;
    loop {
        for step in [2, 4, 6, 8, 10] {
            if most <= step * unit {
                return step * unit;
            }
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_at_the_next_round_number() {
        assert_eq!([0, 2, 3, 5, 11, 41, 9_999].map(nice), [2, 2, 4, 6, 20, 60, 10_000]);
    }
}
