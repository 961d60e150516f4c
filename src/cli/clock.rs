//! The clock: the one place where it is read. Everything else is told the time.

use std::sync::Arc;

use jiff::Timestamp;

use crate::gateway::Clock;

/// The environment variable that sets the clock of a debug build, an RFC 3339 instant from which time runs on.
const TEST_CLOCK: &str = "CHARTER_MILTER_TEST_CLOCK";

/// The instant now.
#[must_use]
pub fn now() -> Timestamp {
    system()()
}

/// The system's clock; in a debug build, the one that tests set.
///
/// A release build never looks at the variable: nobody must be able to open a closed period from the environment.
#[must_use]
pub fn system() -> Clock {
    #[cfg(debug_assertions)]
    if let Some(set) = std::env::var(TEST_CLOCK).ok().and_then(|text| text.parse::<Timestamp>().ok()) {
        let started = std::time::Instant::now();
        return Arc::new(move || set + started.elapsed());
    }
    let _ = TEST_CLOCK;
    Arc::new(read)
}

/// Whether a test has set the clock, so that it is not the mail server's.
#[must_use]
pub fn is_set() -> bool {
    cfg!(debug_assertions) && std::env::var_os(TEST_CLOCK).is_some()
}

#[expect(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
fn read() -> Timestamp {
    Timestamp::now()
}
