//! What reports on the readers of a message (pm:5.b): pictures that nobody sees and that are fetched all the same, and
//! links that carry who was sent them.
//!
//! Found precisely rather than often: a picture counts when it is remote *and* invisible (or is served by the counting
//! address of a known mailing service), a link when one of its parameters is known to name the recipient, or when it
//! leads through the counter of a known mailing service and nobody can tell where to. Pictures that are seen, and
//! parameters that name a campaign and not a person, stay.

mod links;
mod pixels;

use std::ops::Range;

use super::charset::Decoded;
use super::mime::{Part, PartId, TransferEncoding, Tree, decode};
use super::readings;
use super::splice::{self, Splice};

/// Something that reports on readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracker {
    /// The text it is in.
    pub part: PartId,
    /// What it is.
    pub kind: TrackerKind,
    /// A signature covers it, so that it cannot be removed.
    pub is_signed: bool,
    /// Where it is in the decoded octets of the part; what is to be removed, unless it is an opaque link.
    range: Range<usize>,
}

/// The kinds of trackers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackerKind {
    /// A remote picture that nobody sees.
    Pixel,
    /// A parameter of a link that names the recipient.
    LinkParameter,
    /// A link through the counter of a mailing service that does not say where it leads: without it the link would be lost.
    OpaqueLink,
}

impl TrackerKind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Pixel, Self::LinkParameter, Self::OpaqueLink];

    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pixel => "pixel",
            Self::LinkParameter => "link-parameter",
            Self::OpaqueLink => "opaque-link",
        }
    }

    /// It can be taken out and leaves the message as useful as it was.
    #[must_use]
    pub fn is_removable(self) -> bool {
        matches!(self, Self::Pixel | Self::LinkParameter)
    }
}

/// Finds the trackers in the texts of a message, in order.
#[must_use]
pub fn find(raw: &[u8], tree: &Tree) -> Vec<Tracker> {
    let bodies = tree.text_bodies();
    bodies.into_iter().filter_map(|id| tree.part(id)).flat_map(|part| in_part(raw, tree, part)).collect()
}

/// Removes the trackers that can be removed; returns the new message and how many there were, `None` when there is none.
#[must_use]
pub fn remove(raw: &[u8], tree: &Tree, trackers: &[Tracker]) -> Option<(Vec<u8>, usize)> {
    let mut count = 0;
    let mut changes: Vec<Splice> = Vec::new();
    for part in tree.parts() {
        let own = trackers.iter().filter(|t| t.part == part.id && t.kind.is_removable() && !t.is_signed);
        let splices: Vec<Splice> = own.map(|tracker| Splice::remove(tracker.range.clone())).collect();
        if splices.is_empty() {
            continue;
        }
        count += splices.len();
        let body = raw.get(part.body.clone()).unwrap_or_default();
        let with = splice::encoded(body, part.encoding, &splices, splice::Octets::Lines, tree.line_end());
        changes.push(Splice { range: part.body.clone(), with });
    }
    (count > 0).then(|| (splice::plain(raw, &changes), count))
}

fn in_part(raw: &[u8], tree: &Tree, part: &Part) -> Vec<Tracker> {
    if part.encoding == TransferEncoding::Unknown {
        return Vec::new();
    }
    let octets = decode::transfer(part.encoding, raw.get(part.body.clone()).unwrap_or_default());
    let Some(text) = Decoded::read(&octets, part.media_type.parameter("charset")) else { return Vec::new() };
    if text.hides_ascii() {
        return Vec::new();
    }
    // A wide text is searched in UTF-8, and places are carried over to its octets.
    let searched = if text.is_wide() { text.text.as_bytes() } else { text.octets };
    let mut found: Vec<(Range<usize>, TrackerKind)> = if part.media_type.name == "text/html" {
        let in_reading = |html: &[u8]| [pixels::find(html), links::in_html(html)].concat();
        readings::readings(searched).flat_map(|html| in_reading(&html)).collect()
    } else {
        links::in_text(searched)
    };
    found.sort_by_key(|(range, _)| (range.start, range.end));
    let mut end = 0;
    found.retain(|(range, _)| {
        let is_apart = range.start >= end;
        end = if is_apart { range.end } else { end };
        is_apart
    });
    let is_signed = tree.signed_ancestor(part.id).is_some();
    if text.is_wide() {
        let bounds: Vec<usize> = found.iter().flat_map(|(range, _)| [range.start, range.end]).collect();
        let octets = text.octets_of(&bounds);
        for ((range, _), bounds) in found.iter_mut().zip(octets.chunks_exact(2)) {
            if let [start, end] = bounds {
                *range = *start..*end;
            }
        }
    }
    found.into_iter().map(|(range, kind)| Tracker { part: part.id, kind, is_signed, range }).collect()
}

#[cfg(test)]
mod tests;
