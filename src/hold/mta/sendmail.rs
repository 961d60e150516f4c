//! Sendmail: a quarantined message is a queue file named `hf…` instead of `qf…`. `sendmail -qQ -Q -qI<id>` turns one into
//! the other, `sendmail -qI<id>` then delivers.
//!
//! The queue is listed by the names of its files: `mailq` shows times without a year and sizes in a table for people. The arrival time
//! is in the id itself, the size is that of the body's file.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::command;
use super::{Mta, MtaError, Outcome, QueueTools, Verb};
use crate::hold::entry::{QueueId, Sighting};
use crate::hold::plan::{QueuePlace, Queued};

/// The digits of the date at the head of a queue id: year since 1900 modulo 60, month from 0, day, hour, minute, second; UTC.
const DATE_DIGITS: &[u8; 60] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";
/// The 60 years in which an id's year is looked for: Sendmail 8.17 is of 2021, this project of later.
const YEAR_MIN: i16 = 2020;
/// What `mailq` shows beside a message that was put on hold again.
const HOLD_REASON: &str = "-Qnot delivered before the end of its window";

/// Sendmail as an ordinary user sees it, with somebody privileged to change the queue.
#[derive(Debug)]
pub struct Sendmail<T> {
    /// Where the queue files are.
    pub queue: Queue,
    /// Who changes the queue.
    pub tools: T,
}

/// The privileged half, done directly; needs root.
#[derive(Debug, Clone)]
pub struct SendmailTools {
    /// `sendmail`.
    pub sendmail: PathBuf,
    /// `sendmail.cf` (`-C`); `None` for Sendmail's own default.
    pub config_file: Option<PathBuf>,
    /// Where the queue files are.
    pub queue: Queue,
}

/// The queue directory, as `QueueDirectory` names it: a `*` at its end stands for every directory that begins so, and each may
/// have its files in folders `qf` and `df`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue(pub PathBuf);

/// One directory of control files and one of bodies; often the same.
#[derive(Debug)]
struct Folder {
    control: PathBuf,
    body: PathBuf,
}

impl<T: QueueTools> QueueTools for Sendmail<T> {
    fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
        self.tools.perform(verb, ids)
    }

    fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError> {
        self.tools.read(id)
    }
}

impl<T: QueueTools> Mta for Sendmail<T> {
    fn list(&mut self) -> Result<Vec<Queued>, MtaError> {
        let mut queued = Vec::new();
        for folder in self.queue.folders()? {
            for name in names(&folder.control)? {
                let place = match name.get(..2) {
                    Some("hf") => QueuePlace::OnHold,
                    Some("qf") => QueuePlace::Moving,
                    _ => continue,
                };
                let Some(queue_id) = name.get(2..).and_then(|id| id.parse().ok()) else { continue };
                let Some(arrival) = arrival(&queue_id) else { continue };
                let body = folder.body.join(format!("df{queue_id}"));
                let size_bytes = match fs::metadata(&body) {
                    Ok(metadata) => metadata.len(),
                    // It was delivered, or is being received, while we look.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(source) => return Err(MtaError::Directory { path: body, source }),
                };
                queued.push(Queued { queue_id, place, sighting: Sighting { arrival, size_bytes } });
            }
        }
        Ok(queued)
    }

    fn deliver(&mut self, ids: &[QueueId]) -> Result<(), MtaError> {
        self.tools.perform(Verb::Deliver, ids).map(drop)
    }
}

impl QueueTools for SendmailTools {
    fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
        ids.iter().map(|id| self.perform_one(verb, id)).collect()
    }

    fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError> {
        let (folder, control) = match self.queue.find("hf", id)? {
            Some(folder) => (folder, "hf"),
            None => match self.queue.find("qf", id)? {
                Some(folder) => (folder, "qf"),
                None => return Err(MtaError::Listing("the message is not in the queue".to_owned())),
            },
        };
        let read = |path: PathBuf| fs::read(&path).map_err(|source| MtaError::Directory { path, source });
        let mut message = header(&read(folder.control.join(format!("{control}{id}")))?);
        message.push(b'\n');
        message.extend(read(folder.body.join(format!("df{id}")))?);
        Ok(message)
    }
}

impl SendmailTools {
    fn perform_one(&self, verb: Verb, id: &QueueId) -> Result<Outcome, MtaError> {
        let from = if verb == Verb::Hold || verb == Verb::Deliver { "qf" } else { "hf" };
        // `-qI` takes any part of an id, so a message with exactly this one must be there before sendmail is asked.
        let Some(folder) = self.queue.find(from, id)? else { return Ok(Outcome::Absent) };
        let pick = format!("-qI{id}");
        match verb {
            Verb::Release => self.run(&["-qQ", "-Q", &pick])?,
            Verb::Hold => self.run(&[HOLD_REASON, &pick])?,
            Verb::Deliver => self.run(&[&pick])?,
            Verb::Discard => return discard(&folder, id),
        }
        let still_there = verb != Verb::Deliver && self.queue.find(from, id)?.is_some();
        Ok(if still_there { Outcome::Absent } else { Outcome::Done })
    }

    fn run(&self, arguments: &[&str]) -> Result<(), MtaError> {
        let file = self.config_file.as_ref().map(|file| [OsString::from("-C"), file.clone().into_os_string()]);
        let arguments = file.into_iter().flatten().chain(arguments.iter().map(OsString::from));
        command::run(&self.sendmail, arguments, b"")?;
        Ok(())
    }
}

/// Sendmail has no tool that deletes: its manual says to remove the files. The control file goes first; a body without one is
/// swept up by Sendmail itself.
fn discard(folder: &Folder, id: &QueueId) -> Result<Outcome, MtaError> {
    for path in [
        folder.control.join(format!("hf{id}")),
        folder.body.join(format!("df{id}")),
        folder.control.join(format!("xf{id}")),
    ] {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(MtaError::Directory { path, source }),
            _ => {}
        }
    }
    Ok(Outcome::Done)
}

impl Queue {
    /// The queue that a `sendmail.cf` names.
    #[must_use]
    pub fn of(sendmail_cf: &str) -> Self {
        let named = sendmail_cf.lines().filter_map(|line| line.strip_prefix("O QueueDirectory=")).next_back();
        Self(PathBuf::from(named.map_or("/var/spool/mqueue", str::trim)))
    }

    fn folders(&self) -> Result<Vec<Folder>, MtaError> {
        let text = self.0.to_string_lossy();
        let Some(begin) = text.strip_suffix('*') else { return Ok(vec![Folder::at(&self.0)]) };
        let (parent, prefix) = begin.rsplit_once('/').unwrap_or(("", begin));
        let parent = PathBuf::from(format!("{parent}/"));
        let mut folders = Vec::new();
        for name in names(&parent)? {
            let directory = parent.join(&name);
            if name.starts_with(prefix) && directory.is_dir() {
                folders.push(Folder::at(&directory));
            }
        }
        Ok(folders)
    }

    fn find(&self, prefix: &str, id: &QueueId) -> Result<Option<Folder>, MtaError> {
        let folders = self.folders()?;
        Ok(folders.into_iter().find(|folder| folder.control.join(format!("{prefix}{id}")).exists()))
    }
}

impl Folder {
    fn at(directory: &Path) -> Self {
        let own = |name: &str| Some(directory.join(name)).filter(|folder| folder.is_dir());
        Self {
            control: own("qf").unwrap_or_else(|| directory.to_owned()),
            body: own("df").unwrap_or_else(|| directory.to_owned()),
        }
    }
}

fn names(directory: &Path) -> Result<Vec<String>, MtaError> {
    let failed = |source| MtaError::Directory { path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut names = Vec::new();
    for entry in entries {
        // A name that is not UTF-8 is none of Sendmail's.
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

/// The time in a queue id; `None` when it is none of Sendmail's.
fn arrival(id: &QueueId) -> Option<Timestamp> {
    let digits: Option<Vec<i8>> = id
        .as_str()
        .bytes()
        .take(6)
        .map(|byte| i8::try_from(DATE_DIGITS.iter().position(|digit| *digit == byte)?).ok())
        .collect();
    let [year, month, day, hour, minute, second] = digits?.try_into().ok()?;
    let base = YEAR_MIN - (YEAR_MIN - 1900) % 60 + i16::from(year);
    let year = if base < YEAR_MIN { base + 60 } else { base };
    let time = DateTime::new(year, month + 1, day, hour, minute, second, 0).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

/// The header section in a control file: lines `H?flags?Name: value` with their continuation lines. Return-Path is left out, it has
/// a macro in the place of its value.
fn header(control: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    let mut inside = false;
    for line in control.split(|byte| *byte == b'\n') {
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if continues && !inside {
            continue;
        }
        let text = if continues { Some(line) } else { field(line) };
        inside = text.is_some();
        if let Some(text) = text {
            header.extend_from_slice(text);
            header.push(b'\n');
        }
    }
    header
}

fn field(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"H?")?;
    let flags = rest.iter().position(|byte| *byte == b'?')?;
    let text = rest.get(flags + 1..)?;
    let is_return_path = text.get(..12).is_some_and(|name| name.eq_ignore_ascii_case(b"Return-Path:"));
    (!is_return_path).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tools that no listing needs.
    struct Nobody;
    impl QueueTools for Nobody {
        fn perform(&mut self, _: Verb, _: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
            unreachable!()
        }
        fn read(&mut self, _: &QueueId) -> Result<Vec<u8>, MtaError> {
            unreachable!()
        }
    }

    #[test]
    fn an_id_tells_when_the_message_arrived() {
        let time = |id: &str| arrival(&id.parse().unwrap()).map(|at| at.to_string());
        assert_eq!(time("6ALKBnkn021838").as_deref(), Some("2026-11-21T20:11:49Z"));
        assert_eq!(time("01V000kn021838").as_deref(), None, "30 February is no day");
        assert_eq!(time("y1100000000000"), None);
        assert_eq!(time("00100000000000").as_deref(), Some("2020-01-01T00:00:00Z"));
        assert_eq!(time("xBVNwxaa000001").as_deref(), Some("2079-12-31T23:58:59Z"));
    }

    #[test]
    fn the_header_of_a_control_file_is_put_together() {
        let control = b"V8\nT1795291909\nqheld\nSa@ex.example\nH?P?Return-Path: <\x81g>\nH??Received: (from root)\n\tby sm id 6A\nH?D?Date: x\nH??Subject: h\xc3\xa9\n folded\n.\n";
        assert_eq!(header(control), b"Received: (from root)\n\tby sm id 6A\nDate: x\nSubject: h\xc3\xa9\n folded\n");
    }

    #[test]
    fn several_queue_directories_are_found() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["q1", "q2/qf", "q2/df", "other"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        for name in
            ["q1/hf6ALKBnkn021838", "q2/qf/qf6ALKBnkn021839", "q2/qf/xf6ALKBnkn021839", "other/hf6ALKBnkn021840"]
        {
            fs::write(directory.path().join(name), "").unwrap();
        }
        fs::write(directory.path().join("q1/df6ALKBnkn021838"), "12345").unwrap();
        fs::write(directory.path().join("q2/df/df6ALKBnkn021839"), "1").unwrap();
        let queue = Queue::of(&format!("O Timeout=1\nO QueueDirectory={}/q*\n", directory.path().display()));
        let mut listed = Sendmail { queue, tools: Nobody }.list().unwrap();
        listed.sort_by(|a, b| a.queue_id.cmp(&b.queue_id));
        let listed: Vec<_> = listed.iter().map(|q| (q.queue_id.as_str(), q.place, q.sighting.size_bytes)).collect();
        assert_eq!(listed, [("6ALKBnkn021838", QueuePlace::OnHold, 5), ("6ALKBnkn021839", QueuePlace::Moving, 1),]);
    }

    #[test]
    fn the_queue_directory_is_the_one_of_the_configuration() {
        assert_eq!(Queue::of("O QueueDirectory=/var/spool/mqueue/q*\n"), Queue("/var/spool/mqueue/q*".into()));
        assert_eq!(Queue::of("#O QueueDirectory=/x\n"), Queue("/var/spool/mqueue".into()));
    }
}
