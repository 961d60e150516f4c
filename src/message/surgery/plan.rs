//! From removals to splices: what is replaced, what is dropped, where notices go.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use memchr::memmem;

use super::texts::{self, Cut};
use super::{Splice, Surgery, apply, content_fields, notice};
use crate::message::attachments::Place;
use crate::message::edit::PartRemoval;
use crate::message::headers::HeaderEdit;
use crate::message::mime::{Part, PartId, Tree};

/// The work on one message.
pub(super) struct Plan<'a> {
    raw: &'a [u8],
    tree: &'a Tree,
    line_end: &'static str,
    splices: Vec<Splice>,
    header_edits: Vec<HeaderEdit>,
    boundaries: u32,
}

impl<'a> Plan<'a> {
    pub(super) fn new(raw: &'a [u8], tree: &'a Tree) -> Self {
        let line_end = tree.line_end();
        Self { raw, tree, line_end, splices: Vec::new(), header_edits: Vec::new(), boundaries: 0 }
    }

    pub(super) fn remove(mut self, removals: &[PartRemoval]) -> Surgery {
        let (mut whole, cuts) = self.sort_out(removals);
        self.empty_containers_go_whole(&mut whole);
        // After which part notices go that cannot stand in the place of what was removed.
        let mut beside: BTreeMap<PartId, Vec<String>> = BTreeMap::new();
        for (id, notices) in &whole {
            let Some(part) = self.tree.part(*id) else { continue };
            let text = notices.join("\n\n");
            match self.parent(part) {
                None => self.replace_root(part, &text),
                Some(parent) if parent.media_type.is_message() => self.replace_nested_root(part, &text),
                Some(parent) if shows_one_part(parent) => {
                    let range = part.delimiter.start..part.body.end;
                    // Behind an empty part the next boundary has no line end of its own; the one that goes stays for it.
                    let bytes =
                        if range.start > parent.body.start { self.closed(Vec::new(), range.end) } else { Vec::new() };
                    self.splices.push(Splice { range, bytes });
                    beside.entry(self.outermost(parent).id).or_default().push(text);
                }
                Some(_) => {
                    let bytes = self.closed(notice::part(&text, self.line_end), part.body.end);
                    self.splices.push(Splice { range: part.entity(), bytes });
                }
            }
        }
        for (id, cuts) in cuts {
            if let Some(part) = self.tree.part(id) {
                self.splices.extend(texts::splices(self.raw, self.tree, part, &cuts));
            }
        }
        // Inner parts first: where two end at the same place, the inner notice belongs before the outer one.
        for (id, notices) in beside.iter().rev() {
            if let Some(part) = self.tree.part(*id) {
                self.put_beside(part, None, Some(&notices.join("\n\n")));
            }
        }
        self.finish()
    }

    pub(super) fn wrap(mut self, before: Option<&str>, after: Option<&str>) -> Surgery {
        if let Some(root) = self.tree.root().filter(|_| before.is_some() || after.is_some()) {
            self.put_beside(root, before, after);
        }
        self.finish()
    }

    fn finish(self) -> Surgery {
        let body_start = self.tree.root().map_or(self.raw.len(), |root| root.body.start);
        let mut body = apply(self.raw, body_start, self.splices);
        // A message that was nothing but a header has no empty line before the body it gets now.
        if !body.is_empty() && self.tree.root().is_some_and(|root| root.header.end == root.body.start) {
            let unended = !self.raw.get(..body_start).unwrap_or_default().ends_with(b"\n");
            let lines = if unended { 2 } else { 1 };
            body.splice(..0, self.line_end.repeat(lines).into_bytes());
        }
        Surgery { header_edits: self.header_edits, body }
    }

    fn parent(&self, part: &Part) -> Option<&'a Part> {
        part.parent.and_then(|id| self.tree.part(id))
    }

    /// Whole parts with their notices, and blocks inside texts; without what is inside a whole part.
    fn sort_out<'r>(
        &self,
        removals: &'r [PartRemoval],
    ) -> (BTreeMap<PartId, Vec<String>>, BTreeMap<PartId, Vec<Cut<'r>>>) {
        let mut whole: BTreeMap<PartId, Vec<String>> = BTreeMap::new();
        let mut cuts: BTreeMap<PartId, Vec<Cut<'r>>> = BTreeMap::new();
        for removal in removals.iter().filter(|removal| self.tree.part(removal.part).is_some()) {
            match &removal.place {
                Place::Part => whole.entry(removal.part).or_default().push(removal.notice.clone()),
                Place::Text(range) => {
                    let cut = Cut { range: range.clone(), notice: &removal.notice };
                    cuts.entry(removal.part).or_default().push(cut);
                }
            }
        }
        let chosen: Vec<PartId> = whole.keys().copied().collect();
        let goes_with = |id: &PartId| self.tree.ancestors(*id).any(|a| chosen.binary_search(&a.id).is_ok());
        whole.retain(|id, _| !goes_with(id));
        cuts.retain(|id, _| chosen.binary_search(id).is_err() && !goes_with(id));
        (whole, cuts)
    }

    /// A container of alternatives that would keep none goes as a whole: a multipart has at least one part (RFC 2046
    /// section 5.1.1). From the inside out, because that may empty the container around it.
    fn empty_containers_go_whole(&self, whole: &mut BTreeMap<PartId, Vec<String>>) {
        for part in self.tree.parts().rev().filter(|part| shows_one_part(part) && !part.children.is_empty()) {
            if part.children.iter().all(|child| whole.contains_key(child)) {
                let notices = part.children.iter().filter_map(|child| whole.remove(child)).flatten().collect();
                whole.insert(part.id, notices);
            }
        }
    }

    /// The outermost container of alternatives or related parts around (and including) this one.
    fn outermost(&self, part: &'a Part) -> &'a Part {
        let mut outermost = part;
        for ancestor in self.tree.ancestors(part.id).take_while(|ancestor| shows_one_part(ancestor)) {
            outermost = ancestor;
        }
        outermost
    }

    /// Adds a line end when the bytes come to stand at the end of the message, or before a line.
    fn closed(&self, mut bytes: Vec<u8>, end: usize) -> Vec<u8> {
        if !matches!(self.raw.get(end), Some(b'\r' | b'\n')) {
            bytes.extend_from_slice(self.line_end.as_bytes());
        }
        bytes
    }

    /// Puts words before and after a part that stays whole.
    fn put_beside(&mut self, part: &Part, before: Option<&str>, after: Option<&str>) {
        let parent = self.parent(part);
        match (parent, after) {
            (Some(parent), Some(after)) if before.is_none() && shows_all_parts(parent) => {
                let shape = parent.multipart.as_ref().map(|shape| shape.boundary.as_slice()).unwrap_or_default();
                let mut bytes = self.boundary_line(shape);
                bytes.extend(notice::part(after, self.line_end));
                let bytes = self.closed(bytes, part.body.end);
                self.splices.push(Splice::insert(part.body.end, bytes));
            }
            (None, _) => self.wrap_root(part, before, after),
            (Some(parent), _) if parent.media_type.is_message() => self.wrap_nested_root(part, before, after),
            (Some(_), _) => {
                let boundary = self.fresh_boundary();
                let field = mixed(&boundary);
                let head = format!("Content-Type:{field}{0}{0}", self.line_end).into_bytes();
                let (open, close) = self.around(&boundary, before, after);
                self.splices.push(Splice::insert(part.header.start, [head, open].concat()));
                let close = self.closed(close, part.body.end);
                self.splices.push(Splice::insert(part.body.end, close));
            }
        }
    }

    /// What stands before and after a part inside a new `multipart/mixed`: the boundary lines and the words.
    fn around(&self, boundary: &[u8], before: Option<&str>, after: Option<&str>) -> (Vec<u8>, Vec<u8>) {
        let first = [b"--", boundary, self.line_end.as_bytes()].concat();
        let mut open = first;
        if let Some(words) = before {
            open.extend(notice::part(words, self.line_end));
            open.extend(self.boundary_line(boundary));
        }
        let mut close = Vec::new();
        if let Some(words) = after {
            close.extend(self.boundary_line(boundary));
            close.extend(notice::part(words, self.line_end));
        }
        close.extend_from_slice(self.line_end.as_bytes());
        close.extend_from_slice(b"--");
        close.extend_from_slice(boundary);
        close.extend_from_slice(b"--");
        (open, close)
    }

    fn boundary_line(&self, boundary: &[u8]) -> Vec<u8> {
        let end = self.line_end.as_bytes();
        [end, b"--", boundary, end].concat()
    }

    /// A boundary that occurs nowhere in the message. `=_` occurs in no encoded body (RFC 2045 section 6.7).
    fn fresh_boundary(&mut self) -> Vec<u8> {
        loop {
            self.boundaries += 1;
            let boundary = format!("=_charter_{:08x}_{:04}", self.raw.len(), self.boundaries).into_bytes();
            if memmem::find(self.raw, &boundary).is_none() {
                return boundary;
            }
        }
    }

    /// The whole message is the attachment: the notice becomes the message.
    fn replace_root(&mut self, root: &Part, text: &str) {
        let ([content_type, encoding], body) = notice::body(text, self.line_end);
        let fields = content_fields(self.raw, &root.header);
        self.edit_root(&fields, &[content_type, encoding]);
        let bytes = self.closed(body, root.body.end);
        self.splices.push(Splice { range: root.body.clone(), bytes });
    }

    /// Header edits that leave `kept` as the only fields that describe the content; MIME-Version is added if missing.
    fn edit_root(&mut self, fields: &[(String, std::ops::Range<usize>)], kept: &[(&str, &str)]) {
        let mut counts: BTreeMap<String, (String, u32)> = BTreeMap::new();
        for (name, _) in fields {
            let entry = counts.entry(name.to_ascii_lowercase()).or_insert_with(|| (name.clone(), 0));
            entry.1 += 1;
        }
        for (key, (name, count)) in &counts {
            let stays = kept.iter().any(|(kept, _)| kept.eq_ignore_ascii_case(key));
            for index in (1 + u32::from(stays)..=*count).rev() {
                self.header_edits.push(HeaderEdit::Delete { name: name.clone(), index });
            }
        }
        for (name, value) in kept {
            let value = format!(" {value}").into_bytes();
            let edit = match counts.get(&name.to_ascii_lowercase()) {
                Some((name, _)) => HeaderEdit::Replace { name: name.clone(), index: 1, value },
                None => HeaderEdit::Append { name: (*name).to_owned(), value },
            };
            self.header_edits.push(edit);
        }
        self.declare_mime();
    }

    fn declare_mime(&mut self) {
        let header = self.tree.root().map(|root| root.header.clone()).unwrap_or_default();
        let block = self.raw.get(header).unwrap_or_default();
        if !crate::message::mime::header::fields(block).any(|field| field.is("MIME-Version")) {
            let (name, value) = ("MIME-Version".to_owned(), b" 1.0".to_vec());
            self.header_edits.push(HeaderEdit::Append { name, value });
        }
    }

    fn replace_nested_root(&mut self, root: &Part, text: &str) {
        let (fields, body) = notice::body(text, self.line_end);
        for (_, range) in content_fields(self.raw, &root.header) {
            self.splices.push(Splice { range, bytes: Vec::new() });
        }
        let mut head = String::new();
        for (name, value) in fields {
            let _ = write!(head, "{name}: {value}{}", self.line_end);
        }
        if root.header.end == root.body.start {
            head.push_str(self.line_end); // the empty line was missing
        }
        self.splices.push(Splice::insert(root.header.end, head.into_bytes()));
        let bytes = self.closed(body, root.body.end);
        self.splices.push(Splice { range: root.body.clone(), bytes });
    }

    /// The fields that describe the content move inside, as they are; the message becomes a `multipart/mixed`.
    fn wrap_root(&mut self, root: &Part, before: Option<&str>, after: Option<&str>) {
        let boundary = self.fresh_boundary();
        let fields = content_fields(self.raw, &root.header);
        let mut kept = vec![("Content-Type".to_owned(), mixed(&boundary).trim_start().to_owned())];
        // A multipart states the widest encoding of its parts (RFC 2045 section 6.4).
        if let Some(domain) = identity_name(root) {
            kept.push(("Content-Transfer-Encoding".to_owned(), domain.to_owned()));
        }
        let borrowed: Vec<(&str, &str)> = kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.edit_root(&fields, &borrowed);
        let (mut open, close) = self.around(&boundary, before, after);
        open.extend(self.moved(&fields, root));
        open.extend_from_slice(self.line_end.as_bytes());
        self.splices.push(Splice::insert(root.body.start, open));
        let close = self.closed(close, root.body.end);
        self.splices.push(Splice::insert(root.body.end, close));
    }

    fn wrap_nested_root(&mut self, root: &Part, before: Option<&str>, after: Option<&str>) {
        let boundary = self.fresh_boundary();
        let fields = content_fields(self.raw, &root.header);
        let mut head = format!("Content-Type:{}{}", mixed(&boundary), self.line_end);
        if let Some(domain) = identity_name(root) {
            let _ = write!(head, "Content-Transfer-Encoding: {domain}{}", self.line_end);
        }
        for (_, range) in &fields {
            self.splices.push(Splice { range: range.clone(), bytes: Vec::new() });
        }
        if root.header.end == root.body.start {
            head.push_str(self.line_end);
        }
        self.splices.push(Splice::insert(root.header.end, head.into_bytes()));
        let (mut open, close) = self.around(&boundary, before, after);
        open.extend(self.moved(&fields, root));
        open.extend_from_slice(self.line_end.as_bytes());
        self.splices.push(Splice::insert(root.body.start, open));
        let close = self.closed(close, root.body.end);
        self.splices.push(Splice::insert(root.body.end, close));
    }

    /// The fields as they stood. The disposition of a multipart meant the message, and would make a file of the part.
    fn moved(&self, fields: &[(String, std::ops::Range<usize>)], root: &Part) -> Vec<u8> {
        let stays_out = |name: &str| root.multipart.is_some() && name.eq_ignore_ascii_case("Content-Disposition");
        let fields = fields.iter().filter(|(name, _)| !stays_out(name));
        let fields = fields.filter_map(|(_, range)| self.raw.get(range.clone()));
        let mut moved: Vec<u8> = fields.flatten().copied().collect();
        if !moved.is_empty() && !moved.ends_with(b"\n") {
            moved.extend_from_slice(self.line_end.as_bytes());
        }
        moved
    }
}

/// The value of a Content-Type field, with its leading space.
fn mixed(boundary: &[u8]) -> String {
    format!(" multipart/mixed; boundary=\"{}\"", String::from_utf8_lossy(boundary))
}

/// Readers choose one part, or show the first with the help of the others: a notice among them would be shown instead
/// of the text, or not at all.
fn shows_one_part(part: &Part) -> bool {
    part.multipart.is_some() && matches!(part.media_type.name.as_str(), "multipart/alternative" | "multipart/related")
}

/// Readers show the parts one after the other. A signed multipart has two parts of fixed meaning, and what a reader makes
/// of a third one is anybody's guess.
fn shows_all_parts(part: &Part) -> bool {
    part.multipart.is_some() && !shows_one_part(part) && part.media_type.name != "multipart/signed"
}

fn identity_name(part: &Part) -> Option<&'static str> {
    use crate::message::mime::TransferEncoding as Encoding;
    match part.encoding {
        Encoding::EightBit => Some("8bit"),
        Encoding::Binary => Some("binary"),
        Encoding::SevenBit | Encoding::QuotedPrintable | Encoding::Base64 | Encoding::Unknown => None,
    }
}
