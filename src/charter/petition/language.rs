//! The little language of phrases.
//!
//! A phrase is a row of tokens, each one or several words of a sentence: `signez`, `pétition*` (any ending), `{class}` (a
//! word class of the pack), `a|b|{c}` (one of them), `token?` (may be missing), `..4` (up to four words of any kind), `^`
//! (the sentence begins) and `$` (it ends). `pétition~` also fits one slip of the pen: a letter left out, doubled or swapped
//! with the next. An accented letter also fits its bare letter, because capitals lose their accents; a bare letter never
//! fits an accented one, because *signe* asks and *signé* reports.

use std::collections::{BTreeMap, BTreeSet};

use super::phrase::{Phrase, Step};
use super::vocabulary::{ACCENTS_MAX, Row, Sets, spellings};

/// More words between two parts of a phrase belong to another thought.
const GAP_WORDS_MAX: u32 = 24;
/// Shorter words become other words by one slip.
const SLIP_CHARS_MIN: usize = 7;
/// Classes may name classes so deep.
const DEPTH_MAX: usize = 4;

/// Word classes by name.
pub(super) type Classes = BTreeMap<String, Vec<String>>;

/// Reads a phrase.
///
/// # Errors
/// A sentence that says what is wrong with the phrase.
pub(super) fn read(text: &str, classes: &Classes, sets: &mut Sets) -> Result<Phrase, String> {
    let mut phrase = Phrase { steps: Vec::new(), at_start: false, at_end: false, needs: Vec::new() };
    for (number, token) in text.split_whitespace().enumerate() {
        if phrase.at_end {
            return Err("nothing can follow `$`".to_owned());
        }
        if token == "^" && number == 0 {
            phrase.at_start = true;
        } else if token == "$" {
            phrase.at_end = true;
        } else if let Some(gap) = token.strip_prefix("..") {
            let words: u32 = gap.parse().map_err(|_| format!("`{token}` is not a gap such as `..3`"))?;
            if words == 0 || words > GAP_WORDS_MAX {
                return Err(format!("a gap has 1 to {GAP_WORDS_MAX} words"));
            }
            phrase.steps.push(Step::Gap(words));
        } else {
            let (token, optional) = token.strip_suffix('?').map_or((token, false), |token| (token, true));
            let rows = rows(&alternatives(token, classes, 0)?)?;
            let set = sets.number(rows);
            if !optional {
                phrase.needs.push(set);
            }
            phrase.steps.push(Step::One { set, optional });
        }
    }
    if phrase.needs.is_empty() {
        return Err("a phrase needs at least one word that is not optional".to_owned());
    }
    Ok(phrase)
}

/// The rows of words that entries stand for.
fn rows(entries: &[String]) -> Result<BTreeSet<Row>, String> {
    entries.iter().map(|entry| entry.split(['\'', '’', '_', '-']).map(word).collect()).collect()
}

fn word(entry: &str) -> Result<String, String> {
    let letters = entry.strip_suffix('*').unwrap_or(entry);
    if letters.is_empty() || letters.starts_with('*') {
        return Err("a word needs its first letter".to_owned());
    }
    if letters.contains('*') {
        return Err("`*` stands for the ending of a word".to_owned());
    }
    if let Some(c) = letters.chars().find(|c| !c.is_alphanumeric() && *c != '§') {
        return Err(format!("`{c}` has no meaning in a phrase"));
    }
    if letters.chars().filter(|c| spellings(*c).len() > 1).count() > ACCENTS_MAX {
        return Err(format!("a word has at most {ACCENTS_MAX} accents"));
    }
    Ok(entry.to_lowercase())
}

/// The words a token stands for, those of classes included.
fn alternatives(token: &str, classes: &Classes, depth: usize) -> Result<Vec<String>, String> {
    if depth > DEPTH_MAX {
        return Err("classes name each other in a circle".to_owned());
    }
    let mut words = Vec::new();
    for alternative in token.split('|') {
        if let Some(name) = alternative.strip_prefix('{').and_then(|a| a.strip_suffix('}')) {
            let class = classes.get(name).ok_or_else(|| format!("there is no word class `{name}`"))?;
            for entry in class {
                words.extend(alternatives(&entry.replace(' ', "_"), classes, depth + 1)?);
            }
        } else if let Some(word) = alternative.strip_suffix('~') {
            words.extend(slips(word)?);
        } else {
            words.push(alternative.to_owned());
        }
    }
    Ok(words)
}

/// A word, and what one slip of the pen makes of it. Its first letter is right, and its ending is all there.
fn slips(word: &str) -> Result<Vec<String>, String> {
    let letters: Vec<char> = word.chars().collect();
    if letters.len() < SLIP_CHARS_MIN || !letters.iter().all(|c| c.is_alphabetic()) {
        return Err(format!("`~` needs one word of at least {SLIP_CHARS_MIN} letters"));
    }
    let mut spellings = vec![word.to_owned()];
    for at in 1..letters.len() {
        let (before, rest) = letters.split_at(at);
        let Some((letter, after)) = rest.split_first() else { continue };
        spellings.push([before, &[*letter, *letter], after].concat().into_iter().collect());
        if let Some((next, beyond)) = after.split_first() {
            spellings.push([before, after].concat().into_iter().collect());
            spellings.push([before, &[*next, *letter], beyond].concat().into_iter().collect());
        }
    }
    spellings.sort_unstable();
    spellings.dedup();
    Ok(spellings)
}
