//! The vocabulary of a charter, and the decision. Synchronous, no clock, no log, no I/O; it cannot fail.
//!
//! [`Charter`] is what a charter file says, valid by construction ([`crate::config`] is the only place that builds one
//! from a file). A message is judged under a [`Scope`] of a charter: one of its protected lists, or its general rules
//! for everybody. Each rule of the ordered table in [`rules`] is one file of this room.

pub mod answer;
pub mod attachments;
pub mod authorization;
pub mod calendar;
pub mod case;
pub mod copies;
pub mod decision;
pub mod facts;
pub mod measures;
pub mod overdue;
pub mod petition;
pub mod quota;
pub mod rules;
pub mod stop;
pub mod verdict;

mod content;
mod privacy;
mod shape;
mod traffic;

use ipnet::IpNet;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::closed_list::closed_list;
use crate::message::address::Address;
use crate::wording::Language;
pub use measures::{Keeper, Measure};
use rules::{Rules, SizeLimit};

/// One charter: who may write to which lists, when, how much, and in what shape.
#[derive(Debug, Clone)]
pub struct Charter {
    /// Short stable name, quoted in records and replies: lower-case letters, digits, `-`.
    pub id: String,
    /// Full title for people.
    pub title: String,
    /// The language of replies, notices and banners.
    pub language: Language,
    /// Where local days, night windows and quota periods are counted.
    pub time_zone: TimeZone,
    /// Whether the charter is enforced or on trial; rules may say otherwise for themselves.
    pub mode: Mode,
    /// How far content may be read.
    pub inspection: Inspection,
    /// A shared (national) charter may name lists that a local charter also names; both apply, the stricter wins (am:4.1).
    pub shared: bool,
    /// Per-sender statistics may be kept; `false` for drancy:III.3.d.
    pub statistics: bool,
    /// Whom a sender can turn to against a decision: a mailbox or URL, quoted in replies and footers (cnrs:III.k).
    pub contest: Option<String>,
    /// The organisation's own mail domains: what is "internal" and what is "outgoing".
    pub domains: Vec<String>,
    /// The electoral period, local days, both included (cnrs:I.b); `None` means always open.
    pub period: Option<PeriodRule>,
    /// When mail may be delivered (cnrs:III.b); `None` means at any hour.
    pub night_window: Option<NightWindow>,
    /// The protected lists. Never empty unless `general` is set.
    pub lists: Vec<List>,
    /// The register of senders.
    pub senders: Vec<Sender>,
    /// Mailboxes with a state of their own (am:3.2.1).
    pub recipients: Vec<RecipientState>,
    /// What is not professional mail and is therefore not looked into (am:4.5).
    pub exemptions: Exemptions,
    /// Rules for mail of everybody, whether or not it goes to a list (am:5.1).
    pub general: Option<General>,
    /// The clauses of the text, each enforced by rules or organisational; for `check` and `notice`.
    pub clauses: Vec<ClauseEntry>,
    /// SHA-256 of the file this charter was read from, lower-case hex.
    pub digest: String,
}

/// The identifier of a clause, such as `cnrs:III.f`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Clause(pub String);

/// A clause as the charter file lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClauseEntry {
    /// Its identifier.
    pub id: Clause,
    /// What it demands, in one sentence.
    pub text: String,
    /// No gateway can enforce it; people do.
    pub organisational: bool,
    /// What keeps it besides the rules that quote it. Empty when `organisational`.
    pub by: Vec<Keeper>,
}

closed_list! {
    /// Whether a rule acts or only records what it would have done.
    Mode default Enforce {
        /// Decide and act.
        Enforce = "enforce",
        /// Decide and record, touch nothing.
        Monitor = "monitor",
    }
}

closed_list! {
    /// How far the content of a message may be looked at.
    Inspection default Content {
        /// All rules.
        Content = "content",
        /// Size, MIME shape, header fields, sender, period, quota; the body text is never looked at (pm:5.a).
        Structure = "structure",
    }
}

/// Local days, both included. `opens <= closes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    /// First day.
    pub opens: Date,
    /// Last day.
    pub closes: Date,
}

/// A period with the clause that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodRule {
    /// The days.
    pub period: Period,
    /// The clause.
    pub clause: Clause,
    /// Enforced or monitored.
    pub mode: Mode,
}

/// The hours in which mail may be delivered: `[from, to)` local time, across midnight when `to <= from`. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NightWindow {
    /// First instant of the window.
    pub from: Time,
    /// First instant after the window.
    pub to: Time,
    /// At most so many messages in such a time; `None` for no limit.
    pub pace: Option<Pace>,
    /// In which order held mail leaves.
    pub order: ReleaseOrder,
    /// The clause.
    pub clause: Clause,
    /// Enforced or monitored.
    pub mode: Mode,
}

/// A rate of release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pace {
    /// How many messages; at least 1.
    pub messages: u32,
    /// In how many seconds; at least 1.
    pub per_seconds: u32,
}

/// In which order held mail leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum ReleaseOrder {
    /// One message for each sender in turn, in an order drawn by a lot anybody can redo (cnrs:pre).
    #[default]
    Draw,
    /// First come, first served.
    Arrival,
}

/// A protected list.
#[derive(Debug, Clone)]
pub struct List {
    /// Its address.
    pub address: Address,
    /// Other addresses that lead to it.
    pub aliases: Vec<Address>,
    /// Its name for people and for `List-Id` (cnrs:II.b, pm:7.a).
    pub label: String,
    /// Where failures and automatic answers go instead of to the sender (cnrs:II.c).
    pub return_path: Option<Address>,
    /// The list's own period, when it differs from the charter's: a calendar for each ballot.
    pub period: Option<PeriodRule>,
    /// The rules in force for this list: the charter's, with the list's own in their place where it has any.
    pub rules: Rules,
}

impl List {
    /// Whether an address leads to it.
    #[must_use]
    pub fn is_called(&self, address: &Address) -> bool {
        self.address == *address || self.aliases.contains(address)
    }
}

/// A person or organisation on the register of senders.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Its name, as the commission registered it. Unique within a charter.
    pub name: String,
    /// The mailboxes it writes from. Never empty.
    pub mailboxes: Vec<Mailbox>,
    /// Ways to prove that a message is really from it; one is enough. Never empty.
    pub proofs: Vec<Proof>,
    /// Logins allowed to use some of its mailboxes (drancy:I.1).
    pub delegates: Vec<Delegate>,
    /// The lists it may write to, by their main address. Never empty unless the charter has no list.
    pub lists: Vec<Address>,
    /// The day it adhered to the charter (pm:3); required when the rule `adherence` says so.
    pub adhered: Option<Date>,
    /// Its own period, when rights open or close for it at a date of its own (pm:9; Paris Nanterre).
    pub period: Option<Period>,
    /// Persons responsible, for people only (pm:2).
    pub referents: Vec<String>,
}

/// One mailbox of a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its address.
    pub address: Address,
    /// Size limits of its own (drancy:III.1); the strictest that fits the direction applies.
    pub sizes: Vec<SizeLimit>,
}

/// A login that may write from mailboxes of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegate {
    /// The SASL login.
    pub login: String,
    /// The mailboxes it may use. Never empty.
    pub mailboxes: Vec<Address>,
}

/// A way to prove who sent a message. A From line alone proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Proof {
    /// This SASL login.
    Sasl(String),
    /// A client address in one of these networks.
    Network(Vec<IpNet>),
    /// A verified TLS client certificate with this common name.
    Tls(String),
    /// A DKIM signature of this domain, verified here, aligned with From.
    Dkim(String),
    /// A DKIM or SPF pass for `domain` in an `Authentication-Results` field of our own server `authserv_id` (RFC 8601).
    AuthenticationResults {
        /// Our own server's identifier; fields of any other are ignored.
        authserv_id: String,
        /// The domain that passed, aligned with From.
        domain: String,
    },
}

impl Proof {
    /// The stable name of this kind of proof, as files and records write it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sasl(_) => "sasl",
            Self::Network(_) => "network",
            Self::Tls(_) => "tls",
            Self::Dkim(_) => "dkim",
            Self::AuthenticationResults { .. } => "authentication_results",
        }
    }
}

/// A mailbox that does not take mail as usual (am:3.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientState {
    /// The mailbox.
    pub address: Address,
    /// Its state.
    pub state: MailboxState,
    /// The clause.
    pub clause: Clause,
}

/// The states of am:3.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailboxState {
    /// Mail still arrives.
    Suspended,
    /// Mail is refused with a notice.
    Deactivated,
}

/// What is not looked into (am:4.5): no content rule runs, and the log keeps only that an exemption applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exemptions {
    /// Mailboxes of unions, staff representatives, occupational doctors, mutuals…; as sender or recipient.
    pub mailboxes: Vec<Address>,
    /// Words that, standing alone at the head of the subject, mark private mail, such as `Personnel`.
    pub subject_words: Vec<String>,
    /// The clause.
    pub clause: Option<Clause>,
}

/// Rules for mail of everybody in the charter's domains.
#[derive(Debug, Clone)]
pub struct General {
    /// Clients whose mail is not judged here: list managers that re-inject expanded mail, other gateways of ours.
    pub exempt_networks: Vec<IpNet>,
    /// The rules. Only identity, recipients, size, attachments, petition, chain-letter, copies and disclaimer have a meaning here.
    pub rules: Rules,
}

/// Under what a message is judged.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// It goes to this protected list.
    List(&'a List),
    /// It goes elsewhere, and the charter has rules for everybody.
    General(&'a General),
}

impl<'a> Scope<'a> {
    /// The rules in force.
    #[must_use]
    pub fn rules(self) -> &'a Rules {
        match self {
            Self::List(list) => &list.rules,
            Self::General(general) => &general.rules,
        }
    }
}
