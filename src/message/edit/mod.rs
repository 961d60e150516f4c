//! What can be done to a message, in the message's own terms. [`crate::charter`] chooses edits; this room carries them out.

use super::address::Address;
use super::attachments::Place;
use super::mime::PartId;

mod fields;
pub mod notify;
mod outcome;
mod plan;

pub use outcome::{DECLARATION_FIELD, EditName, EditOutcome, Obstacle, Outcome, WORDS_FIELD};
pub use plan::{Context, Edited, EnvelopeEdits, plan};

/// One edit of a message. Edits are applied in the order of the variants, whatever order they were chosen in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Replace these body parts by a notice (cnrs:III.h).
    RemoveParts {
        /// The parts, none of them inside another.
        parts: Vec<PartRemoval>,
        /// What to do when a signature covers one of them.
        signed: SignedPolicy,
    },
    /// Remove tracking pixels and per-recipient link trackers (pm:5.b).
    RemoveTracking,
    /// Put this tag before the subject, once (cnrs:III.g).
    TagSubject(String),
    /// Delete every header field that asks for a read or delivery receipt (cnrs:III.e).
    RemoveReceiptRequests,
    /// Make the envelope ask for no success notification (RCPT `NOTIFY=SUCCESS`, RFC 3461; cnrs:III.e).
    NeutraliseNotify,
    /// Direct replies to these mailboxes and nowhere else (cnrs:III.f).
    ReplyTo(Vec<Address>),
    /// Replace inherited list header fields by the list's own (RFC 2369, 2919, 8058; cnrs:III.d, pm:7).
    ListHeaders(ListHeaders),
    /// Ask automatic responders to stay silent (RFC 3834).
    SuppressAutomaticAnswers,
    /// Make this the envelope sender, so that failures go to the list and not to the candidate (cnrs:II.c).
    ReturnPath(Address),
    /// Add visible words to every text and HTML body (cnrs:III.d, drancy:III.3.b, am:3.2.3).
    Banner(Banner),
    /// Add this header field, to mark a message without refusing it (the action `tag`).
    MarkHeader {
        /// The field name.
        name: String,
        /// The field value, ASCII.
        value: String,
    },
}

/// A body part to be removed and what its place shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRemoval {
    /// The part.
    pub part: PartId,
    /// Whether all of it goes, or a file written into its text.
    pub place: Place,
    /// The words of the notice that takes its place, complete, in the language of the charter.
    pub notice: String,
}

/// What an edit does to a message whose signature it would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum SignedPolicy {
    /// Refuse the message.
    #[default]
    Reject,
    /// Leave the signed part whole and put the words beside it in an outer `multipart/mixed`.
    Wrap,
    /// Make the edit, break the signature, and say so.
    Break,
    /// Leave the message without the edit, and say so.
    Pass,
}

/// The list header fields of a protected list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListHeaders {
    /// `List-Id` phrase and identifier (RFC 2919), such as `Élections 2018 – collège C <electeurs-c.elections.example>`.
    pub label: String,
    /// The identifier between the angle brackets.
    pub id: String,
    /// `List-Unsubscribe` targets: https and mailto URIs (RFC 2369).
    pub unsubscribe: Vec<String>,
    /// Offer one-click unsubscription (RFC 8058); needs an https target.
    pub one_click: bool,
    /// `List-Help` target.
    pub help: Option<String>,
    /// `List-Owner` target.
    pub owner: Option<String>,
}

/// Words to be shown in every text and HTML body of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    /// Where the words go.
    pub place: BannerPlace,
    /// The words, plain text, lines separated by `\n`; URLs in them become links in HTML.
    pub text: String,
    /// What to do with signed mail.
    pub signed: SignedPolicy,
}

/// Before or after the text of the author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BannerPlace {
    /// Before the author's text.
    Header,
    /// After the author's text.
    Footer,
}
