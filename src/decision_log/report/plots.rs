//! Plots in SVG, drawn without a font file: viewers set the text in their own sans-serif.

use plotters::prelude::*;
use serde::Serialize;

use super::data::{CharterReport, Verdicts};
use super::words::Words;

/// Width of a plot, units of the SVG.
const WIDTH: u32 = 860;
/// The colours of accepted, held, refused, refused by other rules, put off: told apart by colour-blind readers too, and in print
/// by lightness.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(240, 228, 66),
    RGBColor(150, 150, 150),
];

/// What a colour stands for.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    colour: String,
    name: &'static str,
}

/// What each colour stands for: set in the page beside a plot, where no bar can hide behind it. What other rules refused has its
/// colour where there is any.
pub(super) fn legend(charter: &CharterReport, words: &Words) -> Vec<Entry> {
    let others = (charter.verdicts.refused_by_others > 0).then_some(words.refused_by_others);
    let names = [Some(words.accepted), Some(words.held), Some(words.refused), others, Some(words.deferred)];
    let entry = |(name, RGBColor(r, g, b))| Some(Entry { colour: format!("#{r:02x}{g:02x}{b:02x}"), name: name? });
    names.into_iter().zip(COLOURS).filter_map(entry).collect()
}

/// Messages by day, stacked by verdict. `None` when there is nothing to draw.
pub(super) fn by_day(charter: &CharterReport, words: &Words) -> Option<String> {
    let bars: Vec<_> = charter.days.iter().map(|(day, verdicts)| (day.to_string(), *verdicts)).collect();
    stacked(&bars, words, 260)
}

/// Messages by sender, stacked by verdict. `None` when there is nothing to draw.
pub(super) fn by_sender(charter: &CharterReport, words: &Words) -> Option<String> {
    let bars: Vec<_> = charter
        .senders
        .iter()
        .map(|sender| (sender.name.clone().unwrap_or_else(|| sender.sender.clone()), sender.verdicts))
        .collect();
    stacked(&bars, words, 280)
}

fn stacked(bars: &[(String, Verdicts)], words: &Words, height: u32) -> Option<String> {
    let highest = bars.iter().map(|(_, verdicts)| verdicts.messages).max().filter(|highest| *highest > 0)?;
    let mut svg = String::new();
    draw(&mut svg, bars, words, height, highest).ok()?;
    // Inside a page the drawing scales with it, and its text is announced once, by the figure's caption.
    Some(svg.replacen("<svg ", "<svg aria-hidden=\"true\" focusable=\"false\" ", 1))
}

/// Why a plot could not be drawn; nobody is told, the table below it says the same.
type Undrawn = DrawingAreaErrorKind<std::io::Error>;

fn draw(
    svg: &mut String,
    bars: &[(String, Verdicts)],
    words: &Words,
    height: u32,
    highest: u64,
) -> Result<(), Undrawn> {
    let undrawn = |_| DrawingAreaErrorKind::LayoutError;
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    // At least one: the highest of them is above zero.
    let count = bars.len().max(1);
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(48)
        .build_cartesian_2d((0..count - 1).into_segmented(), 0..highest + highest.div_ceil(12))
        .map_err(undrawn)?;
    let label = |value: &SegmentValue<usize>| match value {
        SegmentValue::CenterOf(at) | SegmentValue::Exact(at) => {
            bars.get(*at).map(|bar| short(&bar.0)).unwrap_or_default()
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(count.min(12))
        .x_label_formatter(&label)
        .y_desc(words.messages)
        .label_style(("sans-serif", 12))
        .draw()
        .map_err(undrawn)?;
    for (series, colour) in COLOURS.into_iter().enumerate() {
        let bar = |(at, (_, verdicts)): (usize, &(String, Verdicts))| {
            let Verdicts { accepted, held, refused, refused_by_others, deferred, .. } = *verdicts;
            let parts = [accepted, held, refused, refused_by_others, deferred];
            let below: u64 = parts.iter().take(series).sum();
            let own = parts.get(series).copied().unwrap_or(0);
            // A single segment has no next one that a place could be told from.
            let right = if at + 1 == count { SegmentValue::Last } else { SegmentValue::Exact(at + 1) };
            let left = SegmentValue::Exact(at);
            let mut bar = Rectangle::new([(left, below), (right, below + own)], colour.filled());
            let margin = if count > 60 { 0 } else { 3 };
            bar.set_margin(0, 0, margin, margin);
            bar
        };
        chart.draw_series(bars.iter().enumerate().map(bar)).map_err(undrawn)?;
    }
    root.present().map_err(undrawn)
}

/// A label that fits under its bar.
fn short(label: &str) -> String {
    if label.chars().count() <= 18 { label.to_owned() } else { label.chars().take(17).chain(['…']).collect() }
}
