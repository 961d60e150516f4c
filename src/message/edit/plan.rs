//! From chosen edits to a header, a body and an envelope: the one place where this happens, for the daemon and for
//! `explain`.
//!
//! The body goes through removals, then tracking, then words, each on the result of the one before; the header follows in
//! a [`Draft`]. Every edit that was made is declared, in words and in one field (am:5.1.d). A plan for a message that
//! went through one already has no edits.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::fields;
use super::outcome::{DECLARATION_FIELD, EditName, EditOutcome, Obstacle, Outcome, WORDS_FIELD};
use super::{Banner, BannerPlace, Edit, PartRemoval, SignedPolicy};
use crate::message::address::Address;
use crate::message::banner::{self, NotAdded, Words};
use crate::message::headers::{Draft, Field, Header, HeaderEdit, apply, edit_value, words};
use crate::message::mime::{Limits, Tree, parse};
use crate::message::{subject, surgery, tracking};
use crate::wording::{self, Language};

/// What the words of a declaration need to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The language of the charter.
    pub language: Language,
    /// The day of the edits, as people write it; may be empty.
    pub date: String,
    /// The reference under which the decision is found in the log; may be empty.
    pub reference: String,
}

/// A message edited: what the milter tells the mail server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edited {
    /// Edits of the header, in the order in which they are applied.
    pub header_edits: Vec<HeaderEdit>,
    /// The new body; `None` when it stays as it was.
    pub body: Option<Vec<u8>>,
    /// Edits of the envelope.
    pub envelope: EnvelopeEdits,
    /// What became of each edit, in the order in which they were made.
    pub outcomes: Vec<EditOutcome>,
}

/// Edits of the envelope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvelopeEdits {
    /// The new envelope sender.
    pub return_path: Option<Address>,
    /// Each recipient whose parameters ask for a success notification is to be deleted and given again with those of
    /// [`super::notify::neutralised`].
    pub neutralise_notify: bool,
}

impl Edited {
    /// The edits that were made, as the declaring field writes them.
    #[must_use]
    pub fn made(&self) -> Vec<String> {
        self.outcomes.iter().filter_map(EditOutcome::declaration).collect()
    }

    /// The edit because of which the message has to be refused: it could not be made, and the policy is not to let the
    /// message pass without it.
    #[must_use]
    pub fn refusal(&self) -> Option<&EditOutcome> {
        self.outcomes.iter().find(|outcome| matches!(outcome.outcome, Outcome::Impossible(Obstacle::Signed)))
    }

    /// The whole message after the edits, header and body, for `explain` and for tests.
    #[must_use]
    pub fn message(&self, raw: &[u8], tree: &Tree) -> Vec<u8> {
        let body_start = tree.root().map_or(0, |root| root.body.start);
        let mut message = apply(raw.get(..body_start).unwrap_or_default(), &self.header_edits);
        // A message that was nothing but a header has no empty line yet; to a mail server it goes without saying.
        if self.body.is_some() && tree.root().is_some_and(|root| root.header.end == root.body.start) {
            message.extend_from_slice(tree.line_end().as_bytes());
        }
        match &self.body {
            Some(body) => message.extend_from_slice(body),
            None => message.extend_from_slice(raw.get(body_start..).unwrap_or_default()),
        }
        message
    }
}

/// Plans edits. `header` is that of `raw`, as the milter received it; `tree` is that of `raw`.
#[must_use]
pub fn plan(raw: &[u8], header: &Header, tree: &Tree, edits: &[Edit], context: &Context) -> Edited {
    let mut work = Work {
        message: Cow::Borrowed(raw),
        tree: Cow::Borrowed(tree),
        draft: Draft::new(header),
        envelope: EnvelopeEdits::default(),
        outcomes: Vec::new(),
    };
    let mut ordered: Vec<&Edit> = edits.iter().collect();
    ordered.sort_by_key(|edit| rank(edit));
    for edit in &ordered {
        work.make(edit);
    }
    let banners: Vec<&Banner> =
        ordered.iter().filter_map(|e| if let Edit::Banner(b) = e { Some(b) } else { None }).collect();
    work.add_words(&banners, context);
    work.declare(context, &banners);
    work.draft.join_blank_lines();
    let body_start = |tree: &Tree| tree.root().map_or(0, |root| root.body.start);
    let edited_start = body_start(&work.tree);
    let body = match work.message {
        Cow::Borrowed(_) => None,
        Cow::Owned(message) if message.get(edited_start..) == raw.get(body_start(tree)..) => None,
        // In place: a message of ten megabytes need not be there once more.
        Cow::Owned(mut message) => {
            message.drain(..edited_start.min(message.len()));
            Some(message)
        }
    };
    Edited { header_edits: work.draft.into_edits(), body, envelope: work.envelope, outcomes: work.outcomes }
}

/// The order of the variants, with marks before words so that these can declare them.
fn rank(edit: &Edit) -> u8 {
    match edit {
        Edit::RemoveParts { .. } => 0,
        Edit::RemoveTracking => 1,
        Edit::TagSubject(_) => 2,
        Edit::RemoveReceiptRequests => 3,
        Edit::NeutraliseNotify => 4,
        Edit::ReplyTo(_) => 5,
        Edit::ListHeaders(_) => 6,
        Edit::SuppressAutomaticAnswers => 7,
        Edit::ReturnPath(_) => 8,
        Edit::MarkHeader { .. } => 9,
        Edit::Banner(_) => 10,
    }
}

struct Work<'a> {
    /// The message as it is now; its header counts only for the fields that describe the content.
    message: Cow<'a, [u8]>,
    tree: Cow<'a, Tree>,
    draft: Draft,
    envelope: EnvelopeEdits,
    outcomes: Vec<EditOutcome>,
}

impl Work<'_> {
    fn make(&mut self, edit: &Edit) {
        let draft = &mut self.draft;
        match edit {
            Edit::RemoveParts { parts, signed } => self.remove_parts(parts, *signed),
            Edit::TagSubject(tag) => {
                let tagging = subject::tag(draft, tag);
                self.note(EditName::SubjectTagged, usize::from(tagging.is_tagged));
                if tagging.duplicates_removed > 0 {
                    self.note(EditName::SubjectsRemoved, tagging.duplicates_removed);
                }
            }
            Edit::RemoveReceiptRequests => {
                let removed = fields::remove_receipt_requests(draft);
                self.note(EditName::ReceiptsRemoved, removed);
            }
            Edit::NeutraliseNotify => {
                self.envelope.neutralise_notify = true;
                self.note(EditName::NotifyNeutralised, 1);
            }
            Edit::ReplyTo(mailboxes) => {
                let changed = fields::direct_replies(draft, mailboxes);
                self.note(EditName::RepliesDirected, changed);
            }
            Edit::ListHeaders(list) => match fields::set_list_fields(draft, list) {
                Ok(changed) => self.note(EditName::ListHeadersSet, changed),
                Err(fields::NoHttpsTarget) => self.fail(EditName::ListHeadersSet, Obstacle::NoHttpsTarget),
            },
            Edit::SuppressAutomaticAnswers => {
                let changed = fields::suppress_automatic_answers(draft);
                self.note(EditName::AnswersSuppressed, changed);
            }
            Edit::ReturnPath(address) => {
                self.envelope.return_path = Some(address.clone());
                self.note(EditName::ReturnPathSet, 1);
            }
            Edit::MarkHeader { name, value } => {
                let added = fields::mark(draft, name, value);
                self.note(EditName::Marked, added);
            }
            Edit::RemoveTracking => self.remove_tracking(),
            // Words come last and together.
            Edit::Banner(_) => {}
        }
    }

    fn note(&mut self, edit: EditName, count: usize) {
        let outcome = match u32::try_from(count) {
            Ok(0) => Outcome::Unneeded,
            Ok(count) => Outcome::Done(count),
            Err(_) => Outcome::Done(u32::MAX),
        };
        self.outcomes.push(EditOutcome { edit, outcome });
    }

    fn fail(&mut self, edit: EditName, obstacle: Obstacle) {
        self.outcomes.push(EditOutcome { edit, outcome: Outcome::Impossible(obstacle) });
    }

    fn remove_parts(&mut self, parts: &[PartRemoval], signed: SignedPolicy) {
        let is_covered = |removal: &&PartRemoval| self.tree.signed_ancestor(removal.part).is_some();
        let covered = parts.iter().filter(is_covered).count();
        let mut removals = parts.to_vec();
        if covered > 0 {
            match signed {
                SignedPolicy::Break => {}
                SignedPolicy::Reject => return self.fail(EditName::AttachmentsRemoved, Obstacle::Signed),
                // What is signed cannot be whole and without its attachment.
                SignedPolicy::Wrap | SignedPolicy::Pass => {
                    removals.retain(|removal| self.tree.signed_ancestor(removal.part).is_none());
                }
            }
        }
        if !removals.is_empty() {
            let done = surgery::remove(&self.message, &self.tree, &removals);
            let body_start = self.tree.root().map_or(0, |root| root.body.start);
            let head = apply(self.message.get(..body_start).unwrap_or_default(), &done.header_edits);
            self.replace([head, done.body].concat());
        }
        if removals.len() < parts.len() {
            self.fail(EditName::AttachmentsRemoved, Obstacle::SignedKept);
        }
        if !removals.is_empty() || parts.is_empty() {
            self.note(EditName::AttachmentsRemoved, removals.len());
        }
    }

    fn remove_tracking(&mut self) {
        let trackers = tracking::find(&self.message, &self.tree);
        if trackers.iter().any(|tracker| !tracker.kind.is_removable()) {
            self.fail(EditName::TrackingRemoved, Obstacle::OpaqueLink);
        }
        if trackers.iter().any(|tracker| tracker.is_signed) {
            self.fail(EditName::TrackingRemoved, Obstacle::SignedKept);
        }
        match tracking::remove(&self.message, &self.tree, &trackers) {
            Some((message, count)) => {
                self.replace(message);
                self.note(EditName::TrackingRemoved, count);
            }
            None if trackers.is_empty() => self.note(EditName::TrackingRemoved, 0),
            None => {}
        }
    }

    fn add_words(&mut self, banners: &[&Banner], context: &Context) {
        if banners.is_empty() {
            return;
        }
        let texts = |place| banners.iter().filter(|b| b.place == place).map(|b| b.text.clone()).collect::<Vec<_>>();
        let mut words =
            Words { before: texts(BannerPlace::Header), after: texts(BannerPlace::Footer), declaration: None };
        // Words of several rules go in together: the strictest policy holds for all of them.
        let signed =
            banners.iter().map(|banner| banner.signed).min_by_key(|policy| strictness(*policy)).unwrap_or_default();
        let mut outcomes = self.outcomes.clone();
        outcomes.push(EditOutcome { edit: EditName::WordsAdded, outcome: Outcome::Done(1) });
        words.declaration = wording::edits::declaration(context.language, &outcomes, &context.date, &context.reference);
        match banner::add(&self.message, &self.tree, &words, signed) {
            Ok(message) => {
                self.replace(message);
                self.note(EditName::WordsAdded, 1);
            }
            Err(NotAdded::Present) => self.note(EditName::WordsAdded, 0),
            Err(NotAdded::Signed) => self.fail(EditName::WordsAdded, Obstacle::Signed),
            Err(NotAdded::SignedKept) => self.fail(EditName::WordsAdded, Obstacle::SignedKept),
        }
    }

    /// Takes a new message in the place of the present one; what its header says of its content goes into the draft.
    fn replace(&mut self, message: Vec<u8>) {
        let (old, new) = (content_fields(&self.message), content_fields(&message));
        let differs =
            |key: &Vec<u8>| old.get(key).map(|known| &known.values) != new.get(key).map(|known| &known.values);
        // The first field of a name keeps its place when the name stays.
        let mut kept = HashSet::new();
        let fields = self.draft.header().fields().iter().enumerate().filter(|(_, field)| describes_content(field));
        let doomed: HashSet<usize> = fields
            .map(|(place, field)| (place, key(field)))
            .filter(|(_, key)| differs(key) && !(new.contains_key(key) && kept.insert(key.clone())))
            .map(|(place, _)| place)
            .collect();
        self.draft.delete(|place, _| doomed.contains(&place));
        for known in new.iter().filter(|(key, _)| differs(key)).map(|(_, known)| known) {
            let mut values = known.values.iter().map(|value| edit_value(value));
            if let Some(value) = values.next() {
                self.draft.set(&known.name, value);
            }
            values.for_each(|value| self.draft.append(&known.name, value));
        }
        self.tree = Cow::Owned(parse(&message, &Limits::default()));
        self.message = Cow::Owned(message);
    }

    /// Nothing but the envelope is edited, or could not be edited, and the message says so already: by nothing else could
    /// a second run know that there was a first.
    fn is_declared(&self, declared: &[String]) -> bool {
        let of_envelope = |outcome: &EditOutcome| match outcome.outcome {
            Outcome::Done(_) => matches!(outcome.edit, EditName::ReturnPathSet | EditName::NotifyNeutralised),
            Outcome::Unneeded | Outcome::Impossible(_) => true,
        };
        let said: Vec<String> = self.draft.header().all(DECLARATION_FIELD).map(Field::text).collect();
        let is_said = |item: &String| said.iter().any(|field| field.split(';').any(|said| said.trim() == item));
        self.outcomes.iter().all(of_envelope) && declared.iter().all(is_said)
    }

    /// Declares what was done in a field, and in another one in words when no words were added to the text.
    fn declare(&mut self, context: &Context, banners: &[&Banner]) {
        let declared: Vec<String> = self.outcomes.iter().filter_map(EditOutcome::declaration).collect();
        if declared.is_empty() || self.is_declared(&declared) {
            return;
        }
        let mut value = String::from(" ");
        let mut column = DECLARATION_FIELD.len() + 1;
        for (at, item) in declared.iter().enumerate() {
            let breaks = at > 0 && column + 2 + item.len() > words::LINE_BYTES_PREFERRED;
            value.push_str(if breaks {
                ";\n "
            } else if at > 0 {
                "; "
            } else {
                ""
            });
            column = if breaks { 1 } else { column + 2 } + item.len();
            value.push_str(item);
        }
        self.draft.append(DECLARATION_FIELD, value.into_bytes());
        let in_text =
            self.outcomes.iter().any(|o| o.edit == EditName::WordsAdded && matches!(o.outcome, Outcome::Done(_)));
        if in_text && !banners.is_empty() {
            return;
        }
        let declaration =
            wording::edits::declaration(context.language, &self.outcomes, &context.date, &context.reference);
        if let Some(declaration) = declaration {
            let encoded = words::encode_text(&declaration, WORDS_FIELD.len() + 2);
            self.draft.append(WORDS_FIELD, format!(" {encoded}").into_bytes());
        }
    }
}

/// The fields of one name that describe the content.
struct ContentField {
    name: String,
    values: Vec<Vec<u8>>,
}

/// The fields of a message that describe its content, by name in lower case.
fn content_fields(message: &[u8]) -> BTreeMap<Vec<u8>, ContentField> {
    let mut fields: BTreeMap<Vec<u8>, ContentField> = BTreeMap::new();
    for field in Header::parse(message).fields().iter().filter(|field| describes_content(field)) {
        let name = || String::from_utf8_lossy(field.name()).into_owned();
        let known = fields.entry(key(field)).or_insert_with(|| ContentField { name: name(), values: Vec::new() });
        known.values.push(field.raw().to_vec());
    }
    fields
}

fn key(field: &Field) -> Vec<u8> {
    field.name().to_ascii_lowercase()
}

fn describes_content(field: &Field) -> bool {
    field.is("MIME-Version") || field.name().get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
}

/// The strictest first.
fn strictness(policy: SignedPolicy) -> u8 {
    match policy {
        SignedPolicy::Reject => 0,
        SignedPolicy::Wrap => 1,
        SignedPolicy::Pass => 2,
        SignedPolicy::Break => 3,
    }
}

#[cfg(test)]
mod tests;
