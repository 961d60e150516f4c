//! The notary: what the daemon alone does with the log. Signs checkpoints, rotates keys and segments, watches the clock.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::checkpoint::Checkpoint;
use super::failure::JournalError;
use super::keys::{DayKey, KeyError, KeyFiles, Slot};
use super::line::Draft;
use super::options::Options;
use super::record::{CheckpointReason, CheckpointRecord, ClockRecord, Event, KeyRecord};
use super::tail::Tail;
use super::verify::LATE_MAX;

/// A step back of the clock that is worth a record; smaller ones are the work of NTP.
const BACK_STEP_MIN: SignedDuration = SignedDuration::from_secs(2);
/// A step forward that is worth a record. Ticks come every few seconds, but a machine may sleep a little.
const FORWARD_STEP_MIN: SignedDuration = SignedDuration::from_mins(5);
/// How often the daemon's lock is tried, [`OFFICE_PAUSE`] apart: the daemon before may still be on its way out, and a
/// process that it was just starting holds its lock for a moment longer.
const OFFICE_TRIES: u32 = 10;
/// See [`OFFICE_TRIES`].
const OFFICE_PAUSE: Duration = Duration::from_millis(100);

/// A checkpoint that was made, to be sent to the auditors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The signed note.
    pub note: String,
    /// Number of records it signs.
    pub size: u64,
    /// When it was signed.
    pub time: Timestamp,
    /// Why.
    pub reason: CheckpointReason,
}

/// The holder of the signing key.
#[derive(Debug)]
pub struct Notary {
    key: DayKey,
    epoch: u64,
    /// The day (UTC) on which the key began to sign.
    day: Date,
    last_checkpoint: Timestamp,
    last_tick: Timestamp,
    windows: BTreeSet<String>,
    /// Checkpoints are due at the multiples of this, seconds.
    interval: i64,
    /// Held as long as the daemon runs.
    _office: File,
}

impl Notary {
    /// Readies the signing key and signs a first checkpoint.
    ///
    /// # Errors
    ///
    /// When another daemon keeps the log, the key is lost, or the disk fails.
    pub fn take_office(tail: &mut Tail, options: &Options) -> Result<Self, JournalError> {
        let (origin, now) = (options.origin.as_str(), options.now);
        let path = tail.layout.daemon_lock();
        let office = tail.layout.open_lock(&path).map_err(JournalError::io("open the daemon's lock"))?;
        if !(0..OFFICE_TRIES).any(|_| free_to_take(&office)) {
            return Err(JournalError::AlreadyKept);
        }
        tail.locked(|tail| {
            tail.catch_up(now)?;
            let (key, record) = ready_key(tail, origin, now)?;
            let windows = BTreeSet::new();
            let (epoch, day) = (record.epoch, utc_day(record.from));
            let interval = i64::try_from(options.checkpoint_interval.as_secs().max(1)).unwrap_or(i64::MAX);
            let (last_checkpoint, last_tick) = (now, now);
            let mut notary = Self { key, epoch, day, last_checkpoint, last_tick, windows, interval, _office: office };
            notary.checkpoint(tail, now, CheckpointReason::Start, Vec::new())?;
            Ok(notary)
        })
    }

    /// Readies the signing key again after a failure.
    ///
    /// # Errors
    ///
    /// As [`Notary::take_office`].
    pub fn resume_office(&mut self, tail: &mut Tail, origin: &str, now: Timestamp) -> Result<(), JournalError> {
        tail.locked(|tail| {
            tail.catch_up(now)?;
            let (key, record) = ready_key(tail, origin, now)?;
            self.key = key;
            self.epoch = record.epoch;
            self.day = utc_day(record.from);
            self.checkpoint(tail, now, CheckpointReason::Start, Vec::new())?;
            Ok(())
        })
    }

    /// Does what the time demands. Only under the lock, after [`Tail::catch_up`].
    ///
    /// # Errors
    ///
    /// When the log is damaged or the disk fails.
    pub fn tick(
        &mut self,
        tail: &mut Tail,
        now: Timestamp,
        open_windows: &[String],
    ) -> Result<Vec<Published>, JournalError> {
        self.watch_clock(tail, now)?;
        let mut published = Vec::new();
        let windows: BTreeSet<String> = open_windows.iter().cloned().collect();
        let opened: Vec<String> = windows.difference(&self.windows).cloned().collect();
        let closed: Vec<String> = self.windows.difference(&windows).cloned().collect();
        if !closed.is_empty() {
            published.push(self.checkpoint(tail, now, CheckpointReason::WindowClosed, closed)?);
        }
        if !opened.is_empty() {
            published.push(self.checkpoint(tail, now, CheckpointReason::WindowOpened, opened)?);
        }
        self.windows = windows;
        if utc_day(now) > self.day {
            published.push(self.rotate(tail, now)?);
            // The new key signs at once: whoever verifies never meets a key that announces its successor without having
            // signed, and nobody waits an hour to learn that the new key works.
            published.push(self.checkpoint(tail, now, CheckpointReason::Rotation, Vec::new())?);
        } else if self.slot_of(now) != self.slot_of(self.last_checkpoint) {
            published.push(self.checkpoint(tail, now, CheckpointReason::Hourly, Vec::new())?);
        }
        Ok(published)
    }

    /// Signs a checkpoint because somebody asks for it. Only under the lock.
    ///
    /// # Errors
    ///
    /// When the log is damaged or the disk fails.
    pub fn on_request(&mut self, tail: &mut Tail, now: Timestamp) -> Result<Published, JournalError> {
        tail.catch_up(now)?;
        self.checkpoint(tail, now, CheckpointReason::Requested, Vec::new())
    }

    /// The stretch between two due checkpoints that a time is in.
    fn slot_of(&self, time: Timestamp) -> i64 {
        time.as_second().div_euclid(self.interval)
    }

    fn watch_clock(&mut self, tail: &mut Tail, now: Timestamp) -> Result<(), JournalError> {
        let step = now.duration_since(self.last_tick);
        let jump = if step < -BACK_STEP_MIN {
            Some("back")
        } else if step > FORWARD_STEP_MIN {
            Some("forward")
        } else {
            None
        };
        if let Some(jump) = jump {
            let record = ClockRecord { before: self.last_tick, now, jump: jump.into() };
            tail.append(&[Draft::new(now, &record.into())?])?;
        }
        self.last_tick = now;
        Ok(())
    }

    /// Signs the tree as it is, after reading again from the disk what this process believes to be there.
    fn checkpoint(
        &mut self,
        tail: &mut Tail,
        now: Timestamp,
        reason: CheckpointReason,
        charters: Vec<String>,
    ) -> Result<Published, JournalError> {
        own_up_to_the_clock(tail, now)?;
        tail.confirm()?;
        let origin = signed_note::Signer::name(&self.key.signer).to_owned();
        let head = Checkpoint::of(&origin, tail.tree(), now);
        let note = head.sign(&self.key.signer)?;
        tail.signed(&note)?;
        let record = CheckpointRecord { epoch: self.epoch, reason, charters, note: note.clone() };
        tail.append(&[Draft::new(now, &Event::Checkpoint(record))?])?;
        self.last_checkpoint = now;
        Ok(Published { note, size: head.size, time: now, reason })
    }

    /// Announces a new key, signs for the last time with the old one, destroys it, and begins a new segment.
    fn rotate(&mut self, tail: &mut Tail, now: Timestamp) -> Result<Published, JournalError> {
        let origin = signed_note::Signer::name(&self.key.signer).to_owned();
        let medium = tail.medium.clone();
        let layout = tail.layout.clone();
        let files = KeyFiles::new(&layout, &*medium);
        let next = match files.load(Slot::Next)? {
            Some(next) => next,
            None => files.draw(Slot::Next, &origin)?,
        };
        let record = self.key.announce(&next, self.epoch + 1, now)?;
        tail.append(&[Draft::new(now, &Event::Key(record.clone()))?])?;
        tail.announced(record.clone());
        self.close_epoch(tail, &files, next, &record, now)
    }

    /// The rest of a rotation, once the new key is announced.
    fn close_epoch(
        &mut self,
        tail: &mut Tail,
        files: &KeyFiles<'_>,
        next: DayKey,
        record: &KeyRecord,
        now: Timestamp,
    ) -> Result<Published, JournalError> {
        let published = self.checkpoint(tail, now, CheckpointReason::Rotation, Vec::new())?;
        files.promote()?;
        self.key = next;
        self.epoch = record.epoch;
        self.day = utc_day(record.from);
        tail.seal(now)?;
        Ok(published)
    }
}

/// Finds the private half of the key that the log announced last, finishing a rotation that a crash interrupted.
fn ready_key(tail: &mut Tail, origin: &str, now: Timestamp) -> Result<(DayKey, KeyRecord), JournalError> {
    let medium = tail.medium.clone();
    let layout = tail.layout.clone();
    let files = KeyFiles::new(&layout, &*medium);
    let (current, next) = (files.load(Slot::Current)?, files.load(Slot::Next)?);
    let Some(announced) = tail.key().cloned() else {
        // A log without a key is new: its first key, which the auditors write down.
        let key = match current {
            Some(key) => key,
            None if origin.is_empty() => files.draw(Slot::Current, &default_origin())?,
            None => files.draw(Slot::Current, origin)?,
        };
        check_origin(&key, origin)?;
        let record = KeyRecord { epoch: 0, key: key.public.clone(), from: now, endorsement: None };
        tail.append(&[Draft::new(now, &Event::Key(record.clone()))?])?;
        tail.announced(record.clone());
        return Ok((key, record));
    };
    match (current, next) {
        (Some(key), next) if key.public == announced.key => {
            check_origin(&key, origin)?;
            files.destroy(Slot::Retired)?;
            // Drawn but never announced; the next rotation draws its own.
            if next.is_some() {
                files.destroy(Slot::Next)?;
            }
            Ok((key, announced))
        }
        (Some(old), Some(next)) if next.public == announced.key => {
            // Announced, but the old key may not have signed for the last time.
            check_origin(&old, origin)?;
            sign_off(tail, &old, announced.epoch.saturating_sub(1), now)?;
            files.promote()?;
            tail.seal(now)?;
            Ok((next, announced))
        }
        (None, Some(next)) if next.public == announced.key => {
            // The old key has signed for the last time and is on its way out.
            files.promote()?;
            tail.seal(now)?;
            Ok((next, announced))
        }
        _ => Err(KeyError::Lost(super::checkpoint::key_name(&announced.key)).into()),
    }
}

/// The last checkpoint of a key whose successor is already announced.
fn sign_off(tail: &mut Tail, key: &DayKey, epoch: u64, now: Timestamp) -> Result<(), JournalError> {
    own_up_to_the_clock(tail, now)?;
    tail.confirm()?;
    let origin = signed_note::Signer::name(&key.signer);
    let note = Checkpoint::of(origin, tail.tree(), now).sign(&key.signer)?;
    tail.signed(&note)?;
    let reason = CheckpointReason::Rotation;
    let record = CheckpointRecord { epoch, reason, charters: Vec::new(), note };
    tail.append(&[Draft::new(now, &Event::Checkpoint(record))?])?;
    Ok(())
}

/// A clock that was set back has to be recorded before the next checkpoint, however small the step: checkpoints whose times
/// run backwards without a word are what a forged log looks like.
fn own_up_to_the_clock(tail: &mut Tail, now: Timestamp) -> Result<(), JournalError> {
    let signed = tail.resume().and_then(|resume| Checkpoint::parse(&resume.note).ok()).map(|head| head.time);
    // Once it is said, the latest time is that of the set-back clock. What the tail says by itself must be said before the checkpoint
    // is made: nothing may come between a note and its record.
    let unsaid = |latest: &Timestamp| {
        *latest > now && (signed.is_some_and(|signed| signed > now) || latest.duration_since(now) > LATE_MAX)
    };
    if let Some(before) = tail.latest().filter(unsaid) {
        let record = ClockRecord { before, now, jump: "back".into() };
        tail.append(&[Draft::new(now, &record.into())?])?;
    }
    Ok(())
}

fn free_to_take(office: &File) -> bool {
    let free = office.try_lock().is_ok();
    if !free {
        std::thread::sleep(OFFICE_PAUSE);
    }
    free
}

fn check_origin(key: &DayKey, origin: &str) -> Result<(), JournalError> {
    let found = signed_note::Signer::name(&key.signer);
    if origin.is_empty() || found == origin {
        Ok(())
    } else {
        Err(JournalError::Origin { found: found.to_owned(), expected: origin.to_owned() })
    }
}

/// The name of a log whose postmaster gave it none.
fn default_origin() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect();
    format!("{}/charter-milter", if host.is_empty() { "localhost" } else { &host })
}

fn utc_day(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}
