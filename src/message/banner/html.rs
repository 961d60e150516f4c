//! Words in HTML: a block before `</body>` or behind `<body>`, in ASCII (all else as character references), so that it
//! fits every charset and whatever the HTML says of its own.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::rc::Rc;

use lol_html::{AsciiCompatibleEncoding, HtmlRewriter, Settings, doctype, element, end_tag};

use super::{Unwritable, Words, Written, missing};
use crate::message::charset::Decoded;
use crate::message::readings;
use crate::message::splice::{self, Splice};

/// What our blocks begin with. The attribute is for those who look at the source; it is no proof of anything.
const OPENING: &str = "<div data-charter=\"\"";

/// The style sheets of a message must not hide the words: a style with `!important` in the tag outweighs them all.
const STYLE: &str = "display:block!important;visibility:visible!important;opacity:1!important;position:static!important;\
float:none!important;clear:both!important;width:auto!important;height:auto!important;max-width:none!important;\
max-height:none!important;overflow:visible!important;clip:auto!important;clip-path:none!important;\
transform:none!important;filter:none!important;font:13px sans-serif!important;text-indent:0!important;\
letter-spacing:normal!important;color:#222!important;background:#fff!important;margin:12px 0!important;\
padding:6px 0!important;border-top:1px solid #999";

/// Links are told from the words around them, and neither white on white nor hidden by a style sheet for all links.
const LINK_STYLE: &str = "display:inline!important;visibility:visible!important;opacity:1!important;\
position:static!important;font:inherit!important;color:#04c!important;background:#fff!important;\
text-decoration:underline!important";

/// Writes the missing words; `None` when none is missing. HTML that would not show them is an error.
pub(super) fn write(text: &Decoded<'_>, words: &Words) -> Result<Option<Written>, Unwritable> {
    if text.hides_ascii() {
        return Err(Unwritable);
    }
    // A wide text is cut into tags in UTF-8, any other one in its own octets.
    let html = if text.is_wide() { text.text.as_bytes() } else { text.octets };
    let places = Places::find(html)?;
    let found = missing(
        words,
        html,
        |html, words| strip_block(html.get(places.start.min(html.len())..).unwrap_or(html), &block(words), true),
        |html, words| strip_block(html.get(..places.end.min(html.len())).unwrap_or(html), &block(words), false),
    );
    let Some(sides) = found.sides(words.declaration.as_deref()) else { return Ok(None) };
    let blocks = |words: &[&str]| words.iter().map(|words| block(words)).collect::<String>();
    let (before, after) = (blocks(&sides.before), blocks(&sides.after));
    let inserted = [(places.start, before), (places.end, after)];
    let shown = inserted.iter().filter(|(_, block)| !block.is_empty());
    let splices: Vec<Splice> = shown.clone().map(|(at, block)| Splice::insert(*at, block.as_bytes())).collect();
    if !all_shown(&splice::plain(html, &splices), &tags_of_blocks(&splices)) {
        return Err(Unwritable);
    }
    if !text.is_wide() {
        return Ok(Some(Written::Spliced(splices)));
    }
    let places: Vec<usize> = splices.iter().map(|splice| splice.range.start).collect();
    let wide =
        shown.zip(text.octets_of(&places)).filter_map(|((_, block), at)| Some(Splice::insert(at, text.encode(block)?)));
    Ok(Some(Written::Spliced(wide.collect())))
}

/// Words as a block of HTML, each on its own lines.
fn block(words: &str) -> String {
    let mut block = format!("\r\n{OPENING} style=\"{STYLE}\">\r\n");
    for (at, line) in words.trim().lines().enumerate() {
        if at > 0 {
            block.push_str("<br>\r\n");
        }
        linkified(&mut block, line);
    }
    block.push_str("\r\n</div>\r\n");
    block
}

/// Writes a line with its web and mail addresses as links.
fn linkified(block: &mut String, line: &str) {
    let mut finder = linkify::LinkFinder::new();
    finder.kinds(&[linkify::LinkKind::Url, linkify::LinkKind::Email]);
    for span in finder.spans(line) {
        let scheme = match span.kind() {
            Some(linkify::LinkKind::Email) => "mailto:",
            Some(linkify::LinkKind::Url) if is_web(span.as_str()) => "",
            _ => {
                escape(block, span.as_str());
                continue;
            }
        };
        block.push_str("<a href=\"");
        block.push_str(scheme);
        escape(block, span.as_str());
        block.push_str("\" style=\"");
        block.push_str(LINK_STYLE);
        block.push_str("\">");
        escape(block, span.as_str());
        block.push_str("</a>");
    }
}

fn is_web(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
}

fn escape(block: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => block.push_str("&amp;"),
            '<' => block.push_str("&lt;"),
            '>' => block.push_str("&gt;"),
            '"' => block.push_str("&quot;"),
            c if c.is_ascii() && !c.is_ascii_control() => block.push(c),
            // Writing to a String does not fail.
            c => drop(write!(block, "&#{};", u32::from(c))),
        }
    }
}

/// Takes a block off the start or the end, spaces aside.
fn strip_block<'h>(html: &'h [u8], block: &str, at_start: bool) -> Option<&'h [u8]> {
    let block = block.trim().as_bytes();
    if at_start { html.trim_ascii_start().strip_prefix(block) } else { html.trim_ascii_end().strip_suffix(block) }
}

/// Where words go.
struct Places {
    /// Behind `<body>`.
    start: usize,
    /// Before `</body>`.
    end: usize,
}

impl Places {
    /// Finds the places in HTML; an error when it cannot be cut into tags.
    fn find(html: &[u8]) -> Result<Self, Unwritable> {
        let start = RefCell::new(None::<usize>);
        // Of the places before `<body>`, the last: behind the doctype, `<html>`, or `</head>`.
        let prologue = Rc::new(Cell::new(0_usize));
        let end = Rc::new(Cell::new(None::<usize>));
        let settings = Settings::new()
            .append_document_content_handler(doctype!(|doctype| {
                prologue.set(doctype.source_location().bytes().end);
                Ok(())
            }))
            .append_element_content_handler(element!("html", |element| {
                prologue.set(prologue.get().max(element.source_location().bytes().end));
                Ok(())
            }))
            .append_element_content_handler(element!("head", |element| {
                let prologue = Rc::clone(&prologue);
                element.on_end_tag(end_tag!(move |tag| {
                    prologue.set(prologue.get().max(tag.source_location().bytes().end));
                    Ok(())
                }))
            }))
            .append_element_content_handler(element!("body", |element| {
                start.borrow_mut().get_or_insert(element.source_location().bytes().end);
                let end = Rc::clone(&end);
                element.on_end_tag(end_tag!(move |tag| {
                    end.set(Some(tag.source_location().bytes().start));
                    Ok(())
                }))
            }));
        run(html, settings)?;
        let mark = if html.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let start = start.into_inner().unwrap_or(prologue.get()).max(mark);
        let end = end.get().unwrap_or_else(|| before_closing_tags(html));
        let places = Self::shown_to_all(html, start, end);
        if places.start <= places.end { Ok(places) } else { Err(Unwritable) }
    }

    /// Words that stand under a condition are shown by some mail programs only: they go around it.
    fn shown_to_all(html: &[u8], mut start: usize, mut end: usize) -> Self {
        // The inner ones come first, so that each step can only lead further out.
        for conditional in readings::conditionals(html) {
            let range = conditional.range();
            if range.start < start && start < range.end {
                start = range.end;
            }
            if range.start < end && end < range.end {
                end = range.start;
            }
        }
        Self { start, end }
    }
}

/// The place before closing tags at the very end that were never opened.
fn before_closing_tags(html: &[u8]) -> usize {
    let mut rest = html;
    for tag in [&b"</html>"[..], b"</body>"] {
        let trimmed = rest.trim_ascii_end();
        let split = trimmed.len().checked_sub(tag.len()).and_then(|at| trimmed.split_at_checked(at));
        if let Some((before, last)) = split
            && last.eq_ignore_ascii_case(tag)
        {
            rest = before;
        }
    }
    rest.len()
}

/// Where the tags of our blocks stand in the result.
fn tags_of_blocks(splices: &[Splice]) -> Vec<usize> {
    let mut added = 0;
    let mut tags = Vec::new();
    for Splice { range, with } in splices {
        // The words themselves have no such tag: their brackets are escaped.
        let tag = memchr::memmem::find_iter(with, OPENING);
        tags.extend(tag.map(|at| range.start + added + at));
        added += with.len();
    }
    tags
}

/// Would a mail program show the blocks? Not if they ended up in a comment, in the text of a script or title, or in a tag that was
/// never closed: then theirs are no tags at all. Nor inside of something that was never closed and is hidden, or may be: what
/// a style says, and a style sheet of anything that it can name, is not ours to compute.
fn all_shown(html: &[u8], blocks: &[usize]) -> bool {
    // Of each element that is open: whether it may hide what is inside.
    let open = Rc::new(RefCell::new(Vec::<bool>::new()));
    let (shown, sheet, unclear) = (Cell::new(0_usize), Cell::new(false), Cell::new(false));
    let settings = Settings::new().append_element_content_handler(element!("*", |element| {
        if blocks.contains(&element.source_location().bytes().start) {
            if open.borrow().iter().all(|may_hide| !may_hide) {
                shown.set(shown.get() + 1);
            }
            return Ok(());
        }
        let name = element.tag_name();
        sheet.set(sheet.get() || matches!(name.as_str(), "style" | "link"));
        let depth = open.borrow().len();
        unclear.set(unclear.get() || name == "frameset" || depth >= DEPTH_MAX);
        // A paragraph ends where our block begins.
        if name == "p" || !element.can_have_content() || unclear.get() {
            return Ok(());
        }
        let is_frame_of_all = matches!(name.as_str(), "html" | "body");
        let is_named = sheet.get() || STYLED_BY.iter().any(|attribute| element.has_attribute(attribute));
        let may_hide = hides(element) || UNFOLDED.contains(&name.as_str()) || is_named && !is_frame_of_all;
        open.borrow_mut().push(may_hide);
        let open = Rc::clone(&open);
        element.on_end_tag(end_tag!(move |_tag| {
            // What was opened inside and never closed ends here as well.
            open.borrow_mut().truncate(depth);
            Ok(())
        }))?;
        Ok(())
    }));
    run(html, settings).is_ok() && shown.get() == blocks.len() && !unclear.get()
}

/// No honest text has so many elements open at once; each of them takes memory.
const DEPTH_MAX: usize = 10_000;

/// What gives an element a style of its own.
const STYLED_BY: [&str; 3] = ["style", "class", "id"];

/// Elements that show what is inside them only when they are unfolded, or not at all.
const UNFOLDED: [&str; 6] = ["details", "rp", "progress", "meter", "noframes", "iframe"];

/// Elements that show nothing of what is inside them, by what they are or by their own style.
pub(in crate::message) fn hides(element: &lol_html::html_content::Element<'_, '_>) -> bool {
    const NEVER_SHOWN: &[&str] = &[
        "head", "template", "noscript", "select", "object", "audio", "video", "canvas", "svg", "math", "datalist",
        "dialog",
    ];
    const HIDING: &[&str] = &[
        "display:none",
        "visibility:hidden",
        "visibility:collapse",
        "opacity:0;",
        "max-height:0",
        "mso-hide:all",
        "content-visibility:hidden",
    ];
    let style = element.get_attribute("style").unwrap_or_default();
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase() + ";";
    element.has_attribute("hidden")
        || NEVER_SHOWN.contains(&element.tag_name().as_str())
        || HIDING.iter().any(|hiding| style.contains(hiding))
}

/// Cuts HTML into tags for the handlers; nothing is written.
fn run(html: &[u8], settings: Settings<'_, '_>) -> Result<(), Unwritable> {
    let settings = settings.with_encoding(AsciiCompatibleEncoding::utf_8()).with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    rewriter.write(html).and_then(|()| rewriter.end()).map_err(|_| Unwritable)
}
