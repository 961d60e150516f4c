//! The charters that ship, and the figures of other bodies' texts: every clause is kept by something or marked as
//! organisational, and every figure can be written down.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use charter_milter::charter::rules::{Direction, QuotaReach, QuotaSubject, ReceiptsRule, SizeLimit, Span};
use charter_milter::charter::{Charter, Period};
use charter_milter::config::Config;
use jiff::civil::date;

/// The clauses of the four texts that concern the mail gateway.
const CLAUSES: &[(&str, &[&str])] = &[
    (
        "cnrs-2018",
        &[
            "cnrs:pre",
            "cnrs:I.a",
            "cnrs:I.b",
            "cnrs:II.a",
            "cnrs:II.b",
            "cnrs:II.c",
            "cnrs:II.d",
            "cnrs:III.a",
            "cnrs:III.b",
            "cnrs:III.c",
            "cnrs:III.d",
            "cnrs:III.e",
            "cnrs:III.f",
            "cnrs:III.g",
            "cnrs:III.h",
            "cnrs:III.i",
            "cnrs:III.j",
            "cnrs:III.k",
            "cnrs:IV",
        ],
    ),
    (
        "drancy",
        &[
            "drancy:I.1",
            "drancy:III.1",
            "drancy:III.3.a",
            "drancy:III.3.b",
            "drancy:III.3.c",
            "drancy:III.3.d",
            "drancy:III.4.a",
            "drancy:III.4.b",
            "drancy:IV",
            "drancy:V.a",
            "drancy:V.b",
        ],
    ),
    (
        "prime-minister",
        &["pm:1", "pm:2", "pm:3", "pm:5.a", "pm:5.b", "pm:6", "pm:7.a", "pm:7.b", "pm:8", "pm:9", "pm:10"],
    ),
    (
        "assurance-maladie",
        &[
            "am:3.2.1", "am:3.2.3", "am:4.1", "am:4.2", "am:4.4", "am:4.5", "am:5.1.a", "am:5.1.b", "am:5.1.c",
            "am:5.1.d", "am:5.1.e", "am:5.3", "am:A3",
        ],
    ),
];

/// Those among them that no gateway can keep.
const ORGANISATIONAL: &[&str] = &["cnrs:II.d", "pm:4", "pm:10"];

fn load(path: &Path) -> Config {
    Config::load_charters(&[path.to_owned()]).unwrap_or_else(|report| panic!("{report}"))
}

fn shipped(id: &str) -> Charter {
    let config = load(&PathBuf::from(format!("conf/charters/{id}.toml")));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    config.charters[0].as_ref().clone()
}

#[test]
fn every_clause_of_the_texts_is_kept_or_organisational() {
    for (id, clauses) in CLAUSES {
        let charter = shipped(id);
        let listed: BTreeSet<_> = charter.clauses.iter().map(|clause| clause.id.0.as_str()).collect();
        for clause in *clauses {
            assert!(listed.contains(clause), "{id} does not list {clause}");
        }
        // That the others are kept is the warning W101, of which there was none.
        for clause in &charter.clauses {
            assert_eq!(clause.organisational, ORGANISATIONAL.contains(&clause.id.0.as_str()), "{}", clause.id.0);
        }
    }
}

#[test]
fn the_shipped_main_file_names_exactly_the_shipped_charters() {
    let config = Config::load(Path::new("conf/charter-milter.toml")).unwrap_or_else(|report| panic!("{report}"));
    let ids: BTreeSet<_> = config.charters.iter().map(|charter| charter.id.as_str()).collect();
    assert_eq!(ids, CLAUSES.iter().map(|(id, _)| *id).collect());
    assert_eq!(config.files.len(), ids.len() + 1);
}

#[test]
fn what_is_commented_out_in_the_main_file_is_what_holds_without_it() {
    let shipped = std::fs::read_to_string("conf/charter-milter.toml").unwrap();
    // Examples that have no default, or that describe the two-socket operation, are not defaults.
    let mut defaults = String::new();
    let mut table = String::new();
    for line in shipped.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            table = line.trim().to_owned();
        }
        let is_setting =
            line.starts_with('[') || line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = ");
        let is_default = ["[limits]", "[dns]", "[log]", "[retention]", "[mta]"].contains(&table.as_str());
        if is_setting && is_default {
            defaults.push_str(line);
            defaults.push('\n');
        }
    }
    assert!(defaults.contains("callback_deadline"), "{defaults}");
    let folder = tempfile::tempdir().unwrap();
    let charter = Path::new("conf/charters/cnrs-2018.toml").canonicalize().unwrap();
    let load = |name: &str, text: &str| {
        let main = folder.path().join(name);
        std::fs::write(&main, format!("charters = {:?}\n{text}", charter.display().to_string())).unwrap();
        Config::load(&main).unwrap_or_else(|report| panic!("{report}"))
    };
    let (with, without) = (load("with.toml", &defaults), load("without.toml", ""));
    assert_eq!(with.daemon.limits, without.daemon.limits);
    assert_eq!(with.daemon.dns, without.daemon.dns);
    assert_eq!(with.daemon.log, without.daemon.log);
    assert_eq!(with.daemon.retention, without.daemon.retention);
    assert_eq!(with.daemon.mta, without.daemon.mta);
}

/// A charter with these rules, and whatever follows them.
fn with_rules(rules: &str) -> Charter {
    let text = format!(
        r#"
        [charter]
        id = "figures"
        title = "Chiffres"
        timezone = "Europe/Paris"
        [[list]]
        address = "agents@listes.example"
        label = "Agents"
        return_path = "retours@listes.example"
        period = {{ opens = 2016-01-01, closes = 2016-12-31, clause = "c:1" }}
        [[list]]
        address = "maitres@listes.example"
        label = "Maîtres"
        return_path = "retours@listes.example"
        period = {{ opens = 2016-06-01, closes = 2016-06-30, clause = "c:1" }}
        [[sender]]
        name = "Syndicat"
        addresses = ["syndicat@agents.example", "section@agents.example"]
        proofs = [{{ sasl = "syndicat" }}]
        lists = ["agents@listes.example", "maitres@listes.example"]
        [[clause]]
        id = "c:1"
        text = "Chiffres."
        [rules]
        sender = {{ clause = "c:1" }}
        {rules}
        "#
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figures.toml");
    std::fs::write(&path, text).unwrap();
    load(&path).charters[0].as_ref().clone()
}

#[test]
fn prime_minister_2015_size_recipients_and_their_confidentiality() {
    let charter = with_rules(
        r#"
        size = { max = "1 MB", clause = "c:1" }
        recipients = { per_message = 5000, hidden = true, clause = "c:1" }
        "#,
    );
    let rules = &charter.lists[0].rules;
    let limits = &rules.size.as_ref().unwrap().settings.limits;
    assert_eq!(limits, &[SizeLimit { bytes_max: 1_000_000, direction: Direction::Any }]);
    let recipients = &rules.recipients.as_ref().unwrap().settings;
    assert_eq!((recipients.per_message_max, recipients.hidden), (Some(5000), true));
}

#[test]
fn defence_2014_union_in_the_subject_no_receipts_no_replies_recipients_hidden() {
    let charter = with_rules(
        r#"
        subject = { tag = "[{sender}]", clause = "c:1" }
        receipts = { action = "reject", clause = "c:1" }
        reply = { clause = "c:1" }
        recipients = { hidden = true, clause = "c:1" }
        "#,
    );
    let rules = &charter.lists[0].rules;
    assert_eq!(rules.subject.as_ref().unwrap().settings.tag, "[{sender}]");
    assert_eq!(rules.receipts.as_ref().unwrap().settings, ReceiptsRule::Reject);
    assert!(rules.reply.is_some() && rules.recipients.as_ref().unwrap().settings.hidden);
}

#[test]
fn education_2016_five_messages_a_month_over_all_lists() {
    let charter = with_rules(r#"quota = { messages = 5, per = "month", over = "all-lists", clause = "c:1" }"#);
    let quota = &charter.lists[1].rules.quotas[0].settings;
    assert_eq!((quota.messages_max, quota.per), (5, Span::Month));
    assert_eq!((quota.of, quota.over), (QuotaSubject::Sender, QuotaReach::AllLists));
}

#[test]
fn interior_2017_eight_messages_a_month_from_one_mailbox() {
    let charter =
        with_rules(r#"quota = { messages = 8, per = "month", of = "mailbox", over = "all-lists", clause = "c:1" }"#);
    let quota = &charter.lists[0].rules.quotas[0].settings;
    assert_eq!((quota.messages_max, quota.per, quota.of), (8, Span::Month, QuotaSubject::Mailbox));
}

#[test]
fn an_order_of_2018_small_mail_a_calendar_for_each_ballot_origin_in_the_subject() {
    let charter = with_rules(
        r#"
        size = { max = "100 kB", clause = "c:1" }
        subject = { tag = "[{label} – {sender}]", clause = "c:1" }
        "#,
    );
    let periods: Vec<_> = charter.lists.iter().map(|list| list.period.as_ref().unwrap().period).collect();
    let ballot = Period { opens: date(2016, 6, 1), closes: date(2016, 6, 30) };
    assert_eq!((periods.len(), periods[1]), (2, ballot));
    let tags: Vec<_> = charter.lists.iter().map(|l| l.rules.subject.as_ref().unwrap().settings.tag.as_str()).collect();
    assert_eq!(tags, ["[Agents – {sender}]", "[Maîtres – {sender}]"]);
    assert_eq!(charter.lists[0].rules.size.as_ref().unwrap().settings.limits[0].bytes_max, 100_000);
}

#[test]
fn private_schools_2016_unsubscribing_in_every_message_registered_addresses_only() {
    let charter = with_rules(
        r#"
        list_headers = { unsubscribe = "https://listes.example/quitter?l={list}", one_click = true, clause = "c:1" }
        banner = { footer = "Se désabonner : {unsubscribe}", clause = "c:1" }
        "#,
    );
    let rules = &charter.lists[0].rules;
    assert!(rules.list_headers.as_ref().unwrap().settings.one_click);
    assert!(rules.banner.as_ref().unwrap().settings.footer.is_some());
    assert!(rules.sender.is_some());
}

#[test]
fn justice_2025_no_receipts_and_suspension() {
    let charter = with_rules(
        r#"
        receipts = { action = "remove", clause = "c:1" }
        [[clause]]
        id = "c:2"
        text = "Mise en demeure de quinze jours, puis suspension."
        by = ["suspension"]
        "#,
    );
    assert_eq!(charter.lists[0].rules.receipts.as_ref().unwrap().settings, ReceiptsRule::Remove);
}

#[test]
fn paris_nanterre_2024_the_senders_narrow_at_a_date() {
    let charter = with_rules(
        r#"
        [[sender]]
        name = "Signataire de la charte, liste irrecevable"
        addresses = ["signataire@agents.example"]
        proofs = [{ sasl = "signataire" }]
        lists = ["agents@listes.example"]
        adhered = 2016-01-05
        period = { opens = 2016-01-10, closes = 2016-03-01 }
        "#,
    );
    let period = Period { opens: date(2016, 1, 10), closes: date(2016, 3, 1) };
    assert_eq!(charter.senders[1].period, Some(period));
    assert_eq!(charter.senders[0].period, None);
}

#[test]
fn a_list_replaces_single_rules_and_switches_others_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("charter.toml");
    let text = std::fs::read_to_string("tests/config/101-clause-not-enforced/charter.toml").unwrap();
    let own = "[list.rules]\nsize = { max = \"1 MB\", clause = \"essai:1\" }\npetition = false\n\n[[sender]]";
    let base = "[rules]\nsize = { max = \"100 kB\", clause = \"essai:1\" }\n\
                petition = { clause = \"essai:1\" }\nreceipts = { action = \"remove\", clause = \"essai:1\" }\n";
    let text = text.replacen("[[sender]]", own, 1).replacen("[rules]\n", base, 1);
    std::fs::write(&path, text).unwrap();
    let rules = load(&path).charters[0].lists[0].rules.clone();
    assert_eq!(rules.size.unwrap().settings.limits[0].bytes_max, 1_000_000);
    assert!(rules.petition.is_none());
    assert_eq!(rules.receipts.unwrap().settings, ReceiptsRule::Remove);
}

#[test]
fn a_monitored_charter_enforces_nothing_and_a_monitored_rule_only_itself() {
    use charter_milter::charter::Mode;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("charter.toml");
    let text = std::fs::read_to_string("tests/config/107-mode-without-effect/charter.toml").unwrap();
    std::fs::write(&path, &text).unwrap();
    let charter = load(&path).charters[0].clone();
    assert_eq!(charter.mode, Mode::Monitor);
    assert!(charter.quoted_clauses().iter().all(|quoted| !quoted.enforced));
    let text = text.replace("mode     = \"monitor\"\n", "").replace("mode = \"enforce\"", "mode = \"monitor\"");
    std::fs::write(&path, text).unwrap();
    let charter = load(&path).charters[0].clone();
    assert_eq!(charter.lists[0].rules.sender.as_ref().unwrap().mode, Mode::Monitor);
    assert_eq!(charter.period.as_ref().unwrap().mode, Mode::Enforce);
}

#[test]
fn a_shared_charter_may_name_another_s_list_and_both_apply() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string("tests/config/043-overlapping-lists-of-two/a.toml").unwrap();
    let shared = text.replacen("id       = \"essai\"", "id = \"national\"\nshared = true", 1);
    let paths = [("local.toml", &text), ("national.toml", &shared)].map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    let config = Config::load_charters(&paths).unwrap_or_else(|report| panic!("{report}"));
    let reached = config.reached("<Membres+x@listes.example>").unwrap();
    let ids: BTreeSet<_> = reached.iter().map(|(charter, _)| charter.id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(["essai", "national"]));
}
