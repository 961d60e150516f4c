//! Quoted replies: from the line that introduces them ("Le … a écrit :") to the end of the part. A forwarded text is not
//! a quotation: whoever forwards it passes it on.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::page::Page;

/// A longer line introduces nothing.
const INTRODUCTION_CHARS_MAX: usize = 300;

/// Lines that begin a reply's quotation, in the mail programs' French and English.
static REPLY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)^\s*(
            (le|on)\s.{6,250}\s(a\s+[ée]crit|wrote)\s*:?\s*$
          | -{2,}\s*(message\s+d['’]origine|original\s+message|message\s+original)\s*-{2,}
          | .{1,120}\s(a\s+[ée]crit|wrote)\s*:\s*$
        )",
    )
    .ok()
});

/// The header block that Outlook puts before what it quotes, replies and forwards alike.
static OUTLOOK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)^\s*(de|from)\s*:\s.{3,}").ok());
/// What must follow within two lines.
static OUTLOOK_SENT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)^\s*(envoy[ée]|sent|date|[àa]|to|objet|subject)\s*:\s").ok());

/// Lines that begin a forwarded text.
static FORWARD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)^\s*(
            -{2,}\s*(message\s+transf[ée]r[ée]|forwarded\s+message)
          | (d[ée]but\s+du\s+message\s+(transf[ée]r[ée]|r[ée]exp[ée]di[ée]))
          | begin\s+forwarded\s+message
        )",
    )
    .ok()
});

/// Whether the subject says that the message is forwarded.
pub(super) fn is_forward_subject(subject: &str) -> bool {
    static PREFIX: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)^\s*(\[[^\]]{0,80}\]\s*)?(tr|fwd?|wg|i)\s*[:：]").ok());
    matches(&PREFIX, subject)
}

/// Whether the subject repeats that of the message it answers.
pub(super) fn is_reply_subject(subject: &str) -> bool {
    static PREFIX: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)^\s*(\[[^\]]{0,80}\]\s*)?(re|réf?|rép|aw|sv|antw?)(\[\d+\])?\s*[:：]").ok());
    matches(&PREFIX, subject)
}

/// Adds to the page's quoted ranges what a reply quotes at its end, and takes away from them what is forwarded.
pub(super) fn mark(mut page: Page, forwarded_subject: bool) -> Page {
    let Some(start) = quotation(&page, forwarded_subject) else { return page };
    match start {
        Start::Quoted(at) => {
            page.quoted.retain(|range| range.end <= at);
            page.quoted.push(at..page.text().len());
        }
        // What is forwarded is passed on, indented or not.
        Start::Forwarded(at) => page.quoted.retain(|range: &Range<usize>| range.end <= at),
    }
    page
}

/// Where the words of others begin.
enum Start {
    Quoted(usize),
    Forwarded(usize),
}

/// The first line that introduces the words of others.
fn quotation(page: &Page, forwarded_subject: bool) -> Option<Start> {
    let mut from_line: Option<(usize, usize)> = None;
    for (number, (at, line)) in page.lines().enumerate() {
        if line.len() > INTRODUCTION_CHARS_MAX && line.chars().nth(INTRODUCTION_CHARS_MAX).is_some() {
            continue;
        }
        let line = line.trim_start_matches(['*', '_', '|', '>', ' ']);
        let quoted = |at| Some(if forwarded_subject { Start::Forwarded(at) } else { Start::Quoted(at) });
        if may_introduce(line) {
            if matches(&FORWARD, line) {
                return Some(Start::Forwarded(at));
            }
            if matches(&REPLY, line) {
                return quoted(at);
            }
        }
        match from_line {
            Some((start, since)) if number <= since + 2 && matches(&OUTLOOK_SENT, line) => return quoted(start),
            _ if line.trim_start().starts_with(['d', 'D', 'f', 'F']) && matches(&OUTLOOK, line) => {
                from_line = Some((at, number));
            }
            _ => {}
        }
    }
    None
}

/// What neither begins nor ends as [`FORWARD`] and [`REPLY`] do need not be compared with them.
fn may_introduce(line: &str) -> bool {
    let begins = line.trim_start().starts_with(['-', 'd', 'D', 'b', 'B']);
    let end = line.trim_end_matches(|c: char| c.is_whitespace() || c == ':').as_bytes();
    let ends_with = |word: &[u8]| {
        end.len()
            .checked_sub(word.len())
            .and_then(|at| end.get(at..))
            .is_some_and(|last| last.eq_ignore_ascii_case(word))
    };
    begins || ends_with(b"crit") || ends_with(b"wrote")
}

fn matches(pattern: &LazyLock<Option<Regex>>, line: &str) -> bool {
    pattern.as_ref().is_some_and(|p| p.is_match(line))
}
