//! Faults: nothing is lost, nothing is let through, and the mail server says 451.

use std::process::Command;
use std::time::Duration;

use super::world::{NOON, World, charter, from_a, from_b, is_later};
use crate::mta::client::SmtpClient;
use crate::mta::gateway::{Gateway, Setup};
use crate::mta::letter::Letter;
use crate::mta::{program, wait_for, wait_within};

const LIST: &str = "libre@listes.example";

fn world() -> World {
    World::start(&Setup::new(&charter()).clock(NOON))
}

/// The stages at which a daemon can die, and how far the client gets before.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Connected,
    Mail,
    Rcpt,
    Data,
    Header,
    Body,
}

const STAGES: [Stage; 6] = [Stage::Connected, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Header, Stage::Body];

#[test]
fn killed_at_any_stage_the_message_is_neither_lost_nor_let_through() {
    let mut world = world();
    for stage in STAGES {
        let letter = from_a(LIST).body("x".repeat(200_000) + "\r\n");
        let code = send_and_kill(&mut world, &letter, stage);
        assert_eq!(code, 451, "{stage:?}");
        assert!(world.sink.with_id(&letter.id).is_empty(), "{stage:?}: it was let through");
        world.gateway.launch();
        // The sender tries again, as after any 451.
        world.delivered(&letter);
        assert_eq!(world.sink.with_id(&letter.id).len(), 1, "{stage:?}");
    }
    let verified = world.gateway.run(&["log", "verify"]);
    assert!(
        verified.status.success(),
        "the log is whole after every death: {}",
        String::from_utf8_lossy(&verified.stdout)
    );
}

/// The system calls at which a daemon that judges a message can be cut off: while the record is made durable, while the
/// store is written, and while the MTA is being answered.
const CALLS: [&str; 4] = ["fdatasync", "fsync", "pwrite64", "sendto,write,writev"];

#[test]
fn cut_off_at_a_system_call_nothing_is_lost_and_nothing_let_through() {
    let mut world = world();
    let list = "comptee@listes.example";
    for call in CALLS {
        for occurrence in [1, 2, 3] {
            let letter = from_a(LIST);
            let strace = Cutter::attach(&world.gateway, call, occurrence);
            let outcome = world.postfix.send(&letter);
            let was_cut = strace.detach(&mut world.gateway);
            if was_cut {
                assert!(is_later(&outcome), "{call} {occurrence}: {outcome:?}");
                assert!(world.sink.with_id(&letter.id).is_empty(), "{call} {occurrence}: let through");
                world.gateway.kill();
                world.gateway.launch();
                world.delivered(&letter);
            } else {
                assert!(outcome.is_accepted(), "{call} {occurrence}: {outcome:?}");
            }
        }
    }
    // A place that was reserved by a message that was lost is free again when its time is over, which is ten minutes.
    let strace = Cutter::attach(&world.gateway, "fdatasync", 1);
    let outcome = world.postfix.send(&from_a(list));
    assert!(strace.detach(&mut world.gateway) && is_later(&outcome), "{outcome:?}");
    world.gateway.kill();
    world.gateway.set_clock("2018-06-20T13:00:00+02:00");
    world.gateway.launch();
    world.delivered(&from_a(list));
    world.delivered(&from_a(list));
    world.refused(&from_a(list), 550, "quota-exhausted", "t:quota");
    let verified = world.gateway.run(&["log", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// strace, told to kill the daemon at the nth of some system calls.
struct Cutter {
    strace: std::process::Child,
    output: std::path::PathBuf,
}

impl Cutter {
    fn attach(gateway: &Gateway, calls: &str, occurrence: u32) -> Self {
        let output = gateway.directory().join("strace");
        let _ = std::fs::remove_file(&output);
        let strace = Command::new(program("strace", "strace"))
            .args(["-f", "-e", &format!("trace={calls}"), "-e"])
            .arg(format!("inject={calls}:signal=SIGKILL:when={occurrence}"))
            .args(["-p", &gateway.pid().to_string(), "-o"])
            .arg(&output)
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        wait_for("strace to attach", || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")).then_some(())
        });
        Self { strace, output }
    }

    /// Lets go; whether the daemon was killed.
    fn detach(mut self, gateway: &mut Gateway) -> bool {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.strace.id()).unwrap()).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        // strace can wait for ever for threads that died together; without it they are gone.
        if wait_within(Duration::from_secs(2), || self.strace.try_wait().unwrap()).is_none() {
            let _ = self.strace.kill();
            let _ = self.strace.wait();
        }
        let was_cut = wait_within(Duration::from_secs(1), || gateway.has_ended().then_some(())).is_some();
        let _ = std::fs::remove_file(&self.output);
        was_cut
    }
}

/// Sends up to `stage`, kills the daemon, goes on as far as Postfix lets it; the code of the first refusal.
fn send_and_kill(world: &mut World, letter: &Letter, stage: Stage) -> u16 {
    let mut client = SmtpClient::connect(world.postfix.address());
    client.ehlo();
    assert!(client.auth("liste-a", "secret").is_positive());
    let (header, rest) = letter.bytes.split_at(100);
    for (at, step) in STAGES.into_iter().enumerate() {
        let reply = match step {
            Stage::Connected => None,
            Stage::Mail => Some(client.mail(letter)),
            Stage::Rcpt => Some(client.rcpt(&letter.recipients[0])),
            Stage::Data => Some(client.command("DATA")),
            Stage::Header => {
                client.content(header);
                None
            }
            Stage::Body => {
                client.send_raw(rest);
                None
            }
        };
        if let Some(reply) = reply.filter(|reply| !reply.is_positive()) {
            return reply.code;
        }
        if at == stage as usize {
            world.gateway.kill();
        }
    }
    client.finish().code
}

#[test]
fn unwritable_log_means_later_for_protected_mail_and_nothing_for_the_rest() {
    // A file system of 2 MB for the state, filled to the last byte: root may write where permissions forbid it, but not here.
    let gateway = Gateway::prepare(&Setup::new(&charter()).clock(NOON));
    let disk = SmallDisk::mount(&gateway.state());
    let mut gateway = gateway;
    gateway.launch();
    let world = World::around(gateway);
    world.delivered(&from_a(LIST));
    disk.fill();
    let refused_later = wait_for("451 on a full disk", || {
        // What the journal has room for in its last block still fits.
        let outcome = world.postfix.send(&from_a(LIST));
        is_later(&outcome).then_some(outcome)
    });
    assert_eq!(refused_later.last().code, 451, "{refused_later:?}");
    let free = Letter::new("a@ailleurs.example", &["b@voisin.example"]);
    world.delivered(&free);
    // A refusal that cannot be recorded is not given, either.
    let unknown = world.postfix.send(&Letter::new("inconnu@ailleurs.example", &[LIST]));
    assert_eq!(unknown.last().code, 451, "{unknown:?}");
}

#[test]
fn unwritable_store_means_later_for_protected_mail_and_the_log_says_why() {
    let gateway = Gateway::prepare(&Setup::new(&charter()).clock(NOON));
    let state = SmallDisk::mount(&gateway.state());
    // The log has a disk of its own, and it stays writable.
    std::fs::create_dir(gateway.state().join("log")).unwrap();
    let _log = SmallDisk::mount(&gateway.state().join("log"));
    let mut gateway = gateway;
    gateway.launch();
    let world = World::around(gateway);
    let counted = "comptee@listes.example";
    world.delivered(&from_a(counted));
    state.fill();
    let later = wait_for("451 without a store", || {
        let outcome = world.postfix.send(&from_b(counted));
        is_later(&outcome).then_some(outcome)
    });
    assert_eq!(later.last().code, 451, "{later:?}");
    let record = world.record_of(later.last());
    assert_eq!(
        (&record["verdict"], &record["judgements"][0]["reason"]),
        (&"tempfail".into(), &"store-unavailable".into())
    );
    world.delivered(&Letter::new("a@ailleurs.example", &["b@voisin.example"]));
}

/// A small file system over a directory, unmounted when dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(directory: &std::path::Path) -> Self {
        let mounted = Command::new(program("mount", "mount"))
            .args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"])
            .arg(directory)
            .status()
            .unwrap();
        assert!(mounted.success(), "the tests run as root and may mount a tmpfs");
        Self(directory.to_owned())
    }

    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        // Whoever owns the directory above could not remove it as long as this was mounted.
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[test]
fn a_second_daemon_on_the_same_state_refuses_to_start() {
    let world = world();
    let second = world.gateway.run(&["serve"]);
    assert_eq!(second.status.code(), Some(2), "{second:?}");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another") || said.contains("already") || said.contains("lock"), "{said}");
    world.delivered(&from_a(LIST));
}

#[test]
fn a_bad_file_at_reload_keeps_the_configuration_in_force() {
    let world = world();
    let file = world.gateway.directory().join("etc/charters/charter.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "[charter]\nid = 42\n").unwrap();
    world.gateway.signal(rustix::process::Signal::HUP);
    wait_for("the error in the daemon's log", || world.gateway.daemon_log().contains("charter.toml").then_some(()));
    world.refused(&from_a("close@listes.example"), 550, "period-closed", "t:period");
    std::fs::write(&file, good.replace("closes = 2018-06-19", "closes = 2018-06-25")).unwrap();
    world.gateway.signal(rustix::process::Signal::HUP);
    wait_for("the new period to be in force", || {
        world.postfix.send(&from_a("close@listes.example")).is_accepted().then_some(())
    });
}

#[test]
fn another_state_directory_at_reload_keeps_the_configuration_in_force() {
    let world = world();
    let file = world.gateway.directory().join("etc/charter-milter.toml");
    let elsewhere = world.gateway.directory().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let main = std::fs::read_to_string(&file).unwrap();
    let line = main.lines().find(|line| line.starts_with("state_directory")).unwrap();
    let moved = main.replace(line, &format!("state_directory = \"{}\"", elsewhere.display()));
    std::fs::write(&file, moved).unwrap();
    let charter = world.gateway.directory().join("etc/charters/charter.toml");
    let good = std::fs::read_to_string(&charter).unwrap();
    std::fs::write(&charter, good.replace("closes = 2018-06-19", "closes = 2018-06-25")).unwrap();
    world.gateway.signal(rustix::process::Signal::HUP);
    wait_for("the error", || world.gateway.daemon_log().contains("`state_directory` has changed").then_some(()));
    world.refused(&from_a("close@listes.example"), 550, "period-closed", "t:period");
    assert!(std::fs::read_dir(&elsewhere).unwrap().next().is_none());
}

#[test]
fn a_sender_that_a_reload_renames_does_not_escape_a_stop_unnoticed() {
    let world = world();
    let stop = ["stop", "add", "--sender", "Liste B", "--reason", "Essai", "--reference", "1"];
    assert!(world.gateway.run(&stop).status.success());
    let file = world.gateway.directory().join("etc/charters/charter.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("\"Liste B\"", "\"Union B\"")).unwrap();
    assert!(!world.gateway.daemon_log().contains("stop list"));
    world.gateway.signal(rustix::process::Signal::HUP);
    wait_for("the warning", || {
        world.gateway.daemon_log().contains("nothing of the name that this stop bears").then_some(())
    });
}

#[test]
fn a_bad_configuration_does_not_start() {
    let mut gateway = Gateway::prepare(&Setup::new("[charter]\nid = 42\n").clock(NOON));
    gateway.launch_without_waiting();
    let status = gateway.wait();
    assert_eq!(status.code(), Some(2), "{}", gateway.daemon_log());
    assert!(gateway.daemon_log().contains("charter.toml:"), "with the position: {}", gateway.daemon_log());
}

#[test]
fn a_graceful_stop_finishes_what_was_begun() {
    let mut world = world();
    let letter = from_a(LIST);
    let mut client = SmtpClient::connect(world.postfix.address());
    client.ehlo();
    assert!(client.auth("liste-a", "secret").is_positive());
    client.mail(&letter);
    client.rcpt(LIST);
    assert_eq!(client.command("DATA").code, 354);
    client.content(&letter.bytes);
    world.gateway.signal(rustix::process::Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!world.gateway.has_ended(), "it waits for the end of the message");
    let reply = client.finish();
    assert_eq!(reply.code, 250, "{reply}");
    drop(client);
    assert!(world.gateway.wait().success(), "{}", world.gateway.daemon_log());
    world.sink.wait_for_id(&letter.id);
    assert_eq!(world.sink.with_id(&letter.id).len(), 1);
}

#[test]
fn quotas_survive_a_sudden_death() {
    let mut world = world();
    let list = "comptee@listes.example";
    world.delivered(&from_a(list));
    world.delivered(&from_a(list));
    world.gateway.kill();
    world.gateway.launch();
    world.refused(&from_a(list), 550, "quota-exhausted", "t:quota");
    world.delivered(&from_b(list));
}

#[test]
fn two_sessions_cannot_both_take_the_last_place() {
    let world = world();
    let list = "comptee@listes.example";
    world.delivered(&from_a(list));
    let accepted = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..6).map(|_| scope.spawn(|| world.postfix.send(&from_a(list)).is_accepted())).collect();
        senders.into_iter().filter(|_| true).map(|sender| sender.join().unwrap()).filter(|&accepted| accepted).count()
    });
    assert_eq!(accepted, 1);
}

#[test]
fn the_clock_set_back_is_recorded_and_opens_nothing() {
    let mut world = world();
    world.delivered(&from_a(LIST));
    world.gateway.stop();
    world.gateway.set_clock("2018-06-18T12:00:00+02:00");
    world.gateway.launch();
    world.refused(&from_a("avenir@listes.example"), 550, "period-not-open", "t:period");
    let kinds: Vec<_> = world.gateway.records().into_iter().map(|line| line["kind"].clone()).collect();
    assert!(kinds.iter().any(|kind| kind == "clock"), "{kinds:?}");
    let verified = world.gateway.run(&["log", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
