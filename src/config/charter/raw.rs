//! A charter file as it is written: every key, its documentation and its kind. Nothing here is judged yet.

use ipnet::IpNet;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use toml::Spanned;

use crate::charter::rules::{
    AttachmentAction, Direction, FloodSubject, QuotaReach, QuotaSubject, ReceiptsRule, RefuseOrTag, Span,
};
use crate::charter::{Clause, Inspection, Keeper, MailboxState, Mode, ReleaseOrder};
use crate::config::reader::{Free, OneOrMany, Switch, raw_table};
use crate::config::values::{Bytes, Count, Domain, Identifier, Lasting, Line, Target, Text, Weight};
use crate::message::address::Address;
use crate::message::edit::SignedPolicy;
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
        contest: optional Spanned<Line>,
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

/// The time in which a pace counts, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceSpan(pub u32);

crate::config::values::choices! {
    PaceSpan { "second" => PaceSpan(1), "minute" => PaceSpan(60), "hour" => PaceSpan(3600), }
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
    /// A size limit.
    RawSizeLimit called "a size limit" {
        /// The whole message, header included.
        max: required Spanned<Bytes>,
        /// Which way the mail goes; `any` when left out.
        direction: optional Spanned<Direction>,
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

raw_table! {
    /// `[rules]`
    RawRules called "`[rules]`" {
        /// Only senders of the register may write, each under a proof. Every list must have this rule.
        sender: optional Switch<RawSenderRule>,
        /// From, envelope sender and login must agree.
        identity: optional Switch<RawIdentity>,
        /// A reply to list mail must not go back to the list.
        reply: optional Switch<RawPlain>,
        /// More messages in a short time than any honest use sends: the sender or the list is stopped until somebody has looked.
        flood: optional Switch<RawFlood>,
        /// How many recipients a message may have.
        recipients: optional Switch<RawRecipients>,
        /// How large a message may be.
        size: optional Switch<RawSize>,
        /// How many messages may be sent; several limits may hold together.
        quota: optional Switch<OneOrMany<RawQuota>>,
        /// What happens to a message that two mail programs would read differently.
        structure: optional Switch<RawStructure>,
        /// What happens to everything that is not the text.
        attachments: optional Switch<RawAttachments>,
        /// What happens to e-petitions.
        petition: optional Switch<RawPetition>,
        /// What happens to chain letters.
        chain_letter: optional Switch<RawPetition>,
        /// What happens to near-identical messages in number.
        copies: optional Switch<RawCopies>,
        /// What happens to tracking pixels and trackers in links.
        tracking: optional Switch<RawTracking>,
        /// What happens to requests for receipts.
        receipts: optional Switch<RawReceipts>,
        /// The tag before the subject.
        subject: optional Switch<RawSubject>,
        /// The list's header fields.
        list_headers: optional Switch<RawListHeaders>,
        /// Where replies go.
        reply_to: optional Switch<RawReplyTo>,
        /// Failures go to the list's return path.
        return_path: optional Switch<RawPlain>,
        /// Words before and after the text.
        banner: optional Switch<RawBanner>,
        /// Words under mail that leaves the organisation.
        disclaimer: optional Switch<RawDisclaimer>,
    }
}

/// What every rule says of itself.
pub struct RuleHead<'r> {
    /// The clause it enforces.
    pub clause: Option<&'r Spanned<Clause>>,
    /// Why it exists.
    pub purpose: Option<&'r Spanned<Line>>,
    /// Enforced or monitored.
    pub mode: Option<&'r Spanned<Mode>>,
}

/// A raw rule: its head.
pub trait RawRule {
    /// What every rule says of itself.
    fn head(&self) -> RuleHead<'_>;
}

macro_rules! raw_rule {
    ($(#[doc = $doc:literal])+ $name:ident called $called:literal { $($fields:tt)* }) => {
        raw_table! {
            $(#[doc = $doc])+
            $name called $called {
                $($fields)*
                /// The clause the rule enforces.
                clause: required Spanned<Clause>,
                /// Why the rule exists, where the clause does not say it.
                purpose: optional Spanned<Line>,
                /// `monitor` records what the rule would have done and does nothing.
                mode: optional Spanned<Mode>,
            }
        }

        impl RawRule for $name {
            fn head(&self) -> RuleHead<'_> {
                RuleHead { clause: self.clause.as_ref(), purpose: self.purpose.as_ref(), mode: self.mode.as_ref() }
            }
        }
    };
}

raw_rule! {
    /// A rule without settings.
    RawPlain called "a rule without settings" {}
}

raw_rule! {
    /// `sender`
    RawSenderRule called "`sender`" {
        /// Refuse a sender without a recorded day of adherence.
        adherence: default Spanned<bool> = false,
        /// The clause about adherence, where it is another.
        adherence_clause: optional Spanned<Clause>,
    }
}

raw_rule! {
    /// `identity`
    RawIdentity called "`identity`" {
        /// What happens when they disagree; `reject` when left out.
        action: optional Spanned<RefuseOrTag>,
        /// The envelope sender must be a mailbox of the same sender as From.
        envelope: default Spanned<bool> = true,
        /// The login must be allowed to use the From mailbox.
        login: default Spanned<bool> = true,
    }
}

raw_rule! {
    /// `recipients`
    RawRecipients called "`recipients`" {
        /// At most so many recipients in one message.
        per_message: optional Spanned<Count>,
        /// At most so many recipients in a span of time, for each sender.
        per_span: optional RawRecipientSpan,
        /// No address but the list's may stand in `To` or `Cc`: the others are written to in `Bcc`.
        hidden: default Spanned<bool> = false,
    }
}

raw_table! {
    /// `per_span`
    RawRecipientSpan called "`per_span`" {
        /// How many recipients.
        recipients: required Spanned<Count>,
        /// In which span of local time.
        per: required Spanned<Span>,
    }
}

raw_rule! {
    /// `size`
    RawSize called "`size`" {
        /// The limit on the whole message, header included.
        max: optional Spanned<Bytes>,
        /// Which way the mail must go for `max` to apply; `any` when left out.
        direction: optional Spanned<Direction>,
        /// Several limits, in place of `max`.
        limits: many Vec<RawSizeLimit>,
        /// Advice for the sender, quoted in the reply.
        advice: optional Spanned<Line>,
    }
}

raw_rule! {
    /// `quota`
    RawQuota called "`quota`" {
        /// At most so many messages.
        messages: required Spanned<Count>,
        /// In which span of local time.
        per: required Spanned<Span>,
        /// Counted for whom; for each `sender` when left out.
        of: optional Spanned<QuotaSubject>,
        /// Counted over what; over each `list` by itself when left out.
        over: optional Spanned<QuotaReach>,
    }
}

raw_rule! {
    /// `flood`
    RawFlood called "`flood`" {
        /// So many messages are still let through.
        messages: required Spanned<Count>,
        /// Within this time.
        within: required Spanned<Lasting>,
        /// Whose messages are counted, and who is stopped; each `sender` when left out.
        of: optional Spanned<FloodSubject>,
    }
}

raw_rule! {
    /// `structure`
    RawStructure called "`structure`" {
        /// What happens to an ambiguous message; `reject` when left out.
        ambiguous: optional Spanned<RefuseOrTag>,
        /// Encrypted mail, which nobody can check, may pass.
        encrypted: default Spanned<bool> = false,
    }
}

raw_rule! {
    /// `attachments`
    RawAttachments called "`attachments`" {
        /// What happens to an attachment; `strip` when left out.
        action: optional Spanned<AttachmentAction>,
        /// What happens to single classes of attachments.
        classes: optional Free<Spanned<AttachmentAction>>,
        /// Images that the text shows may be so large, each; without it, they count as attachments.
        inline_images: optional Spanned<Bytes>,
        /// What happens when a signature covers what is to be stripped; `reject` when left out.
        signed: optional Spanned<SignedPolicy>,
    }
}

raw_rule! {
    /// `petition` and `chain_letter`
    RawPetition called "`petition` or `chain_letter`" {
        /// What happens at the threshold; `reject` when left out.
        action: optional Spanned<RefuseOrTag>,
        /// The score from which the rule hits.
        threshold: default Spanned<Weight> = Weight(1.0),
        /// Signals that do not count here, by id.
        silenced: many Vec<Spanned<Line>>,
        /// Other weights for signals, by id.
        weights: optional Free<Spanned<Weight>>,
    }
}

raw_rule! {
    /// `copies`
    RawCopies called "`copies`" {
        /// What happens from the first copy too many on; `reject` when left out.
        action: optional Spanned<RefuseOrTag>,
        /// So many near-identical messages are still allowed.
        messages: required Spanned<Count>,
        /// Within this time.
        within: required Spanned<Lasting>,
    }
}

/// What happens to trackers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackingAction {
    /// They are removed.
    Strip,
    /// The message is refused.
    Reject,
}

crate::config::values::choices! {
    TrackingAction { "strip" => TrackingAction::Strip, "reject" => TrackingAction::Reject, }
}

raw_rule! {
    /// `tracking`
    RawTracking called "`tracking`" {
        /// What happens to trackers.
        action: required Spanned<TrackingAction>,
    }
}

raw_rule! {
    /// `receipts`
    RawReceipts called "`receipts`" {
        /// What happens to requests for receipts.
        action: required Spanned<ReceiptsRule>,
    }
}

raw_rule! {
    /// `subject`
    RawSubject called "`subject`" {
        /// The tag; `{label}` stands for the list's label and `{sender}` for the sender's name.
        tag: required Spanned<Line>,
    }
}

raw_rule! {
    /// `list_headers`
    RawListHeaders called "`list_headers`" {
        /// Targets for leaving the list; `{list}` stands for the list's address, percent-encoded.
        unsubscribe: optional OneOrMany<Spanned<Target>>,
        /// Offer to unsubscribe with one click (RFC 8058); needs an `https:` target and a DKIM signer behind this filter.
        one_click: default Spanned<bool> = false,
        /// Where members learn of the arrangements.
        help: optional Spanned<Target>,
        /// The list's owner.
        owner: optional Spanned<Target>,
        /// Ask automatic responders to stay silent.
        silence_automatic_answers: default Spanned<bool> = true,
    }
}

raw_rule! {
    /// `reply_to`
    RawReplyTo called "`reply_to`" {
        /// `sender`, or a mailbox.
        to: required Spanned<Line>,
    }
}

raw_rule! {
    /// `banner`
    RawBanner called "`banner`" {
        /// Words before the text.
        header: optional Spanned<Text>,
        /// Words after the text.
        footer: optional Spanned<Text>,
        /// What happens to signed mail; `reject` when left out.
        signed: optional Spanned<SignedPolicy>,
    }
}

raw_rule! {
    /// `disclaimer`
    RawDisclaimer called "`disclaimer`" {
        /// The words.
        text: required Spanned<Text>,
        /// A header field that marks official mail, which carries no disclaimer.
        official_header: optional Spanned<Line>,
        /// A tag in the subject that marks official mail.
        official_subject_tag: optional Spanned<Line>,
        /// What happens to signed mail; `reject` when left out.
        signed: optional Spanned<SignedPolicy>,
    }
}
