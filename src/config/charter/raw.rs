//! A charter file as it is written: every key, its documentation and its kind. Nothing here is judged yet.
//!
//! Here are the file and its chapters; the two that are books of their own, and are read by files of their own, stand apart:
//! the senders in [`register`], the rules in [`rules`].

pub mod register;
pub mod rules;

use ipnet::IpNet;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use toml::Spanned;

use self::register::RawSender;
use self::rules::RawRules;
use crate::charter::{Clause, Inspection, Keeper, MailboxState, Mode, ReleaseOrder};
use crate::config::choices::choices;
use crate::config::quantities::Count;
use crate::config::reader::raw_table;
use crate::config::values::{Contact, Domain, Identifier, Line};
use crate::message::address::Address;
use crate::wording::Language;

raw_table! {
    /// A charter file.
    RawFile called "the file" {
        /// What the charter is called, and what holds for all of it.
        charter: required RawCharter,
        /// The electoral period; without it, the lists are always open.
        period: optional RawPeriod,
        /// When mail may be delivered; without it, at any hour.
        night_window: optional RawWindow,
        /// The protected lists, one table each.
        list: many Vec<RawList>,
        /// The register of senders, one table each.
        sender: many Vec<RawSender>,
        /// Mailboxes that do not take mail as usual, one table each.
        recipient: many Vec<RawRecipient>,
        /// What is not professional mail and is therefore not looked into.
        exemptions: optional RawExemptions,
        /// The rules for mail to the protected lists.
        rules: optional RawRules,
        /// Rules for mail of everybody, whether or not it goes to a list.
        general: optional RawGeneral,
        /// The clauses of the text, one table each.
        clause: many Vec<RawClause>,
    }
}

raw_table! {
    /// `[charter]`
    RawCharter called "`[charter]`" {
        /// Short stable name, quoted in records and replies.
        id: required Spanned<Identifier>,
        /// Full title for people.
        title: required Spanned<Line>,
        /// Language of replies, notices and fixed words; `fr` when left out.
        language: optional Spanned<Language>,
        /// Where local days, night windows and quota periods are counted.
        timezone: required Spanned<TimeZone>,
        /// `monitor` decides and records and touches nothing, whatever the rules say; `enforce` when left out.
        mode: optional Spanned<Mode>,
        /// `structure` never looks at the text of a message: size, shape, header fields, sender, period and quota only; `content` when left out.
        inspection: optional Spanned<Inspection>,
        /// A shared charter may name lists that another charter also names; both apply, and the stricter wins.
        shared: default Spanned<bool> = false,
        /// Whether figures may be kept for each sender.
        statistics: default Spanned<bool> = true,
        /// Whom a sender or a member can turn to: a mailbox or an `https:` page, quoted in replies and footers.
        contest: optional Spanned<Contact>,
        /// The organisation's own mail domains, which tell internal from outgoing mail; those of the main file when left out.
        domains: many Vec<Spanned<Domain>>,
    }
}

raw_table! {
    /// `[period]`
    RawPeriod called "`[period]`" {
        /// First local day.
        opens: required Spanned<Date>,
        /// Last local day; the list closes when it ends.
        closes: required Spanned<Date>,
        /// The clause that sets the period.
        clause: required Spanned<Clause>,
        /// `monitor` records what would have been refused and refuses nothing.
        mode: optional Spanned<Mode>,
    }
}

raw_table! {
    /// `[night_window]`
    RawWindow called "`[night_window]`" {
        /// Local time at which the window opens.
        from: required Spanned<Time>,
        /// Local time at which it closes; earlier than `from` when the window reaches across midnight.
        to: required Spanned<Time>,
        /// At most so many messages in such a time; without it, as fast as the mail server goes.
        pace: optional RawPace,
        /// `draw` releases one message of each sender in turn, in an order drawn by a verifiable lot (so when left out); `arrival` as they came.
        order: optional Spanned<ReleaseOrder>,
        /// The clause that sets the window.
        clause: required Spanned<Clause>,
        /// `monitor` records what would have been held and holds nothing.
        mode: optional Spanned<Mode>,
    }
}

raw_table! {
    /// `pace`
    RawPace called "`pace`" {
        /// How many messages.
        messages: required Spanned<Count>,
        /// In how much time.
        per: required Spanned<PaceSpan>,
    }
}

/// The time in which a pace counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaceSpan {
    /// So many messages a second.
    Second,
    /// So many messages a minute.
    Minute,
    /// So many messages an hour.
    Hour,
}

choices! {
    PaceSpan { Second = "second", Minute = "minute", Hour = "hour", }
}

impl PaceSpan {
    /// Its length.
    #[must_use]
    pub fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }
}

raw_table! {
    /// `[[list]]`
    RawList called "`[[list]]`" {
        /// Its address.
        address: required Spanned<Address>,
        /// Other addresses that lead to it.
        aliases: many Vec<Spanned<Address>>,
        /// Its name for people and for `List-Id`.
        label: required Spanned<Line>,
        /// Where failures and automatic answers go instead of to the sender.
        return_path: optional Spanned<Address>,
        /// The list's own period, in place of the charter's.
        period: optional RawPeriod,
        /// Rules in place of the charter's, one by one; `false` switches a rule of the charter off for this list.
        rules: optional RawRules,
    }
}

raw_table! {
    /// `[[recipient]]`
    RawRecipient called "`[[recipient]]`" {
        /// The mailbox.
        address: required Spanned<Address>,
        /// `suspended`: mail still arrives; `deactivated`: it is refused with the reason.
        state: required Spanned<MailboxState>,
        /// The clause.
        clause: required Spanned<Clause>,
    }
}

raw_table! {
    /// `[exemptions]`
    RawExemptions called "`[exemptions]`" {
        /// Mailboxes whose mail is not looked into, as sender or as recipient.
        mailboxes: many Vec<Spanned<Address>>,
        /// Words that mark private mail when they stand alone at the head of the subject.
        subject_words: many Vec<Spanned<Line>>,
        /// The clause.
        clause: required Spanned<Clause>,
    }
}

raw_table! {
    /// `[general]`
    RawGeneral called "`[general]`" {
        /// Clients whose mail is not judged by these rules: list managers that re-inject expanded mail, our other gateways.
        exempt_networks: many Vec<Spanned<IpNet>>,
        /// The rules. Only identity, recipients, size, attachments, petition, `chain_letter`, copies and disclaimer have a meaning here.
        rules: required RawRules,
    }
}

raw_table! {
    /// `[[clause]]`
    RawClause called "`[[clause]]`" {
        /// Its identifier.
        id: required Spanned<Clause>,
        /// What it demands, in one sentence.
        text: required Spanned<Line>,
        /// No gateway can enforce it; people do.
        organisational: default Spanned<bool> = false,
        /// What keeps it besides the rules that quote it: rules, and measures (see below).
        by: many Vec<Spanned<Keeper>>,
    }
}
