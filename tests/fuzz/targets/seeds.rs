//! seeds DIR: writes what the targets of the decision log start from into DIR/TARGET: lines of every kind a small log has,
//! proofs, checkpoints, keys and a saved mail, and what a writer resumes from, whole and torn.

mod log;

use std::path::Path;

use charter_milter::decision_log::Role;
use charter_milter::decision_log::line::purged_line;
use charter_milter::decision_log::prove::{Target, prove};
use charter_milter::decision_log::record::{ClockRecord, DecisionRecord, Event, PurgeRecord, Record, RecoveryRecord};
use charter_milter::decision_log::verify::{Anchors, verify};
use jiff::{SignedDuration, Timestamp};

use self::log::{directory, open, record};

fn write(folder: &Path, name: &str, octets: &[u8]) {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join(name), octets).expect("a seed");
}

fn main() {
    let root = std::env::args().nth(1).expect("seeds DIR");
    let (lines, proofs, recovery) =
        (Path::new(&root).join("log_line"), Path::new(&root).join("log_proof"), Path::new(&root).join("log_recovery"));

    let dir = directory();
    let journal = open(dir.path(), Role::Keeper).expect("a new log");
    let next_day = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24);
    let events = [
        Event::Decision(DecisionRecord {
            verdict: "accept".into(),
            stage: "content".into(),
            ..DecisionRecord::default()
        }),
        Event::Clock(ClockRecord::default()),
        Event::Purge(PurgeRecord { before: jiff::civil::date(2026, 6, 11), ..PurgeRecord::default() }),
        Event::Recovery(RecoveryRecord::default()),
    ];
    for event in events {
        journal.append_blocking(&Record::new(Timestamp::UNIX_EPOCH, event)).expect("a record");
    }
    journal.append_blocking(&record("check")).expect("a record");
    journal.tick_blocking(next_day, &["cnrs-2018".to_owned()]).expect("a new day");
    drop(journal);

    let mut number = 0;
    for segment in std::fs::read_dir(dir.path().join("segments")).expect("segments") {
        let text = std::fs::read_to_string(segment.expect("a segment").path()).expect("lines");
        for line in text.lines() {
            write(&lines, &number.to_string(), line.as_bytes());
            // Behind the lines of the other log: as a whole line, as a torn one, and in the middle.
            write(&recovery, &format!("line-{number}"), format!("\0\0\0{line}\n").as_bytes());
            write(&recovery, &format!("torn-{number}"), format!("\0\0\0{}", &line[..line.len() / 2]).as_bytes());
            write(&recovery, &format!("middle-{number}"), format!("\x02\0\x40{line}\n").as_bytes());
            number += 1;
        }
    }
    write(&lines, "purged", purged_line(7, &[7; 32]).as_bytes());
    write(&recovery, "purged", format!("\0\0\0{}\n", purged_line(7, &[7; 32])).as_bytes());
    write(&recovery, "cut", b"\x01\x01\0");
    write(&recovery, "cut-out", b"\x04\x01\0\x40");
    let resume = std::fs::read_to_string(dir.path().join("resume.json")).expect("what a writer resumes from");
    write(&recovery, "resume", format!("\x05\0\0{resume}").as_bytes());

    let note = std::fs::read_to_string(dir.path().join("checkpoint")).expect("a checkpoint");
    let key = verify(dir.path(), &Anchors::default(), |_| ()).expect("an honest log").first_key.expect("a key");
    write(&proofs, "note", format!("n{note}").as_bytes());
    write(&proofs, "key", format!("n{key}").as_bytes());
    write(&proofs, "mail", format!("nFrom: x@y.example\r\n\r\n{}", note.replace('\n', "\r\n")).as_bytes());
    for index in 0..3 {
        for proof in prove(dir.path(), &Target::Index(index), None, None).expect("a proof") {
            write(&proofs, &format!("proof-{index}"), format!("n{}", proof.to_text().expect("text")).as_bytes());
        }
    }
    for part in 0..5 {
        write(&proofs, &format!("change-{part}"), &[part, 2, 0, 9, b'x']);
        write(&proofs, &format!("nothing-{part}"), &[part, 0, 0, 0]);
    }
}
