//! The report as CSV (RFC 4180): one row for each sender under each charter, one for each charter that forbids statistics.

use super::data::{CharterReport, Report, SenderReport, Verdicts};
use crate::decision_log::record::QuotaUse;

/// The columns, in order.
pub const COLUMNS: [&str; 16] = [
    "charter",
    "sender",
    "name",
    "messages",
    "accepted",
    "held",
    "refused",
    "refused_by_others",
    "deferred",
    "released",
    "wait_min_s",
    "wait_median_s",
    "wait_max_s",
    "mean_rank",
    "quotas",
    "reasons",
];

/// The report as CSV.
#[must_use]
pub fn csv(report: &Report) -> String {
    let mut out = String::new();
    row(&mut out, &COLUMNS.map(str::to_owned));
    for charter in &report.charters {
        if charter.senders.is_empty() {
            row(&mut out, &whole(charter));
        }
        for sender in &charter.senders {
            row(&mut out, &one(charter, sender));
        }
    }
    out
}

fn whole(charter: &CharterReport) -> [String; 16] {
    let reasons = charter.reasons.iter().map(|line| format!("{}={}", line.reason, line.count)).collect::<Vec<_>>();
    let none = String::new;
    let [messages, accepted, held, refused, others, deferred] = counted(charter.verdicts);
    [
        charter.charter.clone(),
        none(),
        none(),
        messages,
        accepted,
        held,
        refused,
        others,
        deferred,
        none(),
        none(),
        none(),
        none(),
        none(),
        none(),
        reasons.join(" "),
    ]
}

fn one(charter: &CharterReport, sender: &SenderReport) -> [String; 16] {
    let reasons = sender.reasons.iter().map(|line| format!("{}={}", line.reason, line.count)).collect::<Vec<_>>();
    let quotas = sender.quotas.iter().map(|quota| {
        let QuotaUse { per, of, over, used, max, .. } = quota;
        format!("{used}/{max} per {per} of {of} over {over}")
    });
    let [messages, accepted, held, refused, others, deferred] = counted(sender.verdicts);
    let [min, median, max] = match sender.wait {
        Some(wait) => [wait.min, wait.median, wait.max].map(|n| n.to_string()),
        None => [const { String::new() }; 3],
    };
    [
        charter.charter.clone(),
        sender.sender.clone(),
        sender.name.clone().unwrap_or_default(),
        messages,
        accepted,
        held,
        refused,
        others,
        deferred,
        sender.released.to_string(),
        min,
        median,
        max,
        sender.mean_rank.map(|rank| format!("{rank:.2}")).unwrap_or_default(),
        quotas.collect::<Vec<_>>().join("; "),
        reasons.join(" "),
    ]
}

fn counted(v: Verdicts) -> [String; 6] {
    [v.messages, v.accepted, v.held, v.refused, v.refused_by_others, v.deferred].map(|n| n.to_string())
}

fn row(out: &mut String, fields: &[String; 16]) {
    let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
    out.push_str(&fields.join(","));
    out.push_str("\r\n");
}

/// Quotes where RFC 4180 asks for it, and keeps spreadsheets from taking a text for a formula.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t']);
    let text = if formula { format!("'{field}") } else { field.to_owned() };
    if text.contains([',', '"', '\n', '\r', '\'']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_where_it_must_be() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(quoted("=cmd()"), "\"'=cmd()\"");
    }
}
