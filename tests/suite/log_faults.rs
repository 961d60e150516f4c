//! The journal on a failing disk: every operation fails in turn, the power goes at every operation, the process is killed
//! at any moment, and system calls fail under it. What was acknowledged is there afterwards, and the log verifies.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use charter_milter::decision_log::disk::{Medium, list_segments};
use charter_milter::decision_log::line::{Line, Reference};
use charter_milter::decision_log::verify::{Anchors, verify};
use charter_milter::decision_log::{Journal, JournalError, Options, Role};
use jiff::Timestamp;

use crate::log_journal::{ORIGIN, at, keeper, lines, noon, operator};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// One operation fails, those after it work.
    Once,
    /// One write stops half-way with a full disk, those after it work.
    DiskFull,
    /// From one operation on nothing works any more, and what was not made durable is gone.
    PowerCut,
    /// As a power cut, but half of what was not made durable got to the disk.
    TornByPowerCut,
}

#[derive(Debug, Default)]
struct State {
    operations: usize,
    /// Length of each file, by inode, when it was last made durable.
    durable: HashMap<u64, u64>,
}

/// A disk whose `fail_at`th operation goes wrong.
#[derive(Debug)]
struct BadDisk {
    fail_at: usize,
    trouble: Trouble,
    state: Mutex<State>,
}

impl BadDisk {
    fn new(fail_at: usize, trouble: Trouble) -> Arc<Self> {
        Arc::new(Self { fail_at, trouble, state: Mutex::default() })
    }

    /// Counts an operation; an error when it is to fail.
    fn step(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.operations += 1;
        let power_cut = matches!(self.trouble, Trouble::PowerCut | Trouble::TornByPowerCut);
        if state.operations == self.fail_at || (power_cut && state.operations > self.fail_at) {
            return Err(io::Error::other("injected"));
        }
        Ok(())
    }

    fn operations(&self) -> usize {
        self.state.lock().unwrap().operations
    }

    /// What the power cut does to the segments: octets that were never made durable are lost, all or half of them.
    fn lose_what_was_not_durable(&self, dir: &Path) {
        let state = self.state.lock().unwrap();
        for name in list_segments(&dir.join("segments")).unwrap() {
            let path = dir.join("segments").join(name.to_string());
            let file = File::options().write(true).open(&path);
            // A sealed segment was durable before it was sealed; as root it opens all the same.
            let Ok(file) = file else { continue };
            let meta = file.metadata().unwrap();
            let durable = state.durable.get(&meta.ino()).copied().unwrap_or(0);
            let lost = meta.len() - durable;
            let kept = if self.trouble == Trouble::TornByPowerCut { lost / 2 } else { 0 };
            file.set_len(durable + kept).unwrap();
        }
    }
}

impl Medium for BadDisk {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let mut file = file;
        let meta = file.metadata()?;
        if meta.len() == 0 {
            // A new file may have the inode of one that is gone.
            self.state.lock().unwrap().durable.insert(meta.ino(), 0);
        }
        if let Err(error) = self.step() {
            if self.trouble != Trouble::Once {
                file.write_all(&bytes[..bytes.len() / 2]).unwrap();
            }
            return Err(error);
        }
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        let meta = file.metadata()?;
        self.state.lock().unwrap().durable.insert(meta.ino(), meta.len());
        Ok(())
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        self.step()?;
        file.set_len(len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        self.step()
    }

    fn may_create(&self, _path: &Path) -> io::Result<()> {
        self.step()
    }
}

/// Two days of a small log; returns what was acknowledged. Whatever fails, it goes on.
fn two_days(dir: &Path, medium: &Arc<dyn Medium>) -> Vec<Reference> {
    let mut acknowledged = Vec::new();
    // Clones of one disk: whatever fails under one journal fails under all.
    let start =
        |now| Journal::open(&Options { medium: Arc::clone(medium), ..Options::new(dir, ORIGIN, Role::Keeper, now) });
    for (first, second) in
        [("2026-06-11T12:00:00Z", "2026-06-11T13:00:00Z"), ("2026-06-11T14:00:00Z", "2026-06-12T01:00:00Z")]
    {
        let Ok(journal) = start(at(first)) else { continue };
        for now in [at(first), at(second), at(second)] {
            acknowledged.extend(journal.append_blocking(&operator(now, "work")).ok());
            let _ = journal.tick_blocking(now, &[]);
            acknowledged.extend(journal.append_blocking(&operator(now, "work")).ok());
        }
    }
    acknowledged
}

/// Everything acknowledged stands where it was acknowledged, the log opens, takes records and verifies.
fn all_is_well(dir: &Path, acknowledged: &[Reference], why: &str) {
    let now = at("2026-06-12T02:00:00Z");
    let journal = Journal::open(&Options::new(dir, ORIGIN, Role::Keeper, now)).unwrap_or_else(|e| panic!("{why}: {e}"));
    journal.append_blocking(&operator(now, "after")).unwrap();
    journal.checkpoint_blocking(now).unwrap();
    drop(journal);
    stands(dir, acknowledged, why);
}

fn stands(dir: &Path, acknowledged: &[Reference], why: &str) {
    let lines = lines(dir);
    for reference in acknowledged {
        let line =
            lines.get(usize::try_from(reference.index).unwrap()).unwrap_or_else(|| panic!("{why}: lost {reference}"));
        let line = Line::parse(line.as_bytes()).unwrap();
        assert_eq!((line.index(), line.leaf()), (reference.index, reference.leaf), "{why}");
    }
    if let Err(fault) = verify(dir, &Anchors::default(), |_| ()) {
        panic!("{why}: {fault}");
    }
}

fn fail_everywhere(trouble: Trouble) {
    let dir = tempfile::tempdir().unwrap();
    let healthy = BadDisk::new(usize::MAX, trouble);
    let acknowledged = two_days(dir.path(), &(healthy.clone() as Arc<dyn Medium>));
    assert_eq!(acknowledged.len(), 12, "a disk that does not fail acknowledges everything");
    all_is_well(dir.path(), &acknowledged, "healthy");
    for fail_at in 1..=healthy.operations() {
        let dir = tempfile::tempdir().unwrap();
        let disk = BadDisk::new(fail_at, trouble);
        let acknowledged = two_days(dir.path(), &(disk.clone() as Arc<dyn Medium>));
        assert!(disk.operations() >= fail_at, "the fault was reached");
        if matches!(trouble, Trouble::PowerCut | Trouble::TornByPowerCut) {
            disk.lose_what_was_not_durable(dir.path());
        }
        all_is_well(dir.path(), &acknowledged, &format!("{trouble:?} at operation {fail_at}"));
    }
}

#[test]
fn any_one_operation_may_fail() {
    fail_everywhere(Trouble::Once);
}

#[test]
fn the_disk_may_be_full_at_any_write() {
    fail_everywhere(Trouble::DiskFull);
}

#[test]
fn the_power_may_go_at_any_operation() {
    fail_everywhere(Trouble::PowerCut);
}

#[test]
fn the_power_may_go_and_leave_half_a_line() {
    fail_everywhere(Trouble::TornByPowerCut);
}

/// A disk on which one kind of operation fails while a switch is on.
#[derive(Debug, Default)]
struct Switched {
    full: Mutex<bool>,
    unsyncable: Mutex<bool>,
}

impl Medium for Switched {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let mut file = file;
        if *self.full.lock().unwrap() {
            file.write_all(&bytes[..10]).unwrap();
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if *self.unsyncable.lock().unwrap() { Err(io::Error::other("injected")) } else { file.sync_data() }
    }
}

#[test]
fn a_full_disk_is_made_good_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Switched::default());
    let options = Options { medium: disk.clone(), ..Options::new(dir.path(), ORIGIN, Role::Keeper, noon()) };
    let journal = Journal::open(&options).unwrap();
    let mut kept = vec![journal.append_blocking(&operator(noon(), "before")).unwrap()];
    *disk.full.lock().unwrap() = true;
    assert!(matches!(journal.append_blocking(&operator(noon(), "during")), Err(JournalError::Write(_))));
    // Nothing is tried again before a tick has looked at the log anew.
    assert!(matches!(journal.append_blocking(&operator(noon(), "during")), Err(JournalError::Poisoned(_))));
    assert!(journal.tick_blocking(noon(), &[]).is_err());
    *disk.full.lock().unwrap() = false;
    assert!(matches!(journal.append_blocking(&operator(noon(), "still")), Err(JournalError::Poisoned(_))));
    journal.tick_blocking(noon(), &[]).unwrap();
    kept.push(journal.append_blocking(&operator(noon(), "after")).unwrap());
    stands(dir.path(), &kept, "full disk");
    let verified = verify(dir.path(), &Anchors::default(), |_| ()).unwrap();
    assert_eq!(verified.recoveries, 1);
}

#[test]
fn a_failed_fdatasync_is_never_retried() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Switched::default());
    let options = Options { medium: disk.clone(), ..Options::new(dir.path(), ORIGIN, Role::Keeper, noon()) };
    let journal = Journal::open(&options).unwrap();
    let kept = journal.append_blocking(&operator(noon(), "before")).unwrap();
    *disk.unsyncable.lock().unwrap() = true;
    assert!(matches!(journal.append_blocking(&operator(noon(), "during")), Err(JournalError::Sync(_))));
    *disk.unsyncable.lock().unwrap() = false;
    assert!(matches!(journal.tick_blocking(noon(), &[]), Err(JournalError::Poisoned(_))));
    assert!(matches!(journal.append_blocking(&operator(noon(), "after")), Err(JournalError::Poisoned(_))));
    drop(journal);
    // A restart reads the log anew, and goes on.
    keeper(dir.path(), noon()).append_blocking(&operator(noon(), "restarted")).unwrap();
    stands(dir.path(), &[kept], "failed fdatasync");
}

/// The other side of the tests that kill, which run it in a process of its own with the place and the work in the
/// environment. By itself it does the work of two days to its end.
#[test]
fn child_appends_until_it_is_killed() {
    let start = at("2026-06-11T12:00:00Z");
    let Ok(dir) = std::env::var("LOG_CHILD_DIR") else {
        let dir = tempfile::tempdir().unwrap();
        let acknowledged = Mutex::new(Vec::new());
        append_side_by_side(dir.path(), start, TWO_DAYS, |reference| {
            acknowledged.lock().unwrap().push(reference);
            Ok(())
        });
        let acknowledged = acknowledged.into_inner().unwrap();
        assert_eq!(acknowledged.len(), 5, "nobody kills it");
        all_is_well_later(dir.path(), &acknowledged, "unharmed");
        return;
    };
    let number = |name: &str| -> i64 { std::env::var(name).unwrap().parse().unwrap() };
    let work = Work {
        sessions: number("LOG_CHILD_SESSIONS"),
        appends: number("LOG_CHILD_APPENDS"),
        minutes: number("LOG_CHILD_MINUTES"),
    };
    let start = start + jiff::SignedDuration::from_hours(number("LOG_CHILD_ROUND") * 24 * 365);
    append_side_by_side(Path::new(&dir), start, work, |reference| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {} {}", reference.index, data_encoding::HEXLOWER.encode(&reference.leaf))?;
        out.flush()
    });
}

/// Appends as `work` says, and tells of each record once it is acknowledged; a session ends at its first error.
fn append_side_by_side(dir: &Path, start: Timestamp, work: Work, tell: impl Fn(Reference) -> io::Result<()> + Sync) {
    let journal = keeper(dir, start);
    let session = |number: i64| {
        for i in 0..work.appends {
            let now = start + jiff::SignedDuration::from_mins(i * work.minutes);
            if number == 0 && journal.tick_blocking(now, &[]).is_err() {
                return;
            }
            let Ok(reference) = journal.append_blocking(&operator(now, "child")) else { return };
            if tell(reference).is_err() {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..work.sessions {
            let session = &session;
            scope.spawn(move || session(number));
        }
    });
}

/// What a child does.
#[derive(Clone, Copy)]
struct Work {
    /// So many append side by side,
    sessions: i64,
    /// each so many records,
    appends: i64,
    /// with so much time from one to the next.
    minutes: i64,
}

/// Until it is killed. A day passes every few hundred records: keys and segments change under load.
const ENDLESS: Work = Work { sessions: 8, appends: i64::MAX, minutes: 5 };
/// Three hours and a bit.
const SHORT: Work = Work { sessions: 8, appends: 40, minutes: 5 };
/// Two days, with every step of a change of day, and little else.
const TWO_DAYS: Work = Work { sessions: 1, appends: 5, minutes: 240 };

/// A child that appends from `round` years after the first one on, perhaps under another program.
fn child(dir: &Path, round: i32, work: Work, under: &[String]) -> Child {
    let test = std::env::current_exe().unwrap();
    let own = ["--exact", "log_faults::child_appends_until_it_is_killed", "--nocapture"];
    let mut command = match under.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&test);
            command
        }
        None => Command::new(&test),
    };
    command.args(own).env("LOG_CHILD_DIR", dir).env("LOG_CHILD_ROUND", round.to_string());
    command.env("LOG_CHILD_SESSIONS", work.sessions.to_string());
    command.env("LOG_CHILD_APPENDS", work.appends.to_string());
    command.env("LOG_CHILD_MINUTES", work.minutes.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap()
}

/// What a child acknowledged before it ended. The last line may be torn.
fn acknowledged(child: &mut Child, mut seen: impl FnMut(usize)) -> Vec<Reference> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines = out.lines().map_while(Result::ok);
    let mut count = 0;
    lines
        .filter_map(|line| {
            count += 1;
            seen(count);
            let mut words = line.split_whitespace().skip_while(|word| *word != "ack").skip(1);
            let index = words.next()?.parse().ok()?;
            let leaf = data_encoding::HEXLOWER.decode(words.next()?.as_bytes()).ok()?.try_into().ok()?;
            Some(Reference { index, leaf })
        })
        .collect()
}

#[test]
fn a_killed_daemon_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for round in 0..6 {
        let mut child = child(dir.path(), round, ENDLESS, &[]);
        let id = rustix::process::Pid::from_child(&child);
        // Killed in the middle of its work, at another point each time, however slow the machine is.
        let acknowledged = acknowledged(&mut child, |count| {
            if count == 40 + 31 * usize::try_from(round).unwrap() {
                rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
            }
        });
        child.wait().unwrap();
        assert!(!acknowledged.is_empty(), "round {round} came far enough to be worth killing");
        all.extend(acknowledged);
        stands(dir.path(), &all, &format!("killed in round {round}"));
    }
}

/// Whether strace may trace here: some sandboxes forbid it.
fn strace_works() -> bool {
    let run = Command::new("strace").args(["-o", "/dev/null", "-e", "inject=fdatasync:error=EIO", "true"]).status();
    run.is_ok_and(|status| status.success())
}

/// The system calls by which the journal changes files.
const CALLS: [&str; 9] = ["write", "fdatasync", "fsync", "rename", "ftruncate", "openat", "unlink", "fchmod", "close"];

/// A child under strace, which spoils the `when`th use of a system call on the files of the log. Returns what the child
/// acknowledged and whether it ended by itself, having had its way.
fn spoilt(dir: &Path, work: Work, call: &str, how: &str, when: usize) -> (Vec<Reference>, bool) {
    let mut under: Vec<String> = ["strace", "-f", "-qq", "-o"].map(str::to_owned).to_vec();
    let seen = dir.join("strace");
    under.extend([seen.display().to_string(), "-e".to_owned(), format!("trace={call}"), "-e".to_owned()]);
    under.extend([format!("inject={call}:{how}:when={when}"), "--".to_owned()]);
    let log = dir.join("log");
    std::fs::create_dir(&log).unwrap();
    let mut child = child(&log, 0, work, &under);
    let acknowledged = acknowledged(&mut child, |_| ());
    let ended = child.wait().unwrap().success();
    let was_spoilt = std::fs::read_to_string(seen).unwrap().contains(if how.starts_with("error") {
        "(INJECTED)"
    } else {
        "SIGKILL"
    });
    (acknowledged, ended && !was_spoilt)
}

/// Every use of each of the calls, in two days of a small log.
fn spoil_every_use(calls: &[&str], how: &str) {
    assert!(strace_works(), "strace cannot inject faults here: run tests/install-packages tools, and allow ptrace");
    for call in calls {
        for when in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let (acknowledged, unspoilt) = spoilt(dir.path(), TWO_DAYS, call, how, when);
            all_is_well_later(&dir.path().join("log"), &acknowledged, &format!("{call}, use {when}, {how}"));
            if unspoilt {
                // It ran to its end before it came to this use.
                assert!(when > 1 || matches!(*call, "ftruncate" | "unlink"), "{call} is never used");
                assert_eq!(acknowledged.len(), 5, "{call}, use {when}, {how}");
                break;
            }
        }
    }
}

#[test]
fn every_system_call_may_fail_under_a_daemon() {
    // `openat` fails in the loader of the program too, which says nothing about the log.
    let of_the_log: Vec<&str> = CALLS.into_iter().filter(|call| *call != "openat").collect();
    spoil_every_use(&of_the_log, "error=EIO");
    spoil_every_use(&["write"], "error=ENOSPC");
}

#[test]
fn a_daemon_killed_at_every_system_call_loses_nothing_it_acknowledged() {
    spoil_every_use(&CALLS, "signal=SIGKILL");
}

/// The same with many sessions side by side, at some uses of each call: what waits together is lost or kept together.
#[test]
fn system_calls_may_fail_under_a_busy_daemon() {
    assert!(strace_works(), "strace cannot inject faults here: run tests/install-packages tools, and allow ptrace");
    for call in ["write", "fdatasync", "rename", "close"] {
        for (how, when) in [("error=EIO", 9), ("error=EIO", 60), ("signal=SIGKILL", 30), ("signal=SIGKILL", 90)] {
            let dir = tempfile::tempdir().unwrap();
            let (acknowledged, _) = spoilt(dir.path(), SHORT, call, how, when);
            all_is_well_later(&dir.path().join("log"), &acknowledged, &format!("busy: {call}, use {when}, {how}"));
        }
    }
}

/// As [`all_is_well`], long after the child's own clock.
fn all_is_well_later(dir: &Path, acknowledged: &[Reference], why: &str) {
    let now = at("2036-06-12T02:00:00Z");
    let journal = Journal::open(&Options::new(dir, ORIGIN, Role::Keeper, now)).unwrap_or_else(|e| panic!("{why}: {e}"));
    journal.append_blocking(&operator(now, "after")).unwrap();
    drop(journal);
    stands(dir, acknowledged, why);
}
