//! Edits of a header, with the meaning the milter protocol gives them, and what a mail server makes of them.

use std::collections::HashMap;

use super::{Field, Header};

/// One edit of a header.
///
/// Values are raw: what follows the colon, leading space included (the milter negotiates it, `SMFIP_HDR_LEADSPC`),
/// folded with LF. Names are ASCII. Indices count from 1 among the fields of that name, letter case aside, *as they stand
/// when the edit is applied*: several fields of one name are deleted from the highest index down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Delete the field; nothing happens when there is none (`SMFIR_CHGHEADER` with an empty value).
    Delete {
        /// The name.
        name: String,
        /// Which one, from 1.
        index: u32,
    },
    /// Give the field another value in its place; it is added at the end when there is none (`SMFIR_CHGHEADER`).
    Replace {
        /// The name.
        name: String,
        /// Which one, from 1.
        index: u32,
        /// The raw value.
        value: Vec<u8>,
    },
    /// Put a field before the one that is `position` fields from the top (`SMFIR_INSHEADER`); 0 is the very top.
    Insert {
        /// How many fields stand before it.
        position: u32,
        /// The name.
        name: String,
        /// The raw value.
        value: Vec<u8>,
    },
    /// Add a field at the end (`SMFIR_ADDHEADER`).
    Append {
        /// The name.
        name: String,
        /// The raw value.
        value: Vec<u8>,
    },
}

/// Applies edits to a header block, as Postfix does at the end of a message. The block ends with its empty line or
/// without one, and so does the result; line ends are those of the block (CRLF when it has none).
#[must_use]
pub fn apply(header_block: &[u8], edits: &[HeaderEdit]) -> Vec<u8> {
    let (header, body) = Header::split(header_block);
    let crlf = !header_block.contains(&b'\n') || header_block.windows(2).any(|pair| pair == b"\r\n");
    let line_end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
    let mut desk = Desk::new(header);
    for edit in edits {
        desk.apply(edit);
    }
    let mut block = Vec::with_capacity(header_block.len() + 256);
    for Slot { field, edited, .. } in desk.order.iter().filter_map(|&id| desk.slots.get(id)).filter(|s| !s.deleted) {
        block.extend_from_slice(field.name());
        block.push(b':');
        if *edited {
            push_folded(&mut block, field.raw(), line_end);
        } else {
            block.extend_from_slice(field.raw());
        }
        block.extend_from_slice(line_end);
    }
    // The empty line, and whatever the caller left behind it.
    let had_end = header_block.get(..body).is_some_and(|head| head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n"));
    if had_end || matches!(header_block.get(..body), Some(b"\n" | b"\r\n")) {
        block.extend_from_slice(line_end);
    }
    block.extend_from_slice(header_block.get(body..).unwrap_or_default());
    block
}

/// Writes a value folded with LF with the block's own line ends.
fn push_folded(block: &mut Vec<u8>, value: &[u8], line_end: &[u8]) {
    for (at, line) in value.split(|&b| b == b'\n').enumerate() {
        if at > 0 {
            block.extend_from_slice(line_end);
        }
        block.extend_from_slice(line);
    }
}

/// Makes a received value fit for an edit: folded with LF, every line but the first beginning with a space, without the
/// NUL and the bare CR that the milter protocol or the mail server would stumble over.
#[must_use]
pub fn edit_value(raw: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().filter(|b| !matches!(b, b'\r' | 0)).peekable();
    while let Some(byte) = bytes.next() {
        value.push(byte);
        if byte == b'\n' && !matches!(bytes.peek(), Some(b' ' | b'\t')) {
            value.push(b' ');
        }
    }
    value
}

struct Slot {
    field: Field,
    edited: bool,
    deleted: bool,
}

/// The fields while they are edited. Deleting and replacing take constant time, so that ten thousand edits of ten
/// thousand fields take linear time; inserting takes linear time, and an edited message has few insertions.
struct Desk {
    slots: Vec<Slot>,
    /// Slot numbers in the order of the header.
    order: Vec<usize>,
    /// Slot numbers of each name in the order of the header, without deleted ones.
    by_name: HashMap<Vec<u8>, Vec<usize>>,
}

impl Desk {
    fn new(header: Header) -> Self {
        let mut desk = Self { slots: Vec::new(), order: Vec::new(), by_name: HashMap::new() };
        for field in header.fields {
            desk.append(field, false);
        }
        desk
    }

    fn append(&mut self, field: Field, edited: bool) {
        let id = self.slots.len();
        self.by_name.entry(key(field.name())).or_default().push(id);
        self.order.push(id);
        self.slots.push(Slot { field, edited, deleted: false });
    }

    fn apply(&mut self, edit: &HeaderEdit) {
        match edit {
            HeaderEdit::Delete { name, index } => {
                let Some(ids) = self.by_name.get_mut(&key(name.as_bytes())) else { return };
                let Some(at) = nth(*index).filter(|&at| at < ids.len()) else { return };
                if let Some(slot) = self.slots.get_mut(ids.remove(at)) {
                    slot.deleted = true;
                }
            }
            HeaderEdit::Replace { name, index, value } => {
                let id = self.by_name.get(&key(name.as_bytes())).and_then(|ids| ids.get(nth(*index)?)).copied();
                let field = Field { name: name.clone().into_bytes(), value: value.clone() };
                match id.and_then(|id| self.slots.get_mut(id)) {
                    Some(slot) => (slot.field, slot.edited) = (field, true),
                    None => self.append(field, true),
                }
            }
            HeaderEdit::Insert { position, name, value } => self.insert(*position as usize, name, value),
            HeaderEdit::Append { name, value } => {
                self.append(Field { name: name.clone().into_bytes(), value: value.clone() }, true);
            }
        }
    }

    fn insert(&mut self, position: usize, name: &str, value: &[u8]) {
        let live = |id: &usize| self.slots.get(*id).is_some_and(|slot| !slot.deleted);
        let at = self.order.iter().enumerate().filter(|(_, id)| live(id)).nth(position).map(|(at, _)| at);
        let at = at.unwrap_or(self.order.len());
        let wanted = key(name.as_bytes());
        let same_name = |id: &usize| self.slots.get(*id).is_some_and(|s| !s.deleted && key(s.field.name()) == wanted);
        let rank = self.order.iter().take(at).filter(|id| same_name(id)).count();
        let id = self.slots.len();
        self.order.insert(at, id);
        let field = Field { name: name.as_bytes().to_vec(), value: value.to_vec() };
        self.slots.push(Slot { field, edited: true, deleted: false });
        let ids = self.by_name.entry(wanted).or_default();
        ids.insert(rank.min(ids.len()), id);
    }
}

fn key(name: &[u8]) -> Vec<u8> {
    name.trim_ascii_end().to_ascii_lowercase()
}

fn nth(index: u32) -> Option<usize> {
    usize::try_from(index).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &[u8] = b"A: 1\r\nB: x\r\n y\r\na: 2\r\nC: z\r\n\r\n";

    fn delete(name: &str, index: u32) -> HeaderEdit {
        HeaderEdit::Delete { name: name.to_owned(), index }
    }

    fn applied(edits: &[HeaderEdit]) -> String {
        String::from_utf8(apply(BLOCK, edits)).unwrap()
    }

    #[test]
    fn without_edits_the_block_is_the_same() {
        for block in [BLOCK, b"A: 1\nB:\n\n", b"A: 1\r\n", b"\r\n", b"", b"A: 1\r\nno colon\r\n"] {
            assert_eq!(apply(block, &[]), block);
        }
    }

    #[test]
    fn indices_count_what_remains_now() {
        assert_eq!(applied(&[delete("A", 1), delete("A", 1)]), "B: x\r\n y\r\nC: z\r\n\r\n");
        // From the lowest index up, the second deletion finds nothing.
        assert_eq!(applied(&[delete("A", 1), delete("A", 2)]), "B: x\r\n y\r\na: 2\r\nC: z\r\n\r\n");
        assert_eq!(applied(&[delete("A", 0), delete("A", 9), delete("Z", 1)]).as_bytes(), BLOCK);
    }

    #[test]
    fn fields_are_replaced_in_place_or_added() {
        let replace =
            |name: &str, index| HeaderEdit::Replace { name: name.to_owned(), index, value: b" new\n line".to_vec() };
        assert_eq!(applied(&[replace("A", 2)]), "A: 1\r\nB: x\r\n y\r\nA: new\r\n line\r\nC: z\r\n\r\n");
        assert_eq!(applied(&[replace("D", 1)]), "A: 1\r\nB: x\r\n y\r\na: 2\r\nC: z\r\nD: new\r\n line\r\n\r\n");
    }

    #[test]
    fn fields_are_inserted_at_their_position() {
        let insert =
            |position, name: &str| HeaderEdit::Insert { position, name: name.to_owned(), value: b" new".to_vec() };
        assert_eq!(applied(&[insert(0, "N")]), "N: new\r\nA: 1\r\nB: x\r\n y\r\na: 2\r\nC: z\r\n\r\n");
        assert_eq!(applied(&[delete("A", 1), insert(1, "N")]), "B: x\r\n y\r\nN: new\r\na: 2\r\nC: z\r\n\r\n");
        assert_eq!(applied(&[insert(2, "A"), delete("A", 2)]).as_bytes(), BLOCK);
        assert_eq!(applied(&[insert(99, "N")]), "A: 1\r\nB: x\r\n y\r\na: 2\r\nC: z\r\nN: new\r\n\r\n");
        assert_eq!(apply(b"A: 1\nB: 2\n\n", &[insert(1, "N")]), b"A: 1\nN: new\nB: 2\n\n");
    }

    #[test]
    fn ten_thousand_deletions_take_linear_time() {
        let block = b"A: 1\r\n".repeat(200_000);
        let edits: Vec<_> = (1..=200_000).rev().map(|index| delete("A", index)).collect();
        assert_eq!(apply(&block, &edits), b"");
    }
}
