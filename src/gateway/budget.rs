//! The memory budget: what messages may occupy together, whatever clients send.
//!
//! A message takes its declared size at DATA and grows as its body arrives; when the budget is used up, the client is
//! told to come back (451), and mail that no rule concerns is not affected: its body never reaches us. The edited copy takes
//! the place of the message; both are there only while it is made, which no more messages do at a time than there are
//! processors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What every message takes at least: its header, its tree, its edits.
const MESSAGE_BYTES_MIN: usize = 64 * 1024;

/// By how much a message grows at a time, so that not every packet touches the shared counter.
const STEP_BYTES: usize = 256 * 1024;

/// The budget shared by all connections.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<AtomicUsize>,
}

/// One message's share; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    free: Arc<AtomicUsize>,
    taken: usize,
}

impl Budget {
    /// A budget of so many octets.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { free: Arc::new(AtomicUsize::new(bytes)) }
    }

    /// Takes the share of a message that declares this size (0: it declares none). `None` when too little is left.
    #[must_use]
    pub fn take(&self, declared_bytes: u64) -> Option<Permit> {
        let mut permit = Permit { free: Arc::clone(&self.free), taken: 0 };
        let bytes = usize::try_from(declared_bytes).unwrap_or(usize::MAX).max(MESSAGE_BYTES_MIN);
        permit.take(bytes).then_some(permit)
    }
}

impl Permit {
    /// Makes room for a message of `bytes`; `false` when the budget is used up.
    #[must_use]
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        bytes <= self.taken || self.take((bytes - self.taken).max(STEP_BYTES)) || self.take(bytes - self.taken)
    }

    fn take(&mut self, bytes: usize) -> bool {
        let took = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(bytes)).is_ok();
        if took {
            self.taken += bytes;
        }
        took
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.free.fetch_add(self.taken, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::new(MESSAGE_BYTES_MIN * 2 + 10);
        let first = budget.take(0).unwrap();
        let mut second = budget.take(1).unwrap();
        assert!(budget.take(0).is_none());
        assert!(second.grow_to(MESSAGE_BYTES_MIN + 10));
        assert!(!second.grow_to(MESSAGE_BYTES_MIN + 11));
        drop(first);
        assert!(second.grow_to(MESSAGE_BYTES_MIN + 11));
        drop(second);
        assert!(budget.take(MESSAGE_BYTES_MIN as u64 * 2 + 10).is_some());
    }

    #[test]
    fn a_lie_about_the_size_takes_nothing() {
        let budget = Budget::new(MESSAGE_BYTES_MIN);
        assert!(budget.take(u64::MAX).is_none());
        assert!(budget.take(0).is_some());
    }
}
