//! HTML laid out as a mail program shows it: hidden content left out, blocks and cells apart, split tags joined, the
//! descriptions of images and links said. The tokenizer is the browsers' own algorithm (html5ever, WHATWG section 13.2.5).
//!
//! The tokenizer does not say where a token stands. It is therefore fed slice by slice, cut before each `<` and `&` and
//! after each `>` and `;`: what it emits during a slice comes from that slice.

mod hidden;

use std::cell::RefCell;

use html5ever::TokenizerResult;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use html5ever::{LocalName, local_name};

use super::page::{Anchor, LINE, PARAGRAPH, Page};
use crate::message::links::Form;
use crate::message::mime::PartId;
use hidden::Hidden;

/// The tokenizer compares each attribute of a tag with all before it; a tag with more separators than this is cut short, so
/// that the work stays linear. No mail program writes such tags.
const TAG_SEPARATORS_MAX: usize = 1_024;

/// Lays out an HTML text and adds its forms to `forms`.
pub(super) fn lay_out(text: &str, part: PartId, forms: &mut Vec<Form>) -> Page {
    let layout = Layout { state: RefCell::new(Painter { part, ..Painter::default() }) };
    let tokenizer = Tokenizer::new(layout, TokenizerOpts::default());
    let queue = BufferQueue::default();
    let mut source = 0u32;
    let mut separators = 0usize;
    for slice in slices(text) {
        {
            let mut painter = tokenizer.sink.state.borrow_mut();
            painter.begin_slice(source, slice);
            if std::mem::take(&mut painter.tag_seen) {
                separators = 0;
            }
        }
        let opens_tag =
            slice.strip_prefix('<').is_some_and(|s| s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/'));
        separators = if opens_tag || separators > 0 { separators + count_separators(slice) } else { 0 };
        if separators > TAG_SEPARATORS_MAX {
            // Close the tag whatever quotation it is in; the last bytes also end a comment that the tag may stand in.
            feed(&tokenizer, &queue, "'\"");
            feed(&tokenizer, &queue, tail(slice));
            separators = 0;
        } else {
            feed(&tokenizer, &queue, slice);
        }
        source = source.saturating_add(u32::try_from(slice.chars().count()).unwrap_or(u32::MAX));
    }
    tokenizer.end();
    let mut painter = tokenizer.sink.state.into_inner();
    painter.close_anchor();
    painter.close_quote();
    forms.append(&mut painter.forms);
    painter.page
}

fn feed(tokenizer: &Tokenizer<Layout>, queue: &BufferQueue, slice: &str) {
    queue.push_back(StrTendril::from_slice(slice));
    // Scripts are never run; the tokenizer only stops for them.
    while !matches!(tokenizer.feed(queue), TokenizerResult::Done) {}
}

/// Cuts a text before each `<` and `&` and after each `>` and `;`.
fn slices(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let cut = rest.char_indices().find_map(|(at, c)| match c {
            '<' | '&' if at > 0 => Some(at),
            '>' | ';' => Some(at + 1),
            _ => None,
        });
        let (slice, after) = rest.split_at(cut.unwrap_or(rest.len()));
        rest = after;
        Some(slice)
    })
}

fn count_separators(slice: &str) -> usize {
    slice.bytes().filter(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'"' | b'\'')).count()
}

/// The last three bytes of a slice, and `>` to end the tag.
fn tail(slice: &str) -> &str {
    let at = (0..=slice.len().min(3)).rev().map(|n| slice.len() - n).find(|at| slice.is_char_boundary(*at));
    slice.get(at.unwrap_or(0)..).unwrap_or(">")
}

/// The tokenizer's sink.
struct Layout {
    state: RefCell<Painter>,
}

impl TokenSink for Layout {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut painter = self.state.borrow_mut();
        match token {
            Token::CharacterTokens(text) => {
                painter.characters(&text);
                TokenSinkResult::Continue
            }
            Token::TagToken(tag) => {
                painter.tag_seen = true;
                painter.tag(&tag);
                raw_text(&tag)
            }
            _ => TokenSinkResult::Continue,
        }
    }
}

/// How the text after this tag is read (WHATWG section 13.2.6.2).
fn raw_text(tag: &Tag) -> TokenSinkResult<()> {
    if tag.kind == TagKind::EndTag {
        return TokenSinkResult::Continue;
    }
    match tag.name {
        local_name!("title") | local_name!("textarea") => TokenSinkResult::RawData(RawKind::Rcdata),
        local_name!("style")
        | local_name!("xmp")
        | local_name!("iframe")
        | local_name!("noembed")
        | local_name!("noframes") => TokenSinkResult::RawData(RawKind::Rawtext),
        local_name!("script") => TokenSinkResult::RawData(RawKind::ScriptData),
        local_name!("plaintext") => TokenSinkResult::Plaintext,
        _ => TokenSinkResult::Continue,
    }
}

/// Paints the page, token by token.
#[derive(Default)]
struct Painter {
    part: PartId,
    page: Page,
    forms: Vec<Form>,
    hidden: Hidden,
    /// Source offset of the next character of this slice.
    source: u32,
    /// Source offset of this slice.
    slice: u32,
    /// Source offset of its last character.
    last: u32,
    /// A tag was emitted since this was last asked.
    tag_seen: bool,
    preformatted: u32,
    anchor: Option<OpenAnchor>,
    /// Page offset where a quoted reply began, and how many elements of its name are open inside it.
    quote: Option<OpenQuote>,
}

struct OpenAnchor {
    from: usize,
    href: String,
    source: u32,
}

struct OpenQuote {
    from: usize,
    name: LocalName,
    depth: u32,
}

impl Painter {
    fn begin_slice(&mut self, source: u32, slice: &str) {
        self.source = source;
        self.slice = source;
        let last = slice.chars().count().saturating_sub(1);
        self.last = source.saturating_add(u32::try_from(last).unwrap_or(u32::MAX));
    }

    fn characters(&mut self, text: &str) {
        for c in text.chars() {
            if !self.hidden.is_hidden() {
                self.character(c);
            }
            // A character reference that turns out to be none comes out late, with the slice after it.
            self.source = self.source.saturating_add(1).min(self.last);
        }
    }

    fn character(&mut self, c: char) {
        let blank = matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}');
        match c {
            '\n' if self.preformatted > 0 => self.page.end(LINE, self.source),
            _ if blank => {
                if !self.page.text().ends_with([' ', LINE, PARAGRAPH]) && !self.page.text().is_empty() {
                    self.page.push(' ', self.source);
                }
            }
            PARAGRAPH => self.page.end(LINE, self.source),
            c => self.page.push(c, self.source),
        }
    }

    fn tag(&mut self, tag: &Tag) {
        match tag.kind {
            TagKind::StartTag => self.open(tag),
            TagKind::EndTag => self.close(tag),
        }
    }

    fn open(&mut self, tag: &Tag) {
        self.hidden.open(tag);
        self.layout(&tag.name);
        self.quote_opens(tag);
        if self.hidden.is_hidden() {
            return;
        }
        match tag.name {
            local_name!("a") | local_name!("area") => {
                self.close_anchor();
                if let Some(href) = attribute(tag, "href") {
                    self.anchor =
                        Some(OpenAnchor { from: self.page.text().len(), href: href.to_owned(), source: self.slice });
                }
                self.say(attribute(tag, "title"));
            }
            local_name!("img") => {
                self.say(attribute(tag, "alt"));
                self.say(attribute(tag, "title").filter(|title| attribute(tag, "alt") != Some(title)));
            }
            local_name!("pre") => self.preformatted += 1,
            local_name!("form") => {
                self.forms.push(Form::new(self.part, self.slice, attribute(tag, "action")));
            }
            local_name!("input") | local_name!("select") | local_name!("textarea") | local_name!("button") => {
                self.field(tag);
            }
            _ => self.say(attribute(tag, "title")),
        }
    }

    fn close(&mut self, tag: &Tag) {
        self.hidden.close(tag);
        match tag.name {
            local_name!("a") => self.close_anchor(),
            local_name!("pre") => self.preformatted = self.preformatted.saturating_sub(1),
            _ => {}
        }
        self.layout(&tag.name);
        if let Some(quote) = &mut self.quote
            && quote.name == tag.name
        {
            quote.depth -= 1;
            if quote.depth == 0 {
                self.close_quote();
            }
        }
    }

    /// Ends the line or the paragraph at the edge of a block.
    fn layout(&mut self, name: &LocalName) {
        if self.hidden.is_hidden() {
            return;
        }
        match *name {
            local_name!("br") => self.page.end(LINE, self.slice),
            _ if is_block(name) => self.page.end(PARAGRAPH, self.slice),
            _ => {}
        }
    }

    /// Adds what an attribute says to the reader.
    fn say(&mut self, words: Option<&str>) {
        if let Some(words) = words.map(str::trim).filter(|w| !w.is_empty()) {
            let words: String = words.chars().map(|c| if c == PARAGRAPH { ' ' } else { c }).collect();
            self.page.push_for(&format!(" {words} "), self.slice);
        }
    }

    /// A field of a form: counted, and its label said.
    fn field(&mut self, tag: &Tag) {
        let kind = attribute(tag, "type").unwrap_or("text").to_ascii_lowercase();
        let is_button =
            tag.name == local_name!("button") || matches!(kind.as_str(), "submit" | "button" | "image" | "reset");
        if kind == "hidden" {
            return;
        }
        if is_button {
            // The label is a sentence of its own, as a link's text is.
            self.page.end(PARAGRAPH, self.slice);
            self.say(attribute(tag, "value").or_else(|| attribute(tag, "alt")));
            if tag.name == local_name!("input") {
                self.page.end(PARAGRAPH, self.slice);
            }
            return;
        }
        self.say(attribute(tag, "placeholder"));
        if let Some(form) = self.forms.last_mut() {
            form.fields = form.fields.saturating_add(1);
            let name = attribute(tag, "name").unwrap_or_default().to_lowercase();
            let asks = ["nom", "name", "mail", "signa"].iter().any(|word| name.contains(word));
            form.asks_identity |= asks || kind == "email";
        }
    }

    fn close_anchor(&mut self) {
        if let Some(open) = self.anchor.take() {
            let range = open.from..self.page.text().len();
            self.page.anchors.push(Anchor { range, href: open.href, source: open.source });
        }
    }

    /// Whether this element quotes the message that is answered, by the marks of the usual mail programs.
    fn quote_opens(&mut self, tag: &Tag) {
        if let Some(quote) = &mut self.quote {
            quote.depth += u32::from(quote.name == tag.name);
            return;
        }
        let marks = ["gmail_quote", "yahoo_quoted", "protonmail_quote", "moz-cite", "divrplyfwdmsg"];
        let is = |name| attribute(tag, name).is_some_and(|v| marks.iter().any(|m| v.to_ascii_lowercase().contains(m)));
        let cite = tag.name == local_name!("blockquote")
            && attribute(tag, "type").is_some_and(|v| v.eq_ignore_ascii_case("cite"));
        if cite || (matches!(tag.name, local_name!("div") | local_name!("blockquote")) && (is("class") || is("id"))) {
            self.page.end(PARAGRAPH, self.slice);
            self.quote = Some(OpenQuote { from: self.page.text().len(), name: tag.name.clone(), depth: 1 });
        }
    }

    fn close_quote(&mut self) {
        if let Some(quote) = self.quote.take() {
            self.page.quoted.push(quote.from..self.page.text().len());
        }
    }
}

/// The value of an attribute.
fn attribute<'t>(tag: &'t Tag, name: &str) -> Option<&'t str> {
    tag.attrs.iter().find(|a| &*a.name.local == name).map(|a| &*a.value)
}

/// Elements whose edges end a paragraph.
fn is_block(name: &LocalName) -> bool {
    matches!(
        &**name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "button"
            | "caption"
            | "center"
            | "dd"
            | "details"
            | "dialog"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hr"
            | "legend"
            | "li"
            | "main"
            | "nav"
            | "ol"
            | "option"
            | "p"
            | "pre"
            | "section"
            | "select"
            | "summary"
            | "table"
            | "tbody"
            | "td"
            | "textarea"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
    )
}
