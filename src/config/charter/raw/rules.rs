//! `[rules]`: the rules as they are written, each with its clause, its purpose and its mode.

use toml::Spanned;

use crate::charter::rules::{
    AttachmentAction, Direction, FloodSubject, QuotaReach, QuotaSubject, ReceiptsRule, RefuseOrTag, Span,
};
use crate::charter::{Clause, Mode};
use crate::config::choices::choices;
use crate::config::quantities::{Bytes, Count, Lasting, Weight};
use crate::config::reader::{Free, OneOrMany, Switch, raw_table};
use crate::config::values::{Line, Target, Text};
use crate::message::edit::SignedPolicy;

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

raw_table! {
    /// A size limit.
    RawSizeLimit called "a size limit" {
        /// The whole message, header included.
        max: required Spanned<Bytes>,
        /// Which way the mail goes; `any` when left out.
        direction: optional Spanned<Direction>,
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
        /// What happens when a signature covers what is to be stripped; `reject` when left out. With `wrap` and `pass` it stays, and
        /// nobody checks the signature: anybody can have a file delivered under one.
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

choices! {
    TrackingAction { Strip = "strip", Reject = "reject", }
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
