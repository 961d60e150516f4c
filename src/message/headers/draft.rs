//! A header while its edits are being planned: every change is made here and recorded as the milter action that makes
//! the mail server do the same.

use std::collections::HashMap;

use super::{Field, Header, HeaderEdit, edit_value};

/// A header and the edits that made it what it is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    header: Header,
    edits: Vec<HeaderEdit>,
}

impl Draft {
    /// Starts from a header as received.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        Self { header: header.clone(), edits: Vec::new() }
    }

    /// The header with the edits so far.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The edits, in the order in which they are applied.
    #[must_use]
    pub fn into_edits(self) -> Vec<HeaderEdit> {
        self.edits
    }

    /// Deletes the fields for which `unwanted` says so (it is given the place of the field among all fields), from the
    /// last to the first, so that each index still means the same field when it is applied; returns how many.
    pub fn delete(&mut self, unwanted: impl Fn(usize, &Field) -> bool) -> usize {
        let mut counts: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut deletions = Vec::new();
        let mut kept = Vec::with_capacity(self.header.fields.len());
        for (place, field) in std::mem::take(&mut self.header.fields).into_iter().enumerate() {
            let index = counts.entry(field.name.trim_ascii_end().to_ascii_lowercase()).or_default();
            *index += 1;
            if unwanted(place, &field) {
                let name = String::from_utf8_lossy(field.name.trim_ascii_end()).into_owned();
                deletions.push(HeaderEdit::Delete { name, index: *index });
            } else {
                kept.push(field);
            }
        }
        self.header.fields = kept;
        let number = deletions.len();
        self.edits.extend(deletions.into_iter().rev());
        number
    }

    /// Gives the first field of this name this raw value, or adds the field at the end.
    pub fn set(&mut self, name: &str, value: Vec<u8>) {
        match self.header.fields.iter_mut().find(|field| field.is(name)) {
            Some(field) => {
                field.value.clone_from(&value);
                self.edits.push(HeaderEdit::Replace { name: name.to_owned(), index: 1, value });
            }
            None => self.append(name, value),
        }
    }

    /// Takes lines of nothing but blanks out of folded fields, where anything else was edited: some programs end the
    /// header there, and would show what an edit added behind it as text.
    pub fn join_blank_lines(&mut self) {
        if self.edits.is_empty() {
            return;
        }
        let mut counts: HashMap<Vec<u8>, u32> = HashMap::new();
        for field in &mut self.header.fields {
            let index = counts.entry(field.name.trim_ascii_end().to_ascii_lowercase()).or_default();
            *index += 1;
            let value = without_blank_lines(&field.value);
            if value != field.value {
                let value = edit_value(&value);
                field.value.clone_from(&value);
                let name = String::from_utf8_lossy(field.name.trim_ascii_end()).into_owned();
                self.edits.push(HeaderEdit::Replace { name, index: *index, value });
            }
        }
    }

    /// Adds a field at the end.
    pub fn append(&mut self, name: &str, value: Vec<u8>) {
        self.header.push(name, value.clone());
        self.edits.push(HeaderEdit::Append { name: name.to_owned(), value });
    }
}

/// Header fields without continuation lines of nothing but blanks. A line that is not continued by another ends as the
/// text does.
#[must_use]
pub fn without_blank_lines(fields: &[u8]) -> Vec<u8> {
    let is_blank = |line: &[u8]| line.starts_with(b" ") || line.starts_with(b"\t");
    let mut kept = Vec::with_capacity(fields.len());
    for (number, line) in fields.split_inclusive(|octet| *octet == b'\n').enumerate() {
        if number == 0 || !is_blank(line) || !line.trim_ascii().is_empty() {
            kept.extend_from_slice(line);
        }
    }
    // The blank line may have been the last of a value, which has no line end of its own.
    if !fields.ends_with(b"\n") && kept.ends_with(b"\n") {
        kept.truncate(kept.trim_ascii_end().len());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_blanks_go_where_something_is_added() {
        let block = b"A: one\r\n \r\n two\r\nB:\r\n \t\r\nb: three\r\n four\r\n";
        let mut draft = Draft::new(&Header::parse(block));
        draft.join_blank_lines();
        assert_eq!(draft.clone().into_edits(), [], "nothing was edited, so nothing is touched");
        draft.append("C", b" five".to_vec());
        draft.join_blank_lines();
        let made = apply(block, &draft.into_edits());
        assert_eq!(made, b"A: one\r\n two\r\nB:\r\nb: three\r\n four\r\nC: five\r\n", "{}", made.escape_ascii());
    }

    proptest! {
        #[test]
        fn what_is_planned_is_what_the_mail_server_makes(
            names in prop::collection::vec("[abAB]", 0..12),
            steps in prop::collection::vec((0..3, "[ab]", 0_usize..12), 0..6),
        ) {
            let lines: Vec<String> = names.iter().enumerate().map(|(at, name)| format!("{name}: {at}\n")).collect();
            let block = lines.concat();
            let mut draft = Draft::new(&Header::parse(block.as_bytes()));
            for (step, name, number) in &steps {
                match step {
                    0 => { draft.delete(|place, field| place % (number + 1) == 0 && field.is(name)); }
                    1 => draft.set(name, format!(" set {number}").into_bytes()),
                    _ => draft.append(name, format!(" added {number}").into_bytes()),
                }
            }
            let expected = draft.header().clone();
            let values = |header: &Header| header.fields().iter().map(|f| (f.name.to_ascii_lowercase(), f.value.clone())).collect::<Vec<_>>();
            let made = apply(block.as_bytes(), &draft.into_edits());
            prop_assert_eq!(values(&Header::parse(&made)), values(&expected));
        }
    }
}
