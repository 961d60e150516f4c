//! What HTML hides from its reader: `display:none`, `visibility:hidden`, no size, the attribute `hidden`, and the elements
//! that are never shown. No style sheet is read: a rule of a style sheet may hold on telephones only.

use html5ever::tokenizer::Tag;
use html5ever::{LocalName, local_name};

use super::attribute;

/// Deeper nesting inside a hidden element is not followed; the element then ends where its name first closes.
const DEPTH_MAX: usize = 256;

/// Keeps account of the hidden element we are in.
#[derive(Default)]
pub(super) struct Hidden {
    /// The hidden element and what is open inside it; empty when all is shown.
    open: Vec<LocalName>,
}

impl Hidden {
    /// Nothing is shown now.
    pub fn is_hidden(&self) -> bool {
        !self.open.is_empty()
    }

    /// A start tag.
    pub fn open(&mut self, tag: &Tag) {
        if let [hidden] = self.open.as_slice()
            && ends_implied(hidden, &tag.name)
        {
            self.open.clear();
        }
        if is_void(&tag.name) || tag.self_closing && self.is_hidden() && is_foreign(&tag.name) {
            return;
        }
        if self.is_hidden() {
            if self.open.len() < DEPTH_MAX {
                self.open.push(tag.name.clone());
            }
        } else if never_shown(&tag.name) || hides(tag) {
            self.open.push(tag.name.clone());
        }
    }

    /// An end tag.
    pub fn close(&mut self, tag: &Tag) {
        match self.open.iter().rposition(|name| *name == tag.name) {
            Some(at) => self.open.truncate(at),
            // It closes something around the hidden element, which ends with it unless the parser reopens it there.
            None if self.open.first().is_some_and(|name| !never_shown(name) && !is_formatting(name))
                && closes_around(&tag.name) =>
            {
                self.open.clear();
            }
            None => {}
        }
    }
}

/// Elements whose content no mail program shows.
fn never_shown(name: &LocalName) -> bool {
    matches!(
        &**name,
        "audio"
            | "canvas"
            | "datalist"
            | "iframe"
            | "math"
            | "noembed"
            | "noframes"
            | "script"
            | "style"
            | "svg"
            | "template"
            | "title"
            | "video"
    )
}

/// Whether its own attributes hide an element.
fn hides(tag: &Tag) -> bool {
    if attribute(tag, "hidden").is_some() {
        return true;
    }
    let Some(style) = attribute(tag, "style") else { return false };
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    style.split(';').filter_map(|declaration| declaration.split_once(':')).any(|(property, value)| {
        let value = value.trim_end_matches("!important");
        match property {
            "display" => value == "none",
            "visibility" => matches!(value, "hidden" | "collapse"),
            "mso-hide" => value == "all",
            "opacity" => is_zero(value),
            // Some programs write font-size:0 on a wrapper to close gaps and give the cells inside a size again; a size of
            // one pixel is never meant to be read.
            "font-size" => {
                is_zero(value)
                    && tag.name != local_name!("table")
                    && tag.name != local_name!("td")
                    && tag.name != local_name!("div")
                    || matches!(value, "1px" | "0.1px")
            }
            _ => false,
        }
    })
}

fn is_zero(value: &str) -> bool {
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    number.parse::<f64>().is_ok_and(|n| n.abs() < f64::EPSILON)
}

/// A start tag that ends an open element without an end tag (WHATWG section 13.1.2.4).
fn ends_implied(open: &LocalName, next: &LocalName) -> bool {
    match *open {
        local_name!("p") => {
            super::is_block(next)
                && !matches!(
                    &**next,
                    "body"
                        | "button"
                        | "caption"
                        | "legend"
                        | "option"
                        | "select"
                        | "tbody"
                        | "td"
                        | "textarea"
                        | "tfoot"
                        | "th"
                        | "thead"
                        | "tr"
                )
        }
        local_name!("li") => *next == local_name!("li"),
        local_name!("dt") | local_name!("dd") => matches!(*next, local_name!("dt") | local_name!("dd")),
        local_name!("td") | local_name!("th") => {
            matches!(*next, local_name!("td") | local_name!("th") | local_name!("tr"))
        }
        local_name!("tr") => matches!(*next, local_name!("tr") | local_name!("tbody")),
        local_name!("option") => *next == local_name!("option"),
        _ => false,
    }
}

fn is_void(name: &LocalName) -> bool {
    matches!(
        &**name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

/// Elements for which `/>` is an end (SVG, `MathML`).
fn is_foreign(name: &LocalName) -> bool {
    matches!(&**name, "svg" | "math" | "path" | "rect" | "circle" | "g" | "use" | "line" | "polygon")
}

/// Formatting elements are opened again behind the end of a block (WHATWG section 13.2.4.3).
fn is_formatting(name: &LocalName) -> bool {
    matches!(
        &**name,
        "a" | "b" | "big" | "code" | "em" | "font" | "i" | "nobr" | "s" | "small" | "strike" | "strong" | "tt" | "u"
    )
}

/// End tags that close the elements inside their own.
fn closes_around(name: &LocalName) -> bool {
    super::is_block(name) && !matches!(&**name, "p" | "option" | "select")
}
