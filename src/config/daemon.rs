//! The main file: sockets, directories, the mail server, limits, and where the charters are.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::codes::Code;
use super::reader::{Leaf, LeafError, OneOrMany, Reader, raw_table};
use super::values::{AbsolutePath, Bytes, Count, Domain, FileMode, Lasting, Line, choices};
use crate::message::address::{Address, RecipientSyntax};

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

/// Header of a whole message: Postfix's own `header_size_limit` is 102,400 octets for one field; ten of those.
const HEADER_BYTES_MAX: Bytes = Bytes(1024 * 1024);
/// Fields: mail that crossed many servers has some 200; beyond 1,000 it is an attack on parsers.
const HEADER_FIELDS_MAX: Count = Count(1_000);
/// One field: libmilter closes the connection above 64 KiB.
const HEADER_FIELD_BYTES_MAX: Bytes = Bytes(64 * 1024);
/// Body: above Postfix's default `message_size_limit` (10,240,000), so that the mail server's limit is met first.
const BODY_BYTES_MAX: Bytes = Bytes(32 * 1024 * 1024);
/// Parts: a mail with 100 attachments is honest, one with more than 1,000 is not.
const MIME_PARTS_MAX: Count = Count(1_000);
/// Nesting: forwards of forwards reach 10; amavis stops at 14.
const MIME_DEPTH_MAX: Count = Count(50);
/// Recipients: Postfix's `smtpd_recipient_limit` is 1,000, and a figure of 5,000 stands in one of the charters.
const RECIPIENTS_MAX: Count = Count(10_000);
/// Connections: five times Postfix's default process limit of 100 would never be reached by one server; several share a filter.
const CONNECTIONS_MAX: Count = Count(500);
/// Content in memory: some ten messages of the largest size beside each other.
const MEMORY_BYTES_MAX: Bytes = Bytes(512 * 1024 * 1024);
/// A callback: well below Postfix's `milter_command_timeout` (30 s), so that the sender hears our reason and not the server's.
const CALLBACK_DEADLINE: Lasting = Lasting::seconds(25);
/// Shutdown: below systemd's 90 s.
const SHUTDOWN_DEADLINE: Lasting = Lasting::seconds(30);
/// DNS: DKIM keys come within a second or the resolver is ill; the callback deadline must leave room for three.
const DNS_TIMEOUT: Lasting = Lasting::seconds(5);
/// Checkpoints: every hour, also when nothing happened, so that silence is evidence.
const CHECKPOINT_INTERVAL: Lasting = Lasting::seconds(3_600);
/// Decisions: a year, the upper end of CNIL deliberation 2021-122 for logs.
const RETENTION_DECISIONS: Lasting = Lasting::seconds(365 * 86_400);
/// Operators' access to mail and log: five years (am:A3).
const RETENTION_OPERATORS: Lasting = Lasting::seconds(5 * 366 * 86_400);
/// Ledger rows of mail that has left: long enough to answer "when was it delivered" after a ballot's appeal period.
const RETENTION_LEDGER: Lasting = Lasting::seconds(90 * 86_400);

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

choices! {
    Role { "full" => Role::Full, "edit" => Role::Edit, "hold" => Role::Hold, }
    MtaKind { "postfix" => MtaKind::Postfix, "sendmail" => MtaKind::Sendmail, }
    LogOutput { "stderr" => LogOutput::Stderr, "journald" => LogOutput::Journald, }
}

impl Leaf for ListenAddress {
    fn shape() -> String {
        "`unix:/path`, `inet:host:port` or `systemd:name`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let Line(text) = Line::read(value)?;
        let bad = |label: &str| Err((Code::BadSocket, label.to_owned()));
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(PathBuf::from(path))),
            Some(("unix", _)) => bad("the path does not begin with `/`"),
            Some(("systemd", name)) if !name.is_empty() => Ok(Self::Systemd(name.to_owned())),
            Some(("inet", rest)) => {
                let Some((host, port)) = rest.rsplit_once(':') else { return bad("names no port") };
                let Ok(port) = port.parse() else { return bad("the port is not a number up to 65535") };
                let host = host.trim_start_matches('[').trim_end_matches(']');
                if host.is_empty() { bad("names no host") } else { Ok(Self::Inet { host: host.to_owned(), port }) }
            }
            _ => bad("begins with none of `unix:`, `inet:`, `systemd:`"),
        }
    }
}

impl Leaf for SocketAddr {
    fn shape() -> String {
        "an IP address and a port, such as `127.0.0.1:9725`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let Line(text) = Line::read(value)?;
        text.parse().map_err(|_| (Code::BadSocket, "not an IP address and a port".to_owned()))
    }
}

/// `"system"`, or a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolver {
    /// Those of `/etc/resolv.conf`.
    System,
    /// This one.
    Server(SocketAddr),
}

impl Leaf for Resolver {
    fn shape() -> String {
        "`system`, or servers such as `127.0.0.1:53`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let Line(text) = Line::read(value)?;
        if text == "system" { Ok(Self::System) } else { SocketAddr::read(value).map(Self::Server) }
    }
}

raw_table! {
    /// The main file.
    RawMain called "the main file" {
        /// Charter files, directories of them, or patterns such as `charters/*.toml`; relative to this file.
        charters: required OneOrMany<Spanned<PathBuf>>,
        /// The directory of the decision log, the ledger, the store and the keys.
        state_directory: default Spanned<AbsolutePath> = AbsolutePath::at("/var/lib/charter-milter"),
        /// Our own mail server's identifier in `Authentication-Results`; fields of any other are ignored.
        authserv_id: optional Spanned<Domain>,
        /// The organisation's own mail domains.
        domains: many Vec<Spanned<Domain>>,
        /// Characters that begin a sub-address, as in the mail server's own setting; empty for none.
        recipient_delimiter: default Spanned<Delimiter> = Delimiter("+".to_owned()),
        /// Domains that complete a recipient without one (Postfix `myorigin`, `mydomain`); those of `domains` when left out.
        local_domains: many Vec<Spanned<Domain>>,
        /// Sockets, one table each; a unix socket in Postfix's spool when left out.
        listen: many Vec<RawListen>,
        /// The mail server.
        mta: optional RawMta,
        /// Bounds on what one message or client may cost.
        limits: optional RawLimits,
        /// How DKIM keys are looked up.
        dns: optional RawDns,
        /// Metrics for Prometheus.
        metrics: optional RawMetrics,
        /// The daemon's own messages.
        log: optional RawLog,
        /// Recognition of petitions.
        petition: optional RawPacks,
        /// How long things are kept.
        retention: optional RawRetention,
        /// The decision log's auditors.
        audit: optional RawAudit,
        /// How the daemon sends mail of its own.
        submission: optional RawSubmission,
    }
}

/// Characters that begin a sub-address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiter(pub String);

impl Leaf for Delimiter {
    fn shape() -> String {
        "punctuation such as `\"+\"` or `\"+-\"`, or `\"\"`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let DeValue::String(text) = value else {
            return Err((Code::WrongType, "not a string".to_owned()));
        };
        // `.` and letters would make different people's mailboxes one.
        if text.bytes().all(|b| b.is_ascii_punctuation() && !b"@.\"\\".contains(&b)) {
            Ok(Self(text.to_string()))
        } else {
            Err((Code::BadText, "punctuation only, and neither `@`, `.`, `\"` nor `\\`".to_owned()))
        }
    }
}

impl std::fmt::Display for Delimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

raw_table! {
    /// `[[listen]]`
    RawListen called "`[[listen]]`" {
        /// Where to listen.
        address: required Spanned<ListenAddress>,
        /// `full` does everything; `edit` and `hold` are the two halves around a signer.
        role: optional Spanned<Role>,
        /// Mode of a unix socket.
        mode: default Spanned<FileMode> = FileMode(0o660),
        /// Group of a unix socket; the daemon's own when left out.
        group: optional Spanned<Line>,
    }
}

raw_table! {
    /// `[mta]`
    RawMta called "`[mta]`" {
        /// Which mail server it is.
        kind: optional Spanned<MtaKind>,
        /// Its configuration directory; `/etc/postfix` or `/etc/mail` when left out.
        config_directory: optional Spanned<AbsolutePath>,
        /// Path of `postqueue`.
        postqueue: default Spanned<AbsolutePath> = AbsolutePath::at("/usr/sbin/postqueue"),
        /// Path of `postsuper`.
        postsuper: default Spanned<AbsolutePath> = AbsolutePath::at("/usr/sbin/postsuper"),
        /// Path of `postconf`.
        postconf: default Spanned<AbsolutePath> = AbsolutePath::at("/usr/sbin/postconf"),
        /// Path of `sendmail`.
        sendmail: default Spanned<AbsolutePath> = AbsolutePath::at("/usr/sbin/sendmail"),
        /// Path of `mailq`.
        mailq: default Spanned<AbsolutePath> = AbsolutePath::at("/usr/bin/mailq"),
        /// The socket of the release helper that runs as root.
        helper_socket: default Spanned<AbsolutePath> = AbsolutePath::at("/run/charter-milter/release.sock"),
    }
}

raw_table! {
    /// `[limits]`
    RawLimits called "`[limits]`" {
        /// All header fields of a message together.
        header: default Spanned<Bytes> = HEADER_BYTES_MAX,
        /// Number of header fields.
        header_fields: default Spanned<Count> = HEADER_FIELDS_MAX,
        /// One header field.
        header_field: default Spanned<Bytes> = HEADER_FIELD_BYTES_MAX,
        /// The body of a message to a protected list.
        body: default Spanned<Bytes> = BODY_BYTES_MAX,
        /// MIME parts.
        mime_parts: default Spanned<Count> = MIME_PARTS_MAX,
        /// MIME nesting.
        mime_depth: default Spanned<Count> = MIME_DEPTH_MAX,
        /// Recipients of one message to a protected list.
        recipients: default Spanned<Count> = RECIPIENTS_MAX,
        /// Connections at a time.
        connections: default Spanned<Count> = CONNECTIONS_MAX,
        /// Message content in memory at a time, over all connections; beyond it, mail is asked to come later.
        memory: default Spanned<Bytes> = MEMORY_BYTES_MAX,
        /// How long one step of the milter protocol may take.
        callback_deadline: default Spanned<Lasting> = CALLBACK_DEADLINE,
        /// How long running sessions may go on when the daemon stops.
        shutdown_deadline: default Spanned<Lasting> = SHUTDOWN_DEADLINE,
    }
}

raw_table! {
    /// `[dns]`
    RawDns called "`[dns]`" {
        /// Which servers are asked; those of the system when left out.
        resolver: optional OneOrMany<Spanned<Resolver>>,
        /// How long one lookup may take.
        timeout: default Spanned<Lasting> = DNS_TIMEOUT,
    }
}

raw_table! {
    /// `[metrics]`
    RawMetrics called "`[metrics]`" {
        /// A loopback address to serve them on.
        address: required Spanned<SocketAddr>,
    }
}

raw_table! {
    /// `[log]`
    RawLog called "`[log]`" {
        /// Where they go.
        output: optional Spanned<LogOutput>,
        /// Which of them: a level (`info`), or levels by module (`info,charter_milter::milter=debug`).
        filter: default Spanned<Line> = Line("info".to_owned()),
    }
}

raw_table! {
    /// `[petition]`
    RawPacks called "`[petition]`" {
        /// The pack of signals, relative to this file; the pack that is part of the program when left out.
        pack: required Spanned<PathBuf>,
    }
}

raw_table! {
    /// `[retention]`
    RawRetention called "`[retention]`" {
        /// Records of decisions.
        decisions: default Spanned<Lasting> = RETENTION_DECISIONS,
        /// Records of operators' commands on held mail and the log.
        operators: default Spanned<Lasting> = RETENTION_OPERATORS,
        /// The ledger's rows of mail that has left.
        ledger: default Spanned<Lasting> = RETENTION_LEDGER,
    }
}

raw_table! {
    /// `[audit]`
    RawAudit called "`[audit]`" {
        /// Who receives the checkpoints of the decision log by mail.
        auditors: many Vec<Spanned<Address>>,
        /// How often a checkpoint is signed, also when nothing happened.
        checkpoint_interval: default Spanned<Lasting> = CHECKPOINT_INTERVAL,
    }
}

raw_table! {
    /// `[submission]`
    RawSubmission called "`[submission]`" {
        /// A program that takes mail as sendmail does.
        program: default Spanned<AbsolutePath> = AbsolutePath::at("/usr/sbin/sendmail"),
        /// Envelope sender and From of the daemon's own mail; the null sender when left out.
        sender: optional Spanned<Address>,
    }
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

fn path_or(raw: Option<&Spanned<AbsolutePath>>, default: &str) -> PathBuf {
    raw.map_or_else(|| PathBuf::from(default), |path| path.get_ref().0.clone())
}

fn mta(raw: Option<&RawMta>) -> Mta {
    let kind = raw.and_then(|m| m.kind.as_ref()).map(|k| *k.get_ref()).unwrap_or_default();
    let config_directory = match kind {
        MtaKind::Postfix => "/etc/postfix",
        MtaKind::Sendmail => "/etc/mail",
    };
    Mta {
        kind,
        config_directory: path_or(raw.and_then(|m| m.config_directory.as_ref()), config_directory),
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
