//! The register of senders as a whole: names, mailboxes and proofs that would be confused, rights that never apply.

use toml::Spanned;

use super::Builder;
use crate::charter::{Charter, Period, Proof};
use crate::config::charter::raw::RawFile;
use crate::config::codes::Code;

impl Builder<'_, '_> {
    pub(super) fn check_senders(&mut self, file: &RawFile, charter: &Charter) {
        let mut seen: Vec<&Spanned<_>> = Vec::new();
        for name in file.sender.iter().filter_map(|s| s.name.as_ref()) {
            if let Some(first) = seen.iter().find(|first| first.get_ref() == name.get_ref()) {
                let message = format!("two senders are called `{}`", name.get_ref().0);
                let related = (first.span(), "first here");
                self.reader.problem_with(Code::DuplicateSender, name.span(), message, "again here", related);
            }
            seen.push(name);
        }
        self.check_mailboxes(file, charter);
        self.check_shared_proofs(file, charter);
        self.check_adherence(file, charter);
        self.check_sender_periods(file, charter);
    }

    /// A mailbox may stand on the register twice (a union with several lists), but not twice for the same list.
    fn check_mailboxes(&mut self, file: &RawFile, charter: &Charter) {
        let mut owners: Vec<(usize, &Spanned<_>)> = Vec::new();
        for (index, sender) in file.sender.iter().enumerate() {
            let own = sender.addresses.iter().chain(sender.mailbox.iter().filter_map(|m| m.address.as_ref()));
            for address in own {
                let other = owners.iter().find(|(other, first)| {
                    *other != index && first.get_ref() == address.get_ref() && share_a_list(charter, *other, index)
                });
                if let Some((_, first)) = other {
                    let message = format!("two senders write from {} to the same list", address.get_ref());
                    let related = (first.span(), "first here");
                    self.reader.problem_with(Code::DuplicateMailbox, address.span(), message, "again here", related);
                }
                if charter.lists.iter().any(|list| list.is_called(address.get_ref())) {
                    let message = format!("{} is a list, and the address of a sender", address.get_ref());
                    let label = "answers would go to all its members";
                    self.reader.problem(Code::SenderIsList, address.span(), message, label);
                }
                owners.push((index, address));
            }
        }
    }

    /// Warns of a login or certificate that proves two senders of one list. A network or a domain may well be common to
    /// many, who are then told apart by their mailboxes; a login is one person's.
    fn check_shared_proofs(&mut self, file: &RawFile, charter: &Charter) {
        let personal = |proof: &&Proof| matches!(proof, Proof::Sasl(_) | Proof::Tls(_));
        let mut seen: Vec<(usize, &Proof)> = Vec::new();
        for (index, (raw, sender)) in file.sender.iter().zip(&charter.senders).enumerate() {
            for proof in sender.proofs.iter().filter(personal) {
                let other = seen.iter().find(|(other, p)| *p == proof && share_a_list(charter, *other, index));
                let other = other.and_then(|(other, _)| charter.senders.get(*other));
                if let (Some(other), Some(name)) = (other, &raw.name) {
                    let message = format!("`{}` and `{}` have a proof in common", other.name, sender.name);
                    let label = format!("can also write as `{}`", other.name);
                    self.reader.problem(Code::SharedProof, name.span(), message, label);
                }
                seen.push((index, proof));
            }
        }
    }

    fn check_adherence(&mut self, file: &RawFile, charter: &Charter) {
        for sender in file.sender.iter().filter(|sender| sender.adhered.is_none() && !sender.bad.contains(&"adhered")) {
            let Some(name) = &sender.name else { continue };
            let asked = charter.lists.iter().any(|list| {
                let bound =
                    sender.lists.iter().any(|l| *l.get_ref() == list.address || list.aliases.contains(l.get_ref()));
                bound && list.rules.sender.as_ref().is_some_and(|rule| rule.settings.adherence)
            });
            if asked {
                let message = format!("no day of adherence is recorded for `{}`", name.get_ref().0);
                self.reader.problem(Code::SenderWithoutAdherence, name.span(), message, "all its mail will be refused");
            }
        }
    }

    /// Warns of a sender's own period that promises days on which the list is closed.
    fn check_sender_periods(&mut self, file: &RawFile, charter: &Charter) {
        for (raw, sender) in file.sender.iter().zip(&charter.senders) {
            let (Some(at), Some(own)) = (&raw.period, sender.period) else { continue };
            let bound = charter.lists.iter().filter(|list| sender.lists.contains(&list.address));
            let mut beyond =
                bound.filter_map(|list| Some((list, list.period.as_ref().or(charter.period.as_ref())?.period)));
            let outside = |(_, period): &(_, Period)| own.opens < period.opens || own.closes > period.closes;
            let Some((list, period)) = beyond.find(outside) else { continue };
            let message = format!("the period of `{}` reaches beyond that of {}", sender.name, list.address);
            let label = if own.opens > period.closes || own.closes < period.opens {
                "they have no day in common".to_owned()
            } else {
                format!("the list is open from {} to {}", period.opens, period.closes)
            };
            self.reader.problem(Code::SenderPeriodOutside, at.span.clone(), message, label);
        }
    }
}

/// Whether two senders, by their places on the register, may write to the same list.
fn share_a_list(charter: &Charter, one: usize, other: usize) -> bool {
    match (charter.senders.get(one), charter.senders.get(other)) {
        (Some(one), Some(other)) => one.lists.iter().any(|list| other.lists.contains(list)),
        _ => false,
    }
}
