//! Held mail with real mail servers: the real `release`, the real queue tools, a real queue.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use charter_milter::decision_log::{Journal, Options as LogOptions, Role};
use charter_milter::hold::ledger::Ledger;
use charter_milter::hold::mta::{HelperClient, Mta as _, Outcome, Postfix as PostfixQueue, QueueTools as _, Verb};
use charter_milter::hold::plan::QueuePlace;
use charter_milter::hold::{Entry, Held, Route, State};
use charter_milter::store::sqlite::Sqlite;
use jiff::{SignedDuration, Timestamp};

use crate::home::now;
use crate::mta::gateway::binary;
use crate::mta::letter::Letter;
use crate::mta::postfix::{Options, Postfix};
use crate::mta::sendmail::Sendmail;
use crate::mta::sink::Sink;
use crate::mta::{wait_for, write};

const LIST: &str = "electeurs@elections.example";

/// The night window, as hours from now; the window of a test must not depend on the hour at which it runs.
#[derive(Clone, Copy)]
enum Hours {
    Open,
    Closed,
}

/// A state directory as a daemon leaves it, and a configuration that names the mail server's tools.
struct Gateway {
    directory: PathBuf,
    config: PathBuf,
    mta: String,
}

impl Gateway {
    fn for_postfix(postfix: &Postfix) -> Self {
        let etc = postfix.config_directory().display().to_string();
        let submit = postfix.directory().join("submit");
        script(&submit, &format!("exec /usr/sbin/sendmail -C {etc} \"$@\""));
        let mta = format!(
            "[mta]\nkind = \"postfix\"\nconfig_directory = \"{etc}\"\n\n[submission]\nprogram = \"{}\"\n",
            submit.display()
        );
        Self::new(postfix.directory(), mta)
    }

    fn for_sendmail(sendmail: &Sendmail) -> Self {
        let wrapper = wrapper_of(sendmail);
        let command = sendmail.command();
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', "'\\''")))
            .collect();
        let libraries =
            command.get_envs().find(|(name, _)| *name == "LD_LIBRARY_PATH").unwrap().1.unwrap().to_str().unwrap();
        script(&wrapper, &format!("export LD_LIBRARY_PATH='{libraries}'\nexec {} \"$@\"", words.join(" ")));
        let mta = format!(
            "[mta]\nkind = \"sendmail\"\nconfig_directory = \"{}\"\nsendmail = \"{}\"\n\n[submission]\nprogram = \"{1}\"\n",
            sendmail.directory().display(),
            wrapper.display()
        );
        Self::new(sendmail.directory(), mta)
    }

    fn new(directory: &Path, mta: String) -> Self {
        let directory = directory.join("gateway");
        std::fs::create_dir_all(directory.join("state")).unwrap();
        let gateway = Self { config: directory.join("charter-milter.toml"), directory, mta };
        gateway.configure(Hours::Closed, "", 0);
        let log = LogOptions::new(gateway.state().join("log"), "gateway.example/charter-milter", Role::Keeper, now());
        Journal::open(&log).unwrap();
        Sqlite::open(&gateway.state().join("store.sqlite")).unwrap();
        gateway.ledger();
        gateway
    }

    /// Writes the configuration: the window, its pace, and on which day from today the period ends.
    fn configure(&self, hours: Hours, pace: &str, closes_in_days: i64) {
        let hour = |offset: i64| (now() + SignedDuration::from_hours(offset)).strftime("%H:%M:00").to_string();
        let (from, to) = match hours {
            Hours::Open => (hour(-2), hour(2)),
            Hours::Closed => (hour(3), hour(5)),
        };
        let day = |offset: i64| (now() + SignedDuration::from_hours(24 * offset)).strftime("%Y-%m-%d").to_string();
        let (opens, closes) = (day(-9), day(closes_in_days + 2));
        let charter = format!(
            "[charter]\nid = \"nuit\"\ntitle = \"Charte de nuit\"\nlanguage = \"fr\"\ntimezone = \"UTC\"\nmode = \"enforce\"\n\
             contest = \"commission@elections.example\"\ndomains = [\"elections.example\"]\n\n\
             [period]\nopens = {opens}\ncloses = {closes}\nclause = \"x:1\"\n\n\
             [night_window]\nfrom = {from}\nto = {to}\n{pace}\norder = \"draw\"\nclause = \"x:2\"\n\n\
             [[list]]\naddress = \"{LIST}\"\nlabel = \"Élections\"\n\n\
             [[sender]]\nname = \"Liste A\"\naddresses = [\"a@candidats.example\"]\nproofs = [{{ sasl = \"a\" }}]\nlists = [\"{LIST}\"]\n\n\
             [[sender]]\nname = \"Liste B\"\naddresses = [\"b@candidats.example\"]\nproofs = [{{ sasl = \"b\" }}]\nlists = [\"{LIST}\"]\n\n\
             [rules]\nsender = {{ clause = \"x:1\" }}\n\n\
             [[clause]]\nid = \"x:1\"\ntext = \"Days.\"\n\n[[clause]]\nid = \"x:2\"\ntext = \"Hours.\"\n"
        );
        write(&self.directory, "charters/nuit.toml", charter);
        let main =
            format!("charters = [\"charters/*.toml\"]\nstate_directory = \"{}\"\n{}", self.state().display(), self.mta);
        std::fs::write(&self.config, main).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(&self.state().join("ledger.sqlite")).unwrap()
    }

    fn entries(&self) -> Vec<Entry> {
        self.ledger().all_entries().unwrap()
    }

    fn states(&self) -> Vec<State> {
        self.entries().iter().map(|entry| entry.state).collect()
    }

    /// Enters a message that the mail server holds, as the daemon does.
    fn enter(&self, route: Route, queue_id: &str, sender: &str) {
        self.enter_at(now(), route, queue_id, sender);
    }

    fn enter_at(&self, entered: Timestamp, route: Route, queue_id: &str, sender: &str) {
        self.enter_held(&Self::held(entered, route, queue_id, sender));
    }

    fn enter_held(&self, held: &Held) {
        self.ledger().enter(&[held]).unwrap();
    }

    fn held(entered: Timestamp, route: Route, queue_id: &str, sender: &str) -> Held {
        Held {
            route,
            queue_id: queue_id.parse().unwrap(),
            arrival: entered,
            entered,
            size_bytes: 1_000,
            charter: "nuit".to_owned(),
            list: LIST.to_owned(),
            sender: format!("pseudonym-{sender}"),
            reference: "0-0123456789abcdef".to_owned(),
            registered_as: Some(format!("Liste {}", sender.to_uppercase())),
            return_to: Some(format!("{sender}@candidats.example")),
            release_not_before: entered,
            window_ends: entered,
            period_ends: None,
            reservation: None,
            beside: Vec::new(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Output {
        Command::new(binary())
            .arg(arguments[0])
            .arg("--config")
            .arg(&self.config)
            .args(&arguments[1..])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs `release` and returns its summary; it must have been able to work.
    fn release(&self) -> serde_json::Value {
        let output = self.command(&["release", "--json", "--patience", "0"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code < 2), "{errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no summary: {errors}"))
    }

    /// The kinds of records that concern held mail, with their reasons.
    fn records(&self) -> Vec<String> {
        let mut kinds = Vec::new();
        for segment in std::fs::read_dir(self.state().join("log/segments")).unwrap() {
            for line in std::fs::read_to_string(segment.unwrap().path()).unwrap().lines() {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                let kind = record["kind"].as_str().unwrap();
                if ["seen-in-queue", "draw", "release", "gone", "cancel", "operator"].contains(&kind) {
                    let reason = record["body"]["reason"].as_str().or(record["body"]["command"].as_str());
                    kinds.push(reason.map_or(kind.to_owned(), |reason| format!("{kind}:{reason}")));
                }
            }
        }
        kinds
    }
}

fn script(path: &Path, commands: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{commands}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A Postfix that holds everything, without any milter.
fn holding_postfix(sink: &Sink) -> Postfix {
    Postfix::start(&Options::new(sink.address()).set("smtpd_recipient_restrictions", "static:hold"))
}

/// Sends a letter and returns its Message-ID and its queue id.
fn send(postfix: &Postfix, sender: &str) -> (Letter, String) {
    let letter = Letter::new(&format!("{sender}@candidats.example"), &[LIST]);
    let outcome = postfix.send(&letter);
    assert!(outcome.is_accepted(), "{outcome:?}");
    let reply = outcome.last().text();
    let queue_id = reply.rsplit(' ').next().unwrap().to_owned();
    wait_for("the message on hold", || postfix.held().iter().any(|held| held.queue_id == queue_id).then_some(()));
    (letter, queue_id)
}

/// The program that is a private Sendmail to [`Gateway::for_sendmail`].
fn wrapper_of(sendmail: &Sendmail) -> PathBuf {
    sendmail.directory().join("wrapper")
}

/// Puts a letter into quarantine and returns it and its queue id.
fn quarantine(sendmail: &Sendmail, sender: &str) -> (Letter, String) {
    let wrapper = wrapper_of(sendmail);
    let before = sendmail.waiting();
    let envelope_sender = format!("{sender}@candidats.example");
    let letter = Letter::new(&envelope_sender, &[LIST]);
    let mut submission = Command::new(&wrapper)
        .args(["-odq", "-i", "-f", &envelope_sender, "--", LIST])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut submission.stdin.take().unwrap(), &letter.bytes).unwrap();
    assert!(submission.wait().unwrap().success());
    let id = sendmail.waiting().into_iter().find(|id| !before.contains(id)).unwrap();
    let held = Command::new(&wrapper).args(["-Qcharter", &format!("-qI{id}")]).output().unwrap();
    assert!(held.status.success() && sendmail.quarantined().contains(&id), "{held:?}");
    (letter, id)
}

#[test]
fn held_mail_leaves_in_its_window_and_mail_of_others_stays() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    let (one, first) = send(&postfix, "a");
    let (two, second) = send(&postfix, "b");
    let (_, stranger) = send(&postfix, "x");
    gateway.enter(Route::Postfix, &first, "a");
    gateway.enter(Route::Postfix, &second, "b");

    let summary = gateway.release();
    assert_eq!(
        (&summary["seen"], &summary["waiting"], &summary["others"]),
        (&2.into(), &2.into(), &1.into()),
        "{summary}"
    );
    assert_eq!(postfix.held().len(), 3);
    assert!(sink.received().is_empty());

    gateway.configure(Hours::Open, "", 0);
    let summary = gateway.release();
    assert_eq!(summary["released"], 2, "{summary}");
    for letter in [&one, &two] {
        assert_eq!(sink.wait_for_id(&letter.id).recipients, [LIST]);
    }
    postfix.wait_until_delivered();
    assert_eq!(gateway.release()["gone"], 2);
    assert_eq!(gateway.states(), [State::Gone, State::Gone]);
    let left: Vec<_> = postfix.held().into_iter().map(|held| held.queue_id).collect();
    assert_eq!(left, [stranger]);
    assert_eq!(sink.received().len(), 2, "nothing left twice");
    let records = gateway.records();
    assert_eq!(
        records,
        [
            "seen-in-queue",
            "seen-in-queue",
            "draw",
            "release:window",
            "release:window",
            "gone:left-queue",
            "gone:left-queue",
        ]
    );
    let verified = gateway.command(&["log", "verify"]);
    assert!(verified.status.code() != Some(2), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn the_pace_is_kept() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    for sender in ["a", "a", "a", "b"] {
        let (_, id) = send(&postfix, sender);
        gateway.enter(Route::Postfix, &id, sender);
    }
    gateway.configure(Hours::Open, "pace = { messages = 2, per = \"hour\" }", 0);
    assert_eq!(gateway.release()["released"], 2);
    assert_eq!(gateway.release()["released"], 0, "two an hour, however often it runs");
    let left: Vec<_> = gateway.entries().into_iter().filter(|entry| entry.released.is_some()).collect();
    let mut senders: Vec<_> = left.iter().map(|entry| entry.held.sender.as_str()).collect();
    senders.sort_unstable();
    assert_eq!(senders, ["pseudonym-a", "pseudonym-b"], "one of each in turn");
}

#[test]
fn overdue_mail_goes_back_to_its_sender_with_the_reason_and_to_nobody_else() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    let (letter, id) = send(&postfix, "a");
    gateway.enter(Route::Postfix, &id, "a");
    gateway.configure(Hours::Closed, "", -5);
    let summary = gateway.release();
    assert_eq!((&summary["returned"], &summary["problems"]), (&1.into(), &serde_json::json!([])), "{summary}");
    let notice = sink.wait_for("the notice", |received| received.recipients == ["a@candidats.example"]);
    assert_eq!(notice.sender, "", "a notice must never be answered by another");
    assert!(notice.header().contains("report-type=delivery-status"), "{}", notice.header());
    let text = notice.body_text();
    assert!(text.contains(&letter.id) && text.contains("Action: failed"), "{text}");
    postfix.wait_until_delivered();
    assert!(postfix.held().is_empty());
    assert_eq!((gateway.states(), sink.received().len()), (vec![State::Returned], 1));
    assert_eq!(gateway.records(), ["seen-in-queue", "cancel:period-over"]);
    assert_eq!(gateway.release()["returned"], 0);
}

#[test]
fn a_message_with_raw_octets_in_its_header_goes_back_through_a_server_without_smtputf8() {
    let sink = Sink::offering("250 8BITMIME");
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    let letter = Letter::new("a@candidats.example", &[LIST]).header("Subject", "Réunion de rentrée");
    let outcome = postfix.send(&letter);
    assert!(outcome.is_accepted(), "{outcome:?}");
    let reply = outcome.last().text();
    let id = reply.rsplit(' ').next().unwrap();
    wait_for("the message on hold", || postfix.held().iter().any(|held| held.queue_id == id).then_some(()));
    gateway.enter(Route::Postfix, id, "a");
    gateway.configure(Hours::Closed, "", -5);
    assert_eq!(gateway.release()["returned"], 1);
    let notice = sink.wait_for("the notice", |received| received.recipients == ["a@candidats.example"]);
    let message = mail_parser::MessageParser::default().parse(&notice.bytes).unwrap();
    let text = String::from_utf8_lossy(message.parts.last().unwrap().contents()).into_owned();
    assert!(text.contains("Réunion de rentrée") && text.contains(&letter.id), "{text}");
}

#[test]
fn who_was_struck_off_the_register_keeps_the_last_day_it_had() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    let (_, id) = send(&postfix, "c");
    let last_day = Some(now() - SignedDuration::from_hours(1));
    gateway.enter_held(&Held { period_ends: last_day, ..Gateway::held(now(), Route::Postfix, &id, "c") });
    gateway.configure(Hours::Open, "", 0);
    let summary = gateway.release();
    assert_eq!((&summary["returned"], &summary["released"]), (&1.into(), &0.into()), "{summary}");
    assert_eq!(gateway.records(), ["draw", "seen-in-queue", "cancel:period-over"]);
}

#[test]
fn killed_while_postfix_is_asked_the_next_run_finishes_and_nothing_leaves_twice() {
    for (name, commands) in
        [("before", "kill -9 $PPID; exit 1"), ("after", "/usr/sbin/postsuper \"$@\"; kill -9 $PPID")]
    {
        let sink = Sink::start();
        let postfix = holding_postfix(&sink);
        let mut gateway = Gateway::for_postfix(&postfix);
        let (letter, id) = send(&postfix, "a");
        gateway.enter(Route::Postfix, &id, "a");
        let sound = gateway.mta.clone();
        let deadly = postfix.directory().join("postsuper");
        script(&deadly, commands);
        gateway.mta = sound.replace("kind =", &format!("postsuper = \"{}\"\nkind =", deadly.display()));
        gateway.configure(Hours::Open, "", 0);
        let output = gateway.command(&["release", "--json"]);
        assert_eq!(output.status.code(), None, "{name}: killed");
        assert_eq!(gateway.states(), [State::Released], "{name}");
        gateway.mta = sound;
        gateway.configure(Hours::Open, "", 0);
        gateway.release();
        postfix.flush();
        sink.wait_for_id(&letter.id);
        postfix.wait_until_delivered();
        gateway.release();
        assert_eq!((gateway.states(), sink.received().len()), (vec![State::Gone], 1), "{name}");
        let releases = gateway.records().iter().filter(|record| *record == "release:window").count();
        assert_eq!(releases, 1, "{name}");
    }
}

/// Lets `release` begin 40 times and kills it at another moment each time, then lets it finish: nothing is lost and nothing
/// leaves twice, whether the letters, eight of them, may leave or must go back.
fn killed_again_and_again(gateway: &Gateway, sink: &Sink, letters: &[Letter], must_go_back: bool, deliver: impl Fn()) {
    if must_go_back {
        gateway.configure(Hours::Closed, "", -5);
    } else {
        gateway.configure(Hours::Open, "", 0);
    }
    let mut killed = 0;
    for milliseconds in (1..=40).map(|step| step * 6) {
        let mut run = Command::new(binary())
            .arg("release")
            .arg("--config")
            .arg(&gateway.config)
            .args(["--json", "--patience", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        run.kill().unwrap();
        killed += usize::from(run.wait().unwrap().code().is_none());
    }
    assert!(killed > 10, "only {killed} runs came to harm");
    let done = if must_go_back { State::Returned } else { State::Gone };
    wait_for("the last of it", || {
        gateway.release();
        deliver();
        gateway.states().iter().all(|state| *state == done).then_some(())
    });
    for letter in letters {
        let with_id = || {
            let received = sink.received();
            received
                .iter()
                .filter(|received| String::from_utf8_lossy(&received.bytes).contains(&format!("<{}>", letter.id)))
                .count()
        };
        wait_for("a letter", || (with_id() > 0).then_some(()));
        // A notice may be handed over and the run killed before it can say so: then the next hands over another.
        let most = if must_go_back { 2 } else { 1 };
        assert!(with_id() <= most, "{} came {} times", letter.id, with_id());
    }
    let steps: &[&str] = if must_go_back {
        &["cancel:period-over", "seen-in-queue"]
    } else {
        &["gone:left-queue", "release:window", "seen-in-queue"]
    };
    let mut records = gateway.records();
    records.retain(|record| record != "draw");
    records.sort_unstable();
    let expected: Vec<&str> = steps.iter().flat_map(|step| std::iter::repeat_n(*step, letters.len())).collect();
    assert_eq!(records, expected);
    let verified = gateway.command(&["log", "verify"]);
    assert!(verified.status.code() != Some(2), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_leaves_twice_behind_postfix() {
    for must_go_back in [false, true] {
        let sink = Sink::start();
        let postfix = holding_postfix(&sink);
        let gateway = Gateway::for_postfix(&postfix);
        let letters: Vec<Letter> = ["a", "b", "a", "b", "a", "b", "a", "b"]
            .iter()
            .map(|sender| {
                let (letter, id) = send(&postfix, sender);
                gateway.enter(Route::Postfix, &id, sender);
                letter
            })
            .collect();
        killed_again_and_again(&gateway, &sink, &letters, must_go_back, || postfix.flush());
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_leaves_twice_behind_sendmail() {
    for must_go_back in [false, true] {
        let sink = Sink::start();
        let sendmail = Sendmail::start(sink.address(), &[]);
        let gateway = Gateway::for_sendmail(&sendmail);
        let letters: Vec<Letter> = ["a", "b", "a", "b", "a", "b", "a", "b"]
            .iter()
            .map(|sender| {
                let (letter, id) = quarantine(&sendmail, sender);
                gateway.enter(Route::Sendmail, &id, sender);
                letter
            })
            .collect();
        killed_again_and_again(&gateway, &sink, &letters, must_go_back, || ());
    }
}

#[test]
fn mail_deleted_behind_our_back_is_an_alarm() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    let (_, id) = send(&postfix, "a");
    gateway.enter(Route::Postfix, &id, "a");
    gateway.release();
    postfix.command("postsuper", &["-d", &id]);
    let output = gateway.command(&["release", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["missing"]["vanished"], 1);
    assert_eq!(gateway.records(), ["seen-in-queue", "gone:vanished"]);
}

#[test]
fn a_ledger_or_a_log_that_is_gone_is_an_alarm() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    assert!(gateway.command(&["release", "--patience", "0"]).status.success());
    write(&gateway.state(), "keys/copies.key", "what a daemon that has started leaves");
    for file in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(gateway.state().join(file));
    }
    let output = gateway.command(&["release", "--patience", "0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("the ledger is gone"), "{said}");
    assert!(gateway.command(&["release", "--patience", "0"]).status.success());
    std::fs::remove_dir_all(gateway.state().join("log")).unwrap();
    let output = gateway.command(&["release", "--patience", "0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("the decision log is gone"), "{said}");
}

#[test]
fn mail_let_go_behind_our_back_is_an_alarm() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    postfix.reconfigure(&[("relayhost", "[127.0.0.1]:9")]);
    let gateway = Gateway::for_postfix(&postfix);
    let (_, id) = send(&postfix, "a");
    gateway.enter(Route::Postfix, &id, "a");
    gateway.release();
    postfix.command("postsuper", &["-H", &id]);
    let output = gateway.command(&["release", "--json"]);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &summary["missing"]["released-by-other"]), (Some(1), &1.into()));
}

#[test]
fn what_could_not_be_delivered_before_the_window_closed_is_put_on_hold_again() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    postfix.reconfigure(&[("relayhost", "[127.0.0.1]:9")]);
    let gateway = Gateway::for_postfix(&postfix);
    let (_, id) = send(&postfix, "a");
    gateway.enter(Route::Postfix, &id, "a");
    gateway.configure(Hours::Open, "", 0);
    assert_eq!(gateway.release()["released"], 1);
    wait_for("a deferred message", || postfix.queue().iter().any(|m| m.queue_name == "deferred").then_some(()));
    gateway.configure(Hours::Closed, "", 0);
    assert_eq!(gateway.release()["recalled"], 1);
    assert_eq!((postfix.held().len(), gateway.states()), (1, vec![State::SeenInQueue]));
}

#[test]
fn a_mail_server_that_is_down_is_an_error_and_changes_nothing() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let mut gateway = Gateway::for_postfix(&postfix);
    let (_, id) = send(&postfix, "a");
    gateway.enter(Route::Postfix, &id, "a");
    gateway.mta = gateway.mta.replace("kind =", "postqueue = \"/bin/false\"\nkind =");
    gateway.configure(Hours::Open, "", 0);
    let output = gateway.command(&["release"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/bin/false failed"), "{output:?}");
    assert_eq!(gateway.states(), [State::Entered]);
}

#[test]
fn the_helper_works_with_no_more_than_the_rights_of_its_unit() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let (letter, id) = send(&postfix, "a");
    let (_, other) = send(&postfix, "b");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let theirs: std::os::fd::OwnedFd = theirs.into();
    let mut helper = Command::new("setpriv")
        .args(["--no-new-privs", "--bounding-set", "-all,+setuid,+setgid,+dac_read_search", "--inh-caps", "-all"])
        .arg(binary())
        .args(["postsuper-helper", "--config-directory"])
        .arg(postfix.config_directory())
        .stdin(theirs.try_clone().unwrap())
        .stdout(theirs)
        .spawn()
        .unwrap();
    let config_directory = Some(postfix.config_directory());
    let mut queue =
        PostfixQueue { postqueue: "/usr/sbin/postqueue".into(), config_directory, tools: HelperClient::Stream(ours) };
    let id = id.parse().unwrap();
    let absent = "ABCDEF123456".parse().unwrap();
    let content = String::from_utf8(queue.read(&id).unwrap()).unwrap();
    assert!(content.contains(&letter.id), "{content}");
    let outcomes = queue.perform(Verb::Release, &[id.clone(), absent]).unwrap();
    assert_eq!(outcomes, [Outcome::Done, Outcome::Absent]);
    queue.deliver(&[id]).unwrap();
    sink.wait_for_id(&letter.id);
    assert_eq!(queue.perform(Verb::Discard, &[other.parse().unwrap()]).unwrap(), [Outcome::Done]);
    postfix.wait_until_delivered();
    assert_eq!(queue.list().unwrap(), []);
    drop(queue);
    assert!(helper.wait().unwrap().success());
}

#[test]
fn quarantined_mail_of_sendmail_leaves_in_its_window() {
    let sink = Sink::start();
    let sendmail = Sendmail::start(sink.address(), &[]);
    let gateway = Gateway::for_sendmail(&sendmail);
    let (letter, id) = quarantine(&sendmail, "a");
    gateway.enter(Route::Sendmail, &id, "a");

    assert_eq!(gateway.release()["seen"], 1);
    gateway.configure(Hours::Open, "", 0);
    let summary = gateway.release();
    assert_eq!((&summary["released"], &summary["problems"]), (&1.into(), &serde_json::json!([])), "{summary}");
    sink.wait_for_id(&letter.id);
    wait_for("an empty queue", || sendmail.waiting().is_empty().then_some(()));
    assert_eq!(gateway.release()["gone"], 1);
    assert_eq!(gateway.states(), [State::Gone]);

    // The second message cannot leave in time any more.
    let (letter, id) = quarantine(&sendmail, "b");
    gateway.enter(Route::Sendmail, &id, "b");
    gateway.configure(Hours::Closed, "", -5);
    assert_eq!(gateway.release()["returned"], 1);
    let notice = sink.wait_for("the notice", |received| received.recipients == ["b@candidats.example"]);
    assert!(notice.body_text().contains(&letter.id), "{}", notice.body_text());
    assert_eq!((sendmail.quarantined().len(), gateway.states()[1]), (0, State::Returned));
}

#[test]
fn what_root_makes_before_the_daemon_starts_is_the_daemon_s() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    let daemon = Some(65_534);
    std::fs::remove_dir_all(gateway.state()).unwrap();
    std::fs::create_dir(gateway.state()).unwrap();
    std::os::unix::fs::chown(gateway.state(), daemon, daemon).unwrap();
    gateway.release();
    for entry in std::fs::read_dir(gateway.state()).unwrap().map(Result::unwrap) {
        assert_eq!(Some(entry.metadata().unwrap().uid()), daemon, "{:?}", entry.path());
    }
}

#[test]
fn two_releases_at_the_same_time_do_not_meet() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    let lock = std::fs::File::create(gateway.state().join("release.lock")).unwrap();
    lock.lock().unwrap();
    let output = gateway.command(&["release"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("another command is moving held mail"), "{output:?}");
}

#[test]
fn a_listing_of_postfix_says_what_it_holds() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let (_, id) = send(&postfix, "a");
    let tools = HelperClient::Socket("/nonexistent".into());
    let config_directory = Some(postfix.config_directory());
    let listed = PostfixQueue { postqueue: "/usr/sbin/postqueue".into(), config_directory, tools }.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].queue_id.as_str(), listed[0].place), (id.as_str(), QueuePlace::OnHold));
    assert_eq!(listed[0].sighting.size_bytes, postfix.held()[0].message_size);
}

#[test]
fn the_postmaster_sees_what_waits_and_may_let_go_and_cancel_with_a_reference() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    let (one, first) = send(&postfix, "a");
    let (two, second) = send(&postfix, "b");
    gateway.enter(Route::Postfix, &first, "a");
    gateway.enter(Route::Postfix, &second, "b");
    gateway.release();

    let listed = gateway.command(&["held", "--json", "list"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (rows.len(), &rows[0]["queue_id"], &rows[0]["state"]),
        (2, &first.as_str().into(), &"seen-in-queue".into())
    );
    assert!(!text.contains("candidats.example"), "the ledger's return address is not shown: {text}");
    let table = String::from_utf8(gateway.command(&["held", "list"]).stdout).unwrap();
    assert!(table.contains(&first) && table.contains("pseudonym-a") && !table.contains("candidats.example"), "{table}");
    let shown = String::from_utf8(gateway.command(&["held", "show", &first]).stdout).unwrap();
    assert!(shown.contains("0-0123456789abcdef"), "{shown}");

    let output = gateway.command(&["held", "release", &first, "--reference", " "]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it may not be empty"));
    assert!(gateway.command(&["held", "release", &first, "--reference", "CE-2026-1"]).status.success());
    sink.wait_for_id(&one.id);
    assert!(gateway.command(&["held", "cancel", &second, "--reference", "CE-2026-2"]).status.success());
    let notice = sink.wait_for("the notice", |received| received.recipients == ["b@candidats.example"]);
    assert!(notice.body_text().contains(&two.id) && sink.with_id(&two.id).is_empty());
    postfix.wait_until_delivered();
    gateway.release();
    assert_eq!(gateway.states(), [State::Gone, State::Cancelled]);

    let again = gateway.command(&["held", "cancel", &second, "--reference", "CE-2026-3"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("it is cancelled"), "{again:?}");
    let unknown = gateway.command(&["held", "show", "ABCDEF123456"]);
    assert_eq!(unknown.status.code(), Some(1));
    let records = gateway.records();
    let operators: Vec<_> = records.iter().filter(|record| record.starts_with("operator")).collect();
    assert_eq!(operators.len(), 7, "every use that did or showed something: {records:?}");
    assert!(records.contains(&"cancel:operator".to_owned()) && records.contains(&"release:operator".to_owned()));
}

#[test]
fn a_message_of_somebody_else_cannot_be_let_go_or_cancelled() {
    let sink = Sink::start();
    let postfix = holding_postfix(&sink);
    let gateway = Gateway::for_postfix(&postfix);
    let (_, stranger) = send(&postfix, "x");
    for command in ["release", "cancel"] {
        let output = gateway.command(&["held", command, &stranger, "--reference", "CE-2026-1"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("is not in the ledger"), "{output:?}");
    }
    // A message of ours that never came into the queue had the same id: it cannot have arrived after it was entered.
    gateway.enter_at(now() - SignedDuration::from_hours(1), Route::Postfix, &stranger, "a");
    for command in ["release", "cancel"] {
        let output = gateway.command(&["held", command, &stranger, "--reference", "CE-2026-1"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("is not on hold"), "{output:?}");
    }
    assert_eq!(postfix.held().len(), 1);
}
