//! The scan itself: from bytes to a [`Tree`].
//!
//! One walk over the message with a stack of open multiparts. Between headers the walk leaps from one line that starts
//! with `--` to the next, so that the bodies of attachments cost one vectorised search. Where programs disagree the
//! scan takes the reading that shows more parts, and names the disagreement.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::memmem;

use super::ambiguity::{Ambiguity, AmbiguityKind};
use super::header::{self, Field, Structured};
use super::{Disposition, Limits, MediaType, Multipart, Part, PartId, TransferEncoding, Tree, decode};

/// RFC 2046 section 5.1.1.
const BOUNDARY_CHARACTERS_MAX: usize = 70;

/// What a Content-Type that cannot be read stands for; no reader understands it.
const MALFORMED_TYPE: &str = "application/x-malformed-type";

/// Scans a message: header block, empty line, body. Cannot fail; what is not understood is in
/// [`Tree::ambiguities`].
#[must_use]
pub fn parse(raw: &[u8], limits: &Limits) -> Tree {
    let mut scan = Scan {
        raw,
        limits,
        parts: Vec::new(),
        open: Vec::new(),
        frames: Vec::new(),
        ambiguities: BTreeSet::new(),
        at: 0,
    };
    scan.check_lines();
    scan.open_entity(Announced { delimiter: 0..0, at: 0, parent: None });
    scan.walk();
    scan.close_down_to(0, raw.len());
    scan.check_texts();
    let line_end = if memmem::find(raw, b"\r\n").is_none() && raw.contains(&b'\n') { "\n" } else { "\r\n" };
    Tree { parts: scan.parts, ambiguities: scan.ambiguities.into_iter().collect(), line_end }
}

struct Scan<'a> {
    raw: &'a [u8],
    limits: &'a Limits,
    parts: Vec<Part>,
    /// The parts whose end has not been found yet, outermost first.
    open: Vec<PartId>,
    /// The multiparts among them.
    frames: Vec<Frame>,
    ambiguities: BTreeSet<Ambiguity>,
    /// The start of the first line that has not been looked at.
    at: usize,
}

/// An open multipart.
struct Frame {
    part: PartId,
    boundary: Vec<u8>,
    /// How many parts are open while none of its own is.
    open_parts: usize,
    has_parts: bool,
    is_closed: bool,
    /// The start of its preamble, or of its epilogue once it is closed.
    text_start: usize,
}

/// Where a part was announced.
struct Announced {
    delimiter: Range<usize>,
    /// The first byte of its header.
    at: usize,
    parent: Option<PartId>,
}

/// What a line that starts with dashes is.
enum BoundaryLine {
    Delimiter(usize),
    Close(usize),
}

impl Scan<'_> {
    fn note(&mut self, part: PartId, kind: AmbiguityKind) {
        self.ambiguities.insert(Ambiguity { part, kind });
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.raw.get(range).unwrap_or_default()
    }

    /// CR and LF only together (RFC 5322 section 2.3), no NUL.
    fn check_lines(&mut self) {
        let (cr, lf, nul) = stray_controls(self.raw);
        for (found, kind) in [(cr, AmbiguityKind::BareCr), (lf, AmbiguityKind::BareLf), (nul, AmbiguityKind::Nul)] {
            if found {
                self.note(PartId::ROOT, kind);
            }
        }
    }

    fn walk(&mut self) {
        let finder = memmem::Finder::new(b"\n--");
        while !self.frames.is_empty() {
            let Some(start) = self.next_dashes(&finder) else { return };
            let end = header::line_end(self.raw, start);
            let delimiter_start = self.line_end_before(start);
            match self.boundary_line(start, end) {
                None => {}
                Some(BoundaryLine::Close(frame)) => {
                    self.close_frames_above(frame, delimiter_start);
                    // The line end behind it belongs to the epilogue, or to the next boundary.
                    let line_end = self.bytes(start..end).len() - header::trim_line_end(self.bytes(start..end)).len();
                    self.close_frame(frame, delimiter_start..end - line_end);
                }
                Some(BoundaryLine::Delimiter(frame)) => {
                    self.close_frames_above(frame, delimiter_start);
                    let Some(parent) = self.begin_part(frame, delimiter_start) else { continue };
                    if self.parts.len() >= self.limits.parts_max as usize {
                        return self.note(parent, AmbiguityKind::TooManyParts);
                    }
                    self.at = end;
                    self.open_entity(Announced { delimiter: delimiter_start..end, at: end, parent: Some(parent) });
                    continue;
                }
            }
            self.at = end;
        }
    }

    /// The start of the next line that begins with two dashes.
    fn next_dashes(&self, finder: &memmem::Finder<'_>) -> Option<usize> {
        let rest = self.raw.get(self.at..)?;
        if rest.starts_with(b"--") {
            return Some(self.at);
        }
        finder.find(rest).map(|found| self.at + found + 1)
    }

    /// Where the line end before the line at `start` begins; it belongs to the boundary (RFC 2046 section 5.1.1).
    fn line_end_before(&self, start: usize) -> usize {
        let body_start = self.open.last().and_then(|id| self.parts.get(id.index())).map_or(0, |p| p.body.start);
        let before = self.bytes(0..start);
        let length = if before.ends_with(b"\r\n") { 2 } else { usize::from(before.ends_with(b"\n")) };
        let frame_start = self.frames.last().map_or(0, |frame| frame.text_start);
        start.saturating_sub(length).max(body_start).max(frame_start.min(start))
    }

    /// Whose boundary the line is, innermost first; names lines that only begin like a boundary.
    fn boundary_line(&mut self, start: usize, end: usize) -> Option<BoundaryLine> {
        let line = header::trim_line_end(self.raw.get(start + 2..end).unwrap_or_default());
        let mut junk = None;
        for (index, frame) in self.frames.iter().enumerate().rev() {
            let Some(rest) = line.strip_prefix(frame.boundary.as_slice()) else { continue };
            if rest.trim_ascii().is_empty() {
                return Some(BoundaryLine::Delimiter(index));
            }
            if rest.strip_prefix(b"--").is_some_and(|rest| rest.trim_ascii().is_empty()) {
                return Some(BoundaryLine::Close(index));
            }
            junk = junk.or(Some(frame.part));
        }
        if let Some(part) = junk {
            self.note(part, AmbiguityKind::BoundaryWithJunk);
        }
        None
    }

    /// Ends everything inside the multipart `frame`.
    fn close_frames_above(&mut self, frame: usize, end: usize) {
        let keep = self.frames.get(frame).map_or(0, |f| f.open_parts);
        while self.frames.len() > frame + 1 {
            self.end_frame(end);
        }
        self.end_parts(keep, end);
    }

    /// Ends everything from the frame `index` on, at the end of the message.
    fn close_down_to(&mut self, index: usize, end: usize) {
        while self.frames.len() > index {
            self.end_frame(end);
        }
        self.end_parts(0, end);
    }

    fn end_parts(&mut self, keep: usize, end: usize) {
        while self.open.len() > keep {
            if let Some(part) = self.open.pop().and_then(|id| self.parts.get_mut(id.index())) {
                part.body.end = end.max(part.body.start);
            }
        }
    }

    /// Ends the innermost multipart, of which nothing more can come.
    fn end_frame(&mut self, end: usize) {
        let Some(frame) = self.frames.pop() else { return };
        let text = frame.text_start..end.max(frame.text_start);
        if !frame.has_parts {
            self.note(frame.part, AmbiguityKind::NoParts);
        } else if !frame.is_closed {
            self.note(frame.part, AmbiguityKind::MissingEnd);
        }
        if frame.is_closed && looks_like_a_part(self.bytes(text.clone())) {
            self.note(frame.part, AmbiguityKind::HiddenInEpilogue);
        }
        if !frame.has_parts && !frame.is_closed && looks_like_a_part(self.bytes(text.clone())) {
            self.note(frame.part, AmbiguityKind::HiddenInPreamble);
        }
        if let Some(shape) = self.parts.get_mut(frame.part.index()).and_then(|p| p.multipart.as_mut()) {
            if !frame.has_parts && !frame.is_closed {
                shape.preamble = text.clone();
            }
            shape.epilogue = if frame.is_closed { text } else { end..end };
        }
    }

    /// A closing boundary line of the innermost multipart.
    fn close_frame(&mut self, index: usize, line: Range<usize>) {
        let Some(frame) = self.frames.get_mut(index) else { return };
        if frame.is_closed {
            return; // said twice
        }
        let preamble = (!frame.has_parts).then_some(frame.text_start..line.start.max(frame.text_start));
        frame.is_closed = true;
        frame.text_start = line.end;
        let part = frame.part;
        if preamble.clone().is_some_and(|text| looks_like_a_part(self.bytes(text))) {
            self.note(part, AmbiguityKind::HiddenInPreamble);
        }
        if let Some(shape) = self.parts.get_mut(part.index()).and_then(|p| p.multipart.as_mut()) {
            shape.close = Some(line);
            shape.preamble = preamble.unwrap_or(shape.preamble.clone());
        }
    }

    /// A boundary line announces a part of the innermost multipart.
    fn begin_part(&mut self, index: usize, delimiter_start: usize) -> Option<PartId> {
        let frame = self.frames.get_mut(index)?;
        let part = frame.part;
        let preamble = (!frame.has_parts && !frame.is_closed).then_some(frame.text_start..delimiter_start);
        let after_end = std::mem::take(&mut frame.is_closed);
        frame.has_parts = true;
        if after_end {
            self.note(part, AmbiguityKind::PartAfterEnd);
        }
        if let Some(text) = preamble {
            if looks_like_a_part(self.bytes(text.clone())) {
                self.note(part, AmbiguityKind::HiddenInPreamble);
            }
            if let Some(shape) = self.parts.get_mut(part.index()).and_then(|p| p.multipart.as_mut()) {
                shape.preamble = text;
            }
        }
        Some(part)
    }

    /// Reads the header of a part and opens it, and the message inside it when it holds one.
    fn open_entity(&mut self, announced: Announced) {
        let mut next = Some(announced);
        while let Some(announced) = next.take() {
            let Ok(number) = u32::try_from(self.parts.len()) else { return };
            let id = PartId(number);
            let (header, body_start) = self.header_block(id, announced.at);
            let depth = announced.parent.and_then(|p| self.parts.get(p.index())).map_or(0, |p| p.depth + 1);
            let in_digest = self.is_digest(announced.parent);
            let content = Content::read(self.raw.get(header.clone()).unwrap_or_default(), id, in_digest);
            for kind in &content.ambiguities {
                self.note(id, *kind);
            }
            let boundary = content.boundary;
            self.parts.push(Part {
                id,
                parent: announced.parent,
                children: Vec::new(),
                depth,
                delimiter: announced.delimiter,
                header,
                body: body_start..self.raw.len(),
                media_type: content.media_type,
                disposition: content.disposition,
                encoding: content.encoding,
                content_id: content.content_id,
                content_location: content.content_location,
                description: content.description,
                multipart: None,
            });
            if let Some(parent) = announced.parent.and_then(|p| self.parts.get_mut(p.index())) {
                parent.children.push(id);
            }
            self.open.push(id);
            self.at = body_start;
            next = self.descend(id, boundary);
        }
    }

    /// Prepares for what the part contains: its own parts, or a message.
    fn descend(&mut self, id: PartId, boundary: Option<Vec<u8>>) -> Option<Announced> {
        let part = self.parts.get(id.index())?;
        let (depth, body_start, is_identity) = (part.depth, part.body.start, part.encoding.is_identity());
        let (is_message, is_multipart) = (part.media_type.is_message(), part.media_type.is_multipart());
        if (is_message || is_multipart) && depth >= self.limits.depth_max {
            self.note(id, AmbiguityKind::TooDeep);
            return None;
        }
        if is_message && is_identity {
            if self.parts.len() >= self.limits.parts_max as usize {
                self.note(id, AmbiguityKind::TooManyParts);
                return None;
            }
            return Some(Announced { delimiter: body_start..body_start, at: body_start, parent: Some(id) });
        }
        if let Some(boundary) = boundary.filter(|_| is_multipart) {
            self.check_boundary(id, &boundary);
            let part = self.parts.get_mut(id.index())?;
            part.multipart = Some(Multipart {
                boundary: boundary.clone(),
                preamble: body_start..body_start,
                close: None,
                epilogue: body_start..body_start,
            });
            self.frames.push(Frame {
                part: id,
                boundary,
                open_parts: self.open.len(),
                has_parts: false,
                is_closed: false,
                text_start: body_start,
            });
        }
        None
    }

    fn is_digest(&self, parent: Option<PartId>) -> bool {
        parent.and_then(|p| self.parts.get(p.index())).is_some_and(|p| p.media_type.name == "multipart/digest")
    }

    /// Compares the boundary of a multipart with those around it.
    fn check_boundary(&mut self, id: PartId, boundary: &[u8]) {
        let mut kind = None;
        for outer in self.frames.iter().map(|frame| frame.boundary.as_slice()) {
            if outer == boundary {
                kind = Some(AmbiguityKind::BoundaryReused);
                break;
            }
            if outer.starts_with(boundary) || boundary.starts_with(outer) {
                kind = Some(AmbiguityKind::BoundaryPrefix);
            }
        }
        if let Some(kind) = kind {
            self.note(id, kind);
        }
    }

    /// The header block that starts at `at` and the start of the body behind it.
    fn header_block(&mut self, id: PartId, at: usize) -> (Range<usize>, usize) {
        let mut line_start = at;
        while line_start < self.raw.len() {
            let line_end = header::line_end(self.raw, line_start);
            let line = header::trim_line_end(self.raw.get(line_start..line_end).unwrap_or_default());
            if line.is_empty() {
                self.check_header_size(id, line_start - at);
                if line_start == at
                    && id != PartId::ROOT
                    && starts_with_content_field(self.bytes(line_end..self.raw.len()))
                {
                    self.note(id, AmbiguityKind::HeaderAfterBlankLine);
                }
                return (at..line_start, line_end);
            }
            if line.starts_with(b"--") && self.boundary_line(line_start, line_end).is_some() {
                self.note(id, AmbiguityKind::HeaderWithoutEnd);
                return (at..line_start, line_start);
            }
            line_start = line_end;
        }
        if id != PartId::ROOT {
            self.note(id, AmbiguityKind::HeaderWithoutEnd);
        }
        (at..self.raw.len(), self.raw.len())
    }

    fn check_header_size(&mut self, id: PartId, bytes: usize) {
        if id != PartId::ROOT && bytes > self.limits.part_header_bytes_max {
            self.note(id, AmbiguityKind::HeaderTooLong);
        }
    }

    /// Texts in base64 are shown after decoding, and decoders differ where the alphabet is left.
    fn check_texts(&mut self) {
        let mut found = Vec::new();
        for part in self.parts.iter().filter(|p| p.encoding == TransferEncoding::Base64 && p.is_text()) {
            found.extend(base64_oddity(self.bytes(part.body.clone())).map(|kind| (part.id, kind)));
        }
        for (id, kind) in found {
            self.note(id, kind);
        }
    }
}

/// Bare CR, bare LF, NUL. One pass without branches, which the compiler turns into vector instructions.
fn stray_controls(raw: &[u8]) -> (bool, bool, bool) {
    let (mut cr, mut lf, mut nul) = (0u8, 0u8, 0u8);
    for (byte, next) in raw.iter().zip(raw.get(1..).unwrap_or_default()) {
        let (is_cr, is_lf) = (u8::from(*byte == b'\r'), u8::from(*next == b'\n'));
        cr |= is_cr & (is_lf ^ 1);
        lf |= is_lf & (is_cr ^ 1);
        nul |= u8::from(*next == 0);
    }
    let (first, last) = (raw.first(), raw.last());
    (cr != 0 || last == Some(&b'\r'), lf != 0 || first == Some(&b'\n'), nul != 0 || first == Some(&0))
}

fn base64_oddity(body: &[u8]) -> Option<AmbiguityKind> {
    let mut ended = false;
    for byte in body {
        match byte {
            b'\r' | b'\n' | b' ' | b'\t' => {}
            b'=' => ended = true,
            _ if decode::base64_digit(*byte).is_none() => return Some(AmbiguityKind::ForeignBase64),
            _ if ended => return Some(AmbiguityKind::Base64AfterEnd),
            _ => {}
        }
    }
    None
}

/// Whether text outside of all parts looks as if a part, or a file, were hidden there.
fn looks_like_a_part(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 8] = [
        b"content-type:",
        b"content-disposition:",
        b"content-transfer-encoding:",
        b"=ybegin ",
        b"(this file must be converted",
        b"-----begin pgp message",
        b"-----begin pgp armored",
        b"begin-base64 ",
    ];
    text.split(|b| *b == b'\n').any(|line| {
        STARTS.iter().any(|start| line.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
            || line.strip_prefix(b"begin ").is_some_and(|rest| rest.trim_ascii_start().starts_with_octal())
    })
}

trait Octal {
    fn starts_with_octal(&self) -> bool;
}

impl Octal for [u8] {
    fn starts_with_octal(&self) -> bool {
        self.iter().take_while(|b| matches!(b, b'0'..=b'7')).count() >= 3
    }
}

/// Whether the first line of a body is a field that describes content.
fn starts_with_content_field(body: &[u8]) -> bool {
    let text = body.trim_ascii_start();
    let line = text.get(..text.len().min(64)).unwrap_or_default();
    line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
        && line.iter().find(|b| !(b.is_ascii_alphanumeric() || **b == b'-')) == Some(&b':')
}

/// What the header of one part says about its content.
struct Content {
    media_type: MediaType,
    disposition: Option<Disposition>,
    encoding: TransferEncoding,
    content_id: Option<String>,
    content_location: Option<String>,
    description: Option<String>,
    /// Of a multipart that states one.
    boundary: Option<Vec<u8>>,
    ambiguities: BTreeSet<AmbiguityKind>,
}

impl Content {
    fn read(block: &[u8], id: PartId, in_digest: bool) -> Self {
        let mut ambiguities = BTreeSet::new();
        let (mut content_type, mut disposition, mut encoding) = (None, None, None);
        let (mut content_id, mut content_location, mut description) = (None, None, None);
        let mut seen_blank = false;
        for field in header::fields(block) {
            check_line(&field, id, &mut ambiguities);
            seen_blank |= field.has_blank_continuation;
            if !field.is_content() {
                continue;
            }
            if seen_blank {
                ambiguities.insert(AmbiguityKind::WhitespaceLine);
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
            if slot.is_none() {
                *slot = Some(value());
            } else if !field.is("content-id") && !field.is("content-location") && !field.is("content-description") {
                ambiguities.insert(AmbiguityKind::DuplicateField);
            }
        }
        let text = |value: Option<Vec<u8>>| value.map(|v| decode::raw_text(&v).into_owned());
        let mut content = Self {
            media_type: MediaType { name: default_type(in_digest), parameters: Vec::new(), is_declared: false },
            disposition: None,
            encoding: TransferEncoding::SevenBit,
            content_id: text(content_id).map(|id| id.trim_matches(['<', '>', ' ']).to_owned()),
            content_location: text(content_location),
            description: text(description).map(|d| decode::encoded_words(&d)),
            boundary: None,
            ambiguities,
        };
        content.read_encoding(encoding.as_deref());
        let type_oddities = content.read_type(content_type.as_deref());
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

    fn read_type(&mut self, value: Option<&[u8]>) -> Vec<header::Oddity> {
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
            self.check_boundary_form();
        }
        // Checked later: a part that is an attachment whatever its type is not ambiguous.
        let name = if is_type { structured.value } else { MALFORMED_TYPE.to_owned() };
        self.media_type = MediaType { name, parameters: structured.parameters, is_declared: true };
        structured.oddities
    }

    fn check_boundary_form(&mut self) {
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
        if boundary.iter().any(odd) || boundary.trim_ascii().len() != boundary.len() {
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
        if self.media_type.name == MALFORMED_TYPE && !named {
            self.ambiguities.insert(AmbiguityKind::MalformedContentType);
        }
        if self.encoding == TransferEncoding::Unknown && (could_pass || is_composite) {
            self.ambiguities.insert(AmbiguityKind::UnknownEncoding);
        }
        if could_pass && self.disposition.as_ref().is_some_and(|d| d.kind.is_empty()) {
            self.ambiguities.insert(AmbiguityKind::MalformedDisposition);
        }
        if !(could_pass || is_composite) {
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
    let Some(kind) = field.oddity else { return };
    let first_of_part = field.range.start == 0 && id != PartId::ROOT;
    ambiguities.insert(if first_of_part && kind == AmbiguityKind::MalformedHeaderLine {
        AmbiguityKind::HeaderlessPart
    } else {
        kind
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::AmbiguityKind as Kind;

    fn scan(text: &str) -> (Tree, Vec<u8>) {
        let raw = text.replace('\n', "\r\n").into_bytes();
        (parse(&raw, &Limits::default()), raw)
    }

    fn kinds(text: &str) -> Vec<Kind> {
        scan(text).0.ambiguities().iter().map(|a| a.kind).collect()
    }

    fn bodies(text: &str) -> Vec<String> {
        let (tree, raw) = scan(text);
        tree.parts()
            .filter(|p| p.children.is_empty())
            .map(|p| String::from_utf8(raw[p.body.clone()].to_vec()).unwrap())
            .collect()
    }

    const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\n\n";

    #[test]
    fn the_line_end_before_a_boundary_belongs_to_it() {
        let text = format!("{MIXED}pre\n--b\n\none\n--b\nX: y\n\n\ntwo\n\n--b--\npost\n");
        let (tree, raw) = scan(&text);
        assert_eq!(bodies(&text), ["one", "\r\ntwo\r\n"]);
        assert_eq!(tree.ambiguities(), []);
        let shape = tree.root().unwrap().multipart.clone().unwrap();
        assert_eq!(&raw[shape.preamble], b"pre");
        assert_eq!(&raw[shape.epilogue], b"\r\npost\r\n");
        assert_eq!(&raw[shape.close.unwrap()], b"\r\n--b--");
        let second = tree.part(PartId(2)).unwrap();
        assert_eq!(&raw[second.delimiter.clone()], b"\r\n--b\r\n");
        assert_eq!(&raw[second.header.clone()], b"X: y\r\n");
    }

    #[test]
    fn trees_are_in_preorder_and_messages_are_entered() {
        let text = format!(
            "{MIXED}--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\nx\n--c\nContent-Type: text/html\n\ny\n--c--\n\n--b\nContent-Type: message/rfc822\n\nSubject: s\nContent-Type: multipart/mixed; boundary=d\n\n--d\n\nz\n--d--\n--b--\n"
        );
        let (tree, _) = scan(&text);
        let shape: Vec<_> = tree.parts().map(|p| (p.parent.map(|p| p.0), p.media_type.name.clone())).collect();
        let expected = [
            (None, "multipart/mixed"),
            (Some(0), "multipart/alternative"),
            (Some(1), "text/plain"),
            (Some(1), "text/html"),
            (Some(0), "message/rfc822"),
            (Some(4), "multipart/mixed"),
            (Some(5), "text/plain"),
        ];
        assert_eq!(shape, expected.map(|(parent, name)| (parent, name.to_owned())));
        assert_eq!(tree.ambiguities(), []);
        assert_eq!(tree.text_bodies(), [PartId(2), PartId(3)]);
    }

    #[test]
    fn an_empty_first_part_and_empty_bodies_have_sane_ranges() {
        let text = format!("{MIXED}--b\n\n--b\n\n\n--b--");
        assert_eq!(bodies(&text), ["", ""]);
        assert_eq!(kinds(&text), []);
    }

    #[test]
    fn every_disagreement_about_boundaries_is_named() {
        let part = "--b\n\nx\n";
        let cases: [(String, Kind); 14] = [
            (format!("{MIXED}{part}"), Kind::MissingEnd),
            (format!("{MIXED}nothing\n"), Kind::NoParts),
            (format!("{MIXED}{part}--b--\n{part}--b--\n"), Kind::PartAfterEnd),
            (format!("{MIXED}{part}--bc\n--b--\n"), Kind::BoundaryWithJunk),
            (format!("{MIXED}{part}--b--x\n--b--\n"), Kind::BoundaryWithJunk),
            (format!("{MIXED}Content-Type: text/plain\n{part}--b--\n"), Kind::HiddenInPreamble),
            (format!("{MIXED}{part}--b--\n\nbegin 644 a\n"), Kind::HiddenInEpilogue),
            (
                format!("{MIXED}--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n"),
                Kind::BoundaryReused,
            ),
            (
                format!("{MIXED}--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\nx\n--bb--\n--b--\n"),
                Kind::BoundaryPrefix,
            ),
            (format!("Content-Type: multipart/mixed\n\n{part}--b--\n"), Kind::MissingBoundary),
            (
                format!("Content-Type: multipart/mixed; boundary=b; boundary=c\n\n{part}--b--\n"),
                Kind::SeveralBoundaries,
            ),
            (format!("Content-Type: multipart/mixed; boundary*0=b\n\n{part}--b--\n"), Kind::ExtendedBoundary),
            (format!("Content-Type: multipart/mixed; boundary=\"<b>\"\n\n{part}--<b>--\n"), Kind::OddBoundary),
            (
                format!("Content-Type: multipart/mixed; boundary={0}\n\n--{0}\n\nx\n--{0}--\n", "b".repeat(71)),
                Kind::LongBoundary,
            ),
        ];
        for (text, kind) in cases {
            assert!(kinds(&text).contains(&kind), "{kind}: {:?}\n{text}", kinds(&text));
        }
    }

    #[test]
    fn every_disagreement_about_headers_is_named() {
        let inside = |header: &str| format!("{MIXED}--b\n{header}\nx\n--b--\n");
        let cases = [
            (inside("Content-Type: text/plain\nContent-Type: text/html\n"), Kind::DuplicateField),
            (inside("Content-Type: text\n"), Kind::MalformedContentType),
            (inside("Content-Type: text/plain (x)\n"), Kind::CommentInField),
            (inside("Content-Type: text/plain; charset=\"=?us-ascii?q?utf-8?=\"\n"), Kind::EncodedWordInField),
            (inside("Content-Type: text/plain; charset=utf-8 name=x.pdf\n"), Kind::MalformedParameter),
            (inside("Content-Disposition: ;x\n"), Kind::MalformedDisposition),
            (inside("Content-Transfer-Encoding: x-uuencode\n"), Kind::UnknownEncoding),
            (inside("Content-Type : text/plain\n"), Kind::SpaceBeforeColon),
            (inside("X-A: b\n \nContent-Type: text/plain\n"), Kind::WhitespaceLine),
            (inside("X-A: b\nnonsense\n"), Kind::MalformedHeaderLine),
            (inside("Hello there\n"), Kind::HeaderlessPart),
            (format!("{MIXED}--b\nX-A: b\n--b--\n"), Kind::HeaderWithoutEnd),
            (inside("\nContent-Type: application/pdf\n"), Kind::HeaderAfterBlankLine),
            (inside("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n"), Kind::EncodedComposite),
            (inside("Content-Transfer-Encoding: base64\n\neA!\n"), Kind::ForeignBase64),
            (inside("Content-Transfer-Encoding: base64\n\neA==eA==\n"), Kind::Base64AfterEnd),
            (inside(&format!("X: {}\n", "y".repeat(70_000))), Kind::HeaderTooLong),
        ];
        for (text, kind) in cases {
            assert!(kinds(&text).contains(&kind), "{kind}: {:?}\n{text}", kinds(&text));
        }
    }

    #[test]
    fn stray_controls_are_named_wherever_they_are() {
        let of =
            |raw: &[u8]| -> Vec<Kind> { parse(raw, &Limits::default()).ambiguities().iter().map(|a| a.kind).collect() };
        assert_eq!(of(b"A: b\r\n\r\nx\ry\r\n"), [Kind::BareCr]);
        assert_eq!(of(b"A: b\r\n\r\nx\ny\r\n"), [Kind::BareLf]);
        assert_eq!(of(b"A: b\r\n\r\nx\0y\r\n"), [Kind::Nul]);
        assert_eq!(of(b"\nA: b\r"), [Kind::BareCr, Kind::BareLf]);
        assert_eq!(of(b""), []);
    }

    #[test]
    fn names_written_oddly_make_an_attachment_and_no_ambiguity() {
        for header in [
            "Content-Type: application/pdf; name=Report (1).pdf",
            "Content-Type: text/plain; name=\"=?utf-8?q?a?=.txt\"",
            "Content-Type: application/pdf; name=a b.pdf\nContent-Disposition: attachment; filename=a b.pdf",
            "Content-Type: pdf; name=a.pdf",
            "Content-Type: application/pdf; name=\"a.pdf\"\nContent-Disposition: attachment; filename*=utf-8''a.pdf; filename=a.pdf",
        ] {
            assert_eq!(kinds(&format!("{MIXED}--b\n{header}\n\nx\n--b--\n")), [], "{header}");
        }
    }

    #[test]
    fn limits_are_named() {
        let mut deep = String::new();
        for level in 0..20 {
            deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level:02}\n\n--b{level:02}\n"));
        }
        assert!(kinds(&deep).contains(&Kind::TooDeep));
        let many = format!("{MIXED}{}--b--\n", "--b\n\nx\n".repeat(1_600));
        let (tree, _) = scan(&many);
        assert_eq!(tree.parts().count(), 1_500);
        assert!(tree.ambiguities().iter().any(|a| a.kind == Kind::TooManyParts));
    }
}
