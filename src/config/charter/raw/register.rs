//! `[[sender]]`: the register as it is written.

use ipnet::IpNet;
use jiff::civil::Date;
use toml::Spanned;

use super::rules::RawSizeLimit;
use crate::config::reader::{OneOrMany, raw_table};
use crate::config::values::{Domain, Line};
use crate::message::address::Address;

raw_table! {
    /// `[[sender]]`
    RawSender called "`[[sender]]`" {
        /// Its name, as the commission registered it.
        name: required Spanned<Line>,
        /// The mailboxes it writes from.
        addresses: many Vec<Spanned<Address>>,
        /// Mailboxes with size limits of their own, one table each.
        mailbox: many Vec<RawMailbox>,
        /// Ways to prove that a message is really from it; one is enough.
        proofs: many Vec<RawProof>,
        /// Logins that may use some of its mailboxes, one table each.
        delegate: many Vec<RawDelegate>,
        /// The lists it may write to, by address.
        lists: many Vec<Spanned<Address>>,
        /// The day it adhered to the charter.
        adhered: optional Spanned<Date>,
        /// Its own period, when its rights open or close at dates of their own.
        period: optional RawSenderPeriod,
        /// Persons responsible.
        referents: many Vec<Spanned<Line>>,
    }
}

raw_table! {
    /// `[sender.period]`
    RawSenderPeriod called "`[sender.period]`" {
        /// First local day.
        opens: required Spanned<Date>,
        /// Last local day.
        closes: required Spanned<Date>,
    }
}

raw_table! {
    /// `[[sender.mailbox]]`
    RawMailbox called "`[[sender.mailbox]]`" {
        /// Its address.
        address: required Spanned<Address>,
        /// Its own size limits.
        size: optional OneOrMany<RawSizeLimit>,
    }
}

raw_table! {
    /// A proof; exactly one key.
    RawProof called "a proof" {
        /// This login.
        sasl: optional Spanned<Line>,
        /// A client address in one of these networks.
        network: optional OneOrMany<Spanned<IpNet>>,
        /// A verified TLS client certificate with this common name.
        tls: optional Spanned<Line>,
        /// A DKIM signature of this domain, verified here and aligned with From.
        dkim: optional Spanned<Domain>,
        /// A pass in an `Authentication-Results` field of our own mail server.
        authentication_results: optional RawResultsProof,
    }
}

raw_table! {
    /// `authentication_results`
    RawResultsProof called "`authentication_results`" {
        /// The domain that passed, aligned with From.
        domain: required Spanned<Domain>,
        /// Our own server's identifier; that of the main file when left out.
        authserv_id: optional Spanned<Line>,
    }
}

raw_table! {
    /// `[[sender.delegate]]`
    RawDelegate called "`[[sender.delegate]]`" {
        /// The login.
        login: required Spanned<Line>,
        /// The mailboxes it may use; all of the sender's when left out.
        mailboxes: many Vec<Spanned<Address>>,
    }
}
