//! `charter-milter serve`: the daemon. It opens what it needs, binds its sockets, and then waits for signals.
//!
//! SIGHUP reads the configuration again; one that has errors changes nothing. SIGTERM and SIGINT stop it gracefully:
//! messages whose content is already coming in are finished, up to a deadline, and a last checkpoint is signed.

mod sockets;
mod upkeep;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Exit;
use crate::cli::clock;
use crate::config::Config;
use crate::config::daemon::{Daemon, LogOutput, StateDirectory};
use crate::decision_log::record::{ConfigRecord, FileDigest};
use crate::decision_log::{Journal, Options, Pseudonymizer, Record, Role};
use crate::gateway::{Clock, Gateway, InForce, Memory, Parts};
use crate::hold::ledger;
use crate::milter::workers::Workers;
use crate::milter::{self, meters};
use crate::proof::dkim;
use crate::store::sqlite::Sqlite;
use sockets::Bound;

/// How long a connection from the MTA may idle: above any MTA's own time-outs, which decide.
const IDLE_MAX: Duration = Duration::from_hours(2);

/// How long a stopping daemon waits for what its threads still do once its sockets are closed.
const LAST_WORK_MAX: Duration = Duration::from_secs(5);

/// Runs the daemon.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: super::ConfigFile,
}

/// Why the daemon did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot make the state directory {path}: {source}")]
    State { path: PathBuf, source: std::io::Error },
    #[error("cannot open the store in {path}: {source}")]
    Store { path: PathBuf, source: crate::store::StoreError },
    #[error("cannot open the ledger of held mail: {0}")]
    Ledger(#[from] ledger::LedgerError),
    #[error("cannot open the decision log in {path}: {source}")]
    Log { path: PathBuf, source: crate::decision_log::JournalError },
    #[error("cannot open the keys of the decision log: {0}")]
    Keys(#[from] crate::decision_log::keys::KeyError),
    #[error("cannot look up names for DKIM: {0}")]
    Resolver(#[from] dkim::ResolverError),
    #[error(transparent)]
    Sockets(#[from] sockets::SocketError),
    #[error("cannot serve metrics on {address}: {reason}")]
    Metrics { address: std::net::SocketAddr, reason: String },
    #[error("cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Runs the daemon until it is told to stop.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let Some(config) = args.config.load() else { return Exit::Failed };
    start_logging(&config.daemon);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served = runtime.map_err(Failure::from).and_then(|runtime| {
        let served = runtime.block_on(serve(args, config));
        // A disk or a mail server that hangs keeps nobody waiting for ever.
        runtime.shutdown_timeout(LAST_WORK_MAX);
        served
    });
    match served {
        Ok(()) => Exit::Fine,
        Err(failure) => {
            tracing::error!(%failure, "the daemon stops");
            super::say_error(&failure);
            Exit::Failed
        }
    }
}

/// Whether a message may be written out, whatever filter the operator sets. Libraries that read mail write out what they read at the
/// levels `debug` and `trace`: commands, header fields, letters of a text. indymilter also warns of every packet of a body that
/// it leaves unanswered as asked (see the callbacks of [`crate::milter`]); it has no other warning there.
fn is_fit_for_logs(metadata: &tracing::Metadata<'_>) -> bool {
    let (target, level) = (metadata.target(), *metadata.level());
    let max = match target.split("::").next() {
        Some("indymilter") if target == "indymilter::session" => tracing::Level::ERROR,
        Some("indymilter" | "html5ever") => tracing::Level::INFO,
        _ => tracing::Level::TRACE,
    };
    level <= max
}

fn start_logging(daemon: &Daemon) {
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    let filter = EnvFilter::try_new(&daemon.log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(is_fit_for_logs));
    let journald = match daemon.log.output {
        LogOutput::Journald => tracing_journald::layer().ok(),
        LogOutput::Stderr => None,
    };
    // Without a journal the messages go to standard error: better there than nowhere.
    let plain = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match journald {
        Some(layer) => registry.with(layer).try_init(),
        None => registry.with(plain.with_ansi(std::io::stderr().is_terminal())).try_init(),
    };
    let _ = started;
}

async fn serve(args: &Args, config: Config) -> Result<(), Failure> {
    let clock = clock::system();
    let daemon = config.daemon.clone();
    meters::serve(daemon.metrics).map_err(|(address, reason)| Failure::Metrics { address, reason })?;
    // Before anybody can know that we run: a signal that came too early would end the daemon instead of being heard.
    let signals = Signals::heard()?;
    let bound = sockets::bind(&daemon.listeners).await?;
    let (in_force, watched) = watch::channel(Arc::new(InForce::new(config)));
    let gateway = Arc::new(open(&daemon, watched, &clock)?);
    let workers = Arc::new(Workers::start()?);
    announce(args, &gateway, &in_force.borrow().clone()).await;
    meters::config_loaded(clock());

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for socket in bound {
        tasks.spawn(serve_socket(
            socket,
            Arc::clone(&gateway),
            Arc::clone(&workers),
            daemon.limits.connections_max as usize,
            stopped.clone(),
        ));
    }
    tasks.spawn(upkeep::run(Arc::clone(&gateway), stopped));
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");

    signals.wait(args, &gateway, &in_force).await;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopping: messages under way are finished");
    let _ = stop.send(true);
    let deadline = daemon.limits.shutdown_deadline;
    if tokio::time::timeout(deadline, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!(?deadline, "some messages were still under way; their mail server will present them again");
    }
    upkeep::sign_off(&gateway).await;
    Ok(())
}

/// Opens everything that must be there before the first message is judged.
fn open(daemon: &Daemon, in_force: watch::Receiver<Arc<InForce>>, clock: &Clock) -> Result<Gateway, Failure> {
    let state = &daemon.state;
    make_private_directory(&state.0)?;
    let losses = state.losses();
    // The log first: it is what keeps a second daemon out of this directory.
    let log = state.log();
    let checkpoint_interval = daemon.checkpoint_interval;
    let options = Options { checkpoint_interval, ..Options::new(log.clone(), "", Role::Keeper, clock()) };
    let journal = Journal::open(&options).map_err(|source| Failure::Log { path: log.clone(), source })?;
    for loss in losses {
        tracing::error!("{loss}");
    }
    let store = Sqlite::open(&state.store()).map_err(|source| Failure::Store { path: state.0.clone(), source })?;
    let memory = Memory {
        store: Arc::new(store),
        ledger: ledger::Writer::start(&state.ledger())?,
        pseudonyms: Pseudonymizer::open(log)?,
        copies_key: copies_key(state)?,
    };
    let dkim = dkim::Verifier::new(&daemon.dns.servers, daemon.dns.timeout)?;
    let background = tokio::runtime::Handle::current();
    Ok(Gateway::new(Parts { in_force, memory, dkim, journal, clock: Arc::clone(clock), background }))
}

/// The key of the fingerprints, drawn when the daemon first starts.
fn copies_key(state: &StateDirectory) -> Result<[u8; 32], Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = state.copies_key();
    let failed = |source| Failure::State { path: path.clone(), source };
    make_private_directory(&state.keys())?;
    if let Some(key) = std::fs::read(&path).ok().and_then(|bytes| bytes.try_into().ok()) {
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(key)
}

fn make_private_directory(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Failure::State { path: path.to_owned(), source })
}

async fn serve_socket(
    socket: Bound,
    gateway: Arc<Gateway>,
    workers: Arc<Workers>,
    connections_max: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let name = socket.name.clone();
    let shutdown = async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let served =
        milter::serve(socket.socket, socket.role, gateway, &workers, connections_max, IDLE_MAX, shutdown).await;
    if let Err(error) = served {
        tracing::error!(%error, socket = name, "a socket is no longer served");
    }
}

/// The signals that mean something to a daemon.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn heard() -> std::io::Result<Self> {
        let [hangup, terminate, interrupt] =
            [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Self { hangup: hangup?, terminate: terminate?, interrupt: interrupt? })
    }

    /// Returns when the daemon is to stop; reloads meanwhile.
    async fn wait(mut self, args: &Args, gateway: &Arc<Gateway>, in_force: &watch::Sender<Arc<InForce>>) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => reload(args, gateway, in_force).await,
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
        }
    }
}

/// Reads the configuration again. Sockets and directories stay as they were; a file with errors changes nothing.
async fn reload(args: &Args, gateway: &Arc<Gateway>, in_force: &watch::Sender<Arc<InForce>>) {
    let path = args.config.path.clone();
    let loaded = tokio::task::spawn_blocking(move || Config::load(&path)).await;
    match loaded {
        Ok(Ok(config)) if config.daemon.state != in_force.borrow().config.daemon.state => {
            metrics::gauge!(meters::RELOAD_FAILED).set(1.0);
            tracing::error!(
                "`state_directory` has changed; the old configuration stays in force. Held mail, quotas and the log are in the \
                 old directory: stop the daemon, move it, start again"
            );
        }
        Ok(Ok(config)) => {
            let fresh = Arc::new(InForce::new(config));
            announce(args, gateway, &fresh).await;
            in_force.send_replace(fresh);
            metrics::gauge!(meters::RELOAD_FAILED).set(0.0);
            meters::config_loaded(gateway.now());
            tracing::info!("the configuration was read again and is in force");
        }
        Ok(Err(report)) => {
            metrics::gauge!(meters::RELOAD_FAILED).set(1.0);
            for line in report.lines() {
                tracing::error!(problem = line, "the configuration has errors; the old one stays in force");
            }
        }
        Err(error) => {
            metrics::gauge!(meters::RELOAD_FAILED).set(1.0);
            tracing::error!(%error, "the configuration could not be read; the old one stays in force");
        }
    }
}

/// Puts the digest of every file in force into the log, and warns of stops that the new names let slip.
async fn announce(args: &Args, gateway: &Gateway, in_force: &InForce) {
    let home = args.config.path.parent().unwrap_or(Path::new(""));
    let files = in_force.config.files.iter().map(|file| FileDigest {
        name: file.path.strip_prefix(home).unwrap_or(&file.path).to_string_lossy().into_owned(),
        sha256: file.sha256.clone(),
    });
    let record = ConfigRecord {
        digest: in_force.digest.clone(),
        files: files.collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    if let Err(error) = gateway.note(Record::new(gateway.now(), record.into())).await {
        tracing::error!(%error, "the decision log cannot be written; mail to protected lists is deferred");
    }
    for number in gateway.stops_of_nothing(&in_force.config).await {
        tracing::warn!(
            stop = number,
            "the configuration has nothing of the name that this stop bears; see `stop list`"
        );
    }
}
