//! The report as one HTML page: nothing is loaded from anywhere, it prints well, and a screen reader can follow it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use super::data::{CharterReport, Report};
use super::words::{Words, reason, term};
use super::{plots, text};

/// The page. Figures are drawn for the eye; each has its numbers in a table beside it.
const PAGE: &str = include_str!("page.html.jinja");

/// The report as HTML.
///
/// # Errors
///
/// When the template is at fault; a test makes every part of it.
pub fn html(report: &Report, words: &Words) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("duration", text::duration);
    let zone = TimeZone::get(&report.time_zone).unwrap_or(TimeZone::UTC);
    environment.add_filter("local", move |time: String| local(&time, &zone));
    let language = words.lang;
    environment.add_filter("term", move |name: String| term(language, &name).to_owned());
    environment.add_filter("reason", move |code: String| reason(language, &code).unwrap_or_default());
    environment.add_filter("fixed1", |number: f64| format!("{number:.1}"));
    environment.add_template("page.html", PAGE)?;
    let figures: Vec<_> = report.charters.iter().map(|charter| figures(charter, words)).collect();
    environment.get_template("page.html")?.render(context! {
        r => Value::from(Serde(report)),
        w => Value::from(Serde(words)),
        figures => figures,
        legend_of => Value::from(Serde(plots::legend(words))),
        period => text::period(report, words),
    })
}

/// A time as the clocks on the wall showed it, with its offset.
fn local(time: &str, zone: &TimeZone) -> String {
    match time.parse::<Timestamp>() {
        Ok(parsed) => parsed.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
        Err(_) => time.to_owned(),
    }
}

fn figures(charter: &CharterReport, words: &Words) -> Value {
    let safe = |svg: Option<String>| svg.map(Value::from_safe_string);
    context! { days => safe(plots::by_day(charter, words)), senders => safe(plots::by_sender(charter, words)) }
}
