//! What is not looked into (am:4.5): mailboxes that are not professional, and mail whose subject says it is personal.
//!
//! For such mail no rule that reads text runs, and the record keeps only that an exemption applied.

use super::Inspection;
use super::case::Case;
use crate::message::subject;

impl Case<'_> {
    /// Whether the text may be looked at: the charter allows it, and the message is not exempt.
    #[must_use]
    pub fn reads_text(&self) -> bool {
        self.charter.inspection == Inspection::Content && !exempt(self)
    }
}

/// Whether no text rule may run on this message.
#[must_use]
pub fn exempt(case: &Case<'_>) -> bool {
    let exemptions = &case.charter.exemptions;
    let mailboxes =
        case.envelope.sender.iter().chain(case.envelope.recipients.iter().filter_map(|r| r.address.as_ref()));
    mailboxes.into_iter().any(|address| exemptions.mailboxes.contains(address))
        || case.content.is_some_and(|content| marked_private(&content.subject, &exemptions.subject_words))
}

/// Whether the subject is one of the words, or begins with one that stands apart: `Personnel`, `[Personnel] dentiste`,
/// `Re: Personnel - dentiste`; not `Personnel du site de Lyon : planning`.
#[must_use]
pub fn marked_private(subject: &str, words: &[String]) -> bool {
    let subject = subject::without_prefixes(subject).to_lowercase();
    let (inner, bracketed) = match subject.strip_prefix(['[', '(']) {
        Some(rest) => (rest, true),
        None => (subject.as_str(), false),
    };
    words.iter().map(|word| word.to_lowercase()).any(|word| {
        let Some(rest) = inner.strip_prefix(word.as_str()) else { return false };
        if bracketed {
            return rest.starts_with([']', ')']);
        }
        let rest = rest.trim_start_matches([' ', '\u{a0}', '\u{202f}']);
        rest.is_empty() || rest.starts_with([':', '-', '–', '—', '/', '|', '：'])
    })
}

#[cfg(test)]
mod tests {
    use super::marked_private;

    #[test]
    fn only_an_explicit_mark_makes_mail_private() {
        let words = ["Personnel".to_owned(), "Privé".to_owned()];
        for subject in
            ["Personnel", "personnel : dentiste", "Re: Personnel - dentiste", "[Personnel] x", "PRIVÉ", "(privé) a"]
        {
            assert!(marked_private(subject, &words), "{subject}");
        }
        for subject in
            ["Personnel du site de Lyon", "Réunion du personnel", "Personnels", "[Personnels] x", "", "Privée"]
        {
            assert!(!marked_private(subject, &words), "{subject}");
        }
    }
}
