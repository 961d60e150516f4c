//! The scan itself: from bytes to a [`Tree`].
//!
//! One walk over the message with a stack of open multiparts. Between headers the walk leaps from one line that starts
//! with `--` to the next, past what the [`Skim`] has seen none in. Where programs disagree the scan takes the reading that
//! shows more parts, and names the disagreement.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::memmem;

use super::ambiguity::{Ambiguity, AmbiguityKind};
use super::content::Content;
use super::header;
use super::skim::{self, Skim};
use super::{Limits, Multipart, Part, PartId, TransferEncoding, Tree, decode};

/// Scans a message: header block, empty line, body. Cannot fail; what is not understood is in
/// [`Tree::ambiguities`].
#[must_use]
pub fn parse(raw: &[u8], limits: &Limits) -> Tree {
    parse_skimmed(raw, Skim::default(), limits)
}

/// Scans a message of which the first octets, or all, were skimmed while they arrived.
#[must_use]
pub fn parse_skimmed(raw: &[u8], mut skim: Skim, limits: &Limits) -> Tree {
    skim.follow(raw);
    let mut scan = Scan {
        raw,
        skim: &skim,
        limits,
        parts: Vec::new(),
        open: Vec::new(),
        frames: Vec::new(),
        ambiguities: BTreeSet::new(),
        at: 0,
    };
    scan.open_entity(Announced { delimiter: 0..0, at: 0, parent: None });
    scan.walk();
    scan.close_down_to(0, raw.len());
    scan.check_texts();
    for kind in skim.stray_controls(raw) {
        scan.note(PartId::ROOT, kind);
    }
    let line_end = if memmem::find(raw, b"\r\n").is_none() && raw.contains(&b'\n') { "\n" } else { "\r\n" };
    Tree { parts: scan.parts, ambiguities: scan.ambiguities.into_iter().collect(), line_end }
}

struct Scan<'a> {
    raw: &'a [u8],
    skim: &'a Skim,
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

    fn walk(&mut self) {
        let finder = skim::dashes();
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
        if self.raw.get(self.at..)?.starts_with(b"--") {
            return Some(self.at);
        }
        self.skim.blocks_with_dashes(self.at).find_map(|block| {
            let from = block.start.max(self.at);
            // A line end in this block, its dashes perhaps in the next.
            let to = (block.end + finder.needle().len() - 1).min(self.raw.len());
            finder.find(self.raw.get(from..to)?).map(|found| from + found + 1)
        })
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
            if is_padding(rest) {
                return Some(BoundaryLine::Delimiter(index));
            }
            if rest.strip_prefix(b"--").is_some_and(is_padding) {
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
            let readable = self.readable(id, &header);
            let content = Content::read(self.raw.get(readable).unwrap_or_default(), id, in_digest);
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
                content_id: content.id,
                content_location: content.location,
                description: content.description,
                multipart: None,
                is_overfull: false,
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

    /// What is read of a header: that of the message was limited when it arrived.
    fn readable(&mut self, id: PartId, header: &Range<usize>) -> Range<usize> {
        let readable = header.start..header.end.min(header.start.saturating_add(self.limits.part_header_bytes_max));
        if id == PartId::ROOT || readable == *header {
            return header.clone();
        }
        self.note(id, AmbiguityKind::HeaderTooLong);
        readable
    }

    /// Texts are shown as they are decoded, and programs differ in how.
    fn check_texts(&mut self) {
        let overfull = |part: &&Part| is_overfull(part, self.raw.get(part.body.clone()).unwrap_or_default());
        let overfull: Vec<PartId> = self.parts.iter().filter(|p| p.is_text()).filter(overfull).map(|p| p.id).collect();
        for id in overfull {
            self.note(id, AmbiguityKind::TextTooLarge);
            self.parts.get_mut(id.index()).into_iter().for_each(|part| part.is_overfull = true);
        }
        let mut found = Vec::new();
        for part in self.parts.iter().filter(|p| p.is_text()) {
            let body = self.bytes(part.body.clone());
            // Decoders differ where the alphabet is left.
            let oddity = (part.encoding == TransferEncoding::Base64).then(|| base64_oddity(body)).flatten();
            let has_boundary =
                part.media_type.parameter("boundary").is_some_and(|boundary| has_lines_of(body, boundary));
            let boundary = has_boundary.then_some(AmbiguityKind::BoundaryOfText);
            let charset = decode::is_unclear(part, body).then_some(AmbiguityKind::UnclearCharset);
            found.extend([oddity, boundary, charset].into_iter().flatten().map(|kind| (part.id, kind)));
        }
        for (id, kind) in found {
            self.note(id, kind);
        }
    }
}

/// HTML may have so many octets that begin or part tags and attributes; a book has half of them. Whoever cuts it into tags needs
/// some 150 octets for each.
const MARKUP_OCTETS_MAX: usize = 1_000_000;

fn is_overfull(part: &Part, body: &[u8]) -> bool {
    if part.media_type.name != "text/html" || body.len() <= MARKUP_OCTETS_MAX {
        return false;
    }
    let is_markup = |octet: &&u8| matches!(**octet, b'<' | b' ' | b'\t' | b'\n' | b'\x0c' | b'/' | b'"' | b'\'');
    decode::transfer(part.encoding, body).iter().filter(is_markup).count() > MARKUP_OCTETS_MAX
}

/// Whether a line of a text begins with a boundary.
fn has_lines_of(text: &[u8], boundary: &str) -> bool {
    let delimiter = ["--", boundary].concat();
    !boundary.is_empty()
        && memmem::find_iter(text, delimiter.as_bytes()).any(|at| {
            at.checked_sub(1).and_then(|before| text.get(before)).is_none_or(|before| matches!(before, b'\n' | b'\r'))
        })
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

/// Nothing, or white space that mail servers on the way may have added (RFC 2046 section 5.1.1).
fn is_padding(rest: &[u8]) -> bool {
    rest.iter().all(|octet| matches!(octet, b' ' | b'\t' | b'\r'))
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

#[cfg(test)]
mod tests;
