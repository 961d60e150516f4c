//! Rows of words: `lettre ouverte`, `merci de`. They are found word by word while a sentence is read.

use std::collections::{BTreeMap, HashMap};

use super::{Row, Set};

/// The number of a word that rows are made of.
pub(super) type Piece = usize;

/// Trees of words.
#[derive(Debug, Default)]
pub(super) struct Rows {
    nodes: Vec<Node>,
    /// The node that a row with this first word leads to.
    first: Vec<Option<usize>>,
    pieces: HashMap<String, Piece>,
}

/// Some words that a row begins with.
#[derive(Debug, Default)]
struct Node {
    /// Where the next word leads.
    next: BTreeMap<Piece, usize>,
    /// The sets of the row that is these words.
    sets: Vec<Set>,
}

/// Rows that may be there: the boundary before their first word, and the node their words so far lead to.
#[derive(Debug, Default)]
pub(super) struct Open {
    now: Vec<(usize, usize)>,
    /// Those of the word before.
    last: Vec<(usize, usize)>,
}

impl Open {
    pub(super) fn clear(&mut self) {
        self.now.clear();
    }
}

/// A row that is there, between two boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub set: Set,
    pub start: usize,
    pub end: usize,
}

impl Rows {
    /// Adds a row of a set.
    pub(super) fn add(&mut self, row: Row, set: Set) {
        let mut come_to = None;
        for word in row {
            let new = self.pieces.len();
            let piece = *self.pieces.entry(word).or_insert(new);
            self.first.resize(self.pieces.len(), None);
            let new = self.nodes.len();
            let next = match come_to {
                Some(node) => self.nodes.get_mut(node).map(|node: &mut Node| *node.next.entry(piece).or_insert(new)),
                None => self.first.get_mut(piece).map(|node| *node.get_or_insert(new)),
            };
            if next == Some(new) {
                self.nodes.push(Node::default());
            }
            come_to = next;
        }
        if let Some(node) = come_to.and_then(|node| self.nodes.get_mut(node)) {
            node.sets.push(set);
        }
    }

    /// The words of the rows.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&str, Piece)> {
        self.pieces.iter().map(|(word, piece)| (word.as_str(), *piece))
    }

    /// Takes the word behind a boundary: `pieces` are what it is in rows.
    pub(super) fn take(&self, boundary: usize, pieces: &[Piece], open: &mut Open, found: &mut Vec<Found>) {
        std::mem::swap(&mut open.now, &mut open.last);
        open.now.clear();
        for piece in pieces {
            let continued = open.last.iter().filter_map(|(start, node)| Some((*start, self.next(*node, *piece)?)));
            let begun = self.first.get(*piece).copied().flatten().map(|node| (boundary, node));
            for (start, next) in continued.chain(begun) {
                open.now.push((start, next));
                let sets = self.nodes.get(next).map(|node| node.sets.as_slice()).unwrap_or_default();
                found.extend(sets.iter().map(|set| Found { set: *set, start, end: boundary + 1 }));
            }
        }
    }

    fn next(&self, node: usize, piece: Piece) -> Option<usize> {
        self.nodes.get(node)?.next.get(&piece).copied()
    }
}
