//! HTML as mail programs read it, where they do not read it alike. Scripts are never run, so that the content of `noscript` is
//! HTML like the rest; Outlook for Windows shows what stands in conditional comments (`<!--[if mso]>…<![endif]-->`), which all
//! others take for comments, and hides what others show (`<!--[if !mso]><!-->…<!--<![endif]-->`).

use std::borrow::Cow;
use std::ops::Range;

/// A longer condition is none; Word writes a dozen characters.
const CONDITION_BYTES_MAX: usize = 256;

/// HTML as it stands and, where that is another, once more with all in it that only some mail programs show. Every octet stays
/// in its place.
pub(super) fn readings(html: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut read = Cow::Borrowed(html);
    rename_noscript(&mut read);
    reveal(&mut read);
    let other = matches!(read, Cow::Owned(_)).then_some(read);
    [Some(Cow::Borrowed(html)), other].into_iter().flatten()
}

/// HTML in which what stands in conditional comments is HTML like the rest. Every octet stays in its place.
pub(super) fn revealed(html: &str) -> Cow<'_, str> {
    let mut read = Cow::Borrowed(html.as_bytes());
    reveal(&mut read);
    match read {
        Cow::Borrowed(_) => Cow::Borrowed(html),
        // Only octets of ASCII have changed.
        Cow::Owned(read) => String::from_utf8(read).map_or(Cow::Borrowed(html), Cow::Owned),
    }
}

/// Programs that cut HTML into tags take the content of `noscript` for one text: give the element another name.
fn rename_noscript(html: &mut Cow<'_, [u8]>) {
    const NAME: &[u8] = b"noscript";
    let is_named = |at: usize| {
        let is_tag = at.checked_sub(1).and_then(|before| html.get(before)).is_some_and(|before| b"</".contains(before));
        is_tag && html.get(at..at + NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    };
    let places: Vec<usize> = memchr::memchr2_iter(b'n', b'N', html).filter(|at| is_named(*at)).collect();
    for at in places {
        html.to_mut().get_mut(at).into_iter().for_each(|first| *first = b'x');
    }
}

/// Blanks what makes comments of conditional comments, and in them the settings that Word writes for itself.
fn reveal(html: &mut Cow<'_, [u8]>) {
    let comments: Vec<Conditional> = conditionals(html).into_iter().filter(|one| one.is_comment).collect();
    let mut blanked: Vec<Range<usize>> = Vec::new();
    let mut outer: Vec<Range<usize>> = comments.iter().map(Conditional::range).collect();
    outer.sort_unstable_by_key(|range| range.start);
    let mut end = 0;
    for range in outer {
        // What stands inside another has been looked at with it.
        if range.start >= end {
            end = range.end;
            settings_in(html, range, &mut blanked);
        }
    }
    blanked.extend(comments.into_iter().flat_map(|one| [one.opening, one.closing]));
    for range in blanked {
        // Other letters than those of ASCII stay, so that characters keep their places too.
        let octets = html.to_mut().get_mut(range).into_iter().flatten();
        octets.filter(|octet| octet.is_ascii()).for_each(|octet| *octet = b' ');
    }
}

/// The elements `xml` in a range: data islands, which Outlook reads and does not show.
fn settings_in(html: &[u8], range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let text = html.get(..range.end).unwrap_or_default();
    let mut at = range.start;
    while let Some(start) = find(text, at, b"<xml") {
        at = find(text, start, b"</xml>").map_or(text.len(), |end| end + b"</xml>".len());
        found.push(start..at);
    }
}

/// A part of HTML that stands under a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conditional {
    /// `<!--[if …]>`, `<!--[if …]><!-->` or `<![if …]>`.
    opening: Range<usize>,
    /// `<![endif]-->`, `<!--<![endif]-->` or `<![endif]>`; empty where it never ends.
    closing: Range<usize>,
    /// To all who know no conditions it is a comment.
    is_comment: bool,
}

impl Conditional {
    /// From its first octet to the one behind its last.
    pub(super) fn range(&self) -> Range<usize> {
        self.opening.start..self.closing.end
    }
}

/// The conditionals of HTML, the inner ones first.
pub(super) fn conditionals(html: &[u8]) -> Vec<Conditional> {
    let mut found = Vec::new();
    let mut open: Vec<(Range<usize>, bool)> = Vec::new();
    let mut at = 0;
    while let Some(start) = memchr::memmem::find(html.get(at..).unwrap_or_default(), b"<!").map(|next| at + next) {
        at = start + 2;
        if let Some((end, is_comment)) = opening_at(html, start) {
            at = end;
            open.push((start..end, is_comment));
        } else if let Some(end) = closing_at(html, start) {
            at = end;
            if let Some((opening, is_comment)) = open.pop() {
                found.push(Conditional { opening, closing: start..end, is_comment });
            }
        }
    }
    let end = html.len();
    found.extend(open.into_iter().rev().map(|(opening, is_comment)| Conditional {
        opening,
        closing: end..end,
        is_comment,
    }));
    found
}

/// Where the opening at a place ends, and whether it begins a comment.
fn opening_at(html: &[u8], at: usize) -> Option<(usize, bool)> {
    // Where each way of writing an opening ends, and whether others see a comment behind it.
    const ENDS: [(&[u8], bool); 6] = [
        (b"]-->", false),
        (b"]><!-->", false),
        (b"]><!---->", false),
        (b"]><!-- -->", false),
        (b"]>-->", false),
        (b"]>", true),
    ];
    let rest = html.get(at + 2..)?;
    let (condition, is_in_comment) = rest.strip_prefix(b"--").map_or((rest, false), |rest| (rest, true));
    condition.get(..3).filter(|start| start.eq_ignore_ascii_case(b"[if"))?;
    let length = memchr::memchr(b']', condition.get(..CONDITION_BYTES_MAX).unwrap_or(condition))?;
    let behind = condition.get(length..)?;
    let (end, is_comment) = ENDS.iter().find(|(end, _)| behind.starts_with(end))?;
    Some((html.len() - behind.len() + end.len(), is_in_comment && *is_comment))
}

/// Where the closing at a place ends.
fn closing_at(html: &[u8], at: usize) -> Option<usize> {
    const STARTS: [&[u8]; 3] = [b"<!--<![endif]", b"<!--[endif]", b"<![endif]"];
    let rest = html.get(at..)?;
    let is_here = |word: &&[u8]| rest.get(..word.len()).is_some_and(|here| here.eq_ignore_ascii_case(word));
    let start = STARTS.into_iter().find(is_here)?.len();
    let behind = rest.get(start..)?;
    let end = [&b"-->"[..], b">"].into_iter().find(|end| behind.starts_with(end)).map_or(0, <[u8]>::len);
    Some(at + start + end)
}

/// The first place of a word at or behind another place, whatever the case of its letters.
fn find(text: &[u8], from: usize, word: &[u8]) -> Option<usize> {
    let mut starts = memchr::memchr_iter(b'<', text.get(from..)?).map(|at| from + at);
    starts.find(|at| text.get(*at..at + word.len()).is_some_and(|here| here.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_outlook_shows_is_read_like_the_rest() {
        for (html, words) in [
            ("a<!--[if mso]>b<![endif]-->c", "a b c"),
            ("a<!--[IF gte mso 9]>é<![EndIf]-->c", "a é c"),
            ("a<!--[if mso]>b<!--[if mso]>c<![endif]-->d<![endif]-->", "a b c d"),
            ("<!--[if mso]>b", "b"),
            // Word's settings are no words.
            ("a<!--[if gte mso 9]><XML><w:Zoom>0</w:Zoom></xml><![endif]-->b", "a b"),
        ] {
            let read = revealed(html);
            assert_eq!(read.len(), html.len(), "{html}");
            assert_eq!(read.split_whitespace().collect::<Vec<_>>().join(" "), words, "{html}");
        }
        // What others show too stands there as it is.
        for html in [
            "<!--[if !mso]><!-->b<!--<![endif]-->",
            "<!--[if !mso]>-->b<!--<![endif]-->",
            "<!--[if !supportLists]-->·<!--[endif]-->",
            "<![if !mso]>b<![endif]>",
            "<!-- [if mso]> a --> <!--[if",
        ] {
            assert_eq!(revealed(html), html);
        }
    }

    #[test]
    fn every_octet_stays_in_its_place_and_honest_html_is_read_once() {
        assert_eq!(readings(b"<p>a</p><!-- b -->").count(), 1);
        let html = "<noscript>é</noscript><!--[if mso]>b<![endif]-->";
        let other = readings(html.as_bytes()).nth(1).unwrap();
        assert_eq!(other.len(), html.len());
        assert!(std::str::from_utf8(&other).unwrap().starts_with("<xoscript>é</xoscript> "));
    }

    #[test]
    fn conditionals_end_where_their_own_end_stands() {
        let html = b"<!--[if !mso]><!-->a<!--[if gte vml 1]>b<![endif]-->c<!--<![endif]-->d";
        let found: Vec<_> = conditionals(html).into_iter().map(|one| (one.range(), one.is_comment)).collect();
        assert_eq!(found, [(20..52, true), (0..html.len() - 1, false)]);
    }

    #[test]
    fn the_work_is_linear() {
        for html in
            ["<!--[if mso]>", "<![endif]-->", "<!--[if mso]><xml>", "<!--[if ", "<!--[if mso]><xml><![endif]-->", "<!"]
        {
            let html = html.repeat(200_000);
            assert!(readings(html.as_bytes()).count() <= 2);
        }
    }
}
