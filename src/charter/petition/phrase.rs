//! The little language of phrases, and its translation to regular expressions without backtracking.
//!
//! A phrase is a row of tokens, each one or several words of a sentence: `signez`, `pétition*` (any ending), `{class}` (a
//! word class of the pack), `a|b|{c}` (one of them), `token?` (may be missing), `..4` (up to four words of any kind), `^`
//! (the sentence begins) and `$` (it ends). `pétition~` also fits one slip of the pen: a letter left out, doubled or swapped
//! with the next. An accented letter also fits its bare letter, because capitals lose their accents; a bare letter never
//! fits an accented one, because *signe* asks and *signé* reports.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// More words between two parts of a phrase belong to another thought.
const GAP_WORDS_MAX: usize = 24;
/// Shorter words become other words by one slip.
const SLIP_CHARS_MIN: usize = 7;
/// Three accents; few words have more.
const SPELLINGS_MAX: usize = 8;
/// Shorter words stand in most sentences and tell nothing of them.
const TELLING_CHARS_MIN: usize = 4;
/// Words that follow each other are looked for as one where that makes no more spellings.
const JOINED_SPELLINGS_MAX: usize = 16;
/// Classes may name classes so deep.
const DEPTH_MAX: usize = 4;

/// Word classes by name.
pub(super) type Classes = BTreeMap<String, Vec<String>>;

/// A phrase, translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Translated {
    /// Matches the phrase in a sentence of a view.
    pub pattern: String,
    /// What must be there and tells something, the rarest first.
    pub needs: Vec<Need>,
}

/// What a word of a phrase, or a row of words, may begin with, in all its spellings: the letters up to `*`, with the blank
/// before them. A sentence that has none of these cannot have the phrase.
pub(super) type Need = Vec<String>;

/// Translates a phrase.
///
/// # Errors
/// A sentence that says what is wrong with the phrase.
pub(super) fn translate(phrase: &str, classes: &Classes) -> Result<Translated, String> {
    let mut pattern = String::new();
    let mut needs = Needs::default();
    let (mut open_end, mut at_start) = (true, false);
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
            needs.gap();
        } else if let Some(optional) = token.strip_suffix('?') {
            let _ = write!(pattern, "(?: (?:{}))?", alternation(&alternatives(optional, classes, 0)?)?);
            needs.gap();
        } else {
            let one = alternatives(token, classes, 0)?;
            let _ = write!(pattern, " (?:{})", alternation(&one)?);
            needs.word(&one);
        }
    }
    if needs.needs.is_empty() {
        return Err("a phrase needs at least one word that is not optional".to_owned());
    }
    let start = if at_start { "^" } else { "" };
    let end = if open_end { " " } else { " $" };
    Ok(Translated { pattern: format!("{start}{pattern}{end}"), needs: needs.telling() })
}

/// What a phrase needs, in its order.
#[derive(Debug, Default)]
struct Needs {
    needs: Vec<Need>,
    /// The next word follows the last one without a gap.
    joins: bool,
}

impl Needs {
    /// One of these words must follow.
    fn word(&mut self, words: &[String]) {
        let word: Need = words.iter().flat_map(|entry| starts(entry)).collect();
        let joins = std::mem::replace(&mut self.joins, true);
        let mut need = match self.needs.pop_if(|last| joins && can_join(last, &word)) {
            Some(last) => joined(&last, &word),
            None => word,
        };
        need.sort_unstable();
        need.dedup();
        self.needs.push(need);
    }

    /// Other words may stand here.
    fn gap(&mut self) {
        self.joins = false;
    }

    /// Those that tell something, or all, the rarest first.
    fn telling(self) -> Vec<Need> {
        let mut needs = self.needs;
        needs.sort_by_key(|need| std::cmp::Reverse(rarity(need)));
        let telling = needs.iter().take_while(|need| rarity(need) >= TELLING_CHARS_MIN).count();
        needs.truncate(if telling == 0 { needs.len() } else { telling });
        needs
    }
}

/// Whether two words can be looked for as one: all of the first is known, up to the blank, and the spellings are few.
fn can_join(first: &Need, second: &Need) -> bool {
    first.iter().all(|start| start.ends_with(' ')) && first.len() * second.len() <= JOINED_SPELLINGS_MAX
}

fn joined(first: &Need, second: &Need) -> Need {
    let both = |start: &String, next: &String| format!("{start}{}", next.trim_start());
    first.iter().flat_map(|start| second.iter().map(move |next| both(start, next))).collect()
}

/// The letters of the shortest spelling: short words are frequent, and no better guess can be made without reading texts.
fn rarity(need: &Need) -> usize {
    need.iter().map(|start| start.chars().filter(|c| c.is_alphanumeric()).count()).min().unwrap_or(0)
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

/// A pattern for one of these words. Spellings are written out where they are few: alternatives that are all literal are
/// compiled to a tree of letters, which is much faster than trying one word after the other.
fn alternation(words: &[String]) -> Result<String, String> {
    let (mut literal, mut others) = (Vec::new(), Vec::new());
    for entry in words {
        let pattern = word(entry)?;
        match whole_spellings(entry) {
            Some(spellings) => literal.extend(spellings),
            None => others.push(pattern),
        }
    }
    literal.sort_unstable();
    literal.dedup();
    if !literal.is_empty() {
        others.push(format!("(?:{})", literal.join("|")));
    }
    Ok(others.join("|"))
}

/// The texts that an entry fits, if they are few. Letters need no escape, and [`word`] takes nothing else.
fn whole_spellings(entry: &str) -> Option<Vec<String>> {
    let few = 1 << entry.chars().filter(|c| spellings(*c).len() > 1).take(8).count() <= SPELLINGS_MAX;
    (few && !entry.contains('*')).then(|| starts(entry).iter().map(|start| start.trim().to_owned()).collect())
}

/// What every text begins with, after a blank, that [`word`] fits: in all its spellings, cut where these become too many.
fn starts(entry: &str) -> Vec<String> {
    let mut starts = vec![" ".to_owned()];
    let mut is_whole = true;
    for c in entry.chars() {
        let letters = match c {
            '*' => {
                is_whole = false;
                break;
            }
            '\'' | '’' | '_' | '-' => vec![" ".to_owned()],
            c => spellings(c),
        };
        if starts.len() * letters.len() > SPELLINGS_MAX {
            is_whole = false;
            break;
        }
        starts = starts.iter().flat_map(|start| letters.iter().map(move |letter| format!("{start}{letter}"))).collect();
    }
    if is_whole {
        for start in &mut starts {
            start.push(' ');
        }
    }
    starts
}

/// One word or, with `_` or an apostrophe in it, several.
fn word(entry: &str) -> Result<String, String> {
    let mut pattern = String::new();
    for c in entry.chars() {
        match c {
            '*' => pattern.push_str("[^ ]*"),
            '\'' | '’' | '_' | '-' => pattern.push(' '),
            '§' => pattern.push(c),
            c if c.is_alphanumeric() => match spellings(c).as_slice() {
                [accented, bare] => {
                    let _ = write!(pattern, "[{accented}{bare}]");
                }
                plain => pattern.extend(plain.iter().map(String::as_str)),
            },
            c => return Err(format!("`{c}` has no meaning in a phrase")),
        }
    }
    if pattern.trim().is_empty() || pattern.starts_with("[^ ]*") {
        return Err("a word needs its first letter".to_owned());
    }
    Ok(pattern)
}

/// A letter as folded text has it, and without its accent.
fn spellings(c: char) -> Vec<String> {
    use unicode_normalization::UnicodeNormalization as _;
    let lower: String = c.to_lowercase().collect();
    let lower = lower.replace('œ', "oe").replace('æ', "ae");
    match lower.nfd().next() {
        Some(bare) if bare.is_ascii() && !lower.starts_with(bare) => vec![lower, bare.to_string()],
        _ => vec![lower],
    }
}
