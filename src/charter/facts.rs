//! The content of a message as the rules see it; what is costly or private is computed only when a rule asks for it.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::attachments::{Fate, fates};
use super::copies::{self, Fingerprint};
use super::petition::{self, Pack, Report};
use super::rules::Rules;
use super::verdict::{PartEvidence, ReasonCode};
use super::{Inspection, List, Sender};
use crate::message::address::Address;
use crate::message::attachments::{self, Attachment, Place};
use crate::message::headers::{self, FromDefect, Header};
use crate::message::mime::{Part, PartId, Tree};
use crate::message::receipts;
use crate::message::subject;
use crate::message::text::{self, Kind, Reading, Source};
use crate::message::tracking::{self, Tracker};

/// The content of one message.
pub struct Content<'a> {
    /// Octets as received, header included.
    pub size_bytes: u64,
    /// Who the header says it is from.
    pub names: ContentNames,
    /// The subject, decoded; empty when there is none.
    pub subject: String,
    /// The names of the fields that ask for a receipt.
    pub receipt_fields: Vec<String>,
    raw: &'a [u8],
    header: &'a Header,
    tree: &'a Tree,
    pack: &'a Pack,
    attachments: OnceCell<Vec<Attachment>>,
    attachments_by_structure: OnceCell<Vec<Attachment>>,
    reading: OnceCell<Reading>,
}

/// What the From field says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// Exactly one mailbox.
    One(Address),
    /// No field.
    Missing,
    /// Several fields, several mailboxes, or a group.
    Several,
    /// One field that cannot be read as a mailbox.
    Unreadable,
}

impl From {
    /// The mailbox, when there is exactly one.
    #[must_use]
    pub fn one(&self) -> Option<&Address> {
        match self {
            Self::One(address) => Some(address),
            _ => None,
        }
    }

    /// The reason to refuse, when there is not exactly one.
    #[must_use]
    pub fn defect(&self) -> Option<ReasonCode> {
        match self {
            Self::One(_) => None,
            Self::Missing => Some(ReasonCode::FromMissing),
            Self::Several => Some(ReasonCode::FromSeveral),
            Self::Unreadable => Some(ReasonCode::FromUnreadable),
        }
    }
}

/// Who the header says a message is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentNames {
    /// The From field.
    pub from: From,
    /// The display name in it, decoded; `None` when there is none.
    pub display: Option<String>,
    /// The Sender field, when there is one.
    pub sender: Option<From>,
}

impl<'a> Content<'a> {
    /// The facts of a message already taken apart. Nothing is decoded here but the header.
    #[must_use]
    pub fn new(raw: &'a [u8], header: &'a Header, tree: &'a Tree, pack: &'a Pack) -> Self {
        let sender = match header.sender() {
            Err(FromDefect::Missing) => None,
            other => Some(named(other.map(|mailbox| mailbox.address))),
        };
        let (from, display) = match header.from() {
            Ok(mailbox) => (From::One(mailbox.address), mailbox.display),
            Err(defect) => (named(Err(defect)), None),
        };
        Self {
            size_bytes: u64::try_from(raw.len()).unwrap_or(u64::MAX),
            names: ContentNames { from, display, sender },
            subject: header.subject().unwrap_or_default(),
            receipt_fields: headers::receipt_requests(header).into_iter().map(str::to_owned).collect(),
            raw,
            header,
            tree,
            pack,
            attachments: OnceCell::new(),
            attachments_by_structure: OnceCell::new(),
            reading: OnceCell::new(),
        }
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn has_field(&self, name: &str) -> bool {
        self.header.first(name).is_some()
    }

    /// The mailboxes that To and Cc name, those that can be read.
    #[must_use]
    pub fn visible_recipients(&self) -> Vec<Address> {
        let mut visible = self.header.addresses("To");
        visible.extend(self.header.addresses("Cc"));
        visible
    }

    /// Whether an S/MIME signature asks for a signed receipt (RFC 2634). Signatures are decoded, texts are not.
    #[must_use]
    pub fn asks_signed_receipt(&self) -> bool {
        receipts::has_signed_request(self.raw, self.tree)
    }

    /// What reports on the readers of the message (pm:5.b).
    #[must_use]
    pub fn trackers(&self) -> Vec<Tracker> {
        tracking::find(self.raw, self.tree)
    }

    /// Whether the message answers mail of this list (cnrs:III.f): it is from the list itself, was written by an automatic
    /// responder, or names the message it answers and still bears the list's tag or an identifier of the list's domain.
    ///
    /// A candidate who goes on from an earlier message of its own does not answer list mail: what it sent bore no tag yet.
    #[must_use]
    pub fn answers(&self, list: &List, senders: &[Sender]) -> bool {
        let from_list = self.names.from.one().is_some_and(|from| list.is_called(from));
        if from_list || self.header.is_automatic_answer() {
            return true;
        }
        let answered = self.header.answered_ids();
        let tagged = list.rules.subject.as_ref().is_some_and(|rule| {
            let bound = senders.iter().filter(|sender| sender.writes_to(list));
            let mut tags = bound.map(|sender| rule.settings.tag_of(&sender.name));
            tags.any(|tag| subject::is_tagged(&self.subject, &tag))
        });
        let of_list = |id: &String| {
            id.trim_end_matches('>')
                .rsplit_once('@')
                .is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(list.address.domain()))
        };
        !answered.is_empty() && (tagged || answered.iter().any(of_list))
    }

    /// Everything on which two mail programs could disagree.
    #[must_use]
    pub fn ambiguities(&self) -> Vec<PartEvidence> {
        let found = self.tree.ambiguities().iter();
        found.map(|ambiguity| PartEvidence { part: ambiguity.part.0, class: ambiguity.kind.as_str() }).collect()
    }

    /// Whether any part is signed.
    #[must_use]
    pub fn signed(&self) -> bool {
        self.tree.is_signed()
    }

    /// Whether any part is encrypted.
    #[must_use]
    pub fn encrypted(&self) -> bool {
        self.tree.is_encrypted()
    }

    /// The structure.
    #[must_use]
    pub fn tree(&self) -> &'a Tree {
        self.tree
    }

    /// What is not the message's text. At inspection level `structure` (pm:5.a), and for exempt mail (am:4.5), no text is
    /// looked into.
    #[must_use]
    pub fn attachments(&self, inspection: Inspection) -> &[Attachment] {
        match inspection {
            Inspection::Content => self.attachments.get_or_init(|| attachments::find(self.tree, self.raw)),
            Inspection::Structure => {
                self.attachments_by_structure.get_or_init(|| attachments::find_by_structure(self.tree, self.raw))
            }
        }
    }

    /// The names of the files inside an Outlook container.
    #[must_use]
    pub fn contents_of(&self, attachment: &Attachment) -> Vec<String> {
        attachments::tnef_contents(self.tree, self.raw, attachment.part)
    }

    /// The text as a reader sees it under these rules. The first call decodes it.
    #[must_use]
    fn reading(&self, rules: &Rules) -> Cow<'_, Reading> {
        let bodies = self.tree.text_bodies();
        let others = self.shown_like_texts(rules);
        if others.is_empty() {
            Cow::Borrowed(self.reading.get_or_init(|| self.read(&bodies)))
        } else {
            Cow::Owned(self.read(&[bodies, others].concat()))
        }
    }

    fn read(&self, parts: &[PartId]) -> Reading {
        let parts = parts.iter().filter_map(|&id| Some((self.tree.part(id)?, self.tree.decode_text(self.raw, id))));
        let texts: Vec<_> = parts.collect();
        let subject = Source { kind: Kind::Subject, text: &self.subject, part: PartId::ROOT };
        let texts = texts.iter().map(|(part, text)| Source { kind: kind_of(part), text, part: part.id });
        text::read(&std::iter::once(subject).chain(texts).collect::<Vec<_>>())
    }

    /// Parts that count as attachments, stay under these rules, and are shown like text: other forms of it, and types of text that
    /// mail programs do not know and show as plain (RFC 2046 section 4.1.4).
    fn shown_like_texts(&self, rules: &Rules) -> Vec<PartId> {
        let found = self.attachments(Inspection::Content);
        let encrypted_allowed = rules.structure.as_ref().is_some_and(|rule| rule.settings.encrypted_allowed);
        let fates = rules.attachments.as_ref().map(|rule| fates(&rule.settings, encrypted_allowed, found));
        let stays = |at: usize| {
            let fate = fates.as_ref().and_then(|fates| fates.get(at));
            fate.is_none_or(|fate| matches!(fate, Fate::Allow | Fate::Tag | Fate::Wrap))
        };
        let staying = found.iter().enumerate().filter(|(at, _)| stays(*at)).map(|(_, attachment)| attachment);
        let parts = staying.filter(|attachment| attachment.place == Place::Part && attachment.inside.is_none());
        let parts = parts.filter_map(|attachment| self.tree.part(attachment.part));
        parts.filter(|part| is_shown_like_text(part)).map(|part| part.id).collect()
    }

    /// The signals of petitions and chain letters in it, weighed as these rules say.
    #[must_use]
    pub fn report(&self, rules: &Rules) -> Report {
        let settings = petition::Settings {
            petition: rules.petition.as_ref().map(|rule| &rule.settings),
            chain_letter: rules.chain_letter.as_ref().map(|rule| &rule.settings),
        };
        petition::analyse(self.pack, &self.reading(rules), &settings)
    }

    /// The fingerprint under which near-copies are found; `None` for a text too short to say anything.
    #[must_use]
    pub fn fingerprint(&self, key: &[u8; 32], rules: &Rules) -> Option<Fingerprint> {
        copies::fingerprint(key, &self.reading(rules))
    }
}

fn is_shown_like_text(part: &Part) -> bool {
    let is_shown = part.disposition.as_ref().is_none_or(|disposition| disposition.kind == "inline");
    let is_written = part.media_type.main() == "text" || part.media_type.name == "application/xhtml+xml";
    is_shown && is_written && part.file_name().is_none()
}

/// How a text is read; `text/x-amp-html` and its like are HTML.
fn kind_of(part: &Part) -> Kind {
    if part.media_type.name.ends_with("html") || part.media_type.name.ends_with("xhtml+xml") {
        Kind::Html
    } else {
        Kind::Plain {
            flowed: part.media_type.parameter("format").is_some_and(|format| format.eq_ignore_ascii_case("flowed")),
        }
    }
}

fn named(mailbox: Result<Address, FromDefect>) -> From {
    match mailbox {
        Ok(address) => From::One(address),
        Err(FromDefect::Missing) => From::Missing,
        Err(FromDefect::SeveralFields | FromDefect::SeveralMailboxes | FromDefect::Group) => From::Several,
        Err(FromDefect::Unreadable) => From::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charter::case::{Addressed, Case, State};
    use crate::charter::decision::{complete, decide};
    use crate::charter::{Charter, Scope};
    use crate::config::Config;
    use crate::message::envelope::Envelope;
    use crate::message::mime::{Limits, parse};

    const RAW: &[u8] =
        b"From: a@ville.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nU2lnbmV6IGxhIHDDqXRpdGlvbiA6IGh0dHBzOi8vd3d3LmNoYW5nZS5vcmcvcC94\r\n";

    fn charter(inspection: &str) -> Charter {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        let text = format!(
            "[charter]\nid = \"c\"\ntitle = \"C\"\nlanguage = \"fr\"\ntimezone = \"Europe/Paris\"\ndomains = [\"ville.example\"]\n\
             inspection = \"{inspection}\"\n\n[[list]]\naddress = \"l@lists.example\"\nlabel = \"L\"\n\n[[sender]]\nname = \"A\"\n\
             addresses = [\"a@ville.example\"]\nproofs = [{{ sasl = \"a\" }}]\nlists = [\"l@lists.example\"]\n\n[rules]\nsender = {{ clause = \"t:sender\" }}\n\
             structure = {{ ambiguous = \"reject\", clause = \"t:structure\" }}\n\
             attachments = {{ action = \"strip\", signed = \"reject\", clause = \"t:attachments\" }}\n\
             petition = {{ action = \"tag\", clause = \"t:petition\" }}\nchain_letter = {{ action = \"tag\", clause = \"t:chain\" }}\n\
             copies = {{ action = \"tag\", messages = 2, within = \"1 day\", clause = \"t:copies\" }}\n"
        );
        std::fs::write(&file, text).unwrap();
        let config = Config::load_charters(&[file]).unwrap_or_else(|report| panic!("{report:?}"));
        config.charters.first().unwrap().as_ref().clone()
    }

    /// Whether the text was decoded when everything had been decided.
    fn is_text_decoded(inspection: &str) -> bool {
        let (charter, pack) = (charter(inspection), Pack::embedded().unwrap());
        let ((header, _), tree) = (Header::split(RAW), parse(RAW, &Limits::default()));
        let content = Content::new(RAW, &header, &tree, &pack);
        let state = State::default();
        let envelope = Envelope {
            sasl_login: Some("a".to_owned()),
            sender: Address::parse("a@ville.example").ok(),
            ..Envelope::default()
        };
        let case = Case {
            charter: &charter,
            scope: Scope::List(charter.lists.first().unwrap()),
            envelope: &envelope,
            addressed: Addressed { elsewhere: 0, total: 1, outgoing: false, trusted_client: false, deactivated: None },
            content: Some(&content),
            state: &state,
            reference: "r",
            now: "2026-03-03T10:00:00Z".parse().unwrap(),
            beside: &[],
        };
        let _ruling = complete(&case, decide(&case));
        content.reading.get().is_some()
    }

    #[test]
    fn what_is_shown_like_text_is_read_where_it_stays() {
        let pack = Pack::embedded().unwrap();
        let petition = "Signez la pétition en ligne : https://www.change.org/p/x";
        let rules = charter("content").lists.remove(0).rules;
        let without = Rules { attachments: None, ..rules.clone() };
        let mut allowing = rules.clone();
        allowing.attachments.as_mut().unwrap().settings.action = crate::charter::rules::AttachmentAction::Tag;
        let is_found = |head: &str, rules: &Rules| {
            let raw = format!("From: a@ville.example\r\n{head}; charset=utf-8\r\n\r\n<p>{petition}</p>\r\n");
            let ((header, _), tree) = (Header::split(raw.as_bytes()), parse(raw.as_bytes(), &Limits::default()));
            Content::new(raw.as_bytes(), &header, &tree, &pack).report(rules).petition.reached
        };
        for shown in ["text/markdown", "text/x-unknown", "application/xhtml+xml", "text/plain", "text/html"] {
            let head = format!("Content-Type: {shown}");
            assert!(is_found(&head, &without) && is_found(&head, &allowing), "{shown}");
        }
        assert!(!is_found("Content-Type: text/markdown", &rules), "it is taken out, and no reason to refuse");
        for file in ["Content-Type: application/pdf", "Content-Disposition: attachment\r\nContent-Type: text/markdown"]
        {
            assert!(!is_found(file, &without), "{file}");
        }
    }

    #[test]
    fn at_inspection_level_structure_the_text_is_not_even_decoded() {
        assert!(is_text_decoded("content"), "the rules that read come to their turn");
        assert!(!is_text_decoded("structure"));
    }
}
