//! The memory budget: what messages may occupy together, whatever clients send.
//!
//! A message takes its declared size at DATA and grows as its body arrives; when the budget is used up, the client is
//! told to come back (451), and mail that no rule concerns is not affected: its body never reaches us. The edited copy takes
//! the place of the message; both are there only while it is made, which no more messages do at a time than there are
//! processors. Reading long texts takes a multiple of them: they wait for each other, so that all readings together take as
//! much again at most.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// What every message takes at least: its header, its tree, its edits.
const MESSAGE_BYTES_MIN: usize = 64 * 1024;

/// By how much a message grows at a time, so that not every packet touches the shared counter.
const STEP_BYTES: usize = 256 * 1024;

/// Room for large messages is kept for the next: the system takes longer to hand out fresh memory than we take to fill it. It
/// counts in the budget, makes way for a message that it does not fit, and goes when none comes. Smaller room is not worth it.
const SPARE_BYTES_MIN: usize = 256 * 1024;

/// Room is not spent on a message that would leave more of it empty than this part.
const SPARE_USED_MIN_DIVISOR: usize = 4;

/// What reading an octet of text takes while its words are weighed, at most: in a page of one-letter paragraphs, 28.
const READING_BYTES_PER_OCTET: usize = 32;

/// The text of a message that is judged where it arrives waits for none: as few are read at a time as there are threads.
const SHORT_TEXT_BYTES_MAX: usize = super::JUDGED_HERE_BYTES_MAX;

/// The budget shared by all connections.
#[derive(Debug, Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    free: AtomicUsize,
    spare: Mutex<Vec<Spare>>,
    /// Octets of text that may be read at a time.
    readable: Semaphore,
    readable_max: u32,
}

/// The room of a message that is gone.
#[derive(Debug)]
struct Spare {
    buffer: Vec<u8>,
    /// Its place in the budget.
    taken: usize,
    /// It has not been needed since the last look.
    is_idle: bool,
}

/// One message's share; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    shared: Arc<Shared>,
    taken: usize,
}

impl Budget {
    /// A budget of so many octets.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let readable_max = u32::try_from(bytes / READING_BYTES_PER_OCTET).unwrap_or(u32::MAX);
        let readable = Semaphore::new(readable_max as usize);
        let (free, spare) = (AtomicUsize::new(bytes), Mutex::default());
        Self { shared: Arc::new(Shared { free, spare, readable, readable_max }) }
    }

    /// Waits until a text of this size may be read, and lets others wait while it is. The longest is read alone.
    pub async fn turn_to_read(&self, text_bytes: usize) -> Option<SemaphorePermit<'_>> {
        if text_bytes <= SHORT_TEXT_BYTES_MAX {
            return None;
        }
        let turn = u32::try_from(text_bytes).unwrap_or(u32::MAX).min(self.shared.readable_max);
        self.shared.readable.acquire_many(turn).await.ok()
    }

    /// Makes room for a message of this size (0: it declares none), and its share. `None` when too little is left.
    #[must_use]
    pub fn open(&self, declared_bytes: u64) -> Option<(Vec<u8>, Permit)> {
        let declared = usize::try_from(declared_bytes).unwrap_or(usize::MAX);
        // What the mail server adds fits too, so that the copy never moves.
        let wanted = declared.saturating_add(declared / 64);
        let mut permit = self.nothing_yet();
        if let Some(Spare { buffer, taken, .. }) = self.shared.take_spare(wanted) {
            permit.taken = taken;
            return Some((buffer, permit));
        }
        self.shared.make_way(wanted);
        let mut buffer = Vec::new();
        permit.take(declared.max(MESSAGE_BYTES_MIN)).then(|| {
            buffer.reserve_exact(wanted);
            (buffer, permit)
        })
    }

    /// Takes back the room of a message of which only an edited copy of `copy_bytes` is still needed; returns the share of
    /// that copy.
    #[must_use]
    pub fn recycle(&self, mut buffer: Vec<u8>, mut permit: Permit, copy_bytes: usize) -> Permit {
        let room = buffer.capacity();
        if room < SPARE_BYTES_MIN || !permit.grow_to(room) {
            return permit;
        }
        let mut of_copy = self.nothing_yet();
        if !of_copy.take(copy_bytes.max(MESSAGE_BYTES_MIN)) {
            return permit;
        }
        buffer.clear();
        let spare = Spare { buffer, taken: std::mem::take(&mut permit.taken), is_idle: false };
        self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner).push(spare);
        of_copy
    }

    fn nothing_yet(&self) -> Permit {
        Permit { shared: Arc::clone(&self.shared), taken: 0 }
    }

    /// Gives room back to the system that no message has needed since this was last called.
    pub fn give_up_idle(&self) {
        self.shared
            .give_up(|spare| spare.extract_if(.., |spare| std::mem::replace(&mut spare.is_idle, true)).collect());
    }
}

impl Shared {
    /// The smallest spare room for a message of this size.
    fn take_spare(&self, bytes: usize) -> Option<Spare> {
        let fits = |room: usize| room >= bytes && room / SPARE_USED_MIN_DIVISOR <= bytes;
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let rooms = spare.iter().map(|spare| spare.buffer.capacity()).enumerate();
        let (place, _) = rooms.filter(|(_, room)| fits(*room)).min_by_key(|(_, room)| *room)?;
        Some(spare.swap_remove(place))
    }

    fn take(&self, bytes: usize) -> bool {
        self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(bytes)).is_ok()
    }

    /// Gives up the room of smaller messages before a message of this size takes its own: else they would add to its peak.
    fn make_way(&self, bytes: usize) {
        let mut missing = bytes;
        self.give_up(|spare| {
            let is_given_up = |spare: &mut Spare| {
                let room = spare.buffer.capacity();
                let is_given_up = missing > 0 && room < bytes;
                if is_given_up {
                    missing = missing.saturating_sub(room);
                }
                is_given_up
            };
            spare.extract_if(.., is_given_up).collect()
        });
    }

    /// Gives back the spare room that is taken out.
    fn give_up(&self, choose: impl FnOnce(&mut Vec<Spare>) -> Vec<Spare>) {
        let given_up = choose(&mut self.spare.lock().unwrap_or_else(PoisonError::into_inner));
        self.free.fetch_add(given_up.iter().map(|spare| spare.taken).sum(), Ordering::AcqRel);
    }
}

impl Permit {
    /// Makes room for a message of `bytes`; `false` when the budget is used up.
    #[must_use]
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        bytes <= self.taken || self.take((bytes - self.taken).max(STEP_BYTES)) || self.take(bytes - self.taken)
    }

    /// Takes more, if need be of what is kept spare.
    fn take(&mut self, bytes: usize) -> bool {
        let took = self.shared.take(bytes) || {
            self.shared.give_up(std::mem::take);
            self.shared.take(bytes)
        };
        if took {
            self.taken += bytes;
        }
        took
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.free.fetch_add(self.taken, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::new(MESSAGE_BYTES_MIN * 2 + 10);
        let first = budget.open(0).unwrap();
        let (_, mut second) = budget.open(1).unwrap();
        assert!(budget.open(0).is_none());
        assert!(second.grow_to(MESSAGE_BYTES_MIN + 10));
        assert!(!second.grow_to(MESSAGE_BYTES_MIN + 11));
        drop(first);
        assert!(second.grow_to(MESSAGE_BYTES_MIN + 11));
        drop(second);
        assert!(budget.open(MESSAGE_BYTES_MIN as u64 * 2 + 10).is_some());
    }

    #[test]
    fn a_lie_about_the_size_takes_nothing() {
        let budget = Budget::new(MESSAGE_BYTES_MIN);
        assert!(budget.open(u64::MAX).is_none());
        assert!(budget.open(0).is_some());
    }

    #[test]
    fn the_room_of_a_large_message_is_there_for_the_next() {
        let budget = Budget::new(64 << 20);
        let (mut buffer, permit) = budget.open(6 << 20).unwrap();
        buffer.extend_from_slice(b"said in confidence");
        let room = buffer.as_ptr();
        let share = budget.recycle(buffer, permit, 0);
        let (small, _permit) = budget.open(1 << 20).unwrap();
        assert_ne!(small.as_ptr(), room, "too much of it would be empty");
        let (next, _permit) = budget.open(5 << 20).unwrap();
        assert_eq!((next.as_ptr(), next.len()), (room, 0));
        drop(share);
    }

    #[test]
    fn what_is_spare_counts_and_makes_way() {
        let budget = Budget::new(10 << 20);
        let (buffer, permit) = budget.open(8 << 20).unwrap();
        let share = budget.recycle(buffer, permit, 0);
        let free = || budget.shared.free.load(Ordering::Acquire);
        assert!(free() < 2 << 20, "kept, so taken");
        let (_, mut undeclared) = budget.open(0).unwrap();
        assert!(free() < 2 << 20);
        assert!(undeclared.grow_to(9 << 20), "and given up where it is needed");
        drop((share, undeclared));
        assert_eq!(free(), 10 << 20);
    }

    fn spare_bytes(budget: &Budget) -> usize {
        budget.shared.spare.lock().unwrap().iter().map(|spare| spare.buffer.capacity()).sum()
    }

    #[test]
    fn what_does_not_fit_makes_way() {
        let budget = Budget::new(1 << 30);
        let open = (0..8).map(|_| budget.open(6 << 20).unwrap()).collect::<Vec<_>>();
        let shares: Vec<_> = open.into_iter().map(|(buffer, permit)| budget.recycle(buffer, permit, 0)).collect();
        let kept = spare_bytes(&budget);
        assert!(kept >= 48 << 20, "{kept}");
        let _larger = budget.open(20 << 20).unwrap();
        let left = spare_bytes(&budget);
        assert!(left <= kept - (20 << 20) && left >= kept - (28 << 20), "{left} of {kept}");
        drop(shares);
    }

    #[tokio::test]
    async fn long_texts_wait_for_each_other() {
        let waits = async |budget: &Budget, bytes| {
            let turn = tokio::time::timeout(std::time::Duration::from_millis(20), budget.turn_to_read(bytes));
            turn.await.is_err()
        };
        let budget = Budget::new(10 << 20);
        let all = 10 << 20 >> 5;
        let first = budget.turn_to_read(all / 2).await;
        assert!(!waits(&budget, all / 2).await);
        assert!(waits(&budget, all).await);
        assert!(!waits(&budget, SHORT_TEXT_BYTES_MAX).await, "short ones do not");
        drop(first);
        let alone = budget.turn_to_read(usize::MAX).await;
        assert!(alone.is_some() && waits(&budget, SHORT_TEXT_BYTES_MAX + 1).await);
    }

    #[test]
    fn what_nobody_needs_goes() {
        let budget = Budget::new(1 << 30);
        let free = || budget.shared.free.load(Ordering::Acquire);
        let (buffer, permit) = budget.open(6 << 20).unwrap();
        drop(budget.recycle(buffer, permit, 0));
        budget.give_up_idle();
        assert!(spare_bytes(&budget) > 0, "it may be needed yet");
        let (buffer, permit) = budget.open(6 << 20).unwrap();
        drop(budget.recycle(buffer, permit, 0));
        budget.give_up_idle();
        assert!(spare_bytes(&budget) > 0, "it was needed");
        budget.give_up_idle();
        assert_eq!((spare_bytes(&budget), free()), (0, 1 << 30));
    }
}
