//! How `explain` shows a message: for people, or as one JSON object.

use std::io::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Args;
use crate::charter::Mode;
use crate::charter::verdict::{Evidence, Finding, Outcome, Verdict};
use crate::gateway::Explained;
use crate::message::envelope::Envelope;

/// Shows one message.
pub fn message(args: &Args, name: Option<&str>, envelope: &Envelope, explained: Option<&Explained>, now: Timestamp) {
    let text = if args.json {
        format!("{}\n", as_json(args, name, explained, now))
    } else {
        for_people(args, name, envelope, explained, now)
    };
    let _ = anstream::stdout().write_all(text.as_bytes());
}

fn for_people(
    args: &Args,
    name: Option<&str>,
    envelope: &Envelope,
    explained: Option<&Explained>,
    now: Timestamp,
) -> String {
    let mut lines = Vec::new();
    if let Some(name) = name {
        lines.push(format!("== {name}"));
    }
    let sender = envelope.sender.as_ref().map_or_else(|| "<>".to_owned(), ToString::to_string);
    let recipients: Vec<&str> = envelope.recipients.iter().map(|recipient| recipient.raw.as_str()).collect();
    lines.push(format!("from {sender} to {} at {now}", recipients.join(", ")));
    let Some(explained) = explained else {
        lines.push("accept: no rule of any charter concerns this message".to_owned());
        lines.push(String::new());
        return lines.join("\n");
    };
    lines.push(verdict_line(explained));
    for ruling in &explained.decision.rulings {
        let list = ruling.list.as_deref().unwrap_or("general rules");
        let sender = ruling.sender.as_deref().unwrap_or("nobody on the register");
        lines.push(format!("\n{} · {list} · {sender}", ruling.charter));
        lines.extend(ruling.findings.iter().map(finding_line));
    }
    let signals = explained.signals();
    if !signals.is_empty() {
        lines.push("\nsignals (rule, weight, part:characters):".to_owned());
        lines.extend(signals.iter().map(|signal| {
            let (start, end) = signal.characters;
            let part = signal.part.map_or_else(|| "subject".to_owned(), |part| part.to_string());
            let place = format!("{part}:{start}-{end}");
            format!("  {:<13} {:>6.2}  {place:<14} {}  {}", signal.rule, signal.weight, signal.id, signal.explanation)
        }));
    }
    let edits = explained.edits();
    if !edits.is_empty() {
        lines.push(format!("\nedits: {}", edits.join(", ")));
    }
    if args.tree {
        lines.push(format!("\n{}", explained.drawing().trim_end()));
    }
    lines.push(String::new());
    lines.push(String::new());
    lines.join("\n")
}

fn verdict_line(explained: &Explained) -> String {
    let verdict = explained.verdict();
    let when = if explained.at_envelope { " (at DATA, the content would not travel)" } else { "" };
    match (explained.reply(), explained.decision.held_until()) {
        (Some(reply), _) => format!("{}{when}: {} {} {}", verdict.as_str(), reply.code, reply.status, reply.text),
        (None, Some(until)) if verdict == Verdict::Hold => format!("hold: may leave from {until}"),
        _ => verdict.as_str().to_owned(),
    }
}

fn finding_line(finding: &Finding) -> String {
    let (outcome, detail) = match &finding.outcome {
        Outcome::Hit { reason, effect } => ("hit", format!("{reason} → {effect}")),
        Outcome::Miss => ("miss", String::new()),
        Outcome::Exempt => ("exempt", String::new()),
        Outcome::NotRun(why) => ("not run", why.to_string()),
    };
    let clause = finding.clause.as_ref().map(|clause| format!("[{}]", clause.0)).unwrap_or_default();
    let mode = if finding.mode == Mode::Monitor { " (monitor)" } else { "" };
    let line = format!(
        "  {:<16} {outcome:<8} {clause:<18} {detail}{mode}  {}",
        finding.rule.as_str(),
        evidence_words(&finding.evidence)
    );
    line.trim_end().to_owned()
}

fn evidence_words(evidence: &Evidence) -> String {
    match evidence {
        Evidence::None => String::new(),
        Evidence::Count { counted, limit } => format!("{counted} of {limit}"),
        Evidence::Size { bytes, bytes_max } => format!("{bytes} of {bytes_max} octets"),
        Evidence::Day(day) => day.to_string(),
        Evidence::Until(instant) => instant.to_string(),
        Evidence::Parts(parts) | Evidence::Ambiguities(parts) => {
            parts.iter().map(|part| format!("part {}: {}", part.part, part.class)).collect::<Vec<_>>().join(", ")
        }
        Evidence::Signals { score, threshold, .. } => format!("score {score:.2} of {threshold:.2}"),
        Evidence::Proof(name) => format!("proven by {name}"),
        Evidence::Reference(reference) => reference.clone(),
        Evidence::Limit(name) => (*name).to_owned(),
        Evidence::Fields(fields) => fields.join(", "),
    }
}

fn as_json(args: &Args, name: Option<&str>, explained: Option<&Explained>, now: Timestamp) -> Value {
    let Some(explained) = explained else {
        return json!({ "message": name, "at": now, "verdict": "accept", "concerned": false });
    };
    let rulings = explained.decision.rulings.iter().map(|ruling| {
        json!({
            "charter": ruling.charter,
            "list": ruling.list,
            "sender": ruling.sender,
            "proof": ruling.proof,
            "verdict": ruling.verdict().as_str(),
            "held_until": ruling.held_until,
            "rules": ruling.findings.iter().map(finding_json).collect::<Vec<_>>(),
        })
    });
    let signals = explained.signals().into_iter().map(|signal| {
        json!({
            "rule": signal.rule,
            "id": signal.id,
            "weight": signal.weight,
            "part": signal.part,
            "characters": [signal.characters.0, signal.characters.1],
            "explanation": signal.explanation,
        })
    });
    json!({
        "message": name,
        "at": now,
        "verdict": explained.verdict().as_str(),
        "concerned": true,
        "stage": if explained.at_envelope { "envelope" } else { "content" },
        "reply": explained.reply().map(|reply| format!("{} {} {}", reply.code, reply.status, reply.text)),
        "rulings": rulings.collect::<Vec<_>>(),
        "signals": signals.collect::<Vec<_>>(),
        "edits": explained.edits(),
        "tree": args.tree.then(|| explained.drawing()),
    })
}

fn finding_json(finding: &Finding) -> Value {
    let (outcome, reason, effect) = match &finding.outcome {
        Outcome::Hit { reason, effect } => ("hit", Some(reason.as_str()), Some(effect.as_str())),
        Outcome::Miss => ("miss", None, None),
        Outcome::Exempt => ("exempt", None, None),
        Outcome::NotRun(why) => ("not-run", Some(why.as_str()), None),
    };
    json!({
        "rule": finding.rule.as_str(),
        "clause": finding.clause.as_ref().map(|clause| clause.0.as_str()),
        "mode": finding.mode,
        "outcome": outcome,
        "reason": reason,
        "effect": effect,
        "evidence": serde_json::to_value(&finding.evidence).unwrap_or(Value::Null),
    })
}
