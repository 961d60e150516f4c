//! Remote pictures that nobody sees.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use lol_html::html_content::{Attribute, Element};
use lol_html::{AsciiCompatibleEncoding, HtmlRewriter, Settings, element, end_tag};

use super::TrackerKind;
use crate::message::banner::html::hides;

/// Counting addresses of mailing services: the end of the host (any host when empty) and what the path contains.
const COUNTERS: &[(&str, &str)] = &[
    ("list-manage.com", "/track/open"),
    ("mandrillapp.com", "/track/open"),
    ("", "/wf/open?"),
    ("", "/e2t/to/"),
    ("", "/e3t/to/"),
    ("hubspotlinks.com", "/"),
    ("mailjet.com", "/oo/"),
    ("", "/tr/op/"),
    ("mailtrack.io", "/trace/"),
    ("getnotify.com", "/"),
    ("yesware.com", "/t/"),
    ("bananatag.com", "/"),
    ("mailfoogae.appspot.com", "/"),
    ("cmail19.com", "/o/"),
    ("cmail20.com", "/o/"),
    ("createsend.com", "/t/"),
    ("", "option=com_acym&ctrl=frontstats"),
    ("", "option=com_acymailing&ctrl=stats"),
    ("", "/lists/ut.php?"),
];

type Places = Vec<(Range<usize>, TrackerKind)>;

/// What is being looked at.
#[derive(Default)]
struct Found {
    /// Sure: removed.
    sure: Places,
    /// Pictures inside hidden elements that are still open: sure when these end, for only then they were hidden on purpose.
    open: Vec<Places>,
}

/// What fetches the pictures.
pub(super) fn find(html: &[u8]) -> Places {
    let found = Rc::new(RefCell::new(Found::default()));
    let settings = Settings::new()
        .append_element_content_handler(element!("*", |element| {
            look_at(element, &mut found.borrow_mut());
            if hides(element) && element.can_have_content() {
                found.borrow_mut().open.push(Vec::new());
                let found = Rc::clone(&found);
                element.on_end_tag(end_tag!(move |_tag| {
                    let mut found = found.borrow_mut();
                    let inside = found.open.pop().unwrap_or_default();
                    found.sure.extend(inside);
                    Ok(())
                }))?;
            }
            Ok(())
        }))
        .with_encoding(AsciiCompatibleEncoding::utf_8())
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    let done = rewriter.write(html).and_then(|()| rewriter.end());
    if done.is_err() {
        return Vec::new();
    }
    found.take().sure
}

fn look_at(element: &Element<'_, '_>, found: &mut Found) {
    let Some((source, place)) = picture(element).filter(|(source, _)| is_remote(source)) else { return };
    let place = (place, TrackerKind::Pixel);
    if is_counter(&source) || is_invisible(element) {
        found.sure.push(place);
    } else if let Some(inside) = found.open.last_mut() {
        inside.push(place);
    }
}

/// The address of the picture that an element fetches, and what is to be taken out so that it does not: a tag that is
/// nothing else, or the value of an attribute.
fn picture(element: &Element<'_, '_>) -> Option<(String, Range<usize>)> {
    let is_picture = match element.tag_name().as_str() {
        "img" | "image" | "embed" | "bgsound" => true,
        "input" => element.get_attribute("type").is_some_and(|kind| kind.trim().eq_ignore_ascii_case("image")),
        _ => false,
    };
    let named = |name: &str| element.attributes().iter().find(|attribute| attribute.name() == name);
    if is_picture {
        let source = ["src", "srcset"].into_iter().filter_map(named).map(Attribute::value);
        return Some((source.into_iter().find(|source| is_remote(source))?, element.source_location().bytes()));
    }
    let background = named("background")?;
    Some((background.value(), background.value_source_location()?.bytes()))
}

fn is_remote(source: &str) -> bool {
    let source: String = source.chars().filter(|c| !c.is_ascii_whitespace() && !c.is_control()).take(8).collect();
    let source = source.to_ascii_lowercase();
    source.starts_with("http://") || source.starts_with("https://") || source.starts_with("//")
}

/// Is the picture served by the counting address of a mailing service?
fn is_counter(source: &str) -> bool {
    let source = source.trim().replace("&amp;", "&").to_ascii_lowercase();
    let rest = source.split_once("//").map_or(source.as_str(), |(_, rest)| rest);
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = host.split(':').next().unwrap_or_default();
    COUNTERS.iter().any(|(of, part)| {
        let is_host =
            host.strip_suffix(of).is_some_and(|before| of.is_empty() || before.is_empty() || before.ends_with('.'));
        is_host && path.contains(part)
    })
}

/// At most one pixel in both directions, or none in one, or hidden by its own style.
fn is_invisible(element: &Element<'_, '_>) -> bool {
    let style = element.get_attribute("style").unwrap_or_default().to_ascii_lowercase();
    let size = |name: &str| {
        let attribute = element.get_attribute(name);
        // A style outweighs the attribute.
        declared(&style, name).or_else(|| attribute.as_deref().and_then(pixels))
    };
    let (width, height) = (size("width"), size("height"));
    hides(element) || width == Some(0) || height == Some(0) || matches!((width, height), (Some(0..=1), Some(0..=1)))
}

/// The value of a declaration of a style in whole pixels.
fn declared(style: &str, name: &str) -> Option<u32> {
    let declarations = style.split(';').filter_map(|declaration| declaration.split_once(':'));
    let value = declarations.filter(|(property, _)| property.trim() == name).map(|(_, value)| value).next_back()?;
    pixels(value.trim_end_matches("!important"))
}

/// A length in whole pixels: `1`, `1px`; other units are none.
fn pixels(value: &str) -> Option<u32> {
    let value = value.trim();
    value.strip_suffix("px").unwrap_or(value).trim().parse().ok()
}
