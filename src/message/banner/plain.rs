//! Words in plain text: a rule parts them from the author's text.

use super::{Sides, Unwritable, Words, Written, missing};
use crate::message::charset::Decoded;
use crate::message::splice::Splice;

/// What parts the words from the text. It is not the `-- ` of signatures, behind which mail programs hide or drop text.
const RULE: &str = "________________________________________";

/// Words are broken into lines no longer than this (RFC 5322 section 2.1.1, with room for the marks of answers).
const LINE_CHARS_PREFERRED: usize = 76;

/// Writes the missing words; `None` when none is missing.
pub(super) fn write(text: &Decoded<'_>, words: &Words, flowed: bool) -> Result<Option<Written>, Unwritable> {
    let Some(sides) = missing_in(&text.text, words).sides(words.declaration.as_deref()) else { return Ok(None) };
    let (before, after) = around(&sides, &text.text, text.line_end(), flowed);
    if let (Some(before), Some(after)) = (text.encode(&before), text.encode(&after)) {
        let splices = [Splice::insert(text.mark_bytes, before), Splice::insert(text.octets.len(), after)];
        return Ok(Some(Written::Spliced(splices.into_iter().filter(|s| !s.with.is_empty()).collect())));
    }
    if !text.is_whole() {
        return Err(Unwritable);
    }
    Ok(Some(Written::Recoded(format!("{before}{}{after}", text.text))))
}

/// Is a text nothing but these words, a declaration before or behind them aside? It cannot be told from other words
/// but by its length, and it does no harm: the words are there.
pub(super) fn consists_of(text: &str, words: &[String]) -> bool {
    let at_end = words.iter().rev().try_fold(text, |rest, words| without_end(rest.trim_end(), words));
    let at_start = words.iter().try_fold(text, |rest, words| without_start(rest.trim_start(), words));
    !words.is_empty() && [at_end, at_start].into_iter().flatten().any(|rest| rest.trim().len() <= DECLARATION_BYTES_MAX)
}

/// More than any declaration of edits has.
const DECLARATION_BYTES_MAX: usize = 1500;

fn missing_in<'w>(text: &str, words: &'w Words) -> super::Missing<'w> {
    let is_rule = |c: char| c == '_' || c.is_whitespace();
    missing(
        words,
        text,
        |text, words| without_start(text.trim_start_matches(is_rule), words),
        |text, words| without_end(text.trim_end_matches(is_rule), words),
    )
}

/// Takes words off the start of a text, however they are broken into lines; they must end where a line ends.
fn without_start<'t>(text: &'t str, words: &str) -> Option<&'t str> {
    let mut rest = text;
    for word in words.split_whitespace() {
        rest = rest.trim_start().strip_prefix(word)?;
    }
    (rest.is_empty() || rest.trim_start_matches([' ', '\t']).starts_with(['\r', '\n'])).then_some(rest)
}

/// Takes words off the end of a text, however they are broken into lines; they must begin where a line begins.
fn without_end<'t>(text: &'t str, words: &str) -> Option<&'t str> {
    let mut rest = text;
    for word in words.split_whitespace().rev() {
        rest = rest.trim_end().strip_suffix(word)?;
    }
    (rest.is_empty() || rest.trim_end_matches([' ', '\t']).ends_with('\n')).then_some(rest)
}

/// What goes before and after a text.
fn around(sides: &Sides<'_>, text: &str, line_end: &str, flowed: bool) -> (String, String) {
    let paragraphs = |words: &[&str]| {
        let gap = format!("{line_end}{line_end}");
        words.iter().map(|words| lines(words, flowed, line_end)).collect::<Vec<_>>().join(&gap)
    };
    let mut before = String::new();
    if !sides.before.is_empty() {
        before = format!("{}{line_end}{RULE}{line_end}{line_end}", paragraphs(&sides.before));
    }
    let mut after = String::new();
    if !sides.after.is_empty() {
        let ends_line = text.is_empty() || text.ends_with('\n');
        if !ends_line {
            after.push_str(line_end);
        }
        after.push_str(line_end);
        // A last line of format=flowed that ends in a space takes the next line into its paragraph (RFC 3676 section 4.2).
        if flowed && text.trim_end_matches(['\r', '\n']).ends_with(' ') {
            after.push_str(line_end);
        }
        after.push_str(RULE);
        after.push_str(line_end);
        after.push_str(&paragraphs(&sides.after));
        if text.is_empty() || text.ends_with('\n') {
            after.push_str(line_end);
        }
    }
    (before, after)
}

/// Words in lines of their own; in format=flowed as fixed lines, space-stuffed where they must be (RFC 3676 section 4.4).
/// A line never begins as a boundary line or an mbox separator does.
fn lines(words: &str, flowed: bool, line_end: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in words.trim().lines() {
        let mut line = String::new();
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            // French puts a space before some marks; they never begin a line.
            let may_begin = !matches!(word, ":" | ";" | "!" | "?" | "»" | "–");
            let is_full = line.chars().count() + 1 + word.chars().count() > LINE_CHARS_PREFERRED;
            if !line.is_empty() && may_begin && is_full {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    let stuffed = |line: &String| {
        let needs = flowed && line.starts_with(['>', ' ']) || line.starts_with("--") || line.starts_with("From ");
        if needs { format!(" {line}") } else { line.clone() }
    };
    lines.iter().map(stuffed).collect::<Vec<_>>().join(line_end)
}
