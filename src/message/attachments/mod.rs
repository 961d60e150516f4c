//! What counts as an attachment, found in the tree of a message: parts that are not its text, and files encoded inside
//! its text.
//!
//! Every finding has a class with a stable name; which classes a list allows is its charter's business. Nothing here
//! decodes an attachment: sizes are estimates, and only texts are looked into.

mod blocks;
mod data_uri;
mod files;
mod images;
mod signatures;
mod text;
mod tnef;

use std::ops::Range;

use crate::closed_list::closed_list;
use crate::message::mime::{self, Part, PartId, Tree};

pub(crate) use text::{TextBody, TextCharset};

closed_list! {
    /// What kind of attachment it is.
    Class {
        /// A file: a part with the disposition attachment, or of a type that is neither text nor anything named below.
        File = "file",
        /// A file that asks to be shown in the text: disposition inline with a file name, or an image that the HTML does not refer to.
        InlineFile = "inline-file",
        /// An image that the HTML of the message really shows (cid:).
        InlineImage = "inline-image",
        /// A message inside the message, such as one forwarded as an attachment.
        EmbeddedMessage = "embedded-message",
        /// An invitation or another calendar entry.
        Calendar = "calendar",
        /// A visiting card.
        Vcard = "vcard",
        /// An Outlook container (winmail.dat), which may hold any number of files.
        Tnef = "tnef",
        /// A Macintosh file in two halves (AppleDouble).
        AppleDouble = "apple-double",
        /// A file written into the text (uuencode, yEnc, BinHex, PGP armour).
        EncodedInText = "encoded-in-text",
        /// Data written into the HTML (data: URI).
        DataUri = "data-uri",
        /// A fragment of a larger message.
        Partial = "partial",
        /// A reference to a file that is kept elsewhere, which mail programs fetch.
        ExternalBody = "external-body",
        /// A delivery, disposition or abuse report for machines.
        DeliveryStatus = "delivery-status",
        /// Text and signature packed together (PKCS #7 `signed-data`); nobody can look into it without unpacking it.
        OpaqueSigned = "opaque-signed",
        /// Encrypted content, which nobody between sender and reader can check.
        Encrypted = "encrypted",
        /// An OpenPGP key, attached or written into the text.
        PgpKey = "pgp-key",
        /// Another form of the text beside plain text and HTML (enriched text, AMP and the like).
        AlternativeForm = "alternative-form",
        /// A multipart whose parts cannot be found, or a text with more files in it than anybody could look at.
        Unreadable = "unreadable",
    }
}

/// One attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The part that is, or contains, the attachment.
    pub part: PartId,
    /// Its kind.
    pub class: Class,
    /// Its file name as written by the sender, decoded; not fit for a file system.
    pub name: Option<String>,
    /// Its media type, lower case.
    pub media_type: String,
    /// Its size after decoding, estimated, octets.
    pub decoded_size_bytes: u64,
    /// Whether the part is the attachment, or where inside the part it is.
    pub place: Place,
    /// The attachment (a message inside the message) that contains it: removed with it.
    pub inside: Option<PartId>,
    /// A signature covers it: removing it breaks the signature.
    pub is_signed: bool,
}

/// Where an attachment is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// The whole part.
    Part,
    /// Inside a text part: a range of its decoded octets.
    Text(Range<usize>),
}

/// Something in a text that is no text.
pub(crate) struct TextBlock {
    /// Where it is in [`TextBody::octets`].
    pub(crate) range: Range<usize>,
    pub(crate) class: Class,
    pub(crate) name: Option<String>,
    pub(crate) media_type: String,
    pub(crate) size_bytes: u64,
    pub(crate) form: Form,
}

/// How a block is taken out of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Whole lines: the notice stands in their place.
    Lines,
    /// A tag of HTML that is nothing without its data: the notice stands in its place.
    Tag,
    /// The value of an attribute, or of a function in a style sheet: it is emptied, the notice stands elsewhere.
    Value,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Structure,
    Texts,
}

/// So many files may be written into the texts of a message. Each costs memory and leaves a notice; a text with more of them
/// counts as one that cannot be read.
const WRITTEN_MAX: usize = 500;

/// Finds everything in the message that is not its text, in the order of the message. Texts are decoded and searched.
#[must_use]
pub fn find(tree: &Tree, raw: &[u8]) -> Vec<Attachment> {
    search(tree, raw, Look::Texts)
}

/// The same without looking into any text, for charters that forbid it (pm:5.a): what is written into a text is not
/// found, and any image of a `multipart/related` with a Content-ID counts as shown.
#[must_use]
pub fn find_by_structure(tree: &Tree, raw: &[u8]) -> Vec<Attachment> {
    search(tree, raw, Look::Structure)
}

/// The names of the files inside an Outlook container, for the notice; empty when they cannot be read.
#[must_use]
pub fn tnef_contents(tree: &Tree, raw: &[u8], part: PartId) -> Vec<String> {
    tree.part(part).map(|part| tnef::names(part, raw)).unwrap_or_default()
}

fn search(tree: &Tree, raw: &[u8], look: Look) -> Vec<Attachment> {
    let mut found: Vec<Attachment> = Vec::new();
    // Files in texts so far.
    let mut written = 0;
    // The part whose subtree goes with it, by depth; and the messages inside the message around the current part.
    let mut whole: Option<u32> = None;
    let mut embedded: Vec<(u32, PartId)> = Vec::new();
    for part in tree.parts() {
        whole = whole.filter(|depth| part.depth > *depth);
        embedded.retain(|(depth, _)| part.depth > *depth);
        if whole.is_some() {
            continue;
        }
        let inside = embedded.last().map(|(_, id)| *id);
        let is_signed = || tree.signed_ancestor(part.id).is_some_and(|id| id != part.id);
        let is_file = || look == Look::Texts && part.is_text() && files::starts_like_one(part, raw);
        if let Some(class) = class_of(tree, raw, part).or_else(|| is_file().then_some(Class::File)) {
            found.push(Attachment {
                part: part.id,
                class,
                name: part.file_name(),
                media_type: part.media_type.name.clone(),
                decoded_size_bytes: part.decoded_size_bytes(),
                place: Place::Part,
                inside,
                is_signed: is_signed(),
            });
            match class {
                Class::EmbeddedMessage => embedded.push((part.depth, part.id)),
                _ => whole = Some(part.depth),
            }
        } else if look == Look::Texts && part.is_text() {
            let body = TextBody::of(tree, raw, part);
            let blocks = body.blocks();
            let is_signed = is_signed();
            written += blocks.len();
            let has_too_many = written > WRITTEN_MAX;
            found.extend(blocks.into_iter().map(|block| Attachment {
                part: part.id,
                class: if has_too_many { Class::Unreadable } else { block.class },
                name: block.name,
                media_type: block.media_type,
                decoded_size_bytes: block.size_bytes,
                place: if body.can_be_cut() && !has_too_many { Place::Text(block.range) } else { Place::Part },
                inside,
                is_signed,
            }));
        }
    }
    found.dedup_by(|b, a| a.part == b.part && a.place == Place::Part && b.place == Place::Part);
    let shown = images::shown(tree, raw, &found, look);
    found.iter_mut().filter(|image| shown.contains(&image.part)).for_each(|image| image.class = Class::InlineImage);
    found
}

/// The class of a part, `None` when it is text or only holds other parts. Whether an image is shown is not asked here: that
/// depends on the texts that stay.
fn class_of(tree: &Tree, raw: &[u8], part: &Part) -> Option<Class> {
    let is_root = part.id == PartId::ROOT;
    let disposition = part.disposition.as_ref().map(|d| d.kind.as_str());
    let name = part.media_type.name.as_str();
    if mime::is_opaque_signed(part) {
        return Some(Class::OpaqueSigned);
    }
    if mime::is_encrypted(part) {
        return Some(Class::Encrypted);
    }
    if part.is_overfull {
        return Some(Class::Unreadable);
    }
    match name {
        "multipart/appledouble" => return Some(Class::AppleDouble),
        _ if part.media_type.is_multipart() && part.multipart.is_none() => return Some(Class::Unreadable),
        _ if part.media_type.is_multipart() => {
            // Most programs ignore the disposition of a multipart; those that do not show it as one file.
            let is_file = !is_root && !matches!(disposition, None | Some("inline"));
            return is_file.then_some(Class::File);
        }
        _ if part.media_type.is_message() => return Some(Class::EmbeddedMessage),
        "message/partial" => return Some(Class::Partial),
        "message/external-body" => return Some(Class::ExternalBody),
        _ if part.media_type.main() == "message" => return Some(report_or_file(name)),
        _ => {}
    }
    if signatures::is_detached(tree, raw, part) || part.is_text() {
        return None;
    }
    Some(leaf_class(tree, raw, part))
}

/// The class of a leaf that is no text.
fn leaf_class(tree: &Tree, raw: &[u8], part: &Part) -> Class {
    let disposition = part.disposition.as_ref().map(|d| d.kind.as_str());
    let in_alternative = part
        .parent
        .and_then(|id| tree.part(id))
        .is_some_and(|parent| parent.media_type.name == "multipart/alternative");
    match part.media_type.name.as_str() {
        _ if tnef::is_tnef(part, raw) => Class::Tnef,
        "text/calendar" | "application/ics" | "text/x-vcalendar" => Class::Calendar,
        "text/vcard" | "text/x-vcard" | "text/directory" | "text/directory;profile=vcard" => Class::Vcard,
        "application/pgp-keys" => Class::PgpKey,
        "application/applefile" | "application/mac-binhex40" | "application/mac-binhex" => Class::AppleDouble,
        _ if in_alternative && part.media_type.main() == "text" && part.file_name().is_none() => Class::AlternativeForm,
        _ if disposition == Some("inline") => Class::InlineFile,
        // A text with a name but without a disposition is shown in the text by some programs.
        _ if disposition.is_none() && part.media_type.is_text() => Class::InlineFile,
        _ => Class::File,
    }
}

fn report_or_file(name: &str) -> Class {
    match name {
        "message/delivery-status"
        | "message/global-delivery-status"
        | "message/disposition-notification"
        | "message/global-disposition-notification"
        | "message/tracking-status"
        | "message/feedback-report"
        | "message/global-headers" => Class::DeliveryStatus,
        _ => Class::File,
    }
}
