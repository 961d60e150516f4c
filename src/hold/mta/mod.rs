//! The mail server's own tools, spawned without a shell. Nothing here decides; [`super::plan`] does.
//!
//! Two halves: listing the queue needs no privilege ([`Mta::list`]), changing it does ([`QueueTools`]). An ordinary user does
//! the second through a helper that runs as root and knows nothing else ([`helper`]); root does it directly.

mod command;
pub mod helper;
mod postfix;
pub mod sendmail;

use std::io;
use std::path::PathBuf;

pub use command::CommandError;
pub use helper::HelperClient;
pub use postfix::{Postfix, PostfixTools};
pub use sendmail::{Sendmail, SendmailTools};

use super::entry::QueueId;
use super::plan::Queued;
use crate::closed_list::closed_list;

/// A returned message is quoted in full up to this size, octets; of a larger one only the header. Ten of the mails that the
/// charters allow (100 kB), and less than any mailbox refuses.
pub const QUOTED_BYTES_MAX: usize = 1024 * 1024;

closed_list! {
    /// What can be done with messages in the queue.
    Verb {
        /// Let go what is on hold.
        Release = "release",
        /// Put on hold what waits for delivery.
        Hold = "hold",
        /// Delete what is on hold; mail that is not on hold is left alone.
        Discard = "discard",
        /// Try to deliver now what was let go, instead of at the next queue run.
        Deliver = "deliver",
    }
}

closed_list! {
    /// What became of one message.
    Outcome {
        /// It was done.
        Done = "done",
        /// The message is not where the verb looks for it.
        Absent = "absent",
    }
}

/// Why the mail server's queue could not be read or changed. No text names a sender or quotes a message.
#[derive(Debug, thiserror::Error)]
pub enum MtaError {
    /// One of its tools failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The listing is not as documented.
    #[error("cannot read the queue listing: {0}")]
    Listing(String),
    /// The queue directory cannot be read.
    #[error("cannot read the queue directory {path}: {source}")]
    Directory {
        /// The directory or a file in it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The helper that runs as root cannot be reached.
    #[error("cannot reach the release helper: {0}")]
    Helper(io::Error),
    /// The helper answered something else than it should.
    #[error("the release helper: {0}")]
    HelperSays(String),
    /// This mail server has no tool for that.
    #[error("{0} is not done with this tool")]
    Unsupported(Verb),
}

/// The privileged half: changes the queue. Ids are checked by their type; an outcome comes for each, in their order.
pub trait QueueTools {
    /// Does this to each of these messages.
    ///
    /// # Errors
    /// [`MtaError`]; then the outcome is unknown, and the next listing tells.
    fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError>;

    /// A message as it would be delivered, header and body.
    ///
    /// # Errors
    /// [`MtaError`] when it is not there or cannot be read.
    fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError>;
}

/// A mail server as `release` and `held` use it.
pub trait Mta: QueueTools {
    /// Everything in the queue.
    ///
    /// # Errors
    /// [`MtaError`].
    fn list(&mut self) -> Result<Vec<Queued>, MtaError>;

    /// Asks for immediate delivery of messages that were let go; otherwise they would wait for the next queue run. A failure
    /// costs minutes, nothing else.
    ///
    /// # Errors
    /// [`MtaError`].
    fn deliver(&mut self, ids: &[QueueId]) -> Result<(), MtaError>;
}

impl<T: QueueTools + ?Sized> QueueTools for Box<T> {
    fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
        (**self).perform(verb, ids)
    }

    fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError> {
        (**self).read(id)
    }
}

impl<T: Mta + ?Sized> Mta for Box<T> {
    fn list(&mut self) -> Result<Vec<Queued>, MtaError> {
        (**self).list()
    }

    fn deliver(&mut self, ids: &[QueueId]) -> Result<(), MtaError> {
        (**self).deliver(ids)
    }
}

/// Runs a program of the mail server that takes its input and says nothing worth keeping.
///
/// # Errors
/// [`MtaError::Command`].
pub(super) fn run_program(program: &std::path::Path, arguments: &[&str], input: &[u8]) -> Result<(), MtaError> {
    command::run(program, arguments, input).map(drop).map_err(MtaError::Command)
}

/// Runs a tool of the mail server that changes nothing, and returns what it wrote.
///
/// # Errors
/// [`CommandError`].
pub fn run_tool(program: &std::path::Path, arguments: &[&str]) -> Result<String, CommandError> {
    let output = command::run(program, arguments, b"")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
