//! The little language of phrases, and its translation to regular expressions without backtracking.
//!
//! A phrase is a row of tokens, each one or several words of a sentence: `signez`, `pétition*` (any ending), `{class}` (a
//! word class of the pack), `a|b|{c}` (one of them), `token?` (may be missing), `..4` (up to four words of any kind), `^`
//! (the sentence begins) and `$` (it ends). An accented letter also fits its bare letter, because capitals lose their
//! accents; a bare letter never fits an accented one, because *signe* asks and *signé* reports.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// More words between two parts of a phrase belong to another thought.
const GAP_WORDS_MAX: usize = 24;
/// Classes may name classes so deep.
const DEPTH_MAX: usize = 4;

/// Word classes by name.
pub(super) type Classes = BTreeMap<String, Vec<String>>;

/// A phrase, translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Translated {
    /// Matches the phrase in a sentence of a view.
    pub pattern: String,
    /// Matches a part of it without gaps, to look for first.
    pub anchor: String,
}

/// Translates a phrase.
///
/// # Errors
/// A sentence that says what is wrong with the phrase.
pub(super) fn translate(phrase: &str, classes: &Classes) -> Result<Translated, String> {
    let mut pattern = String::new();
    let mut anchor: Option<String> = None;
    let (mut open_end, mut at_start) = (true, false);
    let mut needs_blank = false;
    for (number, token) in phrase.split_whitespace().enumerate() {
        if !open_end {
            return Err("nothing can follow `$`".to_owned());
        }
        if token == "^" && number == 0 {
            at_start = true;
        } else if token == "$" {
            open_end = false;
        } else if let Some(gap) = token.strip_prefix("..") {
            let words: usize = gap.parse().map_err(|_| format!("`{token}` is not a gap such as `..3`"))?;
            if words == 0 || words > GAP_WORDS_MAX {
                return Err(format!("a gap has 1 to {GAP_WORDS_MAX} words"));
            }
            let _ = write!(pattern, "(?: [^ ]+){{0,{words}}}");
        } else if let Some(optional) = token.strip_suffix('?') {
            let _ = write!(pattern, "(?: (?:{}))?", alternatives(optional, classes, 0)?);
        } else {
            let one = alternatives(token, classes, 0)?;
            let _ = write!(pattern, " (?:{one})");
            // The longest alternation is the rarest guess we can make without reading texts; classes are rarer than words.
            if anchor.as_ref().is_none_or(|best| rarity(&one) > rarity(best)) {
                anchor = Some(one);
            }
            needs_blank = true;
        }
    }
    let anchor = anchor.filter(|_| needs_blank).ok_or("a phrase needs at least one word that is not optional")?;
    let start = if at_start { "^" } else { "" };
    let end = if open_end { " " } else { " $" };
    Ok(Translated { pattern: format!("{start}{pattern}{end}"), anchor: format!(" (?:{anchor}) ") })
}

/// The shortest word of an alternation: short words are frequent.
fn rarity(alternation: &str) -> usize {
    alternation.split('|').map(|word| word.chars().filter(|c| c.is_alphanumeric()).count()).min().unwrap_or(0)
}

fn alternatives(token: &str, classes: &Classes, depth: usize) -> Result<String, String> {
    if depth > DEPTH_MAX {
        return Err("classes name each other in a circle".to_owned());
    }
    let mut words = Vec::new();
    for alternative in token.split('|') {
        if let Some(name) = alternative.strip_prefix('{').and_then(|a| a.strip_suffix('}')) {
            let class = classes.get(name).ok_or_else(|| format!("there is no word class `{name}`"))?;
            for entry in class {
                words.push(alternatives(&entry.replace(' ', "_"), classes, depth + 1)?);
            }
        } else {
            words.push(word(alternative)?);
        }
    }
    Ok(words.join("|"))
}

/// One word or, with `_` or an apostrophe in it, several.
fn word(entry: &str) -> Result<String, String> {
    let mut pattern = String::new();
    for c in entry.chars() {
        match c {
            '*' => pattern.push_str("[^ ]*"),
            '\'' | '’' | '_' | '-' => pattern.push(' '),
            '§' => pattern.push(c),
            c if c.is_alphanumeric() => accent(c, &mut pattern),
            c => return Err(format!("`{c}` has no meaning in a phrase")),
        }
    }
    if pattern.trim().is_empty() || pattern.starts_with("[^ ]*") {
        return Err("a word needs its first letter".to_owned());
    }
    Ok(pattern)
}

/// An accented letter also fits without its accent.
fn accent(c: char, pattern: &mut String) {
    use unicode_normalization::UnicodeNormalization as _;
    let lower: String = c.to_lowercase().collect();
    let lower = lower.replace('œ', "oe").replace('æ', "ae");
    match lower.nfd().next() {
        Some(bare) if bare.is_ascii() && !lower.starts_with(bare) => {
            let _ = write!(pattern, "[{lower}{bare}]");
        }
        _ => pattern.push_str(&lower),
    }
}
