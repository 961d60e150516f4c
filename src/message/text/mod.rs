//! The text of a message as a reader sees it, in a form in which words can be compared.
//!
//! [`read`] takes the decoded text parts and the subject, lays HTML out without what is hidden ([`html`]), unwraps plain
//! text ([`plain`]), sets quoted replies apart ([`quote`]), brings every spelling of a letter to one ([`fold`]) and cuts
//! the result into words and sentences ([`words`], [`view`]). Every word keeps its place in the part it came from, so that
//! evidence can be pointed at without repeating it. All of it is linear in the input.

mod fold;
mod html;
mod page;
mod plain;
mod quote;
mod view;
mod words;

pub use fold::{plain_letters, push_plain_letters};
pub use view::{ADDRESS_WORD, LINK_WORD, Place, Sentence, View, Word};

use super::links::{Form, Link};
use super::mime::PartId;
use super::readings;

/// What a [`Source`] is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The decoded subject.
    Subject,
    /// `text/plain`.
    Plain {
        /// `format=flowed` (RFC 3676): lines that end with a space go on.
        flowed: bool,
    },
    /// `text/html`.
    Html,
}

/// One decoded text of a message.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What it is written in.
    pub kind: Kind,
    /// The text, decoded to Unicode.
    pub text: &'a str,
    /// The part it came from; the message itself for the subject.
    pub part: PartId,
}

/// What a message says, as its reader sees it.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The author's own words, forwarded text included: who forwards a text passes it on.
    pub own: View,
    /// The words of others that a reply quotes.
    pub quoted: View,
    /// The links, those of quoted text marked as such; at most [`super::links::LINKS_MAX`].
    pub links: Vec<Link>,
    /// The forms of HTML parts.
    pub forms: Vec<Form>,
}

/// Reads the texts of a message in the given order. Subjects come first by custom.
#[must_use]
pub fn read(sources: &[Source<'_>]) -> Reading {
    let forwarded = sources.iter().any(|s| s.kind == Kind::Subject && quote::is_forward_subject(s.text));
    let mut reading = Reading::default();
    let mut builder = words::Builder::default();
    let mut found = words::Found { follow: true, ..words::Found::default() };
    for source in sources {
        let page = match source.kind {
            Kind::Subject => plain::lay_out(source.text, false),
            Kind::Plain { flowed } => plain::lay_out(source.text, flowed),
            Kind::Html => html::lay_out(&readings::revealed(source.text), source.part, &mut reading.forms),
        };
        let mut page = quote::mark(page, forwarded);
        if source.kind == Kind::Subject && quote::is_reply_subject(source.text) {
            page.quoted.clear();
            page.quoted.push(0..page.text().len());
        }
        let part = (source.kind != Kind::Subject).then_some(source.part);
        builder.add(&page, part, &mut found);
    }
    (reading.own, reading.quoted) = builder.finish();
    reading.links = found.links;
    reading
}

/// The words of short texts that stand outside the parts, such as what a `mailto:` link would write. Their places mean
/// nothing; links in them are not followed.
#[must_use]
pub(super) fn words_of(texts: &[&str]) -> View {
    let mut builder = words::Builder::default();
    for text in texts {
        let mut page = plain::lay_out(text, false);
        page.quoted.clear();
        builder.add(&page, None, &mut words::Found::default());
    }
    builder.finish().0
}

#[cfg(test)]
mod tests;
