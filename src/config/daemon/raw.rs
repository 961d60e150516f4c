//! The main file as it is written: every key, its documentation, its kind and its default. Nothing here is judged yet.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::{ListenAddress, LogOutput, MtaKind, Role};
use crate::config::choices::choices;
use crate::config::codes::Code;
use crate::config::quantities::{Bytes, Count, Lasting};
use crate::config::reader::{Leaf, LeafError, OneOrMany, raw_table};
use crate::config::values::{AbsolutePath, Domain, FileMode, Line};
use crate::message::address::Address;

/// Header of a whole message: Postfix's own `header_size_limit` is 102,400 octets for one field; ten of those.
pub const HEADER_BYTES_MAX: Bytes = Bytes(1024 * 1024);
/// Fields: mail that crossed many servers has some 200; beyond 1,000 it is an attack on parsers.
pub const HEADER_FIELDS_MAX: Count = Count(1_000);
/// One field: libmilter closes the connection above 64 KiB.
pub const HEADER_FIELD_BYTES_MAX: Bytes = Bytes(64 * 1024);
/// Body: above Postfix's default `message_size_limit` (10,240,000), so that the mail server's limit is met first.
pub const BODY_BYTES_MAX: Bytes = Bytes(32 * 1024 * 1024);
/// Parts: a mail with 100 attachments is honest, one with more than 1,000 is not.
pub const MIME_PARTS_MAX: Count = Count(1_000);
/// Nesting: forwards of forwards reach 10; amavis stops at 14.
pub const MIME_DEPTH_MAX: Count = Count(50);
/// Recipients: Postfix's `smtpd_recipient_limit` is 1,000, and a figure of 5,000 stands in one of the charters.
pub const RECIPIENTS_MAX: Count = Count(10_000);
/// Connections: five times Postfix's default process limit of 100 would never be reached by one server; several share a filter.
pub const CONNECTIONS_MAX: Count = Count(500);
/// Content in memory: some ten messages of the largest size beside each other.
pub const MEMORY_BYTES_MAX: Bytes = Bytes(512 * 1024 * 1024);
/// A callback: well below Postfix's `milter_command_timeout` (30 s), so that the sender hears our reason and not the server's.
pub const CALLBACK_DEADLINE: Lasting = Lasting::seconds(25);
/// Shutdown: below systemd's 90 s.
pub const SHUTDOWN_DEADLINE: Lasting = Lasting::seconds(30);
/// DNS: DKIM keys come within a second or the resolver is ill; the callback deadline must leave room for three.
pub const DNS_TIMEOUT: Lasting = Lasting::seconds(5);
/// Checkpoints: every hour, also when nothing happened, so that silence is evidence.
pub const CHECKPOINT_INTERVAL: Lasting = Lasting::seconds(3_600);
/// Decisions: a year, the upper end of CNIL deliberation 2021-122 for logs.
pub const RETENTION_DECISIONS: Lasting = Lasting::seconds(365 * 86_400);
/// Operators' access to mail and log: five years (am:A3).
pub const RETENTION_OPERATORS: Lasting = Lasting::seconds(5 * 366 * 86_400);
/// Ledger rows of mail that has left: long enough to answer "when was it delivered" after a ballot's appeal period.
pub const RETENTION_LEDGER: Lasting = Lasting::seconds(90 * 86_400);

choices! {
    Role { Full = "full", Edit = "edit", Hold = "hold", }
    MtaKind { Postfix = "postfix", Sendmail = "sendmail", }
    LogOutput { Stderr = "stderr", Journald = "journald", }
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
        /// `full` does everything (so when left out); `edit` and `hold` are the two halves around a signer.
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
        /// Which mail server it is; `postfix` when left out.
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
        /// Message content in memory at a time, over all connections; beyond it, mail is asked to come later. Reading long texts takes as much again at most: they wait for each other.
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
        /// Where they go; `stderr` when left out.
        output: optional Spanned<LogOutput>,
        /// Which of them: a level (`info`), or levels by module (`info,charter_milter::milter=debug`).
        filter: default Spanned<Line> = Line("info".to_owned()),
    }
}

raw_table! {
    /// `[petition]`
    RawPacks called "`[petition]`" {
        /// The pack of signals, relative to this file; the pack that is part of the program when left out.
        pack: optional Spanned<PathBuf>,
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
