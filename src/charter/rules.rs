//! The ordered table of rules, and the settings of each.
//!
//! The order is the order in which [`RuleName::ALL`] lists them: what the envelope alone decides comes first, so that a
//! message that is refused anyway never has its content looked at.

use crate::closed_list::closed_list;
use crate::message::address::Address;
use crate::message::edit::SignedPolicy;

use super::{Clause, Mode};

closed_list! {
    /// The rules, in the order in which they are asked.
    RuleName {
        /// The gateway itself can judge the message: within its limits, with its log and memory at hand.
        Gateway = "gateway",
        /// A recipient's mailbox is deactivated.
        RecipientState = "recipient-state",
        /// The sender, the list or the charter is suspended, or the flood breaker is open.
        Stop = "stop",
        /// The local day is inside the period.
        Period = "period",
        /// The sender is on the register for this list, proven, and has adhered.
        Sender = "sender",
        /// From, envelope sender and authenticated identity agree, and no other sender's name is shown.
        Identity = "identity",
        /// The message answers list mail and is sent back to the list.
        Reply = "reply",
        /// The list stands alone among the recipients, and their number is within limits.
        Recipients = "recipients",
        /// The size of the message is within limits.
        Size = "size",
        /// The sender's quota is not used up.
        Quota = "quota",
        /// All mail programs would read the message's structure alike.
        Structure = "structure",
        /// The message carries nothing but its text.
        Attachments = "attachments",
        /// The message is not an e-petition.
        Petition = "petition",
        /// The message is not a chain letter.
        ChainLetter = "chain-letter",
        /// Near-identical messages are not sent in number.
        Copies = "copies",
        /// The message does not report on its readers.
        Tracking = "tracking",
        /// Receipt requests are removed.
        Receipts = "receipts",
        /// The subject carries the list's tag.
        Subject = "subject",
        /// The message carries the list's header fields.
        ListHeaders = "list-headers",
        /// Replies go to the sender.
        ReplyTo = "reply-to",
        /// Failures go to the list's return path.
        ReturnPath = "return-path",
        /// The message carries the list's banner.
        Banner = "banner",
        /// Mail that leaves the organisation carries its disclaimer.
        Disclaimer = "disclaimer",
        /// The message is delivered inside the night window.
        NightWindow = "night-window",
    }
}

/// A rule with its settings, its clause and its mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule<S> {
    /// The clause it enforces.
    pub clause: Clause,
    /// Why the rule exists, in the organisation's own words, when the clause does not say it (am:4.4).
    pub purpose: Option<String>,
    /// Enforced or monitored; already resolved against the charter's own mode.
    pub mode: Mode,
    /// The settings.
    pub settings: S,
}

/// The rules of a scope. A rule that is `None` does not exist there; the record says "not configured".
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The clause under which only registered senders may write; lists always have one.
    pub sender: Option<Rule<SenderRule>>,
    /// See [`RuleName::Identity`].
    pub identity: Option<Rule<IdentityRule>>,
    /// See [`RuleName::Reply`].
    pub reply: Option<Rule<()>>,
    /// The flood breaker, a part of [`RuleName::Stop`].
    pub flood: Option<Rule<FloodRule>>,
    /// See [`RuleName::Recipients`].
    pub recipients: Option<Rule<RecipientsRule>>,
    /// See [`RuleName::Size`].
    pub size: Option<Rule<SizeRule>>,
    /// See [`RuleName::Quota`]; all of them apply.
    pub quotas: Vec<Rule<QuotaRule>>,
    /// See [`RuleName::Structure`].
    pub structure: Option<Rule<StructureRule>>,
    /// See [`RuleName::Attachments`].
    pub attachments: Option<Rule<AttachmentsRule>>,
    /// See [`RuleName::Petition`].
    pub petition: Option<Rule<PetitionRule>>,
    /// See [`RuleName::ChainLetter`].
    pub chain_letter: Option<Rule<PetitionRule>>,
    /// See [`RuleName::Copies`].
    pub copies: Option<Rule<CopiesRule>>,
    /// See [`RuleName::Tracking`].
    pub tracking: Option<Rule<TrackingRule>>,
    /// See [`RuleName::Receipts`].
    pub receipts: Option<Rule<ReceiptsRule>>,
    /// See [`RuleName::Subject`].
    pub subject: Option<Rule<SubjectRule>>,
    /// See [`RuleName::ListHeaders`].
    pub list_headers: Option<Rule<ListHeadersRule>>,
    /// See [`RuleName::ReplyTo`].
    pub reply_to: Option<Rule<ReplyToRule>>,
    /// See [`RuleName::ReturnPath`]; acts when the list has a return path.
    pub return_path: Option<Rule<()>>,
    /// See [`RuleName::Banner`].
    pub banner: Option<Rule<BannerRule>>,
    /// See [`RuleName::Disclaimer`].
    pub disclaimer: Option<Rule<DisclaimerRule>>,
}

/// Settings of `sender`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SenderRule {
    /// A sender without a recorded day of adherence is refused (pm:3).
    pub adherence: bool,
    /// The clause about adherence, where it is another.
    pub adherence_clause: Option<Clause>,
}

/// Settings of `identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRule {
    /// What to do when they disagree.
    pub action: RefuseOrTag,
    /// The envelope sender must be a mailbox of the same sender as From (in general scope: the same address).
    pub envelope: bool,
    /// The login must be allowed to use the From mailbox.
    pub login: bool,
}

/// Refuse the message, or only mark it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum RefuseOrTag {
    /// Refuse it.
    #[default]
    Reject,
    /// Deliver it with a header field that says what was found.
    Tag,
}

/// Settings of `recipients`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecipientsRule {
    /// At most so many recipients in one message (am:5.1.a).
    pub per_message_max: Option<u32>,
    /// At most so many recipients in a span of time, counted for each sender.
    pub per_span: Option<(u64, Span)>,
    /// No address but those of the message's own lists may stand in `To` or `Cc`: the others learn nothing of each
    /// other (Prime Minister 2015, Defence 2014).
    pub hidden: bool,
}

closed_list! {
    /// A span of local time in which things are counted.
    Span {
        /// The clock hour.
        Hour = "hour",
        /// The local day.
        Day = "day",
        /// The ISO week, Monday to Sunday.
        Week = "week",
        /// The calendar month.
        Month = "month",
        /// The charter's (or the list's) period.
        Period = "period",
    }
}

/// Settings of `size`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SizeRule {
    /// The limits; the strictest that fits applies.
    pub limits: Vec<SizeLimit>,
    /// Advice for the sender, quoted in the reply (am:5.1.b).
    pub advice: Option<String>,
}

/// One size limit on the whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SizeLimit {
    /// Octets of the message as received, header included.
    pub bytes_max: u64,
    /// Which way the mail goes.
    pub direction: Direction,
}

/// Which way mail goes, by the domains of its recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Direction {
    /// Any way.
    #[default]
    Any,
    /// To the organisation's own domains.
    Internal,
    /// To at least one other domain.
    Outgoing,
}

/// Settings of one quota: so many messages in a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaRule {
    /// At most so many messages.
    pub messages_max: u32,
    /// In such a span.
    pub per: Span,
    /// Counted for whom.
    pub of: QuotaSubject,
    /// Counted over what.
    pub over: QuotaReach,
}

closed_list! {
    /// For whom a quota counts.
    QuotaSubject default Sender {
        /// The candidate or organisation.
        Sender = "sender",
        /// Each of its mailboxes (Interior 2017: 8 messages a month from one functional mailbox).
        Mailbox = "mailbox",
        /// Each login.
        Login = "login",
    }
}

closed_list! {
    /// Over what a quota counts.
    QuotaReach default List {
        /// Each list by itself.
        List = "list",
        /// All lists of the charter together (Education 2016: 5 messages a month over all lists).
        AllLists = "all-lists",
    }
}

/// Settings of `flood` (pm:6): more messages than any honest use sends, in so short a time, open the breaker. The sender
/// or the list is then stopped, for all its messages and with a temporary answer, until somebody has looked and lifted
/// the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloodRule {
    /// So many messages are still let through.
    pub messages_max: u32,
    /// Within so many seconds.
    pub within_seconds: u64,
    /// Whose messages are counted, and who is stopped.
    pub of: FloodSubject,
}

/// Whose messages the flood breaker counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum FloodSubject {
    /// Each sender's, to all lists of the charter.
    #[default]
    Sender,
    /// All senders', to each list.
    List,
}

/// Settings of `structure`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StructureRule {
    /// What to do with a message that two readers could read differently.
    pub ambiguous: RefuseOrTag,
    /// Encrypted mail, which nobody could check, may pass.
    pub encrypted_allowed: bool,
}

/// Settings of `attachments`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AttachmentsRule {
    /// What to do with a class that `classes` does not name.
    pub action: AttachmentAction,
    /// What to do with each class that is treated differently, by its stable name (`inline-image`, `calendar`…).
    pub classes: Vec<(String, AttachmentAction)>,
    /// Images that the HTML shows (`cid:`) are allowed up to this size each, octets.
    pub inline_image_bytes_max: u64,
    /// What to do when a signature covers a part to be stripped.
    pub signed: SignedPolicy,
}

/// What to do with an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum AttachmentAction {
    /// Put a notice in its place.
    #[default]
    Strip,
    /// Refuse the message.
    Reject,
    /// Deliver the message with a header field that says what was found.
    Tag,
    /// Let it pass.
    Allow,
}

/// Settings of `petition` and `chain-letter`.
#[derive(Debug, Clone, PartialEq)]
pub struct PetitionRule {
    /// What to do at or above the threshold.
    pub action: RefuseOrTag,
    /// The score from which the rule hits; greater than 0.
    pub threshold: f64,
    /// Signals of the rule pack that are not counted here, by id.
    pub silenced: Vec<String>,
    /// Other weights for signals, by id.
    pub weights: Vec<(String, f64)>,
}

/// Settings of `copies` (drancy:IV).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiesRule {
    /// What to do from the N+1st copy on.
    pub action: RefuseOrTag,
    /// So many near-identical messages are still allowed.
    pub messages_max: u32,
    /// Within so many seconds.
    pub within_seconds: u64,
}

/// Settings of `tracking` (pm:5.b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrackingRule {
    /// Refuse the message instead of removing the trackers.
    pub reject: bool,
}

/// Settings of `receipts` (cnrs:III.e, drancy:III.4.b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiptsRule {
    /// Remove every request.
    #[default]
    Remove,
    /// Refuse the message (Defence 2014: receipts are forbidden).
    Reject,
    /// Let them pass.
    Pass,
}

/// Settings of `subject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRule {
    /// The tag, such as `[Élections CNRS 2018 – C]`. `{sender}` in it stands for the sender's name, where the union must be
    /// named in the subject (Defence 2014); `{label}` has already been filled in.
    pub tag: String,
}

impl SubjectRule {
    /// Whether the tag names the sender.
    #[must_use]
    pub fn names_sender(&self) -> bool {
        self.tag.contains("{sender}")
    }

    /// The tag for mail of the sender of this name.
    #[must_use]
    pub fn tag_of(&self, sender: &str) -> String {
        self.tag.replace("{sender}", sender)
    }
}

/// Settings of `list-headers` (cnrs:III.d, pm:7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListHeadersRule {
    /// https or mailto targets; `{list}` stands for the list's address, percent-encoded.
    pub unsubscribe: Vec<String>,
    /// Offer one-click unsubscription (RFC 8058).
    pub one_click: bool,
    /// Where members learn of the arrangements (cnrs:IV).
    pub help: Option<String>,
    /// The list's owner.
    pub owner: Option<String>,
    /// Ask automatic responders to stay silent.
    pub silence_automatic_answers: bool,
}

/// Settings of `reply-to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyToRule {
    /// The mailbox in From.
    Sender,
    /// This mailbox.
    Mailbox(Address),
}

/// Settings of `banner`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BannerRule {
    /// Words before the text. `{list}`, `{label}`, `{sender}`, `{unsubscribe}`, `{contest}`, `{help}`, `{reference}` are filled in.
    pub header: Option<String>,
    /// Words after the text, with the same fields.
    pub footer: Option<String>,
    /// What to do with signed mail.
    pub signed: SignedPolicy,
}

/// Settings of `disclaimer` (am:3.2.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DisclaimerRule {
    /// The words.
    pub text: String,
    /// A header field that marks official mail, which carries no disclaimer.
    pub official_header: Option<String>,
    /// A tag in the subject that marks official mail.
    pub official_subject_tag: Option<String>,
    /// What to do with signed mail.
    pub signed: SignedPolicy,
}
