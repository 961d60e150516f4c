//! `make eval`: how well petitions, chain letters and near copies are told from what only looks like them.
//!
//! `--half development|test|held-out|blind` limits it to one half of the corpus of petitions; `--pack FILE` weighs another
//! pack; `--signals NAME` prints what was found in one message;
//! `--sentences FILE` weighs short messages: `+` asks for signatures, `~` is a chain letter, `-` is neither.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measuring tool prints, and stops at the first surprise"
)]

mod copies;
mod corpus;
mod tracts;

use std::collections::BTreeMap;

use charter_milter::charter::petition::{Pack, Report, Score, Settings, analyse};
use corpus::{Case, Half};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1).cloned();
    let pack = match value("--pack") {
        Some(path) => Pack::parse(&path, &std::fs::read_to_string(&path).expect("a readable pack")),
        None => Pack::embedded(),
    };
    let pack = pack.unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let cases = corpus::load();
    if let Some(name) = value("--signals") {
        for case in cases.iter().filter(|case| case.name.starts_with(&name)) {
            let (reading, report) = (case.reading(), case.report(&pack));
            println!(
                "{}: {:.2}, {:.2}\n{}",
                case.name, report.petition.value, report.chain_letter.value, reading.own.text
            );
            for hit in report.signals {
                println!("  {:+.2} {} «{}»", hit.weight, hit.id, case.excerpt(&hit));
            }
        }
        return;
    }
    println!("pack {} {} ({})", pack.id(), pack.version(), pack.digest());
    if let Some(path) = value("--sentences") {
        sentences(&pack, &std::fs::read_to_string(&path).expect("a readable file"));
        return;
    }
    for half in Half::ALL {
        if value("--half").is_some_and(|only| only != half.name()) {
            continue;
        }
        let reports: Vec<(&Case, Report)> =
            cases.iter().filter(|c| c.half == half).map(|c| (c, c.report(&pack))).collect();
        println!("\n== {} half: {} messages", half.name(), reports.len());
        for label in ["petition", "chain-letter"] {
            measure(label, &reports);
        }
    }
    if value("--half").is_none() {
        tracts::evaluate(&pack);
        copies::evaluate();
    }
}

/// Precision and recall of short messages, and each that is not what it was taken for.
fn sentences(pack: &Pack, file: &str) {
    let reports: Vec<(&str, &str, Report)> = corpus::sentences(file)
        .map(|(label, text, reading)| (label, text, analyse(pack, &reading, &Settings::default())))
        .collect();
    for rule in ["petition", "chain-letter"] {
        let (mut found, mut missed, mut false_alarms) = (0u32, 0u32, 0u32);
        for (label, text, report) in &reports {
            let score = score(rule, report);
            let kind = match (*label == rule, score.reached) {
                (true, true) => {
                    found += 1;
                    continue;
                }
                (false, false) => continue,
                (true, false) => {
                    missed += 1;
                    "missed"
                }
                (false, true) => {
                    false_alarms += 1;
                    "FALSE ALARM"
                }
            };
            println!("{kind} ({:.2}) {text}", score.value);
            for signal in &report.signals {
                let (start, end) = (signal.start as usize, signal.end as usize);
                let evidence: String = text.chars().skip(start).take(end - start).collect();
                println!("    {} {:+} «{evidence}»", signal.id, signal.weight);
            }
        }
        let rate = |of: u32, all: u32| if all == 0 { 1.0 } else { f64::from(of) / f64::from(all) };
        let (precision, recall) = (rate(found, found + false_alarms), rate(found, found + missed));
        println!("{rule}: precision {precision:.3}, recall {recall:.3} of {} messages", found + missed);
    }
}

fn ids(report: &Report) -> String {
    report.signals.iter().map(|s| format!("{} {:+}", s.id, s.weight)).collect::<Vec<_>>().join(", ")
}

fn score(label: &str, report: &Report) -> Score {
    if label == "petition" { report.petition } else { report.chain_letter }
}

/// Precision, recall, misses and the threshold curve for one label.
fn measure(label: &str, reports: &[(&Case, Report)]) {
    let threshold = reports.first().map_or(1.0, |(_, report)| score(label, report).threshold);
    let (precision, recall) = rates(label, reports, threshold);
    println!("\n{label}: precision {precision:.3}, recall {recall:.3} at threshold {threshold}");
    let mut misses: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (case, report) in reports {
        let score = score(label, report);
        if score.reached != (case.label == label) {
            let kind = if score.reached { "FALSE ALARM" } else { "missed" };
            misses.entry(&case.category).or_default().push(format!(
                "{kind} {} ({:.2}): {}",
                case.name,
                score.value,
                ids(report)
            ));
        }
    }
    for (category, lines) in misses {
        println!("  {category}");
        for line in &lines {
            println!("    {line}");
        }
    }
    println!("  threshold  precision  recall");
    for step in 2..=8u8 {
        let threshold = f64::from(step) / 5.0;
        let (precision, recall) = rates(label, reports, threshold);
        println!("  {threshold:>9.1}  {precision:>9.3}  {recall:>6.3}");
    }
}

/// Precision and recall; 1 where nothing was found or nothing was there.
fn rates(label: &str, reports: &[(&Case, Report)], threshold: f64) -> (f64, f64) {
    let count = |hit: bool, is: bool| {
        let of = |(case, report): &&(&Case, Report)| {
            (score(label, report).value + 1e-6 >= threshold) == hit && (case.label == label) == is
        };
        f64::from(u32::try_from(reports.iter().filter(of).count()).unwrap_or(u32::MAX))
    };
    let (found, false_alarm, missed) = (count(true, true), count(true, false), count(false, true));
    let rate = |of: f64, all: f64| if all == 0.0 { 1.0 } else { of / all };
    (rate(found, found + false_alarm), rate(found, found + missed))
}
