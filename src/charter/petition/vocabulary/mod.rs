//! The words of a pack's phrases, in sets: `signez|signons` is one, `pétition*` another, `appel|lettre_ouverte` a third, with a
//! row of two words in it. A sentence is read once, letter by letter; from then on it is known which sets it has, and where.

mod letters;
mod rows;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use letters::Letters;
pub(super) use letters::{ACCENTS_MAX, spellings};
use rows::{Found, Open, Piece, Rows};

/// A sentence has no more words: [`crate::message::text`] cuts it before.
const WORDS_MAX: usize = 127;

/// Words that follow each other; one that ends in `*` stands for all that begin like it.
pub(super) type Row = Vec<String>;
/// The number of a set of rows.
pub(super) type Set = usize;

/// The sets that the phrases of a pack name, while it is read.
#[derive(Debug, Default)]
pub(super) struct Sets {
    numbers: HashMap<BTreeSet<Row>, Set>,
}

impl Sets {
    /// The set of these rows; many phrases share one.
    pub(super) fn number(&mut self, rows: BTreeSet<Row>) -> Set {
        let next = self.numbers.len();
        *self.numbers.entry(rows).or_insert(next)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// How common each set is in texts, as far as the phrases tell: a word that stands in many sets is a frequent one.
    pub(super) fn commonness(&self) -> Vec<usize> {
        let mut sets_of: HashMap<&str, usize> = HashMap::new();
        for word in self.numbers.keys().flat_map(|rows| rows.iter().flatten().collect::<BTreeSet<_>>()) {
            *sets_of.entry(word).or_default() += 1;
        }
        let of_word = |word: &String| sets_of.get(word.as_str()).copied().unwrap_or_default();
        let of_row = |row: &Row| row.iter().map(of_word).min().unwrap_or_default();
        let mut commonness = vec![0; self.len()];
        for (rows, set) in &self.numbers {
            if let Some(of_set) = commonness.get_mut(*set) {
                *of_set = rows.iter().map(of_row).max().unwrap_or_default();
            }
        }
        commonness
    }
}

/// All words that phrases are made of.
#[derive(Debug)]
pub(super) struct Vocabulary {
    letters: Letters,
    rows: Rows,
    /// What each kind of words is in rows.
    pieces: Vec<Box<[Piece]>>,
    /// The sets of each kind of words, one bit for each, in `width` numbers a kind.
    sets: Vec<u64>,
    width: usize,
}

impl Vocabulary {
    pub(super) fn new(sets: Sets) -> Self {
        // What is below the number of sets is a set, what is above is the piece of a row.
        let count = sets.len();
        let (mut words, mut rows) = (Vec::new(), Rows::default());
        for (of_set, set) in sets.numbers {
            for row in of_set {
                match <[String; 1]>::try_from(row) {
                    Ok([word]) => words.push((word, set)),
                    Err(row) => rows.add(row, set),
                }
            }
        }
        words.extend(rows.pieces().map(|(word, piece)| (word.to_owned(), count + piece)));
        let (letters, kinds) = Letters::new(words);
        let width = count.div_ceil(64);
        let mut vocabulary = Self { letters, rows, pieces: Vec::new(), sets: vec![0; width * kinds.len()], width };
        for (kind, meanings) in kinds.iter().enumerate() {
            let (sets, pieces) = meanings.split_at(meanings.partition_point(|meaning| *meaning < count));
            let bits = vocabulary.sets.get_mut(kind * width..).unwrap_or_default();
            for set in sets {
                add(bits, *set);
            }
            vocabulary.pieces.push(pieces.iter().map(|piece| piece - count).collect());
        }
        vocabulary
    }
}

/// The words of a sentence, looked up. A set of boundaries is one number; its lowest bit lies before the first word.
#[derive(Debug)]
pub(super) struct Words<'v> {
    vocabulary: &'v Vocabulary,
    /// Where in the vocabulary the sets of each begin.
    kinds: Vec<u32>,
    /// The sets of which the sentence has a row: one bit for each.
    sets: Vec<u64>,
    /// The rows of several words, in the order of their sets.
    rows: Vec<Found>,
    /// Room for the rows that may be there.
    open: Open,
    /// The boundaries before the single words of a set, where they have been asked for.
    single: Vec<Cell<u128>>,
    /// The sets that they have been asked for of: one bit for each.
    asked: Vec<Cell<u64>>,
}

impl<'v> Words<'v> {
    pub(super) fn new(vocabulary: &'v Vocabulary) -> Self {
        Self {
            vocabulary,
            kinds: Vec::new(),
            sets: Vec::new(),
            rows: Vec::new(),
            open: Open::default(),
            single: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Looks the words of a sentence up: `text` has a blank before each word and one at the end.
    pub(super) fn read(&mut self, text: &str) {
        let vocabulary = self.vocabulary;
        self.kinds.clear();
        self.sets.clear();
        self.sets.resize(vocabulary.width, 0);
        self.asked.clear();
        self.asked.resize(vocabulary.width, Cell::default());
        self.single.resize(vocabulary.width * 64, Cell::default());
        self.rows.clear();
        self.open.clear();
        for (boundary, kind) in vocabulary.letters.kinds(text).take(WORDS_MAX).enumerate() {
            let start = kind as usize * vocabulary.width;
            self.kinds.push(index(start));
            if kind > 0 {
                let sets = vocabulary.sets.get(start..).unwrap_or_default();
                self.sets.iter_mut().zip(sets).for_each(|(all, sets)| *all |= sets);
            }
            let pieces = vocabulary.pieces.get(kind as usize).map(Box::as_ref).unwrap_or_default();
            vocabulary.rows.take(boundary, pieces, &mut self.open, &mut self.rows);
        }
        self.rows.sort_unstable();
        for row in &self.rows {
            add(&mut self.sets, row.set);
        }
    }

    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// The sets of which the sentence has a row: one bit for each.
    pub(super) fn sets(&self) -> &[u64] {
        &self.sets
    }

    /// Whether the sentence has a row of a set.
    pub(super) fn has(&self, set: Set) -> bool {
        is_in(&self.sets, set)
    }

    /// The boundaries before the single words of a set.
    fn single(&self, set: Set) -> u128 {
        let (place, bit) = (set / 64, set % 64);
        let (Some(single), Some(asked)) = (self.single.get(set), self.asked.get(place)) else { return 0 };
        if asked.get() >> bit & 1 != 0 {
            return single.get();
        }
        asked.set(asked.get() | 1 << bit);
        let is_in = |start: &u32| self.vocabulary.sets.get(*start as usize + place).map_or(0, |bits| bits >> bit & 1);
        let chunks = self.kinds.chunks(64).map(|kinds| kinds.iter().rev().fold(0, |all, kind| all << 1 | is_in(kind)));
        let found = chunks.rev().fold(0, |all, chunk| all << 64 | u128::from(chunk));
        single.set(found);
        found
    }

    /// The rows of several words of a set.
    fn rows(&self, set: Set) -> &[Found] {
        let first = self.rows.partition_point(|row| row.set < set);
        let rows = self.rows.get(first..).unwrap_or_default();
        rows.get(..rows.partition_point(|row| row.set == set)).unwrap_or_default()
    }

    /// The boundaries from which a row of a set leads to one of those given.
    pub(super) fn before(&self, set: Set, after: u128) -> u128 {
        if !self.has(set) {
            return 0;
        }
        let rows = self.rows(set).iter().filter(|row| after >> row.end & 1 != 0);
        rows.fold(self.single(set) & after >> 1, |all, row| all | 1 << row.start)
    }

    /// The boundaries to which rows of a set lead from this one, the next first.
    pub(super) fn after(&self, set: Set, boundary: usize) -> impl Iterator<Item = usize> {
        let single = (self.single(set) >> boundary & 1 != 0).then_some(boundary + 1);
        let rows = self.rows(set).iter().filter(move |row| row.start == boundary);
        single.into_iter().chain(rows.map(|row| row.end))
    }
}

/// Adds a set to others, of which each is one bit.
pub(super) fn add(sets: &mut [u64], set: Set) {
    if let Some(bits) = sets.get_mut(set / 64) {
        *bits |= 1 << (set % 64);
    }
}

fn is_in(sets: &[u64], set: Set) -> bool {
    sets.get(set / 64).is_some_and(|bits| bits >> (set % 64) & 1 != 0)
}

/// A place in one of the tables, which are far smaller.
fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
