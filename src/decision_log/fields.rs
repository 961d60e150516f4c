//! The table of all fields: the closed list of what a record can hold, in one place. `docs/log-format.md` shows it, and a
//! test holds it against the records themselves. [`super::shape`] reads lines by it.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Text.
    Text,
    /// A whole number from 0 on, below 2⁶⁴.
    Integer,
    /// A whole number from 0 on, below 2³².
    SmallInteger,
    /// `true` or `false`.
    Flag,
    /// An instant, RFC 3339.
    Time,
    /// A day, `YYYY-MM-DD`.
    Day,
    /// An object of numbers, under any names.
    Numbers,
    /// A structure of this table.
    Structure(&'static str),
    /// A list.
    List(&'static Holds),
}

impl std::fmt::Display for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Integer => f.write_str("integer"),
            Self::SmallInteger => f.write_str("integer below 2^32"),
            Self::Flag => f.write_str("true or false"),
            Self::Time => f.write_str("time"),
            Self::Day => f.write_str("day"),
            Self::Numbers => f.write_str("numbers by name"),
            Self::Structure(name) => f.write_str(name),
            Self::List(of) => write!(f, "list of {of}"),
        }
    }
}

/// One field of a record, or of a structure inside a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The kind of record, or the structure.
    pub of: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// It may be absent.
    pub optional: bool,
    /// What it means.
    pub means: &'static str,
}

const fn must(of: &'static str, name: &'static str, holds: Holds, means: &'static str) -> Field {
    Field { of, name, holds, optional: false, means }
}

const fn may(of: &'static str, name: &'static str, holds: Holds, means: &'static str) -> Field {
    Field { of, name, holds, optional: true, means }
}

/// Every field, in the order in which a record has them.
pub const FIELDS: &[Field] = &[
    must(
        "decision",
        "reference",
        Holds::Text,
        "The message's own reference, which banners quote: known before the record has its place in the log.",
    ),
    must(
        "decision",
        "verdict",
        Holds::Text,
        "The strongest verdict of all judgements in force: `accept`, `hold`, `tempfail`, `reject`.",
    ),
    must("decision", "stage", Holds::Text, "How far the message had come: `envelope` or `content`."),
    must(
        "decision",
        "judgements",
        Holds::List(&Holds::Structure("judgement")),
        "One entry for each charter and list (or general rules) that the message was judged under.",
    ),
    must(
        "decision",
        "edits",
        Holds::List(&Holds::Text),
        "Names of the edits made, in order, with their number where there may be several: `tracking-removed=1`.",
    ),
    may("decision", "queue_id", Holds::Text, "The mail server's queue id."),
    may(
        "decision",
        "message_bytes",
        Holds::Integer,
        "Octets of the message as received; absent when it was refused at the envelope.",
    ),
    must("decision", "recipients", Holds::SmallInteger, "Number of recipients of the message."),
    may("decision", "message_id", Holds::Structure("commitment"), "The Message-ID, sealed."),
    may(
        "decision",
        "rule_pack",
        Holds::Text,
        "Rule pack in force: its id, its version, and the SHA-256 digest of its file in lower-case hex.",
    ),
    must("decision", "config", Holds::Text, "Digest of the configuration in force, lower-case hex."),
    must("judgement", "charter", Holds::Text, "The charter's id."),
    may("judgement", "list", Holds::Text, "The protected list's main address; absent for the charter's general rules."),
    must("judgement", "verdict", Holds::Text, "What this charter says: `accept`, `hold`, `tempfail`, `reject`."),
    must("judgement", "mode", Holds::Text, "`enforce` or `monitor`."),
    must("judgement", "inspection", Holds::Text, "`content` or `structure`."),
    may("judgement", "reason", Holds::Text, "The reason code of the deciding rule."),
    may("judgement", "clause", Holds::Text, "The clause of the deciding rule."),
    must("judgement", "statistics", Holds::Flag, "Whether figures for each sender may be computed (drancy:III.3.d)."),
    may(
        "judgement",
        "sender",
        Holds::Text,
        "Pseudonym of the registered sender, with the reason `sender-not-proven` of the one that the message claims to be from; absent when none was recognised.",
    ),
    may(
        "judgement",
        "from",
        Holds::Text,
        "Pseudonym of the address in From, when it is no registered sender's or differs from `sender`.",
    ),
    may(
        "judgement",
        "proof",
        Holds::Text,
        "The proof that was used: `sasl`, `network`, `tls`, `dkim`, `authentication-results`.",
    ),
    may("judgement", "quotas", Holds::List(&Holds::Structure("quota")), "Use of each quota, this message included."),
    must("judgement", "rules", Holds::List(&Holds::Structure("rule")), "The outcome of every rule, in order."),
    may("judgement", "hold_until", Holds::Time, "When a held message may leave at the earliest."),
    must("quota", "per", Holds::Text, "`hour`, `day`, `week`, `month`, `period`."),
    must("quota", "of", Holds::Text, "`sender`, `mailbox`, `login`."),
    must("quota", "over", Holds::Text, "`list`, `all-lists`."),
    must("quota", "used", Holds::Integer, "How many were used, this message included."),
    must("quota", "max", Holds::Integer, "How many are allowed."),
    must("quota", "clause", Holds::Text, "The clause."),
    must("rule", "rule", Holds::Text, "The rule's name."),
    must("rule", "outcome", Holds::Text, "`hit`, `miss`, `exempt`, `not-run`."),
    may("rule", "mode", Holds::Text, "`monitor` when the rule only records; absent when it acts."),
    may("rule", "reason", Holds::Text, "Why it hit, or why it did not run."),
    may("rule", "clause", Holds::Text, "The clause it enforces."),
    may(
        "rule",
        "evidence",
        Holds::Numbers,
        "Numbers that explain the outcome, by stable names: sizes, counts, scores, limits. Never content.",
    ),
    may(
        "rule",
        "signals",
        Holds::List(&Holds::Text),
        "What was seen, a hundred at most: signals by identifier, parts of the message by number and class. Never content.",
    ),
    must(
        "commitment",
        "nonce",
        Holds::Text,
        "Random, 16 octets, base64url without padding: makes the opening key this record's own.",
    ),
    must("commitment", "seal", Holds::Text, "The seal, 32 octets, base64url without padding."),
    must("commitment", "key", Holds::Text, "Which period key the opening key comes from."),
    must("seen-in-queue", "queue_id", Holds::Text, "The queue id."),
    must("seen-in-queue", "charter", Holds::Text, "The charter's id."),
    must("seen-in-queue", "list", Holds::Text, "The list's main address."),
    may("seen-in-queue", "sender", Holds::Text, "Pseudonym of the sender."),
    may("seen-in-queue", "decision", Holds::Integer, "Index of the decision that held it."),
    must("seen-in-queue", "arrived", Holds::Time, "Arrival, by the mail server's clock."),
    must("seen-in-queue", "message_bytes", Holds::Integer, "Octets in the queue."),
    must("draw", "charter", Holds::Text, "The charter's id."),
    must("draw", "window_opens", Holds::Time, "The window's first instant."),
    must(
        "draw",
        "seed",
        Holds::Text,
        "The seed, lower-case hex: with the pseudonyms of those who wait it gives the order (cnrs:pre).",
    ),
    may("draw", "order", Holds::List(&Holds::Text), "Pseudonyms in the order drawn, when it is known at this point."),
    must("release", "queue_id", Holds::Text, "The queue id."),
    must("release", "charter", Holds::Text, "The charter's id."),
    must("release", "list", Holds::Text, "The list's main address."),
    may("release", "sender", Holds::Text, "Pseudonym of the sender."),
    must("release", "statistics", Holds::Flag, "Whether figures for each sender may be computed (drancy:III.3.d)."),
    may("release", "decision", Holds::Integer, "Index of the decision that held it."),
    must("release", "arrived", Holds::Time, "Arrival, by the mail server's clock."),
    may(
        "release",
        "window_opens",
        Holds::Time,
        "The window it left in; absent when it left outside of any window, by order.",
    ),
    may("release", "rank", Holds::SmallInteger, "Its place in the order of that window, from 1."),
    must("release", "reason", Holds::Text, "Why: `window`, `operator`…"),
    must("gone", "queue_id", Holds::Text, "The queue id."),
    must("gone", "charter", Holds::Text, "The charter's id."),
    must("gone", "list", Holds::Text, "The list's main address."),
    may("gone", "sender", Holds::Text, "Pseudonym of the sender."),
    may("gone", "decision", Holds::Integer, "Index of the decision that held it."),
    must(
        "gone",
        "reason",
        Holds::Text,
        "What is known: `left-queue` after a release, `never-queued`; anomalies are `vanished`, `changed`, `released-by-other`.",
    ),
    must("cancel", "queue_id", Holds::Text, "The queue id."),
    must("cancel", "charter", Holds::Text, "The charter's id."),
    must("cancel", "list", Holds::Text, "The list's main address."),
    may("cancel", "sender", Holds::Text, "Pseudonym of the sender."),
    may("cancel", "decision", Holds::Integer, "Index of the decision that held it."),
    must("cancel", "reason", Holds::Text, "Why: `operator`, `period-over`, `suspended`…"),
    may("cancel", "reference", Holds::Text, "Reference of the order, in the organisation's own numbering."),
    must("stop", "action", Holds::Text, "`stop`, `resume`, or `breaker` when the flood breaker opened by itself."),
    must("stop", "target", Holds::Text, "What is suspended: `sender`, `mailbox`, `list`, `charter`, `all`."),
    may("stop", "charter", Holds::Text, "The charter's id."),
    may("stop", "list", Holds::Text, "The list's main address."),
    may("stop", "sender", Holds::Text, "Pseudonym of the sender."),
    may("stop", "from", Holds::Time, "From when; absent means at once."),
    may("stop", "until", Holds::Time, "Until when; absent means until it is lifted."),
    must("stop", "reason", Holds::Text, "Why, in the words of who ordered it; for `breaker`, the reason code."),
    may("stop", "reference", Holds::Text, "Reference of the order, in the organisation's own numbering."),
    may("stop", "clause", Holds::Text, "The clause."),
    must("config", "digest", Holds::Text, "Digest over all files, lower-case hex; decision records quote it."),
    must("config", "files", Holds::List(&Holds::Structure("file")), "Every file."),
    must("config", "version", Holds::Text, "Version of the program."),
    must("file", "name", Holds::Text, "Its name, relative to the directory of the main file."),
    must("file", "sha256", Holds::Text, "SHA-256, lower-case hex."),
    must("key", "epoch", Holds::Integer, "Number of the epoch that this key signs, from 0."),
    must("key", "key", Holds::Text, "The public half as a C2SP verifier key."),
    must("key", "from", Holds::Time, "From when it signs."),
    may(
        "key",
        "endorsement",
        Holds::Text,
        "A signed note by the key before it; absent for epoch 0, whose key the auditors hold on paper.",
    ),
    must("checkpoint", "epoch", Holds::Integer, "Number of the epoch whose key signed."),
    must("checkpoint", "reason", Holds::Text, "Why now."),
    may("checkpoint", "charters", Holds::List(&Holds::Text), "The charters whose night window opened or closed."),
    must("checkpoint", "note", Holds::Text, "The checkpoint, a C2SP signed note over all lines before this one."),
    must("purge", "before", Holds::Day, "What was before this day was purged."),
    must("purge", "first", Holds::Integer, "First index of the range."),
    must("purge", "last", Holds::Integer, "Last index of the range."),
    must("purge", "purged", Holds::Integer, "How many lines this purge deletes."),
    must("purge", "kept", Holds::Integer, "How many lines of the range stay: keys, checkpoints and the like."),
    must("purge", "keys", Holds::List(&Holds::Text), "Names of the period keys destroyed."),
    must("recovery", "what", Holds::Text, "`torn-line` after a crash, `write-error` after a failed write."),
    must("recovery", "segment", Holds::Text, "The segment's file name."),
    must("recovery", "offset", Holds::Integer, "Where in the segment, octets."),
    must("recovery", "bytes", Holds::Integer, "How many octets were set aside."),
    must("recovery", "sha256", Holds::Text, "SHA-256 of what was set aside, lower-case hex."),
    must("clock", "before", Holds::Time, "What the clock was expected to show, or showed last."),
    must("clock", "now", Holds::Time, "What it shows."),
    must("clock", "jump", Holds::Text, "`back` or `forward`."),
    must("operator", "command", Holds::Text, "The command, such as `log person`."),
    must("operator", "arguments", Holds::List(&Holds::Text), "Its arguments, without addresses and Message-IDs."),
    must("operator", "user", Holds::Text, "Login name of the operator."),
    may("operator", "behind", Holds::Text, "Login name before `sudo`, when there is one."),
    may("operator", "reference", Holds::Text, "Reference of the order, in the organisation's own numbering."),
];

/// The table in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut table = String::from("| in | field | holds | | means |\n|---|---|---|---|---|\n");
    for field in FIELDS {
        let optional = if field.optional { "optional" } else { "" };
        let row = ["", field.of, &format!("`{}`", field.name), &field.holds.to_string(), optional, field.means, ""];
        table.push_str(row.join(" | ").trim());
        table.push('\n');
    }
    table
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::decision_log::record::*;

    fn text() -> String {
        "x".into()
    }

    fn judgement() -> JudgementRecord {
        JudgementRecord {
            list: Some(text()),
            reason: Some(text()),
            clause: Some(text()),
            sender: Some(text()),
            from: Some(text()),
            proof: Some(text()),
            quotas: vec![QuotaUse::default()],
            rules: vec![RuleOutcomeRecord {
                mode: Some(text()),
                reason: Some(text()),
                clause: Some(text()),
                evidence: BTreeMap::from([(text(), 1_u64.into())]),
                signals: vec![text()],
                ..RuleOutcomeRecord::default()
            }],
            hold_until: Some(Timestamp::UNIX_EPOCH),
            ..JudgementRecord::default()
        }
    }

    /// One record of each kind with every field there is.
    pub fn full() -> Vec<Event> {
        let (text, some, now) = (text, || Some(text()), Some(Timestamp::UNIX_EPOCH));
        vec![
            DecisionRecord {
                judgements: vec![judgement()],
                queue_id: some(),
                message_bytes: Some(1),
                message_id: Some(Commitment::default()),
                rule_pack: some(),
                ..DecisionRecord::default()
            }
            .into(),
            SeenInQueueRecord { sender: some(), decision: Some(1), ..SeenInQueueRecord::default() }.into(),
            DrawRecord { order: vec![text()], ..DrawRecord::default() }.into(),
            ReleaseRecord {
                sender: some(),
                decision: Some(1),
                window_opens: now,
                rank: Some(1),
                ..ReleaseRecord::default()
            }
            .into(),
            GoneRecord { sender: some(), decision: Some(1), ..GoneRecord::default() }.into(),
            CancelRecord { sender: some(), decision: Some(1), reference: some(), ..CancelRecord::default() }.into(),
            StopRecord {
                charter: some(),
                list: some(),
                sender: some(),
                from: now,
                until: now,
                reference: some(),
                clause: some(),
                ..StopRecord::default()
            }
            .into(),
            ConfigRecord { files: vec![FileDigest::default()], ..ConfigRecord::default() }.into(),
            KeyRecord { endorsement: some(), ..KeyRecord::default() }.into(),
            CheckpointRecord { charters: vec![text()], ..CheckpointRecord::default() }.into(),
            PurgeRecord { before: jiff::civil::date(2026, 6, 11), ..PurgeRecord::default() }.into(),
            RecoveryRecord::default().into(),
            ClockRecord::default().into(),
            OperatorRecord { behind: some(), reference: some(), ..OperatorRecord::default() }.into(),
        ]
    }

    /// The structures inside a record, by the field that holds them.
    const INSIDE: [(&str, &str); 5] = [
        ("judgements", "judgement"),
        ("quotas", "quota"),
        ("rules", "rule"),
        ("message_id", "commitment"),
        ("files", "file"),
    ];

    fn collect(of: &str, value: &Value, found: &mut BTreeSet<(String, String)>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            found.insert((of.to_owned(), name.clone()));
            if let Some((_, inside)) = INSIDE.iter().find(|(field, _)| field == name) {
                let one = value.get(0).unwrap_or(value);
                collect(inside, one, found);
            }
        }
    }

    #[test]
    fn the_table_has_every_field_of_every_record_and_no_other() {
        let mut found = BTreeSet::new();
        let events = full();
        assert_eq!(events.len(), Kind::ALL.len(), "one of each kind");
        for event in events {
            let body = event.body_json().unwrap();
            collect(event.kind().as_str(), &serde_json::from_str(&body).unwrap(), &mut found);
            assert_eq!(Event::from_body(event.kind(), &body).unwrap(), event);
        }
        let table: BTreeSet<_> = FIELDS.iter().map(|field| (field.of.to_owned(), field.name.to_owned())).collect();
        assert_eq!(table.len(), FIELDS.len(), "no field twice");
        assert_eq!(found, table);
    }

    #[test]
    fn a_field_that_may_be_absent_may_be_absent_and_no_other() {
        for event in full() {
            let Value::Object(body) = serde_json::from_str(&event.body_json().unwrap()).unwrap() else {
                panic!("an object")
            };
            for name in body.keys() {
                let mut less = body.clone();
                less.remove(name);
                let field =
                    FIELDS.iter().find(|field| field.of == event.kind().as_str() && field.name == name).unwrap();
                let read = Event::from_body(event.kind(), &Value::Object(less).to_string());
                assert_eq!(read.is_ok(), field.optional, "{} {name}", event.kind());
            }
            let mut more = body.clone();
            more.insert("content".into(), "anything".into());
            assert!(Event::from_body(event.kind(), &Value::Object(more).to_string()).is_err());
        }
    }

    #[test]
    fn the_documentation_has_the_table() {
        let page = include_str!("../../docs/log-format.md");
        assert!(page.contains(&markdown()), "docs/log-format.md lacks the table of fields:\n{}", markdown());
    }
}
