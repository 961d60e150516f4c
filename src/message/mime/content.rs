//! What the header of one part says about its content, and where programs would read it differently.

use std::collections::BTreeSet;

use super::ambiguity::AmbiguityKind;
use super::header::{self, Field, Structured};
use super::{Disposition, MALFORMED_TYPE, MediaType, PartId, TransferEncoding, decode};

/// RFC 2046 section 5.1.1.
const BOUNDARY_CHARACTERS_MAX: usize = 70;

/// What the header of one part says about its content.
pub(super) struct Content {
    pub(super) media_type: MediaType,
    pub(super) disposition: Option<Disposition>,
    pub(super) encoding: TransferEncoding,
    pub(super) id: Option<String>,
    pub(super) location: Option<String>,
    pub(super) description: Option<String>,
    /// Of a multipart that states one.
    pub(super) boundary: Option<Vec<u8>>,
    pub(super) ambiguities: BTreeSet<AmbiguityKind>,
}

impl Content {
    pub(super) fn read(block: &[u8], id: PartId, in_digest: bool) -> Self {
        let mut ambiguities = BTreeSet::new();
        let (mut content_type, mut disposition, mut encoding) = (None, None, None);
        let (mut content_id, mut content_location, mut description) = (None, None, None);
        let mut seen_blank = false;
        let mut raw_type: &[u8] = b"";
        for field in header::fields(block) {
            check_line(&field, id, &mut ambiguities);
            seen_blank |= field.has_blank_continuation;
            if !field.is_content() {
                continue;
            }
            if seen_blank {
                ambiguities.insert(AmbiguityKind::WhitespaceLine);
            }
            if field.is("content-type") && content_type.is_none() {
                raw_type = field.value;
            }
            let value = || field.unfolded().into_owned();
            let slot = match field.name.to_ascii_lowercase().as_slice() {
                b"content-type" => &mut content_type,
                b"content-disposition" => &mut disposition,
                b"content-transfer-encoding" => &mut encoding,
                b"content-id" => &mut content_id,
                b"content-location" => &mut content_location,
                b"content-description" => &mut description,
                _ => continue,
            };
            match slot {
                None => *slot = Some(value()),
                Some(_) if field.is("content-description") => {}
                // Which picture the HTML shows depends on these; said twice alike they harm nobody.
                Some(first) if field.is("content-id") || field.is("content-location") => {
                    if *first != *field.unfolded() {
                        ambiguities.insert(AmbiguityKind::DuplicateField);
                    }
                }
                Some(_) => drop(ambiguities.insert(AmbiguityKind::DuplicateField)),
            }
        }
        let text = |value: Option<Vec<u8>>| value.map(|v| decode::raw_text(&v).into_owned());
        let mut content = Self {
            media_type: MediaType { name: default_type(in_digest), parameters: Vec::new(), is_declared: false },
            disposition: None,
            encoding: TransferEncoding::SevenBit,
            id: text(content_id).map(|id| id.trim_matches(['<', '>', ' ']).to_owned()),
            location: text(content_location),
            description: text(description).map(|d| decode::encoded_words(&d)),
            boundary: None,
            ambiguities,
        };
        content.read_encoding(encoding.as_deref());
        let type_oddities = content.read_type(content_type.as_deref(), raw_type);
        let disposition_oddities = content.read_disposition(disposition.as_deref());
        content.judge_oddities(type_oddities, disposition_oddities);
        content
    }

    fn read_encoding(&mut self, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        // `7-bit`, `8-bit` and `8bits` are misspellings that nobody reads otherwise.
        self.encoding = match value.to_ascii_lowercase().as_slice() {
            b"7bit" | b"7-bit" | b"7bits" => TransferEncoding::SevenBit,
            b"8bit" | b"8-bit" | b"8bits" => TransferEncoding::EightBit,
            b"binary" => TransferEncoding::Binary,
            b"quoted-printable" => TransferEncoding::QuotedPrintable,
            b"base64" => TransferEncoding::Base64,
            _ => TransferEncoding::Unknown,
        };
    }

    /// `raw` is the value as it stands in the header, folds included.
    fn read_type(&mut self, value: Option<&[u8]>, raw: &[u8]) -> Vec<header::Oddity> {
        let Some(value) = value else { return Vec::new() };
        let structured = Structured::parse(value);
        let is_type = structured.value.split_once('/').is_some_and(|(main, sub)| {
            let token = |text: &str| {
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
            };
            token(main) && token(sub)
        });
        let boundaries: Vec<_> = structured.parameters.iter().filter(|p| p.name == "boundary").collect();
        if structured.value.starts_with("multipart/") {
            match boundaries.as_slice() {
                [] => drop(self.ambiguities.insert(AmbiguityKind::MissingBoundary)),
                [only] if only.is_extended => drop(self.ambiguities.insert(AmbiguityKind::ExtendedBoundary)),
                [_] => {}
                _ => drop(self.ambiguities.insert(AmbiguityKind::SeveralBoundaries)),
            }
            self.boundary = structured.parameter("boundary").map(|b| b.as_bytes().to_vec());
            self.check_boundary_form(raw);
        }
        // Checked later: a part that is an attachment whatever its type is not ambiguous.
        let name = if is_type { structured.value } else { MALFORMED_TYPE.to_owned() };
        self.media_type = MediaType { name, parameters: structured.parameters, is_declared: true };
        structured.oddities
    }

    fn check_boundary_form(&mut self, raw: &[u8]) {
        let Some(boundary) = &self.boundary else { return };
        if boundary.is_empty() {
            self.ambiguities.insert(AmbiguityKind::MissingBoundary);
            self.boundary = None;
            return;
        }
        if boundary.len() > BOUNDARY_CHARACTERS_MAX {
            self.ambiguities.insert(AmbiguityKind::LongBoundary);
        }
        // Some programs strip quotes or angle brackets a second time.
        let odd = |b: &u8| !(b.is_ascii_graphic() || *b == b' ') || br#""\<>"#.contains(b);
        // A boundary that is folded, or written with backslashes, does not stand there as it is.
        let stands =
            |at: usize| at.checked_sub(1).and_then(|before| raw.get(before)).is_some_and(|b| b"\"= \t".contains(b));
        let is_disguised = !memchr::memmem::find_iter(raw, boundary).any(stands);
        if boundary.iter().any(odd) || boundary.trim_ascii().len() != boundary.len() || is_disguised {
            self.ambiguities.insert(AmbiguityKind::OddBoundary);
        }
    }

    fn read_disposition(&mut self, value: Option<&[u8]>) -> Vec<header::Oddity> {
        let Some(value) = value else { return Vec::new() };
        let structured = Structured::parse(value);
        let kind = structured.value;
        let is_word = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let kind = if is_word { kind } else { String::new() };
        self.disposition = Some(Disposition { kind, parameters: structured.parameters });
        structured.oddities
    }

    /// Keeps the oddities that could change what the part is taken for. What is an attachment in every reading is not
    /// ambiguous: ordinary programs write file names in every way there is.
    fn judge_oddities(&mut self, of_type: Vec<header::Oddity>, of_disposition: Vec<header::Oddity>) {
        let is_composite = self.media_type.is_multipart() || self.media_type.is_message();
        if is_composite && !self.encoding.is_identity() {
            self.ambiguities.insert(AmbiguityKind::EncodedComposite);
        }
        let has_name =
            |list: &[header::Parameter], name: &str| list.iter().any(|p| p.name == name && !p.value.trim().is_empty());
        let named = has_name(&self.media_type.parameters, "name")
            || self.disposition.as_ref().is_some_and(|d| d.kind == "attachment" || has_name(&d.parameters, "filename"));
        let could_pass = !named && (self.media_type.is_text() || self.media_type.main() == "image");
        // With a boundary some programs look inside, and find texts in what others take for a file.
        if self.media_type.name == MALFORMED_TYPE && (!named || self.boundary.is_some()) {
            self.ambiguities.insert(AmbiguityKind::MalformedContentType);
        }
        if self.encoding == TransferEncoding::Unknown && (could_pass || is_composite) {
            self.ambiguities.insert(AmbiguityKind::UnknownEncoding);
        }
        if could_pass && self.disposition.as_ref().is_some_and(|d| d.kind.is_empty()) {
            self.ambiguities.insert(AmbiguityKind::MalformedDisposition);
        }
        let type_is_odd = of_type.iter().any(|oddity| oddity.parameter.is_none());
        if !(could_pass || is_composite || type_is_odd && !named) {
            return;
        }
        for oddity in of_type.into_iter().chain(of_disposition) {
            let parameter = oddity.parameter.as_deref();
            let decides = parameter.is_none_or(|name| name == "boundary" || name == "charset");
            match oddity.kind {
                AmbiguityKind::DuplicateParameter | AmbiguityKind::EncodedWordInField if !decides => {}
                AmbiguityKind::DuplicateParameter if parameter == Some("boundary") => {}
                kind => drop(self.ambiguities.insert(kind)),
            }
        }
    }
}

fn default_type(in_digest: bool) -> String {
    // RFC 2045 section 5.2, RFC 2046 section 5.1.5
    if in_digest { "message/rfc822" } else { "text/plain" }.to_owned()
}

fn check_line(field: &Field<'_>, id: PartId, ambiguities: &mut BTreeSet<AmbiguityKind>) {
    // Mail servers do not take the separator of a mailbox file for a header, mail programs skip it.
    let separator = id == PartId::ROOT && field.name.is_empty() && field.oddity.is_none();
    let separator = separator.then_some(AmbiguityKind::MalformedHeaderLine);
    let Some(kind) = field.oddity.or(separator) else { return };
    let first_of_part = field.range.start == 0 && id != PartId::ROOT;
    ambiguities.insert(if first_of_part && kind == AmbiguityKind::MalformedHeaderLine {
        AmbiguityKind::HeaderlessPart
    } else {
        kind
    });
}
