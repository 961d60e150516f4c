//! The addresses to which mail goes that no member should get: answers, failures, complaints, checkpoints. None may be that of a
//! list, whichever charter protects it: it would go from there to every member.

use std::ops::Range;

use toml::Spanned;

use super::charter::raw::{RawFile, RawList};
use super::codes::Code;
use super::daemon::RawMain;
use super::reader::on;
use super::values::Contact;
use crate::message::address::{Address, RecipientSyntax, candidates};

const ANSWERS: &str = "answers would go to all its members";

/// Where a file names such an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The address.
    pub address: Address,
    /// Where it stands.
    pub at: Range<usize>,
    /// What it would be if it were a list's.
    pub code: Code,
    /// What to say then.
    pub message: String,
    /// What would come of it.
    pub label: &'static str,
    /// A sub-address of a list is not the list: list managers take orders there.
    takes_orders: bool,
}

impl Way {
    fn new(what: &str, label: &'static str, address: &Spanned<Address>) -> Self {
        let (code, message) = (Code::AnswersGoToList, format!("{what} leads to a list"));
        let (at, address) = (address.span(), address.get_ref().clone());
        Self { address, at, code, message, label, takes_orders: false }
    }

    /// Whether it leads to the list that is called so, one way or another.
    pub fn leads_to(&self, is_called: impl Fn(&Address) -> bool, syntax: &RecipientSyntax) -> bool {
        if self.takes_orders {
            return is_called(&self.address);
        }
        let readings = candidates(&format!("<{}>", self.address), syntax).unwrap_or_default();
        readings.iter().any(is_called)
    }
}

/// The ways that the main file names.
pub fn of_main(raw: &RawMain) -> Vec<Way> {
    let auditors = raw.audit.iter().flat_map(|audit| &audit.auditors);
    let auditors = auditors.map(|auditor| Way::new("an auditor", "checkpoints would go to all its members", auditor));
    let sender = raw.submission.as_ref().and_then(|submission| submission.sender.as_ref());
    let sender = sender.map(|sender| Way::new("`sender`", ANSWERS, sender));
    auditors.chain(sender).collect()
}

/// The ways that a charter names, each once.
pub fn of_charter(file: &RawFile) -> Vec<Way> {
    let contest = file.charter.as_ref().and_then(|head| head.contest.as_ref());
    let contest = contest.and_then(|contest| match contest.get_ref() {
        Contact::Mailbox(address) => {
            Some(Way::new("`contest`", ANSWERS, &Spanned::new(contest.span(), address.clone())))
        }
        Contact::Page(_) => None,
    });
    let mut ways: Vec<Way> = contest.into_iter().collect();
    for way in file.list.iter().flat_map(|list| of_list(file, list)) {
        // Lists share the charter's words.
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways
}

fn of_list(file: &RawFile, list: &RawList) -> Vec<Way> {
    let (own, inherited) = (list.rules.as_ref(), file.rules.as_ref());
    let reply_to = own.and_then(|rules| rules.reply_to.as_ref()).or(inherited.and_then(|r| r.reply_to.as_ref()));
    let headers = own.and_then(|rules| rules.list_headers.as_ref()).or(inherited.and_then(|r| r.list_headers.as_ref()));
    let mut ways = Vec::new();
    if let (Some(path), Some(address)) = (&list.return_path, &list.address) {
        let message = format!("the return path of {} is a list", address.get_ref());
        let label = "failures would go to all its members";
        let way = Way::new("", label, path);
        ways.push(Way { code: Code::ReturnPathIsList, message, ..way });
    }
    if let Some(to) = on(reply_to).and_then(|rule| rule.to.as_ref())
        && let Ok(address) = Address::parse(&to.get_ref().0)
    {
        ways.push(Way::new("`to`", ANSWERS, &Spanned::new(to.span(), address)));
    }
    if let Some(headers) = on(headers) {
        let targets = headers.unsubscribe.iter().flat_map(|many| &many.0).map(|target| ("`unsubscribe`", target));
        let targets = targets.chain(headers.help.iter().map(|target| ("`help`", target)));
        for (what, target) in targets.chain(headers.owner.iter().map(|target| ("`owner`", target))) {
            if let Some(address) = target.get_ref().mailbox() {
                let way = Way::new(what, ANSWERS, &Spanned::new(target.span(), address));
                ways.push(Way { takes_orders: true, ..way });
            }
        }
    }
    ways
}
