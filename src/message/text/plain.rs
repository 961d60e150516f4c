//! Plain text laid out: lines, paragraphs, the soft line ends of `format=flowed` (RFC 3676), quote marks.

use super::page::{LINE, PARAGRAPH, Page};

/// Lays out a plain text. Lines that begin with `>` become quoted ranges, without their marks.
pub(super) fn lay_out(text: &str, flowed: bool) -> Page {
    let mut page = Page::default();
    let mut source = 0u32;
    let mut quoted_from: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let (depth, unquoted) = unquote(content);
        // RFC 3676 section 4.4: one space after the quote marks is stuffing.
        let is_quoted = depth > 0 && !unquoted.trim().is_empty();
        match (is_quoted, quoted_from) {
            (true, None) => {
                page.end(PARAGRAPH, source);
                quoted_from = Some(page.text().len());
            }
            (false, Some(from)) if depth == 0 => {
                page.end(PARAGRAPH, source);
                page.quoted.push(from..page.text().len());
                quoted_from = None;
            }
            _ => {}
        }
        let marks = content.get(..content.len().saturating_sub(unquoted.len())).unwrap_or_default();
        // Quote marks and line ends are ASCII.
        let line_end = line.len() - content.len();
        let mut place = source.saturating_add(count(marks.len()));
        if unquoted.trim().is_empty() {
            page.end(PARAGRAPH, place);
            place = place.saturating_add(count(unquoted.chars().count()));
        } else {
            if is_list_item(unquoted) {
                page.end(PARAGRAPH, place);
            }
            // Paragraph marks are this room's own; in a text they are line ends.
            for (nth, piece) in unquoted.split(PARAGRAPH).enumerate() {
                if nth > 0 {
                    page.push(LINE, place);
                    place = place.saturating_add(1);
                }
                place = place.saturating_add(page.push_str(piece, place));
            }
            // A flowed line goes on. Another may, where it is wrapped; but nobody goes on behind a link on the next line.
            let soft = flowed && unquoted.ends_with(' ') && unquoted != "-- ";
            if !soft {
                page.end(if ends_in_link(unquoted) { PARAGRAPH } else { LINE }, place);
            }
        }
        source = place.saturating_add(count(line_end));
    }
    if let Some(from) = quoted_from {
        page.quoted.push(from..page.text().len());
    }
    page
}

fn count(characters: usize) -> u32 {
    u32::try_from(characters).unwrap_or(u32::MAX)
}

/// Whether a line begins an item of a list: a bullet, a number or a letter, and a blank.
fn is_list_item(line: &str) -> bool {
    let Some((mark, rest)) = line.trim_start().split_once([' ', '\t']) else { return false };
    let is_bullet = matches!(
        mark,
        "-" | "*"
            | "+"
            | "•"
            | "·"
            | "–"
            | "—"
            | "▪"
            | "■"
            | "●"
            | "◦"
            | "►"
            | "▶"
            | "➤"
            | "→"
            | "✓"
            | "✔"
    );
    let number = mark.trim_end_matches(['.', ')', '/', '°']);
    let is_number = number.len() < mark.len()
        && (number.len() <= 2 && !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit())
            || number.len() == 1 && number.bytes().all(|octet| octet.is_ascii_lowercase()));
    (is_bullet || is_number) && !rest.trim().is_empty()
}

/// Whether the last word of a line is a web address.
fn ends_in_link(line: &str) -> bool {
    let word = line.split_whitespace().next_back().unwrap_or_default();
    word.contains("://") || word.trim_start_matches(['(', '<', '[']).starts_with("www.")
}

/// The depth of quotation of a line and what stands after the marks.
fn unquote(line: &str) -> (usize, &str) {
    let mut depth = 0;
    let mut rest = line;
    // Some programs write "> > ", others ">>".
    while let Some(after) = rest.strip_prefix('>').or_else(|| rest.strip_prefix(" >")) {
        depth += 1;
        rest = after;
    }
    (depth, if depth > 0 { rest.strip_prefix(' ').unwrap_or(rest) } else { line })
}
