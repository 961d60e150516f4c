//! The main file: sockets, directories, the mail server, limits, and where the charters are.

mod raw;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::codes::Code;
use super::quantities::{Bytes, Count, Lasting};
use super::reader::Reader;
use super::values::{AbsolutePath, Domain};
use crate::message::address::{Address, RecipientSyntax};
pub use raw::RawMain;
use raw::{
    BODY_BYTES_MAX, CALLBACK_DEADLINE, CHECKPOINT_INTERVAL, CONNECTIONS_MAX, DNS_TIMEOUT, HEADER_BYTES_MAX,
    HEADER_FIELD_BYTES_MAX, HEADER_FIELDS_MAX, MEMORY_BYTES_MAX, MIME_DEPTH_MAX, MIME_PARTS_MAX, RECIPIENTS_MAX,
    RETENTION_DECISIONS, RETENTION_LEDGER, RETENTION_OPERATORS, RawDns, RawLimits, RawListen, RawMta, RawRetention,
    Resolver, SHUTDOWN_DEADLINE,
};

/// Longer than any night with the day that it follows.
const LEDGER_KEPT_MIN: Duration = Duration::from_hours(48);
/// Whoever is told of a decision has some weeks to contest it.
const DECISIONS_KEPT_MIN: Duration = Duration::from_hours(24 * 30);
/// An auditor who looks once a day finds something new to keep.
const CHECKPOINT_INTERVAL_MAX: Duration = Duration::from_hours(24);

/// The main file without its charters.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Where mail servers connect. Never empty.
    pub listeners: Vec<Listener>,
    /// Where the decision log, the ledger, the store and the keys live.
    pub state: StateDirectory,
    /// The mail server that holds and releases.
    pub mta: Mta,
    /// Bounds on what one message or client may cost.
    pub limits: Limits,
    /// How DKIM keys are looked up.
    pub dns: Dns,
    /// Our own mail server's identifier in `Authentication-Results` (RFC 8601 section 2.5).
    pub authserv_id: Option<String>,
    /// What the mail server makes of recipients.
    pub recipient_syntax: RecipientSyntax,
    /// The organisation's own mail domains, lower-case A-labels.
    pub domains: Vec<String>,
    /// Where metrics are served; always a loopback address.
    pub metrics: Option<SocketAddr>,
    /// Where the daemon's own messages go.
    pub log: Log,
    /// How long things are kept.
    pub retention: Retention,
    /// Who receives the checkpoints of the decision log.
    pub auditors: Vec<Address>,
    /// How often a checkpoint is signed, also when nothing happened.
    pub checkpoint_interval: Duration,
    /// How the daemon sends mail of its own: checkpoints and notices.
    pub submission: Submission,
}

/// A socket that mail servers connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: ListenAddress,
    /// What is done for messages that come in here.
    pub role: Role,
    /// Mode of the socket file.
    pub mode: u32,
    /// Group of the socket file; the daemon's own when `None`.
    pub group: Option<String>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP port; the host may be a name.
    Inet {
        /// Host name or IP address.
        host: String,
        /// Port; 0 lets the system choose one.
        port: u16,
    },
    /// A socket that systemd passes under this name (`FileDescriptorName=`).
    Systemd(String),
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inet { host, port } => write!(f, "inet:{host}:{port}"),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// What is done for messages on a socket (a quarantine ends the milter chain, so a signer must come before it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Role {
    /// Judge, edit and hold.
    #[default]
    Full,
    /// Judge and edit; the decision to hold is kept for the `hold` socket.
    Edit,
    /// Hold what the `edit` socket decided to hold.
    Hold,
}

/// The state directory and what lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDirectory(pub PathBuf);

impl StateDirectory {
    /// The decision log's directory.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The ledger of held mail, an SQLite file.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger.sqlite")
    }

    /// What has gone missing from a directory in which a daemon has worked, as the key tells that it draws last of all. A file that
    /// is gone is made anew, and what it knew is forgotten; somebody must be told.
    #[must_use]
    pub fn losses(&self) -> Vec<&'static str> {
        let kept = [
            (
                self.ledger(),
                "the ledger is gone: mail that was on hold stays there until somebody lets it go (held-mail.md)",
            ),
            (self.store(), "the store is gone: no stop is in force any more, and quotas begin anew"),
            (
                self.log().join("segments"),
                "the decision log is gone: a new one begins, which proves nothing of the time before; put back a copy of the old \
                 one, or tell those who verify it (log-format.md)",
            ),
        ];
        let is_gone = |path: &PathBuf| self.copies_key().exists() && !path.exists();
        kept.into_iter().filter(|(path, _)| is_gone(path)).map(|(_, what)| what).collect()
    }

    /// The store of quotas, copies and stops, an SQLite file.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.0.join("store.sqlite")
    }

    /// The directory of keys, readable by the daemon's user alone.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The key of the fingerprints of copies.
    #[must_use]
    pub fn copies_key(&self) -> PathBuf {
        self.keys().join("copies.key")
    }

    /// The lock that keeps two commands from moving held mail at the same time.
    #[must_use]
    pub fn release_lock(&self) -> PathBuf {
        self.0.join("release.lock")
    }
}

/// The mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mta {
    /// Which one.
    pub kind: MtaKind,
    /// Its configuration directory (Postfix `-c`, Sendmail: where `sendmail.cf` is).
    pub config_directory: PathBuf,
    /// `postqueue`.
    pub postqueue: PathBuf,
    /// `postsuper`.
    pub postsuper: PathBuf,
    /// `postconf`.
    pub postconf: PathBuf,
    /// `sendmail`.
    pub sendmail: PathBuf,
    /// `mailq`.
    pub mailq: PathBuf,
    /// The socket of the release helper that runs as root.
    pub helper_socket: PathBuf,
}

/// The kinds of mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MtaKind {
    /// Postfix.
    #[default]
    Postfix,
    /// Sendmail.
    Sendmail,
}

impl MtaKind {
    /// Where it looks for its configuration when nothing is said.
    #[must_use]
    pub fn config_directory(self) -> &'static Path {
        Path::new(match self {
            Self::Postfix => "/etc/postfix",
            Self::Sendmail => "/etc/mail",
        })
    }
}

/// Bounds on what one message or one client may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// All header fields of a message together, octets.
    pub header_bytes_max: u64,
    /// Number of header fields.
    pub header_fields_max: u32,
    /// One header field, octets.
    pub header_field_bytes_max: u64,
    /// The body of a protected message, octets.
    pub body_bytes_max: u64,
    /// MIME parts.
    pub mime_parts_max: u32,
    /// MIME nesting.
    pub mime_depth_max: u32,
    /// Recipients of one message that goes to a protected list.
    pub recipients_max: u32,
    /// Connections at a time.
    pub connections_max: u32,
    /// Message content in memory at a time, over all connections, octets.
    pub memory_bytes_max: u64,
    /// One milter callback.
    pub callback_deadline: Duration,
    /// Sessions still running at shutdown.
    pub shutdown_deadline: Duration,
}

/// How names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The servers to ask; empty for those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// How long one lookup may take.
    pub timeout: Duration,
}

/// The daemon's own messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Where they go.
    pub output: LogOutput,
    /// Which of them, in the notation of `tracing-subscriber`'s `EnvFilter`.
    pub filter: String,
}

/// Where the daemon's own messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogOutput {
    /// Standard error.
    #[default]
    Stderr,
    /// The systemd journal, with fields.
    Journald,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records of decisions.
    pub decisions: Duration,
    /// Records of operators' commands on held mail and the log (am:A3).
    pub operators: Duration,
    /// Rows of the ledger for mail that has left.
    pub ledger: Duration,
}

/// How the daemon sends mail of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// A program with sendmail's calling convention (`-i -f SENDER -- RECIPIENT…`, message on standard input).
    pub program: PathBuf,
    /// Its envelope sender and From; the null sender when `None`.
    pub sender: Option<Address>,
}

/// The socket when none is configured: Debian's smtpd is chrooted in its spool and reaches no other place.
const LISTEN_DEFAULT: &str = "/var/spool/postfix/charter-milter/milter.sock";

/// Builds the valid main file.
pub fn build(raw: &RawMain, reader: &mut Reader<'_>) -> Daemon {
    let listeners = listeners(&raw.listen, reader);
    let metrics = raw.metrics.as_ref().and_then(|metrics| metrics.address.as_ref());
    if let Some(address) = metrics.filter(|address| !address.get_ref().ip().is_loopback()) {
        let message = format!("metrics would be served on {}", address.get_ref());
        reader.problem(Code::NotLoopback, address.span(), message, "not a loopback address");
    }
    contradictions(raw, reader);
    ledger_kept(raw, reader);
    evidence_kept(raw, reader);
    let names = |raw: &[Spanned<Domain>]| raw.iter().map(|d| d.get_ref().0.clone()).collect::<Vec<_>>();
    let domains = names(&raw.domains);
    let log = raw.log.as_ref();
    if let Some(filter) = log.map(|log| &log.filter) {
        let parsed = tracing_subscriber::EnvFilter::builder().parse(&filter.get_ref().0);
        if let Err(error) = parsed {
            reader.problem(Code::BadText, filter.span(), "`filter` cannot be read", error.to_string());
        }
    }
    if let Some(audit) = raw.audit.as_ref().filter(|audit| audit.auditors.is_empty()) {
        let message = "no auditor receives the checkpoints";
        reader.problem(Code::NoAuditors, audit.span.clone(), message, "`auditors` is empty");
    }
    Daemon {
        listeners,
        state: StateDirectory(raw.state_directory.get_ref().0.clone()),
        mta: mta(raw.mta.as_ref()),
        limits: limits(raw.limits.as_ref()),
        dns: dns(raw.dns.as_ref()),
        authserv_id: raw.authserv_id.as_ref().map(|id| id.get_ref().0.clone()),
        recipient_syntax: RecipientSyntax {
            recipient_delimiters: raw.recipient_delimiter.get_ref().0.clone(),
            local_domains: if raw.local_domains.is_empty() { domains.clone() } else { names(&raw.local_domains) },
        },
        domains,
        metrics: metrics.map(|address| *address.get_ref()),
        log: Log {
            output: log.and_then(|log| log.output.as_ref()).map(|o| *o.get_ref()).unwrap_or_default(),
            filter: log.map_or_else(|| "info".to_owned(), |log| log.filter.get_ref().0.clone()),
        },
        retention: retention(raw.retention.as_ref()),
        auditors: raw.audit.iter().flat_map(|audit| &audit.auditors).map(|a| a.get_ref().clone()).collect(),
        checkpoint_interval: raw.audit.as_ref().map_or(CHECKPOINT_INTERVAL.0, |a| a.checkpoint_interval.get_ref().0),
        submission: Submission {
            program: path_or(raw.submission.as_ref().map(|s| &s.program), "/usr/sbin/sendmail"),
            sender: raw.submission.as_ref().and_then(|s| s.sender.as_ref()).map(|a| a.get_ref().clone()),
        },
    }
}

/// Turns and pace of a night are read from the ledger's rows of mail that has left in it.
fn ledger_kept(raw: &RawMain, reader: &mut Reader<'_>) {
    let kept = raw.retention.as_ref().map(|retention| &retention.ledger);
    if let Some(kept) = kept.filter(|kept| kept.get_ref().0 < LEDGER_KEPT_MIN) {
        reader.problem(
            Code::OutOfRange,
            kept.span(),
            "the ledger would forget a night while it lasts",
            "less than two days; whose turn it is, and the pace, are known from it",
        );
    }
}

/// Records are evidence, and checkpoints what auditors hold against it: both are worth something for as long as they last.
fn evidence_kept(raw: &RawMain, reader: &mut Reader<'_>) {
    let interval = raw.audit.as_ref().map(|audit| &audit.checkpoint_interval);
    if let Some(interval) = interval.filter(|interval| interval.get_ref().0 > CHECKPOINT_INTERVAL_MAX) {
        let message = "the decision log would go unsigned for days";
        reader.problem(Code::OutOfRange, interval.span(), message, "more than a day");
    }
    let Some(retention) = &raw.retention else { return };
    let (decisions, operators) = (&retention.decisions, &retention.operators);
    if decisions.get_ref().0 < DECISIONS_KEPT_MIN {
        let message = "records of decisions are not kept for a month";
        reader.problem(Code::RecordsShortLived, decisions.span(), message, "who could contest a decision by then?");
    }
    if operators.get_ref().0 < decisions.get_ref().0 {
        let message = "records of operators' commands are kept for less time than those of decisions";
        reader.problem(Code::RecordsShortLived, operators.span(), message, "held mail would seem to move by itself");
    }
}

/// Limits that would make each other meaningless.
fn contradictions(raw: &RawMain, reader: &mut Reader<'_>) {
    let found = limits(raw.limits.as_ref());
    let dns_timeout = dns(raw.dns.as_ref()).timeout;
    let mut contradiction = |at: Option<std::ops::Range<usize>>, message: &str, label: &str| {
        reader.problem(Code::Contradiction, at.unwrap_or(0..0), message, label);
    };
    let limits = raw.limits.as_ref();
    if found.memory_bytes_max < found.body_bytes_max.saturating_add(found.header_bytes_max) {
        let at = limits.map(|limits| limits.memory.span());
        contradiction(at, "the memory does not hold one message of the largest size", "less than `body` and `header`");
    }
    if found.header_field_bytes_max > found.header_bytes_max {
        let at = limits.map(|limits| limits.header_field.span());
        contradiction(at, "one header field may be larger than all of them together", "more than `header`");
    }
    if dns_timeout >= found.callback_deadline {
        let at = raw.dns.as_ref().map(|dns| dns.timeout.span());
        let label = "not less than `callback_deadline`";
        contradiction(at, "a lookup may take longer than the step of the protocol that waits for it", label);
    }
}

fn listeners(raw: &[RawListen], reader: &mut Reader<'_>) -> Vec<Listener> {
    let mut seen: Vec<&Spanned<ListenAddress>> = Vec::new();
    for address in raw.iter().filter_map(|listen| listen.address.as_ref()) {
        if let Some(first) = seen.iter().find(|first| first.get_ref() == address.get_ref()) {
            let related = (first.span(), "first here");
            let message = "two sockets listen on the same address";
            reader.problem_with(Code::DuplicateListener, address.span(), message, "again here", related);
        }
        seen.push(address);
    }
    pairs(raw, reader);
    let mut listeners: Vec<_> = raw
        .iter()
        .filter_map(|listen| {
            Some(Listener {
                address: listen.address.as_ref()?.get_ref().clone(),
                role: listen.role.as_ref().map(|r| *r.get_ref()).unwrap_or_default(),
                mode: listen.mode.get_ref().0,
                group: listen.group.as_ref().map(|g| g.get_ref().0.clone()),
            })
        })
        .collect();
    if raw.is_empty() {
        let address = ListenAddress::Unix(PathBuf::from(LISTEN_DEFAULT));
        listeners.push(Listener { address, role: Role::Full, mode: 0o660, group: None });
    }
    listeners
}

/// Complains of the first half of a pair of sockets whose other half is not there.
fn pairs(raw: &[RawListen], reader: &mut Reader<'_>) {
    let role_of = |listen: &RawListen| listen.role.as_ref().map(|role| *role.get_ref()).unwrap_or_default();
    for (half, other, name) in [(Role::Edit, Role::Hold, "hold"), (Role::Hold, Role::Edit, "edit")] {
        let first = raw.iter().find(|listen| role_of(listen) == half);
        if let Some(role) =
            first.and_then(|listen| listen.role.as_ref()).filter(|_| !raw.iter().any(|l| role_of(l) == other))
        {
            let message = format!("no socket has the role `{name}`");
            reader.problem(Code::HalfAPair, role.span(), message, format!("needs a socket with `role = \"{name}\"`"));
        }
    }
}

fn path_or(raw: Option<&Spanned<AbsolutePath>>, default: impl AsRef<Path>) -> PathBuf {
    raw.map_or_else(|| default.as_ref().to_owned(), |path| path.get_ref().0.clone())
}

fn mta(raw: Option<&RawMta>) -> Mta {
    let kind = raw.and_then(|m| m.kind.as_ref()).map(|k| *k.get_ref()).unwrap_or_default();
    let config_directory = raw.and_then(|m| m.config_directory.as_ref());
    Mta {
        kind,
        config_directory: path_or(config_directory, kind.config_directory()),
        postqueue: path_or(raw.map(|m| &m.postqueue), "/usr/sbin/postqueue"),
        postsuper: path_or(raw.map(|m| &m.postsuper), "/usr/sbin/postsuper"),
        postconf: path_or(raw.map(|m| &m.postconf), "/usr/sbin/postconf"),
        sendmail: path_or(raw.map(|m| &m.sendmail), "/usr/sbin/sendmail"),
        mailq: path_or(raw.map(|m| &m.mailq), "/usr/bin/mailq"),
        helper_socket: path_or(raw.map(|m| &m.helper_socket), "/run/charter-milter/release.sock"),
    }
}

fn limits(raw: Option<&RawLimits>) -> Limits {
    let bytes = |get: fn(&RawLimits) -> &Spanned<Bytes>, default: Bytes| raw.map_or(default, |r| *get(r).get_ref()).0;
    let count = |get: fn(&RawLimits) -> &Spanned<Count>, default: Count| raw.map_or(default, |r| *get(r).get_ref()).0;
    let lasting =
        |get: fn(&RawLimits) -> &Spanned<Lasting>, default: Lasting| raw.map_or(default, |r| *get(r).get_ref()).0;
    Limits {
        header_bytes_max: bytes(|r| &r.header, HEADER_BYTES_MAX),
        header_fields_max: count(|r| &r.header_fields, HEADER_FIELDS_MAX),
        header_field_bytes_max: bytes(|r| &r.header_field, HEADER_FIELD_BYTES_MAX),
        body_bytes_max: bytes(|r| &r.body, BODY_BYTES_MAX),
        mime_parts_max: count(|r| &r.mime_parts, MIME_PARTS_MAX),
        mime_depth_max: count(|r| &r.mime_depth, MIME_DEPTH_MAX),
        recipients_max: count(|r| &r.recipients, RECIPIENTS_MAX),
        connections_max: count(|r| &r.connections, CONNECTIONS_MAX),
        memory_bytes_max: bytes(|r| &r.memory, MEMORY_BYTES_MAX),
        callback_deadline: lasting(|r| &r.callback_deadline, CALLBACK_DEADLINE),
        shutdown_deadline: lasting(|r| &r.shutdown_deadline, SHUTDOWN_DEADLINE),
    }
}

impl Default for Limits {
    fn default() -> Self {
        limits(None)
    }
}

fn dns(raw: Option<&RawDns>) -> Dns {
    let servers = raw.iter().flat_map(|dns| &dns.resolver).flat_map(|many| &many.0);
    Dns {
        servers: servers
            .filter_map(|resolver| match resolver.get_ref() {
                Resolver::System => None,
                Resolver::Server(address) => Some(*address),
            })
            .collect(),
        timeout: raw.map_or(DNS_TIMEOUT.0, |dns| dns.timeout.get_ref().0),
    }
}

fn retention(raw: Option<&RawRetention>) -> Retention {
    Retention {
        decisions: raw.map_or(RETENTION_DECISIONS.0, |r| r.decisions.get_ref().0),
        operators: raw.map_or(RETENTION_OPERATORS.0, |r| r.operators.get_ref().0),
        ledger: raw.map_or(RETENTION_LEDGER.0, |r| r.ledger.get_ref().0),
    }
}
