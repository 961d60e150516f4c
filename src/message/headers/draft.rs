//! A header while its edits are being planned: every change is made here and recorded as the milter action that makes
//! the mail server do the same.

use std::collections::HashMap;

use super::{Field, Header, HeaderEdit};

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

    /// Adds a field at the end.
    pub fn append(&mut self, name: &str, value: Vec<u8>) {
        self.header.push(name, value.clone());
        self.edits.push(HeaderEdit::Append { name: name.to_owned(), value });
    }
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;
    use proptest::prelude::*;

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
