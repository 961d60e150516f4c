//! `stop` and `resume`, as a postmaster uses them: the real command, the real store, the real log.

use std::path::{Path, PathBuf};
use std::process::Output;

use charter_milter::decision_log::{KeyPeriod, Pseudonymizer};
use charter_milter::store::sqlite::Sqlite;
use charter_milter::store::{StopSubject, Stops as _};
use tempfile::TempDir;

use crate::home::{Home, now};

/// A gateway with two charters of one zone.
struct Gateway {
    home: Home,
    /// Goes with it.
    _directory: TempDir,
}

impl Gateway {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let home = Home::new(directory.path(), &["first", "second"], "[mta]\nkind = \"postfix\"\n");
        Self { home, _directory: directory }
    }

    /// Started once: log and store exist.
    fn started() -> Self {
        let gateway = Self::new();
        drop(gateway.store());
        gateway.home.leave_log();
        gateway
    }

    fn log(&self) -> PathBuf {
        self.home.log()
    }

    fn state(&self) -> PathBuf {
        self.home.state()
    }

    fn store(&self) -> Sqlite {
        Sqlite::open(&self.state().join("store.sqlite")).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.home.run(arguments)
    }

    fn fine(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn in_force(&self, subject: StopSubject) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.store().in_force(vec![subject], now())).unwrap().len()
    }

    /// The records of the log, as it stands.
    fn records(&self) -> String {
        let mut found = Vec::new();
        segments(&self.log(), &mut found);
        found.sort();
        found.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }
}

fn segments(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            segments(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            found.push(path);
        }
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

const WHY: [&str; 4] = ["--reason", "Envois répétés hors charte", "--reference", "Comité du 3 mai"];

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &WHY].concat()
}

fn union_a(charter: &str) -> StopSubject {
    StopSubject::Sender { charter: charter.into(), name: "Union A".into() }
}

#[test]
fn each_kind_of_subject_is_stopped_and_resumed() {
    let gateway = Gateway::started();
    let list = charter_milter::message::address::Address::parse("first@lists.example").unwrap();
    let mailbox = charter_milter::message::address::Address::parse("someone@organisation.example").unwrap();
    let cases: [(&[&str], StopSubject); 6] = [
        (&["--sender", "Union A", "--charter", "first"], union_a("first")),
        (&["--sender", "A-second@union.example"], union_a("second")),
        (&["--mailbox", "someone@organisation.example"], StopSubject::Mailbox(mailbox)),
        (&["--list", "alias-first@lists.example"], StopSubject::List(list)),
        (&["--charter", "second"], StopSubject::Charter("second".into())),
        (&["--all"], StopSubject::Everything),
    ];
    for (arguments, subject) in &cases {
        assert_eq!(gateway.in_force(subject.clone()), 0);
        gateway.fine(&with(&[&["stop", "add"], *arguments].concat()));
        assert_eq!(gateway.in_force(subject.clone()), 1, "{arguments:?}");
    }
    let listed = gateway.fine(&["stop", "list"]);
    assert_eq!(listed.matches("in force").count(), cases.len(), "{listed}");
    assert!(!listed.contains("STOPS NOTHING"), "{listed}");
    // The sender gets another name on the register: its stop is there and stops nobody.
    let charter = gateway.state().parent().unwrap().join("charters/first.toml");
    let text = std::fs::read_to_string(&charter).unwrap();
    std::fs::write(&charter, text.replace("\"Union A\"", "\"Union A et autres\"")).unwrap();
    assert_eq!(gateway.fine(&["stop", "list"]).matches("STOPS NOTHING").count(), 1);
    std::fs::write(&charter, text).unwrap();
    for (number, (_, subject)) in (1..).zip(&cases) {
        gateway.fine(&with(&["resume", &format!("{number}")]));
        assert_eq!(gateway.in_force(subject.clone()), 0);
    }
    assert_eq!(gateway.fine(&["stop", "list"]).trim(), "No stop.");
    // Whoever lifts one is told what still stops the same mail.
    gateway.fine(&with(&["stop", "add", "--sender", "Union A", "--charter", "first"]));
    for still in [&["--all"][..], &["--charter", "first"], &["--list", "first@lists.example"]] {
        gateway.fine(&with(&[&["stop", "add"], still].concat()));
    }
    gateway.fine(&with(&["stop", "add", "--charter", "second"]));
    let told = gateway.fine(&with(&["resume", "7"]));
    assert_eq!(told.matches("Still in force:").count(), 3, "{told}");
    for number in ["8", "9", "10", "11"] {
        gateway.fine(&with(&["resume", number]));
    }
    let cases = cases.len() + 5;
    let history = gateway.fine(&["stop", "list", "--history"]);
    assert_eq!(history.matches(": lifted").count(), cases, "{history}");
}

#[test]
fn the_log_says_who_what_why_and_names_no_person() {
    let gateway = Gateway::started();
    gateway.fine(&with(&["stop", "add", "--sender", "a-first@union.example", "--from", "2020-05-04"]));
    gateway.fine(&with(&["resume", "1"]));
    let log = gateway.records();
    for expected in [
        "\"command\":\"stop add\"",
        "\"command\":\"resume\"",
        "\"action\":\"stop\"",
        "\"action\":\"resume\"",
        "\"target\":\"sender\"",
        "\"charter\":\"first\"",
        "\"from\":\"2020-05-03T22:00:00Z\"",
        "Comité du 3 mai",
        "Envois répétés hors charte",
    ] {
        assert!(log.contains(expected), "{expected} is not in {log}");
    }
    // The same pseudonym as in decisions about this sender's mail.
    let today = now().to_zoned(jiff::tz::TimeZone::get("Europe/Paris").unwrap()).date();
    let pseudonyms = Pseudonymizer::open(gateway.log()).unwrap();
    let name = pseudonyms.pseudonym(&KeyPeriod::of("first", None, today), "a-first@union.example").unwrap();
    assert_eq!(log.matches(&format!("\"sender\":\"{name}\"")).count(), 2, "{name} {log}");
    assert!(!log.contains("union.example") && !log.contains("Union A"), "{log}");
}

#[test]
fn a_mailbox_on_two_registers_is_recorded_as_stopped_under_both() {
    let gateway = Gateway::started();
    let second = gateway.home.config().with_file_name("charters").join("second.toml");
    let text = std::fs::read_to_string(&second).unwrap();
    gateway.home.charter("second", &text.replace("a-second@union.example", "a-first@union.example"));
    gateway.fine(&with(&["stop", "add", "--mailbox", "a-first@union.example"]));
    let log = gateway.records();
    for charter in ["first", "second"] {
        let record = format!("\"action\":\"stop\",\"target\":\"mailbox\",\"charter\":\"{charter}\"");
        assert_eq!(log.matches(&record).count(), 1, "{charter}: {log}");
    }
}

#[test]
fn days_are_local_and_included_and_times_are_local() {
    let gateway = Gateway::started();
    let add = |when: &[&str]| gateway.fine(&with(&[&["stop", "add", "--charter", "first"], when].concat()));
    add(&["--from", "2099-06-01", "--until", "2099-06-30"]);
    add(&["--from", "2099-12-01T08:00", "--until", "2099-12-01T10:00+02:00"]);
    let listed = gateway.fine(&["stop", "list", "--json"]);
    let stops: Vec<serde_json::Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let dates: Vec<_> = stops.iter().map(|stop| (stop["from"].as_str().unwrap(), stop["until"].as_str())).collect();
    assert_eq!(
        dates,
        [
            ("2099-05-31T22:00:00Z", Some("2099-06-30T22:00:00Z")),
            ("2099-12-01T07:00:00Z", Some("2099-12-01T08:00:00Z")),
        ]
    );
}

#[test]
fn what_would_stop_nothing_is_refused_with_the_reason() {
    let gateway = Gateway::started();
    let cases: [(&[&str], &str); 11] = [
        (&["--sender", "Nobody"], "no sender `Nobody` stands on the register; `charter-milter check` shows who does"),
        (&["--sender", "Unoin A"], "no sender `Unoin A` stands on the register; did you mean `Union A`?"),
        (&["--sender", "Union A"], "`Union A` of first or `Union A` of second"),
        (&["--sender", "Union A", "--charter", "third"], "no charter `third`; there is first, second"),
        (&["--list", "other@lists.example"], "other@lists.example is not a protected list"),
        (&["--list", "nonsense"], "`nonsense` is not a mail address"),
        (&["--charter", "third"], "no charter `third`"),
        (&["--all", "--until", "2020-01-01"], "--until is in the past"),
        (&["--all", "--from", "2099-01-02", "--until", "2099-01-01"], "must begin before it ends"),
        (&["--all", "--from", "tomorrow"], "`tomorrow` is no day"),
        (&["--all", "--list", "first@lists.example"], "cannot be used with"),
    ];
    for (arguments, expected) in cases {
        let output = gateway.run(&with(&[&["stop", "add"], arguments].concat()));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
    for missing in [
        vec!["--all"],
        vec!["--all", "--reason", "x"],
        vec!["--all", "--reason", " ", "--reference", "x"],
        vec!["--all", "--reason", "x", "--reference", "1\n250 accepted"],
        WHY.to_vec(),
    ] {
        let output = gateway.run(&[vec!["stop", "add"], missing.clone()].concat());
        assert_eq!(output.status.code(), Some(2), "{missing:?}");
    }
    assert_eq!(gateway.fine(&["stop", "list", "--history"]).trim(), "No stop.");
    let output = gateway.run(&with(&["stop", "add", "--mailbox", "nobody@lists.example"]));
    assert!(output.status.success() && text(&output.stderr).contains("nobody on a register writes from"));
    let output = gateway.run(&with(&["resume", "7"]));
    assert_eq!((output.status.code(), text(&output.stderr).contains("no stop 7")), (Some(1), true));
}

#[test]
fn without_a_log_nothing_is_changed() {
    let gateway = Gateway::new();
    drop(gateway.store());
    std::fs::write(gateway.log(), "in the way of the directory").unwrap();
    let output = gateway.run(&with(&["stop", "add", "--all"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("decision log cannot be written"), "{}", text(&output.stderr));
    assert_eq!(gateway.in_force(StopSubject::Everything), 0);
}

#[test]
fn before_the_daemon_has_run_the_command_says_so_and_makes_no_file() {
    let gateway = Gateway::new();
    let output = gateway.run(&with(&["stop", "add", "--all"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("has the daemon been started once?"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_dir(gateway.state()).unwrap().count(), 0);
}
