//! The report as people read it: on a terminal, and as one HTML page that loads nothing from anywhere, prints well, and that a
//! screen reader can follow.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use super::data::{CharterReport, Report};
use super::plots;
use super::words::{Words, reason, term};

/// For a terminal.
const TEXT: &str = include_str!("page.text.jinja");
/// For a browser. Figures are drawn for the eye; each has its numbers in a table beside it.
const HTML: &str = include_str!("page.html.jinja");

/// The report as plain text.
///
/// # Errors
///
/// When the template is at fault; a test makes every part of it.
pub fn text(report: &Report, words: &Words) -> Result<String, minijinja::Error> {
    let mut environment = environment(report, words);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
    environment.add_template("page.text", TEXT)?;
    environment.get_template("page.text")?.render(context! {
        r => Value::from(Serde(report)),
        w => Value::from(Serde(words)),
        period => period(report, words),
    })
}

/// The report as HTML.
///
/// # Errors
///
/// As [`text`].
pub fn html(report: &Report, words: &Words) -> Result<String, minijinja::Error> {
    let mut environment = environment(report, words);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page.html", HTML)?;
    let figures: Vec<_> = report.charters.iter().map(|charter| figures(charter, words)).collect();
    environment.get_template("page.html")?.render(context! {
        r => Value::from(Serde(report)),
        w => Value::from(Serde(words)),
        figures => figures,
        period => period(report, words),
    })
}

fn environment(report: &Report, words: &Words) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.add_filter("duration", duration);
    let zone = TimeZone::get(&report.time_zone).unwrap_or(TimeZone::UTC);
    environment.add_filter("local", move |time: String| local(&time, &zone));
    let language = words.lang;
    environment.add_filter("term", move |name: String| term(language, &name).to_owned());
    environment.add_filter("reason", move |code: String| reason(language, &code).unwrap_or_default());
    environment.add_filter("fixed1", |number: f64| format!("{number:.1}"));
    environment.add_filter("right", |number: u64, width: usize| format!("{number:>width$}"));
    environment
}

/// The days asked for, in words.
fn period(report: &Report, words: &Words) -> String {
    match (report.from, report.to) {
        (None, None) => words.whole.to_owned(),
        (from, to) => {
            let day = |day: Option<jiff::civil::Date>| day.map_or_else(|| "…".to_owned(), |day| day.to_string());
            format!("{} {} {}", day(from), words.to, day(to))
        }
    }
}

/// Seconds as `h:mm:ss`.
fn duration(seconds: i64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
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
    context! {
        days => safe(plots::by_day(charter, words)),
        senders => safe(plots::by_sender(charter, words)),
        legend => Value::from(Serde(plots::legend(charter, words))),
    }
}
