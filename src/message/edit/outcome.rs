//! What became of edits: closed lists, for the declaring field, for words and for records.

use crate::closed_list::closed_list;

/// The field that declares the edits (am:5.1.d).
pub const DECLARATION_FIELD: &str = "X-Charter-Edits";

/// The field that declares them in words, in the language of the charter, when none could be put into the text.
pub const WORDS_FIELD: &str = "X-Charter-Notice";

closed_list! {
    /// The edits, by what they make of a message.
    EditName {
        /// Attachments were replaced by notices.
        AttachmentsRemoved = "attachments-removed",
        /// Tracking pixels and link trackers were removed.
        TrackingRemoved = "tracking-removed",
        /// The subject was tagged.
        SubjectTagged = "subject-tagged",
        /// All subjects but one were removed.
        SubjectsRemoved = "subjects-removed",
        /// Requests for receipts were removed from the header.
        ReceiptsRemoved = "receipts-removed",
        /// Requests for delivery receipts were removed from the envelope.
        NotifyNeutralised = "notify-neutralised",
        /// Answers were directed to one place.
        RepliesDirected = "replies-directed",
        /// The list's own header fields took the place of inherited ones.
        ListHeadersSet = "list-headers-set",
        /// Automatic responders were asked to stay silent.
        AnswersSuppressed = "answers-suppressed",
        /// The envelope sender was replaced.
        ReturnPathSet = "return-path-set",
        /// A field that says what was found was added.
        Marked = "marked",
        /// Words were added to the text.
        WordsAdded = "words-added",
    }
}

closed_list! {
    /// Why an edit could not be made.
    Obstacle {
        /// A signature covers what was to be edited, and such a message is to be refused.
        Signed = "signed",
        /// A signature covers what was to be edited, and such a message passes without the edit.
        SignedKept = "signed-kept",
        /// A link leads through the counter of a mailing service and does not say where to.
        OpaqueLink = "opaque-link",
        /// One-click unsubscription needs an https target (RFC 8058).
        NoHttpsTarget = "no-https-target",
    }
}

/// What became of one edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EditOutcome {
    /// The edit.
    pub edit: EditName,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It changed so many things; at least one.
    Done(u32),
    /// There was nothing to change.
    Unneeded,
    /// It could not be made.
    Impossible(Obstacle),
}

impl EditOutcome {
    /// As the declaring field writes it: `attachments-removed=2`, `subject-tagged`, `words-added=signed-kept`; `None`
    /// when there was nothing to change.
    #[must_use]
    pub fn declaration(&self) -> Option<String> {
        let counts = matches!(
            self.edit,
            EditName::AttachmentsRemoved
                | EditName::TrackingRemoved
                | EditName::ReceiptsRemoved
                | EditName::SubjectsRemoved
        );
        match self.outcome {
            Outcome::Done(count) if counts => Some(format!("{}={count}", self.edit.as_str())),
            Outcome::Done(_) => Some(self.edit.as_str().to_owned()),
            Outcome::Unneeded => None,
            Outcome::Impossible(obstacle) => Some(format!("{}={}", self.edit.as_str(), obstacle.as_str())),
        }
    }
}
