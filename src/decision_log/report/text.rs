//! The report as plain text, for a terminal.

use std::fmt::Write as _;

use super::data::{CharterReport, Report, Spread, Verdicts};
use super::words::{Words, reason, term};

/// The report as text.
#[must_use]
pub fn text(report: &Report, words: &Words) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}\n", words.title);
    let _ = writeln!(out, "{}: {}", words.log, report.origin);
    let _ = writeln!(out, "{}: {} ({})", words.period, period(report, words), report.time_zone);
    if let Some(head) = &report.checkpoint {
        let _ = writeln!(
            out,
            "{}: {} {} {}, {} {}",
            words.checkpoint, head.size, words.records_signed, head.time, words.key, head.key
        );
    }
    let _ = writeln!(out, "{}", if report.key_confirmed { words.confirmed } else { words.unconfirmed });
    for charter in &report.charters {
        one_charter(&mut out, charter, words);
    }
    let _ = writeln!(out, "\n{}", words.stops);
    for stop in &report.stops {
        let whom = stop.whom.as_deref().unwrap_or("-");
        let why = if stop.action == "breaker" { why(words.lang, &stop.reason) } else { stop.reason.clone() };
        let (action, target) = (term(words.lang, &stop.action), term(words.lang, &stop.target));
        let _ = writeln!(out, "  {}  {action} {target} {whom}  {why}", stop.at);
    }
    let _ = writeln!(out, "\n{}", words.configurations);
    for config in &report.configurations {
        let digest: String = config.digest.chars().take(16).collect();
        let _ = writeln!(out, "  {}  {digest}  {}", config.at, config.changed.join(", "));
    }
    let _ = writeln!(out, "\n{}: {}", words.clock_jumps, report.clock_jumps);
    let _ = writeln!(out, "{}: {}", words.recoveries, report.recoveries);
    out
}

/// The days asked for, in words.
pub(super) fn period(report: &Report, words: &Words) -> String {
    match (report.from, report.to) {
        (None, None) => words.whole.to_owned(),
        (from, to) => {
            let day = |day: Option<jiff::civil::Date>| day.map_or_else(|| "…".to_owned(), |day| day.to_string());
            format!("{} {} {}", day(from), words.to, day(to))
        }
    }
}

fn one_charter(out: &mut String, charter: &CharterReport, words: &Words) {
    let _ = writeln!(out, "\n{} {}", words.charter, charter.charter);
    let _ = writeln!(out, "  {}", verdicts(charter.verdicts, words));
    for reason in &charter.reasons {
        let _ = writeln!(out, "    {:>8}  {}  {}", reason.count, why(words.lang, &reason.reason), reason.clause);
    }
    let _ = writeln!(out, "  {}", words.equality);
    if !charter.statistics {
        let _ = writeln!(out, "    {}", words.no_statistics);
    }
    for sender in &charter.senders {
        let name = sender.name.as_ref().unwrap_or(&sender.sender);
        let _ = writeln!(out, "    {name}: {}", verdicts(sender.verdicts, words));
        let wait = sender.wait.map_or_else(|| "-".to_owned(), spread);
        let rank = sender.mean_rank.map_or_else(|| "-".to_owned(), |rank| format!("{rank:.1}"));
        let _ = writeln!(
            out,
            "      {} {}, {} {wait}, {} {rank}",
            words.released, sender.released, words.wait, words.mean_rank
        );
    }
    let _ = writeln!(out, "  {}", words.nights);
    for night in &charter.nights {
        let first = night.releases.first().map(|release| release.at.to_string()).unwrap_or_default();
        let last = night.releases.last().map(|release| release.at.to_string()).unwrap_or_default();
        let _ = writeln!(out, "    {}  {} {}  {first} – {last}", night.opens, words.released, night.releases.len());
    }
}

/// A reason in words, and its code.
fn why(lang: &str, code: &str) -> String {
    reason(lang, code).map_or_else(|| code.to_owned(), |words| format!("{words} ({code})"))
}

fn verdicts(v: Verdicts, words: &Words) -> String {
    format!(
        "{} {}; {} {}, {} {}, {} {}, {} {}",
        words.messages,
        v.messages,
        words.accepted,
        v.accepted,
        words.held,
        v.held,
        words.refused,
        v.refused,
        words.deferred,
        v.deferred
    )
}

/// A spread in hours and minutes.
pub(super) fn spread(wait: Spread) -> String {
    [wait.min, wait.median, wait.max].map(duration).join(" / ")
}

/// Seconds as `h:mm:ss`.
pub(super) fn duration(seconds: i64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
