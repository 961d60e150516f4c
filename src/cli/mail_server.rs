//! What `release` and `held` share: the mail server, the ledger, the log and the stops that the configuration names.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::config::daemon::{Mta as MtaSettings, MtaKind, StateDirectory};
use crate::decision_log::{Journal, JournalError, Options, Role};
use crate::hold::chronicle::DecisionLog;
use crate::hold::ledger::{Ledger, LedgerError};
use crate::hold::mta::sendmail::Queue;
use crate::hold::mta::{HelperClient, Mta, MtaError, Postfix, PostfixTools, QueueTools, Sendmail, SendmailTools};
use crate::hold::notice::Submission;
use crate::hold::regime::InForce;
use crate::hold::release::{Places, Release, ReleaseError};
use crate::ownership;
use crate::store::sqlite::Sqlite;
use crate::store::{Quotas as _, Stops as _, StoreError};

/// Why a command on held mail cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store.
    #[error("the store of stops: {0}")]
    Store(#[from] StoreError),
    /// The mail server.
    #[error(transparent)]
    Mta(#[from] MtaError),
    /// The release itself.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Everything that moves held mail, opened.
pub struct Office {
    pub config: Config,
    pub ledger: Ledger,
    pub mta: Box<dyn Mta>,
    pub log: DecisionLog,
    store: Sqlite,
    runtime: tokio::runtime::Runtime,
    post: Submission,
    host: String,
    from: Option<String>,
}

impl Office {
    /// Opens everything the configuration names.
    pub fn open(config: Config, now: Timestamp) -> Result<Self, Trouble> {
        let state = &config.daemon.state;
        let ledger = Ledger::open(&state.ledger())?;
        let journal = Journal::open(&Options::new(state.log(), "", Role::Appender, now))?;
        let log = DecisionLog { journal, directory: state.log() };
        let store = Sqlite::open(&state.store())?;
        let failed = |source| Trouble::File { path: state.0.clone(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let mta = mail_server(&config.daemon.mta)?;
        let post = Submission { program: config.daemon.submission.program.clone() };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let from = config.daemon.submission.sender.as_ref().map(ToString::to_string);
        Ok(Self { config, ledger, mta, log, store, runtime, post, host, from })
    }

    /// Whether the mail server reads the same clock; always so, except where a test sets ours.
    pub fn same_clock() -> bool {
        !super::clock::is_set()
    }

    /// Works with the release machinery, by this clock.
    pub fn with_release<T>(
        &mut self,
        clock: &dyn Fn() -> Timestamp,
        work: impl FnOnce(&mut Release<'_, Box<dyn Mta>, DecisionLog, InForce<'_>, Submission>) -> Result<T, ReleaseError>,
    ) -> Result<T, Trouble> {
        let same_clock = Self::same_clock();
        let (store, runtime) = (&self.store, &self.runtime);
        let stops = || runtime.block_on(store.history());
        let settle = |id, places| {
            runtime.block_on(async {
                match places {
                    Places::Kept => store.confirm(id).await,
                    Places::GivenBack => store.cancel(id).await,
                }
            })?;
            Ok(())
        };
        let mut regime = InForce::new(&self.config, &stops);
        let mut release = Release {
            ledger: &mut self.ledger,
            mta: &mut self.mta,
            chronicle: &mut self.log,
            regime: &mut regime,
            post: &mut self.post,
            clock,
            same_clock,
            wait: &|time: Duration| std::thread::sleep(time),
            settle: &settle,
            host: &self.host,
            from: self.from.as_deref(),
        };
        Ok(work(&mut release)?)
    }
}

/// Takes the lock on held mail; `None` when another command has it. The lock goes with the file, also when the process is killed.
pub fn lock(state: &StateDirectory) -> Result<Option<File>, Trouble> {
    let path = state.release_lock();
    let failed = |source| Trouble::File { path: path.clone(), source };
    let file = ownership::open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Takes the lock on held mail, waiting for the command that has it.
pub fn wait_for_lock(state: &StateDirectory) -> Result<File, Trouble> {
    loop {
        if let Some(file) = lock(state)? {
            return Ok(file);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The mail server, with its queue changed directly by root, through the helper by everybody else.
fn mail_server(settings: &MtaSettings) -> Result<Box<dyn Mta>, Trouble> {
    let is_root = rustix::process::geteuid().is_root();
    let helper = || HelperClient::Socket(settings.helper_socket.clone());
    Ok(match settings.kind {
        MtaKind::Postfix => {
            let tools: Box<dyn QueueTools> =
                if is_root { Box::new(postfix_tools(settings)) } else { Box::new(helper()) };
            let config_directory = other_than_default(settings);
            Box::new(Postfix { postqueue: settings.postqueue.clone(), config_directory, tools })
        }
        MtaKind::Sendmail => {
            let direct = sendmail_tools(settings)?;
            let queue = direct.queue.clone();
            let tools: Box<dyn QueueTools> = if is_root { Box::new(direct) } else { Box::new(helper()) };
            Box::new(Sendmail { queue, tools })
        }
    })
}

fn postfix_tools(settings: &MtaSettings) -> PostfixTools {
    PostfixTools {
        postsuper: settings.postsuper.clone(),
        postcat: settings.postsuper.with_file_name("postcat"),
        config_directory: other_than_default(settings),
    }
}

fn sendmail_tools(settings: &MtaSettings) -> Result<SendmailTools, Trouble> {
    let path = settings.config_directory.join("sendmail.cf");
    let text = std::fs::read(&path).map_err(|source| Trouble::File { path: path.clone(), source })?;
    let queue = Queue::of(&String::from_utf8_lossy(&text));
    let config_file = other_than_default(settings).map(|_| path);
    Ok(SendmailTools { sendmail: settings.sendmail.clone(), config_file, queue })
}

/// The mail server's configuration directory, where it must be told: Postfix gives ordinary users less when `-c` is there, even
/// with the directory it takes by itself.
fn other_than_default(settings: &MtaSettings) -> Option<PathBuf> {
    let directory = &settings.config_directory;
    (directory != settings.kind.config_directory()).then(|| directory.clone())
}
