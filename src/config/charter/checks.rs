//! What can only be said of a charter as a whole: that its parts fit together.

use toml::Spanned;

use super::Builder;
use super::raw::{RawFile, RawRules};
use crate::charter::rules::{Direction, RuleName, Span};
use crate::charter::{Charter, Inspection};
use crate::config::codes::Code;
use crate::config::reader::Switch;

impl Builder<'_, '_> {
    pub(super) fn check(&mut self, file: &RawFile, charter: &Charter) {
        self.check_scope(file);
        self.check_senders(file, charter);
        self.check_lists(file, charter);
        self.check_overlap(file);
        self.check_recipients(file);
        self.check_rules(file, charter);
        self.check_clauses(file, charter);
    }

    fn check_scope(&mut self, file: &RawFile) {
        let Some(head) = &file.charter else { return };
        if file.list.is_empty() && file.general.is_none() && file.recipient.is_empty() {
            let message = "the charter protects no list and has no general rules";
            self.reader.problem(Code::EmptyCharter, head.span.clone(), message, "would never apply");
        }
        if let Some(window) = &file.night_window
            && file.period.is_none()
            && file.list.iter().any(|list| list.period.is_none())
        {
            let message = "there is a night window and no period";
            self.reader.problem(Code::WindowWithoutPeriod, window.span.clone(), message, "held until which day?");
        }
    }

    fn check_senders(&mut self, file: &RawFile, charter: &Charter) {
        let mut seen: Vec<&Spanned<_>> = Vec::new();
        for name in file.sender.iter().filter_map(|s| s.name.as_ref()) {
            if let Some(first) = seen.iter().find(|first| first.get_ref() == name.get_ref()) {
                let message = format!("two senders are called `{}`", name.get_ref().0);
                let related = (first.span(), "first here");
                self.reader.problem_with(Code::DuplicateSender, name.span(), message, "again here", related);
            }
            seen.push(name);
        }
        let mut owners: Vec<(usize, &Spanned<_>)> = Vec::new();
        for (index, sender) in file.sender.iter().enumerate() {
            let own = sender.addresses.iter().chain(sender.mailbox.iter().filter_map(|m| m.address.as_ref()));
            for address in own {
                let other = owners.iter().find(|(i, a)| *i != index && a.get_ref() == address.get_ref());
                if let Some((_, first)) = other {
                    let message = format!("two senders write from {}", address.get_ref());
                    let related = (first.span(), "first here");
                    self.reader.problem_with(Code::DuplicateMailbox, address.span(), message, "again here", related);
                }
                owners.push((index, address));
            }
        }
        self.check_adherence(file, charter);
        self.check_sender_periods(file);
    }

    fn check_adherence(&mut self, file: &RawFile, charter: &Charter) {
        for sender in file.sender.iter().filter(|sender| sender.adhered.is_none()) {
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

    fn check_sender_periods(&mut self, file: &RawFile) {
        let Some(charter_period) = &file.period else { return };
        let (Some(opens), Some(closes)) = (&charter_period.opens, &charter_period.closes) else { return };
        for sender in &file.sender {
            let Some(own) = &sender.period else { continue };
            let (Some(own_opens), Some(own_closes)) = (&own.opens, &own.closes) else { continue };
            // A list may have a period of its own, which this comparison does not know; then the sender's is left alone.
            if file.list.iter().any(|list| list.period.is_some()) {
                continue;
            }
            if own_opens.get_ref() < opens.get_ref() || own_closes.get_ref() > closes.get_ref() {
                let message = "the sender's period reaches beyond the charter's";
                let related = (charter_period.span.clone(), "the charter's period, which also applies");
                let label = "only the days of both count";
                self.reader.problem_with(Code::SenderPeriodOutside, own.span.clone(), message, label, related);
            }
        }
    }

    fn check_lists(&mut self, file: &RawFile, charter: &Charter) {
        for (raw, list) in file.list.iter().filter_map(|raw| {
            let address = raw.address.as_ref()?;
            Some((raw, charter.lists.iter().find(|list| list.address == *address.get_ref())?))
        }) {
            let at = raw.address.as_ref().map_or(raw.span.clone(), Spanned::span);
            if !file
                .sender
                .iter()
                .flat_map(|s| &s.lists)
                .any(|l| *l.get_ref() == list.address || list.aliases.contains(l.get_ref()))
            {
                let message = format!("nobody may write to {}", list.address);
                self.reader.problem(Code::ListWithoutSender, at.clone(), message, "no sender is bound to it");
            }
            if list.rules.sender.is_none() {
                let message = format!("no rule says who may write to {}", list.address);
                self.reader.problem(Code::SenderRuleMissing, at.clone(), message, "`sender` is not among its rules");
            }
            match &raw.return_path {
                None => {
                    let message = format!("{} has no return path", list.address);
                    self.reader.problem(Code::ListWithoutReturnPath, at, message, "failures go to the sender");
                }
                Some(path) if path.get_ref() == &list.address || list.aliases.contains(path.get_ref()) => {
                    let message = format!("the return path of {} is the list itself", list.address);
                    self.reader.problem(
                        Code::ReturnPathIsList,
                        path.span(),
                        message,
                        "failures would go to all members",
                    );
                }
                Some(_) => {}
            }
        }
    }

    fn check_overlap(&mut self, file: &RawFile) {
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

    fn check_recipients(&mut self, file: &RawFile) {
        let mut seen: Vec<&Spanned<_>> = Vec::new();
        for address in file.recipient.iter().filter_map(|r| r.address.as_ref()) {
            if let Some(first) = seen.iter().find(|first| first.get_ref() == address.get_ref()) {
                let message = format!("{} has two states", address.get_ref());
                let related = (first.span(), "first here");
                self.reader.problem_with(Code::DuplicateRecipient, address.span(), message, "again here", related);
            }
            seen.push(address);
        }
    }

    /// Rules that need something the charter does not have, or that it keeps from running.
    fn check_rules(&mut self, file: &RawFile, charter: &Charter) {
        let own = file.list.iter().filter_map(|list| Some((list.rules.as_ref()?, list.period.is_some())));
        let general = file.general.iter().filter_map(|general| general.rules.as_ref()).map(|rules| (rules, false));
        let base_has_period = file.period.is_some() || file.list.iter().all(|l| l.period.is_some());
        let base = file.rules.iter().map(|rules| (rules, base_has_period));
        for (rules, has_period) in base.chain(own).chain(general) {
            let has_period = has_period || file.period.is_some();
            if !has_period {
                self.check_spans(rules);
            }
            if charter.domains.is_empty() {
                self.check_directions(rules);
            }
            if charter.inspection == Inspection::Structure {
                self.check_content_rules(rules);
            }
        }
    }

    fn check_spans(&mut self, rules: &RawRules) {
        let quotas = match &rules.quota {
            Some(Switch::On(many)) => many.0.iter().filter_map(|q| q.per.as_ref()).collect(),
            _ => Vec::new(),
        };
        let recipients = match &rules.recipients {
            Some(Switch::On(rule)) => rule.per_span.as_ref().and_then(|s| s.per.as_ref()),
            _ => None,
        };
        for per in quotas.into_iter().chain(recipients).filter(|per| *per.get_ref() == Span::Period) {
            let message = "counted per period, and there is no period";
            self.reader.problem(Code::SpanWithoutPeriod, per.span(), message, "which days?");
        }
    }

    fn check_directions(&mut self, rules: &RawRules) {
        let label = "needs `domains` in `[charter]` or in the main file";
        if let Some(Switch::On(size)) = &rules.size {
            let limits = size.limits.iter().filter_map(|l| l.direction.as_ref());
            let directed = limits.chain(&size.direction).filter(|d| *d.get_ref() != Direction::Any);
            for direction in directed {
                let message = "nothing says which domains are the organisation's own";
                self.reader.problem(Code::DomainsMissing, direction.span(), message, label);
            }
        }
        if let Some(Switch::On(disclaimer)) = &rules.disclaimer {
            let message = "nothing says which mail leaves the organisation";
            self.reader.problem(Code::DomainsMissing, disclaimer.span.clone(), message, label);
        }
    }

    fn check_content_rules(&mut self, rules: &RawRules) {
        let mut found = Vec::new();
        let mut note = |name: RuleName, span: Option<&std::ops::Range<usize>>| {
            found.extend(span.map(|span| (name, span.clone())));
        };
        note(RuleName::Petition, on(rules.petition.as_ref()).map(|r| &r.span));
        note(RuleName::ChainLetter, on(rules.chain_letter.as_ref()).map(|r| &r.span));
        note(RuleName::Copies, on(rules.copies.as_ref()).map(|r| &r.span));
        for (name, span) in found {
            let message = format!("the rule `{name}` reads the text, which this charter forbids");
            self.reader.problem(Code::RuleNeverRuns, span, message, "never runs under `inspection = \"structure\"`");
        }
    }

    /// The rules that mean nothing outside a list.
    pub(super) fn check_general(&mut self, rules: &RawRules) {
        let mut found = Vec::new();
        macro_rules! meaningless {
            ($($field:ident),+) => {
                $(if let Some(Switch::On(rule)) = &rules.$field {
                    found.push((stringify!($field), rule.span.clone()));
                })+
            };
        }
        meaningless!(
            sender,
            reply,
            structure,
            tracking,
            receipts,
            subject,
            list_headers,
            reply_to,
            return_path,
            banner
        );
        if let Some(Switch::On(quotas)) = &rules.quota {
            found.extend(quotas.0.iter().map(|q| ("quota", q.span.clone())));
        }
        for (name, span) in found {
            let message = format!("the rule `{name}` has no meaning among the general rules");
            self.reader.problem(Code::RuleWithoutMeaning, span, message, "needs a protected list");
        }
    }

    fn check_clauses(&mut self, file: &RawFile, charter: &Charter) {
        if file.clause.is_empty() {
            if let Some(head) = &file.charter {
                let message = "the charter lists no clause";
                self.reader.problem(Code::NoClauses, head.span.clone(), message, "no `[[clause]]` in this file");
            }
            return;
        }
        let quoted = charter.quoted_clauses();
        for raw in &file.clause {
            let Some(id) = &raw.id else { continue };
            for measure in raw.by.iter().filter(|measure| !measure.get_ref().in_force(charter)) {
                let message = format!(
                    "the clause `{}` is said to be kept by `{}`, which is not in force",
                    id.get_ref().0,
                    measure.get_ref()
                );
                self.reader.problem(Code::MeasureNotInForce, measure.span(), message, measure.get_ref().help());
            }
            let quoted = quoted.iter().any(|(_, clause)| *clause == id.get_ref())
                || charter.exemptions.clause.as_ref() == Some(id.get_ref());
            let enforced = *raw.organisational.get_ref() || !raw.by.is_empty() || quoted;
            if !enforced {
                let message = format!("nothing enforces the clause `{}`", id.get_ref().0);
                self.reader.problem(Code::ClauseNotEnforced, id.span(), message, "no rule quotes it");
            }
        }
    }
}

fn on<T>(switch: Option<&Switch<T>>) -> Option<&T> {
    match switch? {
        Switch::On(rule) => Some(rule),
        Switch::Off => None,
    }
}
