//! What a decision is made of: reasons from a closed list, what each rule found, and the verdict.
//!
//! Every rule of the table leaves one [`Finding`], also when it found nothing or was not asked: "the period was open and
//! the quota was not used up" is what an auditor wants to read.

use jiff::Timestamp;
use serde::Serialize;

use super::rules::RuleName;
use super::{Clause, Mode};
use crate::closed_list::closed_list;
use crate::message::edit::Edit;

closed_list! {
    /// Why a rule hit, or why a message could not be judged. The name is the same in records, metrics and documents.
    ReasonCode {
        /// The recipient's mailbox is deactivated.
        RecipientDeactivated = "recipient-deactivated",
        /// The sender, the list or the charter is suspended.
        Stopped = "stopped",
        /// So many messages came in so short a time that the flood breaker opened.
        Flood = "flood",
        /// The period has not begun.
        PeriodNotOpen = "period-not-open",
        /// The period is over.
        PeriodClosed = "period-closed",
        /// The message could not be delivered before the period ends.
        DeliveryImpossible = "delivery-impossible",
        /// The sender is not on the register.
        SenderUnknown = "sender-unknown",
        /// The sender is on the register, but not for this list.
        SenderOtherList = "sender-other-list",
        /// The sender's own rights have not opened.
        SenderNotOpen = "sender-not-open",
        /// The sender's own rights are over.
        SenderClosed = "sender-closed",
        /// The sender has not adhered to the charter.
        SenderNotAdhered = "sender-not-adhered",
        /// Nothing proves that the message is from the sender it names.
        SenderNotProven = "sender-not-proven",
        /// The proof could not be checked now (DNS).
        ProofUnavailable = "proof-unavailable",
        /// There is no From field.
        FromMissing = "from-missing",
        /// From names several mailboxes, or there are several From fields.
        FromSeveral = "from-several",
        /// From cannot be read as one mailbox.
        FromUnreadable = "from-unreadable",
        /// The envelope sender is empty: notifications and automatic answers do not go to the list.
        EnvelopeSenderNull = "envelope-sender-null",
        /// The envelope sender is not a mailbox of the sender in From.
        EnvelopeSenderDiffers = "envelope-sender-differs",
        /// The Sender field is not a mailbox of the sender in From.
        SenderFieldDiffers = "sender-field-differs",
        /// The display name in From is another sender's name or address.
        DisplayNameDiffers = "display-name-differs",
        /// The login may not use the mailbox in From.
        LoginDiffers = "login-differs",
        /// The mailbox in From is one of the organisation's, and the client did not authenticate.
        NotAuthenticated = "not-authenticated",
        /// The message answers mail of the list.
        AnswersList = "answers-list",
        /// The list does not stand alone among the recipients.
        RecipientsMixed = "recipients-mixed",
        /// Too many recipients in one message.
        RecipientsTooMany = "recipients-too-many",
        /// To or Cc show recipients to each other.
        RecipientsShown = "recipients-shown",
        /// Too many recipients in the span.
        RecipientsExhausted = "recipients-exhausted",
        /// The message is too large.
        TooLarge = "too-large",
        /// The quota is used up.
        QuotaExhausted = "quota-exhausted",
        /// Two mail programs could read the structure differently.
        StructureAmbiguous = "structure-ambiguous",
        /// The message is encrypted: nobody could check it.
        Encrypted = "encrypted",
        /// A signature would be broken by an edit the charter demands.
        SignatureInTheWay = "signature-in-the-way",
        /// The message carries an attachment.
        Attachment = "attachment",
        /// The message is an e-petition.
        Petition = "petition",
        /// The message is a chain letter.
        ChainLetter = "chain-letter",
        /// Near-identical messages were sent in number.
        Copies = "copies",
        /// The message reports on its readers.
        Tracker = "tracker",
        /// A receipt is asked for.
        ReceiptRequested = "receipt-requested",
        /// The edit of this rule is due.
        EditDue = "edit-due",
        /// An edit the charter demands cannot be made on this message.
        EditImpossible = "edit-impossible",
        /// It is outside the night window.
        OutsideWindow = "outside-window",
        /// Inside the window, but earlier messages still wait.
        WaitsItsTurn = "waits-its-turn",
        /// The message is over a technical limit of the gateway.
        OverLimit = "over-limit",
        /// The gateway's memory budget is used up.
        OverBudget = "over-budget",
        /// The decision log cannot be written.
        LogUnavailable = "log-unavailable",
        /// The ledger of held mail cannot be written.
        LedgerUnavailable = "ledger-unavailable",
        /// The store cannot be read or written.
        StoreUnavailable = "store-unavailable",
        /// The message reached the second socket without a decision of the first.
        Undecided = "undecided",
        /// The work took longer than its deadline.
        DeadlinePassed = "deadline-passed",
        /// The gateway met a fault of its own.
        InternalFault = "internal-fault",
    }
}

/// What happens to a message; the strongest of all rules wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Verdict {
    /// It passes, with its edits.
    #[default]
    Accept,
    /// It passes, with its edits, and waits in the mail server's queue.
    Hold,
    /// The client shall try again later.
    Tempfail,
    /// It is refused.
    Reject,
}

impl Verdict {
    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Hold => "hold",
            Self::Tempfail => "tempfail",
            Self::Reject => "reject",
        }
    }

    /// Whether the message goes no further.
    #[must_use]
    pub fn refuses(self) -> bool {
        matches!(self, Self::Tempfail | Self::Reject)
    }
}

closed_list! {
    /// What a rule does when it hits.
    Effect {
        /// Nothing but the record.
        None = "none",
        /// The message is edited.
        Edit = "edit",
        /// The message is marked by a header field.
        Tag = "tag",
        /// The message waits.
        Hold = "hold",
        /// The client shall try again.
        Tempfail = "tempfail",
        /// The message is refused.
        Reject = "reject",
    }
}

impl Effect {
    fn verdict(self) -> Verdict {
        match self {
            Self::None | Self::Edit | Self::Tag => Verdict::Accept,
            Self::Hold => Verdict::Hold,
            Self::Tempfail => Verdict::Tempfail,
            Self::Reject => Verdict::Reject,
        }
    }
}

closed_list! {
    /// Why a rule was not asked.
    NotRun {
        /// The charter has no such rule here.
        NotConfigured = "not-configured",
        /// The content has not been seen: the envelope alone decided.
        ContentNotSeen = "content-not-seen",
        /// The charter forbids reading the text (inspection `structure`).
        StructureOnly = "structure-only",
        /// Another rule had already refused the message.
        AlreadyRefused = "already-refused",
        /// The state this rule needs is asked for only when nothing else refuses the message.
        StateNotAsked = "state-not-asked",
    }
}

/// What a rule said.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It found what it looks for.
    Hit {
        /// Why.
        reason: ReasonCode,
        /// What it does; in mode `monitor`, what it would have done.
        effect: Effect,
    },
    /// It found nothing.
    Miss,
    /// It does not apply to this message (am:4.5).
    Exempt,
    /// It was not asked.
    NotRun(NotRun),
}

/// One line of the record: a rule and what it said.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: RuleName,
    /// The clause it enforces.
    pub clause: Option<Clause>,
    /// Enforced or monitored.
    pub mode: Mode,
    /// What it said.
    pub outcome: Outcome,
    /// The figures it went by. Never content, never an address.
    pub evidence: Evidence,
}

impl Finding {
    /// The finding's contribution to the verdict; nothing in mode `monitor`.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (&self.outcome, self.mode) {
            (Outcome::Hit { effect, .. }, Mode::Enforce) => effect.verdict(),
            _ => Verdict::Accept,
        }
    }

    /// The reason, if the rule hit.
    #[must_use]
    pub fn reason(&self) -> Option<ReasonCode> {
        match self.outcome {
            Outcome::Hit { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// The figures behind a finding.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// None needed.
    #[default]
    None,
    /// A count against a limit: messages, recipients, copies.
    Count {
        /// What was counted, this message included.
        counted: u64,
        /// The most allowed.
        limit: u64,
    },
    /// Octets against a limit.
    Size {
        /// The message's size.
        bytes: u64,
        /// The most allowed.
        bytes_max: u64,
    },
    /// A day in local time, such as the day a period opens.
    Day(jiff::civil::Date),
    /// The time a message waits for.
    Until(Timestamp),
    /// Body parts, by number and class.
    Parts(Vec<PartEvidence>),
    /// Places where the structure is ambiguous.
    Ambiguities(Vec<PartEvidence>),
    /// Signals with their weights, and the score.
    Signals {
        /// Sum of the weights.
        score: f64,
        /// The score from which the rule hits.
        threshold: f64,
        /// The signals, by id.
        signals: Vec<SignalEvidence>,
    },
    /// The proof that established the sender.
    Proof(&'static str),
    /// The reference of the decision that suspended the sender, list or charter.
    Reference(String),
    /// Which limit, of a closed list.
    Limit(&'static str),
    /// Names of header fields.
    Fields(Vec<String>),
}

/// A part and what was found there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartEvidence {
    /// Its place in the preorder of the MIME tree.
    pub part: u32,
    /// The class or kind, of a closed list.
    pub class: &'static str,
}

/// A signal and its weight.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalEvidence {
    /// The signal's id in the rule pack.
    pub id: String,
    /// What it counted for.
    pub weight: f64,
}

/// The outcome of one scope of one charter.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// The charter's id.
    pub charter: String,
    /// The list's address, or `None` for the general rules.
    pub list: Option<String>,
    /// The register's name of the sender, once established.
    pub sender: Option<String>,
    /// The proof that established it.
    pub proof: Option<&'static str>,
    /// One finding for each rule, in order; several for `quota`.
    pub findings: Vec<Finding>,
    /// What is to be done to the message; empty when it is refused.
    pub edits: Vec<Edit>,
    /// Until when it waits.
    pub held_until: Option<Timestamp>,
}

impl Ruling {
    /// The strongest verdict of its findings.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(Finding::verdict).max().unwrap_or_default()
    }

    /// The findings that make up the verdict, in the order of the table.
    pub fn decisive(&self) -> impl Iterator<Item = &Finding> {
        let verdict = self.verdict();
        self.findings.iter().filter(move |finding| verdict > Verdict::Accept && finding.verdict() == verdict)
    }
}

/// The outcome of all charters together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// One ruling for each scope the message falls under.
    pub rulings: Vec<Ruling>,
}

impl Decision {
    /// The strongest verdict: where a local and a shared charter both apply, the stricter wins (am:4.1).
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.rulings.iter().map(Ruling::verdict).max().unwrap_or_default()
    }

    /// All edits, of all rulings; none when the message is refused.
    #[must_use]
    pub fn edits(&self) -> Vec<Edit> {
        if self.verdict().refuses() {
            return Vec::new();
        }
        self.rulings.iter().flat_map(|ruling| ruling.edits.iter().cloned()).collect()
    }

    /// An edit of this rule met a signature that must not be broken: the message is refused after all.
    pub fn obstruct(&mut self, rule: RuleName) {
        let findings = self.rulings.iter_mut().flat_map(|ruling| &mut ruling.findings);
        for finding in findings.filter(|finding| finding.rule == rule && finding.reason().is_some()) {
            finding.outcome = Outcome::Hit { reason: ReasonCode::SignatureInTheWay, effect: Effect::Reject };
        }
    }

    /// The latest instant any ruling waits for.
    #[must_use]
    pub fn held_until(&self) -> Option<Timestamp> {
        self.rulings.iter().filter_map(|ruling| ruling.held_until).max()
    }

    /// The ruling and finding that speak for the verdict: the first of the table with the strongest verdict.
    #[must_use]
    pub fn leading(&self) -> Option<(&Ruling, &Finding)> {
        let verdict = self.verdict();
        self.rulings
            .iter()
            .filter(|ruling| ruling.verdict() == verdict)
            .flat_map(|ruling| ruling.decisive().map(move |finding| (ruling, finding)))
            .min_by_key(|(_, finding)| finding.rule)
    }
}
