//! The lists of a charter as a whole: nobody left out, nobody reached twice, no words with holes in them.

use std::ops::Range;

use toml::Spanned;

use super::{Builder, on};
use crate::charter::{Charter, List};
use crate::config::charter::raw::rules::RawBanner;
use crate::config::charter::raw::{RawFile, RawList};
use crate::config::codes::Code;
use crate::message::address::{Address, RecipientSyntax, candidates};

impl Builder<'_, '_> {
    pub(super) fn check_lists(&mut self, file: &RawFile, charter: &Charter) {
        let (mut empty_fields, mut answers) = (Vec::new(), Vec::new());
        for raw in &file.list {
            let list = raw.address.as_ref().and_then(|at| charter.lists.iter().find(|l| l.address == *at.get_ref()));
            let Some(list) = list else { continue };
            self.check_access(file, raw, list);
            self.check_return_path(raw, list, charter);
            for answer in self::answers_to_lists(file, raw, charter) {
                if !answers.contains(&answer) {
                    answers.push(answer);
                }
            }
            for empty in self::empty_fields(file, raw, list, charter) {
                // Lists share the charter's words: each hole in them is told of once.
                if !empty_fields.contains(&empty) {
                    empty_fields.push(empty);
                }
            }
        }
        for (what, span) in answers {
            let (message, label) = (format!("`{what}` leads to a list"), "answers would go to all its members");
            self.reader.problem(Code::AnswersGoToList, span, message, label);
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
            self.reader.problem(Code::SenderRuleMissing, at, message, "`sender` is not among its rules");
        }
    }

    fn check_return_path(&mut self, raw: &RawList, list: &List, charter: &Charter) {
        match &raw.return_path {
            None if raw.bad.contains(&"return_path") => {}
            None => {
                let message = format!("{} has no return path", list.address);
                self.reader.problem(Code::ListWithoutReturnPath, place(raw), message, "failures go to the sender");
            }
            Some(path) if is_list(path.get_ref(), charter) => {
                let message = format!("the return path of {} is a list", list.address);
                let label = "failures would go to all its members";
                self.reader.problem(Code::ReturnPathIsList, path.span(), message, label);
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

/// Where readers are told to write and reach a list.
fn answers_to_lists(file: &RawFile, raw: &RawList, charter: &Charter) -> Vec<(&'static str, Range<usize>)> {
    let (own, inherited) = (raw.rules.as_ref(), file.rules.as_ref());
    let reply_to = on(own.and_then(|r| r.reply_to.as_ref()).or(inherited.and_then(|r| r.reply_to.as_ref())));
    let headers = on(own.and_then(|r| r.list_headers.as_ref()).or(inherited.and_then(|r| r.list_headers.as_ref())));
    let reply_to = reply_to.and_then(|rule| rule.to.as_ref()).filter(|to| {
        let address = Address::parse(&to.get_ref().0);
        address.is_ok_and(|address| is_list(&address, charter))
    });
    // A list manager may take orders at a sub-address.
    let is_called = |address: &Address| charter.lists.iter().any(|list| list.is_called(address));
    let unsubscribe = headers.iter().flat_map(|rule| &rule.unsubscribe).flat_map(|many| &many.0).filter(|target| {
        let mailbox = target.get_ref().0.strip_prefix("mailto:").and_then(|to| to.split('?').next());
        mailbox.and_then(|mailbox| Address::parse(mailbox).ok()).is_some_and(|address| is_called(&address))
    });
    let reply_to = reply_to.map(|to| ("to", to.span()));
    reply_to.into_iter().chain(unsubscribe.map(|target| ("unsubscribe", target.span()))).collect()
}

fn is_a_sender_s(address: &Address, charter: &Charter) -> bool {
    charter.senders.iter().flat_map(|sender| &sender.mailboxes).any(|mailbox| mailbox.address == *address)
}

/// Mail to a sub-address of a list is mail to the list.
fn is_list(address: &Address, charter: &Charter) -> bool {
    let syntax = RecipientSyntax { recipient_delimiters: "+".to_owned(), ..RecipientSyntax::default() };
    let readings = candidates(&format!("<{address}>"), &syntax).unwrap_or_default();
    readings.iter().any(|reading| charter.lists.iter().any(|list| list.is_called(reading)))
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
