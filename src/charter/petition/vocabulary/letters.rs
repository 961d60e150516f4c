//! Words by their letters. Words that mean the same to all phrases are of one kind.

use std::collections::{BTreeMap, HashMap};

use super::index;

/// No word of a phrase has more accents; each makes twice as many spellings.
pub(in super::super) const ACCENTS_MAX: usize = 8;

/// What a word of a phrase stands for: a number that is the caller's own.
pub(super) type Meaning = usize;

/// A tree of letters; the first node is its root.
#[derive(Debug)]
pub(super) struct Letters {
    nodes: Vec<Node>,
    /// Where the first octet of a word leads.
    first: Vec<Option<u32>>,
    /// The octets that lead from a node to another, node by node in ascending order.
    edges: Vec<(u8, u32)>,
}

/// Some letters that a word begins with.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    first_edge: u32,
    last_edge: u32,
    /// The kind of the word that is these letters.
    whole: u32,
    /// The kind of a word that goes on as no word of a phrase does.
    longer: u32,
}

impl Letters {
    /// The tree of these words, of which `*` ends those that stand for all that begin like them, and the meanings of each
    /// kind. The first kind has none.
    pub(super) fn new(words: impl IntoIterator<Item = (String, Meaning)>) -> (Self, Vec<Vec<Meaning>>) {
        let tree = Tree::new(words);
        let root = tree.branches.first();
        let first = (0..=u8::MAX).map(|octet| root?.next.get(&octet).map(|next| index(*next))).collect();
        let mut letters = Self { nodes: vec![Node::default(); tree.branches.len()], first, edges: Vec::new() };
        let mut kinds: HashMap<Vec<Meaning>, u32> = HashMap::from([(Vec::new(), 0)]);
        let mut kind = |meanings: Vec<Meaning>| {
            let next = index(kinds.len());
            *kinds.entry(meanings).or_insert(next)
        };
        let mut open: Vec<(usize, Vec<Meaning>)> = vec![(0, Vec::new())];
        while let Some((number, inherited)) = open.pop() {
            let (Some(branch), Some(node)) = (tree.branches.get(number), letters.nodes.get_mut(number)) else {
                continue;
            };
            let begun = union(&inherited, &branch.begins);
            node.whole = kind(union(&begun, &branch.is));
            node.longer = kind(begun.clone());
            node.first_edge = index(letters.edges.len());
            for (octet, next) in &branch.next {
                letters.edges.push((*octet, index(*next)));
                open.push((*next, begun.clone()));
            }
            node.last_edge = index(letters.edges.len());
        }
        let mut by_number: Vec<(u32, Vec<Meaning>)> =
            kinds.into_iter().map(|(meanings, kind)| (kind, meanings)).collect();
        by_number.sort_unstable();
        (letters, by_number.into_iter().map(|(_, meanings)| meanings).collect())
    }

    /// The kinds of the words of a text, which has a blank before each and one at the end.
    pub(super) fn kinds(&self, text: &str) -> impl Iterator<Item = u32> {
        text.as_bytes().split(|octet| *octet == b' ').filter(|word| !word.is_empty()).map(|word| self.kind(word))
    }

    fn kind(&self, word: &[u8]) -> u32 {
        let Some((first, rest)) = word.split_first() else { return 0 };
        let first = self.first.get(usize::from(*first)).copied().flatten();
        let Some(mut node) = first.and_then(|node| self.nodes.get(node as usize)) else { return 0 };
        for octet in rest {
            match self.next(node, *octet) {
                Some(next) => node = next,
                None => return node.longer,
            }
        }
        node.whole
    }

    fn next(&self, node: &Node, octet: u8) -> Option<&Node> {
        let edges = self.edges.get(node.first_edge as usize..node.last_edge as usize)?;
        let (_, next) = edges.iter().find(|(letter, _)| *letter >= octet).filter(|(letter, _)| *letter == octet)?;
        self.nodes.get(*next as usize)
    }
}

/// The tree while it grows.
struct Tree {
    branches: Vec<Branch>,
}

#[derive(Default)]
struct Branch {
    next: BTreeMap<u8, usize>,
    /// What the word means that is these letters.
    is: Vec<Meaning>,
    /// What all words mean that begin with them.
    begins: Vec<Meaning>,
}

impl Tree {
    fn new(words: impl IntoIterator<Item = (String, Meaning)>) -> Self {
        let mut tree = Self { branches: vec![Branch::default()] };
        for (word, meaning) in words {
            let (letters, is_start) = word.strip_suffix('*').map_or((word.as_str(), false), |start| (start, true));
            for end in tree.grow(letters) {
                if let Some(branch) = tree.branches.get_mut(end) {
                    if is_start { branch.begins.push(meaning) } else { branch.is.push(meaning) }
                }
            }
        }
        tree
    }

    /// The branches that the spellings of a word end at.
    fn grow(&mut self, word: &str) -> Vec<usize> {
        let mut ends = vec![0];
        for letter in word.chars() {
            let spellings = spellings(letter);
            let mut longer = Vec::with_capacity(ends.len() * spellings.len());
            for end in ends {
                longer.extend(
                    spellings.iter().map(|letter| letter.bytes().fold(end, |at, octet| self.branch(at, octet))),
                );
            }
            ends = longer;
        }
        ends
    }

    fn branch(&mut self, at: usize, octet: u8) -> usize {
        let new = self.branches.len();
        let Some(branch) = self.branches.get_mut(at) else { return at };
        let next = *branch.next.entry(octet).or_insert(new);
        if next == new {
            self.branches.push(Branch::default());
        }
        next
    }
}

/// A letter as folded text has it, and without its accent.
pub(in super::super) fn spellings(c: char) -> Vec<String> {
    use unicode_normalization::UnicodeNormalization as _;
    let lower: String = c.to_lowercase().collect();
    let lower = lower.replace('œ', "oe").replace('æ', "ae");
    match lower.nfd().next() {
        Some(bare) if bare.is_ascii() && !lower.starts_with(bare) => vec![lower, bare.to_string()],
        _ => vec![lower],
    }
}

fn union(one: &[Meaning], other: &[Meaning]) -> Vec<Meaning> {
    let mut all = [one, other].concat();
    all.sort_unstable();
    all.dedup();
    all
}
