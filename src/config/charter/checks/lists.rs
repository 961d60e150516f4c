//! The lists of a charter as a whole: nobody left out, nobody reached twice, no words with holes in them.

use std::ops::Range;

use toml::Spanned;

use super::Builder;
use crate::charter::{Charter, List, Mode};
use crate::config::charter::raw::rules::RawBanner;
use crate::config::charter::raw::{RawFile, RawList};
use crate::config::codes::Code;
use crate::config::reader::on;
use crate::message::address::Address;

impl Builder<'_, '_> {
    pub(super) fn check_lists(&mut self, file: &RawFile, charter: &Charter) {
        let mut empty_fields = Vec::new();
        for raw in &file.list {
            let list = raw.address.as_ref().and_then(|at| charter.lists.iter().find(|l| l.address == *at.get_ref()));
            let Some(list) = list else { continue };
            self.check_access(file, raw, list);
            self.check_return_path(raw, list, charter);
            for empty in self::empty_fields(file, raw, list, charter) {
                // Lists share the charter's words: each hole in them is told of once.
                if !empty_fields.contains(&empty) {
                    empty_fields.push(empty);
                }
            }
        }
        for (field, span) in empty_fields {
            let message = format!("nothing is set that would fill in `{{{field}}}`");
            self.reader.problem(Code::EmptyField, span, message, "readers would see a gap");
        }
    }

    fn check_access(&mut self, file: &RawFile, raw: &RawList, list: &List) {
        let at = place(raw);
        let mut bound = file.sender.iter().flat_map(|sender| &sender.lists);
        if !bound.any(|l| *l.get_ref() == list.address || list.aliases.contains(l.get_ref())) {
            let message = format!("nobody may write to {}", list.address);
            self.reader.problem(Code::ListWithoutSender, at.clone(), message, "no sender is bound to it");
        }
        if list.rules.sender.is_none() && !self.reader.met_errors() {
            let message = format!("no rule says who may write to {}", list.address);
            self.reader.problem(Code::SenderRuleMissing, at.clone(), message, "`sender` is not among its rules");
        }
        let is_trial = list.rules.sender.as_ref().is_some_and(|rule| rule.mode == Mode::Monitor);
        if is_trial && list.rules.quotas.iter().any(|rule| rule.mode == Mode::Enforce) {
            let message = format!("{} counts mail that nobody has proven to be the sender's", list.address);
            self.reader.problem(Code::QuotaWithoutProof, at, message, "`quota` is enforced, `sender` is not");
        }
    }

    fn check_return_path(&mut self, raw: &RawList, list: &List, charter: &Charter) {
        match &raw.return_path {
            None if raw.bad.contains(&"return_path") => {}
            None => {
                let message = format!("{} has no return path", list.address);
                self.reader.problem(Code::ListWithoutReturnPath, place(raw), message, "failures go to the sender");
            }
            Some(path) if is_a_sender_s(path.get_ref(), charter) => {
                let message = format!("the return path of {} is a mailbox of a sender", list.address);
                let label = "failures go to the sender";
                self.reader.problem(Code::ListWithoutReturnPath, path.span(), message, label);
            }
            Some(path) if list.rules.return_path.is_none() && !self.reader.met_errors() => {
                let message = format!("nothing uses the return path of {}", list.address);
                self.reader.problem(
                    Code::ReturnPathUnused,
                    path.span(),
                    message,
                    "`return_path` is not among its rules",
                );
            }
            Some(_) => {}
        }
    }

    /// Warns of lists that people cannot tell apart, in the tag, in replies and in `List-Id`.
    pub(super) fn check_labels(&mut self, file: &RawFile) {
        let mut seen: Vec<&Spanned<_>> = Vec::new();
        for label in file.list.iter().filter_map(|list| list.label.as_ref()) {
            if let Some(first) = seen.iter().find(|first| first.get_ref() == label.get_ref()) {
                let message = format!("two lists are called {}", label.get_ref());
                let related = (first.span(), "first here");
                self.reader.problem_with(Code::SharedLabel, label.span(), message, "again here", related);
            }
            seen.push(label);
        }
    }

    pub(super) fn check_overlap(&mut self, file: &RawFile) {
        let mut seen: Vec<&Spanned<_>> = Vec::new();
        for address in file.list.iter().flat_map(|list| list.address.iter().chain(&list.aliases)) {
            if let Some(first) = seen.iter().find(|first| first.get_ref() == address.get_ref()) {
                let message = format!("{} leads to a list twice", address.get_ref());
                let related = (first.span(), "first here");
                self.reader.problem_with(Code::OverlappingLists, address.span(), message, "again here", related);
            }
            seen.push(address);
        }
    }
}

fn is_a_sender_s(address: &Address, charter: &Charter) -> bool {
    charter.senders.iter().flat_map(|sender| &sender.mailboxes).any(|mailbox| mailbox.address == *address)
}

fn place(raw: &RawList) -> Range<usize> {
    raw.address.as_ref().map_or(raw.span.clone(), Spanned::span)
}

/// The fields of the list's banner that nothing would fill in.
fn empty_fields(file: &RawFile, raw: &RawList, list: &List, charter: &Charter) -> Vec<(&'static str, Range<usize>)> {
    let own = raw.rules.as_ref().and_then(|rules| rules.banner.as_ref());
    let inherited = file.rules.as_ref().and_then(|rules| rules.banner.as_ref());
    let Some(banner) = on(own.or(inherited)) else { return Vec::new() };
    let headers = list.rules.list_headers.as_ref().map(|rule| &rule.settings);
    let filled = [
        ("contest", charter.contest.is_some()),
        ("unsubscribe", headers.is_some_and(|headers| !headers.unsubscribe.is_empty())),
        ("help", headers.is_some_and(|headers| headers.help.is_some())),
    ];
    let missing = filled.into_iter().filter(|(_, filled)| !filled);
    missing.flat_map(|(field, _)| mentions(banner, field).map(move |span| (field, span))).collect()
}

/// The texts of a banner that have this field.
fn mentions(banner: &RawBanner, field: &str) -> impl Iterator<Item = Range<usize>> {
    let field = format!("{{{field}}}");
    let texts = banner.header.iter().chain(&banner.footer);
    texts.filter(move |text| text.get_ref().0.contains(&field)).map(Spanned::span)
}
