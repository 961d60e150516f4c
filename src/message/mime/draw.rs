//! Drawing a tree for people: one line for each part.

use std::fmt::Write as _;

use super::{Part, Tree};
use crate::message::attachments::{Attachment, Place};

/// Draws the tree: type, class, name, size, and what `fate` says about each attachment (called with its index in the
/// list). Ambiguities stand below the part they are about.
#[must_use]
pub fn draw(tree: &Tree, attachments: &[Attachment], fate: &dyn Fn(usize, &Attachment) -> String) -> String {
    let texts = tree.text_bodies();
    let mut lines = String::new();
    // Whether more siblings follow, for each level down to the current part.
    let mut follows: Vec<bool> = Vec::new();
    let mut next_attachment = attachments.iter().enumerate().peekable();
    let mut next_ambiguity = tree.ambiguities().iter().peekable();
    for part in tree.parts() {
        let depth = part.depth as usize;
        follows.truncate(depth.saturating_sub(1));
        if depth > 0 {
            let siblings = part.parent.and_then(|id| tree.part(id)).map(|p| p.children.as_slice()).unwrap_or_default();
            follows.push(siblings.last() != Some(&part.id));
        }
        let (lead, below) = leads(&follows, !part.children.is_empty());
        let role = if texts.binary_search(&part.id).is_ok() { "  text" } else { "" };
        let _ = write!(lines, "{lead}{}{role}  {}", shown(&part.media_type.name), size_of(part));
        let mut inside = String::new();
        while let Some((index, attachment)) = next_attachment.next_if(|(_, a)| a.part <= part.id) {
            let words = describe(attachment, &fate(index, attachment));
            match attachment.place {
                Place::Part => lines.push_str(&words),
                Place::Text(_) => {
                    let size = size_words(attachment.decoded_size_bytes);
                    let _ = writeln!(inside, "{below}in the text: {}  {size}{words}", shown(&attachment.media_type));
                }
            }
        }
        lines.push('\n');
        lines.push_str(&inside);
        while let Some(ambiguity) = next_ambiguity.next_if(|a| a.part <= part.id) {
            let _ = writeln!(lines, "{below}ambiguous: {}", ambiguity.kind);
        }
    }
    lines
}

/// What stands before a part, and before the lines below it.
fn leads(follows: &[bool], has_children: bool) -> (String, String) {
    let mut lead = String::new();
    let (last, around) = match follows.split_last() {
        Some((last, around)) => (Some(*last), around),
        None => (None, follows),
    };
    for more in around {
        lead.push_str(if *more { "│  " } else { "   " });
    }
    let mut below = lead.clone();
    match last {
        Some(true) => (lead.push_str("├─ "), below.push_str("│  ")),
        Some(false) => (lead.push_str("└─ "), below.push_str("   ")),
        None => ((), ()),
    };
    below.push_str(if has_children { "│  " } else { "   " });
    (lead, below)
}

fn describe(attachment: &Attachment, fate: &str) -> String {
    let name = attachment.name.as_ref().map(|name| format!("  “{}”", shown(name))).unwrap_or_default();
    let signed = if attachment.is_signed { "  signed" } else { "" };
    let fate = if fate.is_empty() { String::new() } else { format!("  → {fate}") };
    format!("  [{}]{name}{signed}{fate}", attachment.class)
}

/// A sender's words on a terminal: no control characters, no more than a line.
fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    text.chars().take(CHARACTERS_MAX).map(|c| if c.is_control() { '·' } else { c }).collect()
}

fn size_of(part: &Part) -> String {
    size_words(if part.children.is_empty() { part.decoded_size_bytes() } else { part.body.len() as u64 })
}

/// Octets for people, in decimal units as charters write them.
fn size_words(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}
