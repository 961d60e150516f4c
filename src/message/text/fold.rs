//! One spelling for each letter: compatibility forms (NFKC), invisible characters, letters of other scripts that look
//! like ours (Unicode TR39). French accents stay: *signé* and *signe* are two words, and only one of them asks.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// No text has more marks on one letter; the rest is dropped, so that normalising stays linear.
const MARKS_MAX: usize = 8;

/// A letter with the marks that follow it, to be normalised together.
#[derive(Default)]
pub(super) struct Cluster {
    first: Option<char>,
    /// What follows it.
    marks: String,
    marks_seen: usize,
}

impl Cluster {
    /// Whether the next character belongs to the cluster.
    pub fn joins(&self, c: char) -> bool {
        self.first.is_some() && may_combine(c) && is_combining_mark(c)
    }

    /// Whether nothing waits in it.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Takes the next character, which joins the cluster or begins it.
    pub fn take(&mut self, c: char) {
        if self.first.is_none() {
            self.first = Some(c);
            return;
        }
        if self.marks_seen < MARKS_MAX {
            self.marks.push(c);
        }
        self.marks_seen += 1;
    }

    /// Empties the cluster into `out`, each character folded.
    pub fn flush(&mut self, mut out: impl FnMut(char)) {
        let Some(first) = self.first.take() else { return };
        if self.marks_seen == 0 && is_normal(first) {
            letter(first, &mut out);
            return;
        }
        for c in std::iter::once(first).chain(self.marks.chars()).nfkc() {
            letter(c, &mut out);
        }
        self.marks.clear();
        self.marks_seen = 0;
    }
}

/// No character below combines with the one before it: most of what we read need not be looked up.
fn may_combine(c: char) -> bool {
    c >= '\u{300}'
}

/// Whether NFKC leaves this character as it is when nothing combines with it; `false` where it has to be asked.
fn is_normal(c: char) -> bool {
    c.is_ascii() || matches!(c, '\u{c0}'..='\u{ff}' | 'œ' | 'Œ' | '’' | '‘' | '“' | '”' | '«' | '»')
}

/// Whether readers see nothing of this character: `Default_Ignorable_Code_Point` of the Unicode character database, and
/// the controls that are not white space.
pub(super) fn is_invisible(c: char) -> bool {
    if matches!(c, ' '..='~' | '\u{c0}'..='\u{ff}') {
        return false;
    }
    match c {
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' => false,
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{84}'
        | '\u{86}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Folds one character of a normalised text.
fn letter(c: char, out: &mut impl FnMut(char)) {
    match c {
        _ if c.is_ascii() => out(c.to_ascii_lowercase()),
        'œ' | 'Œ' => ['o', 'e'].into_iter().for_each(out),
        'æ' | 'Æ' => ['a', 'e'].into_iter().for_each(out),
        '’' | '‘' | 'ʼ' | '′' | '´' => out('\''),
        '«' | '»' | '“' | '”' | '„' | '‹' | '›' | '…' | '·' | '•' => out(c),
        // Latin-1 letters: the accents of French and its neighbours.
        '\u{c0}'..='\u{ff}' => c.to_lowercase().for_each(out),
        _ if is_combining_mark(c) => {}
        _ if c.is_alphanumeric() => match twin(c) {
            Some(ascii) => out(ascii),
            None => c.to_lowercase().for_each(out),
        },
        _ if c.is_whitespace() => out(' '),
        _ => out(c),
    }
}

/// The ASCII letter or digit that looks like this letter of another script, lower case.
fn twin(c: char) -> Option<char> {
    let single = |c: char| {
        let mut buffer = [0; 4];
        let mut skeleton = unicode_security::skeleton(c.encode_utf8(&mut buffer));
        match (skeleton.next(), skeleton.next()) {
            (Some(ascii), None) if ascii.is_ascii_alphanumeric() => Some(ascii.to_ascii_lowercase()),
            _ => None,
        }
    };
    single(c).or_else(|| c.to_lowercase().next().filter(|lower| *lower != c).and_then(single))
}

/// A word with every look-alike brought to one letter: accents dropped, digits and signs read as the letters they
/// imitate. Only for comparing with a few strong words: it makes different words equal.
#[must_use]
pub fn plain_letters(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    push_plain_letters(word.chars(), &mut plain);
    plain
}

/// [`plain_letters`] into a string that is at hand.
pub fn push_plain_letters(characters: impl Iterator<Item = char>, plain: &mut String) {
    for c in characters {
        match imitated(c) {
            Some(letter) if c.is_ascii() => plain.push(letter),
            _ if c.is_ascii() => {}
            _ => plain.extend(std::iter::once(c).nfd().filter_map(imitated)),
        }
    }
}

/// The letter a character stands for or imitates; `None` for signs that imitate none.
fn imitated(c: char) -> Option<char> {
    match c {
        '0' => Some('o'),
        '1' | '!' | '|' | 'l' => Some('i'),
        '3' | '€' => Some('e'),
        '4' | '@' => Some('a'),
        '5' | '$' => Some('s'),
        '7' | '+' => Some('t'),
        // Most of what is not ASCII, without a look into the tables of Unicode.
        '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{ff}' => Some(c),
        c => c.is_alphanumeric().then_some(c),
    }
}
