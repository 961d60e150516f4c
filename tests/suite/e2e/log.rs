//! The decision log as the running program writes it: every kind of record, checkpoints by the clock, their way to the auditors.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use charter_milter::decision_log::record::Kind;

use super::hold;
use super::world::{NOON, World, from_a, from_b, is_later};
use crate::log_verifier::second_opinion;
use crate::mta::gateway::{Gateway, Setup};
use crate::mta::letter::Letter;
use crate::mta::postfix::{Options, Postfix};
use crate::mta::sink::Sink;
use crate::mta::wait_for;

const LIST: &str = "nocturne@listes.example";
const AUDITOR: &str = "commission@elections.example";

/// A place for the program that takes the gateway's own mail, which is told of its Postfix once there is one.
fn submission(scratch: &Path) -> (std::path::PathBuf, String) {
    let program = scratch.join("submit");
    let main = format!(
        "[audit]\nauditors = [\"{AUDITOR}\"]\n\n[submission]\nprogram = \"{}\"\nsender = \"passerelle@organisation.example\"\n",
        program.display()
    );
    (program, main)
}

fn submits_to(program: &Path, postfix: &Postfix) {
    let etc = postfix.config_directory();
    std::fs::write(program, format!("#!/bin/sh\nexec /usr/sbin/sendmail -C {} \"$@\"\n", etc.display())).unwrap();
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Why each checkpoint was signed, in order.
fn reasons(gateway: &Gateway) -> Vec<String> {
    let checkpoints = gateway.records().into_iter().filter(|line| line["kind"] == "checkpoint");
    checkpoints.map(|line| line["body"]["reason"].as_str().unwrap().to_owned()).collect()
}

fn first_key(gateway: &Gateway) -> String {
    let key = gateway.records().into_iter().find(|line| line["kind"] == "key").unwrap();
    key["body"]["key"].as_str().unwrap().to_owned()
}

fn fine(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = gateway.run(arguments);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

#[test]
fn the_tree_is_signed_by_the_clock_although_nothing_happens() {
    for (clock, interval) in [("2018-06-20T11:59:57+02:00", "1 hour"), ("2018-06-20T12:09:57+02:00", "10 min")] {
        let audit = format!(
            "[audit]\nauditors = [\"{AUDITOR}\"]\ncheckpoint_interval = \"{interval}\"\n[submission]\nprogram = \"/bin/true\"\n"
        );
        let mut gateway = Gateway::start(&Setup::new(&hold::charter()).main(&audit).clock(clock));
        wait_for("a checkpoint of the hour", || reasons(&gateway).contains(&"hourly".to_owned()).then_some(()));
        assert!(gateway.stop().success());
        assert_eq!(reasons(&gateway), ["start", "hourly", "requested"], "every {interval}");
        assert!(gateway.decisions().is_empty());
    }
}

/// The key may be put on paper before the daemon first starts, under a name that is not the host's; and a host may be renamed.
#[test]
fn a_log_keeps_the_name_it_was_given_before_the_daemon_was_started() {
    let mut gateway = Gateway::prepare(&Setup::new(&hold::charter()).clock(NOON));
    let paper = fine(&gateway, &["log", "init-auditor", "--origin", "scrutin.example/charte"]);
    gateway.launch();
    assert!(gateway.stop().success());
    let key = first_key(&gateway);
    assert!(key.starts_with("scrutin.example/charte+") && paper.contains(&key), "{key}");
    let said = fine(&gateway, &["log", "verify", "--key", &key]);
    assert!(said.starts_with("VERIFIED\n") && said.contains("scrutin.example/charte\n"), "{said}");
}

#[test]
fn every_checkpoint_goes_to_the_auditors_through_the_mail_server() {
    let (sink, scratch) = (Sink::start(), crate::mta::directory("auditor-"));
    let (program, main) = submission(&scratch);
    // A window that is open when the daemon starts and closes three seconds later.
    let charter = hold::charter().replace("from   = 22:00:00", "from   = 10:00:00");
    let charter = charter.replace("to     = 06:00:00", "to     = 12:00:00");
    let mut gateway = Gateway::prepare(&Setup::new(&charter).main(&main));
    let postfix = Postfix::start(&Options::new(sink.address()).milter(&gateway.milter()));
    submits_to(&program, &postfix);
    gateway.set_clock("2018-06-20T11:59:57+02:00");
    gateway.launch();
    let mails = || sink.received().into_iter().filter(|mail| mail.recipients == [AUDITOR]).collect::<Vec<_>>();
    wait_for("two checkpoints by mail", || (mails().len() >= 2).then_some(()));
    assert!(gateway.stop().success());
    let mails = wait_for("the last checkpoint by mail", || Some(mails()).filter(|mails| mails.len() >= 3));
    assert_eq!(reasons(&gateway), ["start", "window-opened", "window-closed", "requested"]);
    assert_eq!(mails.len(), 3, "all but the first, which the next one contains");

    // What an auditor saves is what the log is held against; a log that went another way is noticed.
    let mut arguments = vec!["log".to_owned(), "verify".to_owned(), "--key".to_owned(), first_key(&gateway)];
    for (n, mail) in mails.iter().enumerate() {
        assert_eq!(mail.sender, "passerelle@organisation.example");
        assert!(mail.header_value("Subject").starts_with("Decision log checkpoint"), "{}", mail.header());
        let saved = scratch.join(format!("{n}.eml"));
        std::fs::write(&saved, &mail.bytes).unwrap();
        arguments.extend(["--checkpoint".to_owned(), saved.display().to_string()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = fine(&gateway, &arguments);
    assert!(said.starts_with("VERIFIED\n") && said.contains("Kept checkpoint agrees"), "{said}");
    let other = Gateway::start(&Setup::new(&charter).clock("2018-06-20T11:59:57+02:00"));
    let output = other.run(&[&["log", "verify"], &arguments[4..]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    std::fs::remove_dir_all(&scratch).unwrap();
}

/// One life of a gateway in which everything happens that the log has a kind of record for.
#[test]
fn the_program_writes_every_kind_of_record() {
    let scratch = crate::mta::directory("kinds-");
    let (program, main) = submission(&scratch);
    let mut world = World::start(&Setup::new(&hold::charter()).main(&main).clock(NOON));
    submits_to(&program, &world.postfix);
    world.gateway.know_postfix(&world.postfix);
    let (let_go, cancelled) = (from_a(LIST), from_b(LIST));
    for letter in [&let_go, &cancelled] {
        assert!(world.postfix.send(letter).is_accepted(), "{}", world.gateway.daemon_log());
    }
    world.gateway.set_clock("2018-06-20T12:01:00+02:00");
    fine(&world.gateway, &["release"]);
    let of_b = world.postfix.held().into_iter().find(|held| held.sender == "liste-b@candidats.example").unwrap();
    fine(&world.gateway, &["held", "cancel", &of_b.queue_id, "--reference", "CE-2018-1"]);
    world.gateway.set_clock("2018-06-20T22:00:30+02:00");
    fine(&world.gateway, &["release"]);
    world.sink.wait_for_id(&let_go.id);
    world.postfix.wait_until_delivered();
    fine(&world.gateway, &["release"]);
    fine(&world.gateway, &["stop", "add", "--sender", "Liste B", "--reason", "insultes", "--reference", "CE-2018-2"]);

    // A crash in the middle of a line, and a clock that was set back while the daemon was down.
    world.gateway.kill();
    let segments = world.gateway.state().join("log/segments");
    let segment = std::fs::read_dir(&segments).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut torn = std::fs::OpenOptions::new().append(true).open(segment).unwrap();
    torn.write_all(br#"{"v":1,"i":"#).unwrap();
    world.gateway.set_clock("2018-06-20T11:00:00+02:00");
    world.gateway.launch();
    assert!(world.gateway.stop().success());

    // A year later, to the day, what is old goes.
    world.gateway.set_clock("2019-06-19T12:00:00+02:00");
    world.gateway.launch();
    wait_for("a segment of the new day", || (std::fs::read_dir(&segments).unwrap().count() >= 2).then_some(()));
    let before_purge = kinds(&world.gateway);
    assert!(!world.gateway.decisions().is_empty());
    let said = fine(&world.gateway, &["log", "purge", "--reference", "CNIL"]);
    assert!(!world.gateway.decisions().is_empty(), "the time of retention is not over: {said}");
    world.gateway.set_clock("2019-06-22T12:00:00+02:00");
    fine(&world.gateway, &["log", "purge", "--reference", "CNIL"]);
    let all: std::collections::BTreeSet<String> = before_purge.into_iter().chain(kinds(&world.gateway)).collect();
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !all.contains(kind.as_str())).collect();
    assert!(missing.is_empty(), "never written: {missing:?}");
    assert!(world.gateway.decisions().is_empty(), "they were purged");

    // Two verifiers that share no code agree that all of it holds.
    let key = first_key(&world.gateway);
    assert!(fine(&world.gateway, &["log", "verify", "--key", &key]).starts_with("VERIFIED\n"));
    let (holds, said) = second_opinion(&key, &world.gateway.state().join("log"));
    assert!(holds, "{said}");
    std::fs::remove_dir_all(&scratch).unwrap();
}

/// What the daemon says when mail to protected lists has to wait: in its log, and to whoever watches its figures.
fn alarmed(gateway: &Gateway) -> bool {
    gateway.daemon_log().contains("mail to protected lists is deferred (451) until this is mended")
}

/// Protected mail until it is put off; all other mail goes its way.
fn put_off_with_an_alarm(world: &World) {
    wait_for("451", || is_later(&world.postfix.send(&from_a("libre@listes.example"))).then_some(()));
    assert!(alarmed(&world.gateway), "{}", world.gateway.daemon_log());
    world.delivered(&Letter::new("a@ailleurs.example", &["b@voisin.example"]));
}

#[test]
fn a_bad_line_or_a_missing_record_means_later_and_an_alarm() {
    for damage in ["a bad line", "a missing record"] {
        let world = World::start(&Setup::new(&super::world::charter()).clock(NOON));
        world.delivered(&from_a("libre@listes.example"));
        assert!(!alarmed(&world.gateway));
        let segment = world.gateway.state().join("log/segments/000000000000_2018-06-20.jsonl");
        let text = std::fs::read_to_string(&segment).unwrap();
        let (lines, last) = text.trim_end().rsplit_once('\n').unwrap();
        let text = if damage == "a bad line" { format!("{lines}\n{last}\nno record\n") } else { format!("{lines}\n") };
        std::fs::write(&segment, text).unwrap();
        put_off_with_an_alarm(&world);
    }
}

#[test]
fn a_failed_fdatasync_means_later_and_an_alarm_until_the_daemon_is_started_again() {
    // The first few dozen make the log; of those that follow, for messages, one fails and no other.
    let inject = "inject=fdatasync:error=EIO:when=120";
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject, "--"];
    let mut world = World::start(&Setup::new(&super::world::charter()).clock(NOON).through(&strace));
    let letter = from_a("libre@listes.example");
    world.delivered(&letter);
    assert!(!alarmed(&world.gateway));
    put_off_with_an_alarm(&world);
    assert!(is_later(&world.postfix.send(&from_a("libre@listes.example"))), "not tried again");
    world.gateway.kill();
    world.gateway.launch();
    world.delivered(&from_a("libre@listes.example"));
    fine(&world.gateway, &["log", "verify", "--key", &first_key(&world.gateway)]);
}

fn kinds(gateway: &Gateway) -> Vec<String> {
    gateway.records().iter().filter_map(|line| Some(line["kind"].as_str()?.to_owned())).collect()
}

#[test]
fn a_configuration_in_force_is_recorded_with_the_digest_of_every_file() {
    let gateway = Gateway::start(&Setup::new(&hold::charter()).clock(NOON));
    let digests = || -> Vec<serde_json::Value> {
        gateway.records().into_iter().filter(|line| line["kind"] == "config").map(|line| line["body"].clone()).collect()
    };
    let first = wait_for("the configuration in the log", || digests().first().cloned());
    let names: Vec<_> = first["files"].as_array().unwrap().iter().map(|file| file["name"].clone()).collect();
    assert_eq!(names, ["charter-milter.toml", "charters/charter.toml"]);
    let charter = gateway.directory().join("etc/charters/charter.toml");
    let text = std::fs::read_to_string(&charter).unwrap();
    std::fs::write(&charter, format!("{text}\n# another word\n")).unwrap();
    gateway.signal(rustix::process::Signal::HUP);
    let second = wait_for("the new configuration in the log", || digests().get(1).cloned());
    assert_ne!(first["digest"], second["digest"]);
    assert_eq!(first["files"][0], second["files"][0]);
    assert_ne!(first["files"][1]["sha256"], second["files"][1]["sha256"]);
}
