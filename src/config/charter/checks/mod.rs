//! What can only be said of a charter as a whole: that its parts fit together.

mod lists;
mod senders;

use toml::Spanned;

use super::Builder;
use super::raw::RawFile;
use super::raw::rules::RawRules;
use crate::charter::rules::{Direction, RuleName, Span};
use crate::charter::{Charter, Inspection};
use crate::config::codes::Code;
use crate::config::reader::{Switch, on};

/// What to say where the organisation's own domains would be needed.
const DOMAINS: &str = "needs `domains` in `[charter]` or in the main file";

impl Builder<'_, '_> {
    pub(super) fn check(&mut self, file: &RawFile, charter: &Charter) {
        self.check_scope(file);
        // A sender without a name has been reported and left out; what compares senders by their places would mislead.
        if charter.senders.len() == file.sender.len() {
            self.check_senders(file, charter);
        }
        self.check_lists(file, charter);
        self.check_labels(file);
        self.check_overlap(file);
        self.check_recipients(file);
        self.check_mailbox_sizes(file, charter);
        self.check_rules(file, charter);
        self.check_domains(file, charter);
        if file.clause.is_empty() {
            self.no_clauses(file);
        } else if !self.reader.met_errors() {
            self.check_clauses(file, charter);
        }
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

    fn check_recipients(&mut self, file: &RawFile) {
        let mut seen: Vec<&Spanned<_>> = Vec::new();
        for address in file.recipient.iter().filter_map(|r| r.address.as_ref()) {
            let mut lists = file.list.iter().flat_map(|list| list.address.iter().chain(&list.aliases));
            if let Some(list) = lists.find(|list| list.get_ref() == address.get_ref()) {
                let message = format!("{} is a list, and a mailbox with a state of its own", address.get_ref());
                let related = (list.span(), "a list here");
                let label = "a list is stopped by `charter-milter stop add --list`";
                self.reader.problem_with(Code::Contradiction, address.span(), message, label, related);
            }
            if let Some(first) = seen.iter().find(|first| first.get_ref() == address.get_ref()) {
                let message = format!("{} has two states", address.get_ref());
                let related = (first.span(), "first here");
                self.reader.problem_with(Code::DuplicateRecipient, address.span(), message, "again here", related);
            }
            seen.push(address);
        }
    }

    /// A mailbox's own limits are refused under the clause of the rule `size`, so there must be one.
    fn check_mailbox_sizes(&mut self, file: &RawFile, charter: &Charter) {
        let own: Vec<_> = file.sender.iter().flat_map(|s| &s.mailbox).filter_map(|m| m.size.as_ref()).collect();
        if own.is_empty() {
            self.check_size_limits(file);
            return;
        }
        let lists = charter.lists.iter().all(|list| list.rules.size.is_some());
        let general = charter.general.as_ref().is_none_or(|general| general.rules.size.is_some());
        if lists && general {
            return;
        }
        let Some(limit) = own.iter().find_map(|size| size.0.first()) else { return };
        let scope = if lists { "`[general.rules]`" } else { "`[rules]`" };
        let message = format!("a mailbox has its own size limit, and {scope} has no `size`");
        self.reader.problem(Code::SizeRuleMissing, limit.span.clone(), message, "under which clause?");
    }

    /// Where no mailbox has limits of its own, a rule `size` without any limits nothing.
    fn check_size_limits(&mut self, file: &RawFile) {
        let lists = file.list.iter().filter_map(|list| list.rules.as_ref());
        let general = file.general.iter().filter_map(|general| general.rules.as_ref());
        for rules in file.rules.iter().chain(lists).chain(general) {
            if let Some(size) = on(rules.size.as_ref())
                .filter(|size| size.max.is_none() && size.limits.is_empty() && size.bad.is_empty())
            {
                let message = "`size` limits nothing";
                self.reader.problem(Code::EmptyRule, size.span.clone(), message, "set `max` or `limits`");
            }
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
            if charter.domains.is_empty() && !self.defaults.unknown {
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
        if let Some(size) = on(rules.size.as_ref()) {
            let limits = size.limits.iter().filter_map(|l| l.direction.as_ref());
            self.no_directions(limits.chain(&size.direction));
        }
        if let Some(disclaimer) = on(rules.disclaimer.as_ref()) {
            let message = "nothing says which mail leaves the organisation";
            self.reader.problem(Code::DomainsMissing, disclaimer.span.clone(), message, DOMAINS);
        }
    }

    fn no_directions<'f>(&mut self, directions: impl Iterator<Item = &'f Spanned<Direction>>) {
        for direction in directions.filter(|direction| *direction.get_ref() != Direction::Any) {
            let message = "nothing says which domains are the organisation's own";
            self.reader.problem(Code::DomainsMissing, direction.span(), message, DOMAINS);
        }
    }

    /// What needs the organisation's own domains outside the tables of rules.
    fn check_domains(&mut self, file: &RawFile, charter: &Charter) {
        if !charter.domains.is_empty() || self.defaults.unknown {
            return;
        }
        let sizes = file.sender.iter().flat_map(|sender| &sender.mailbox).filter_map(|mailbox| mailbox.size.as_ref());
        self.no_directions(sizes.flat_map(|size| &size.0).filter_map(|limit| limit.direction.as_ref()));
        let general = file.general.as_ref().and_then(|general| general.rules.as_ref());
        if let Some(identity) = general.and_then(|rules| on(rules.identity.as_ref())) {
            let message = "nothing says whose identity is to be checked";
            self.reader.problem(Code::DomainsMissing, identity.span.clone(), message, DOMAINS);
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
            flood,
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

    fn no_clauses(&mut self, file: &RawFile) {
        if let Some(head) = &file.charter {
            let message = "the charter lists no clause";
            self.reader.problem(Code::NoClauses, head.span.clone(), message, "no `[[clause]]` in this file");
        }
    }

    fn check_clauses(&mut self, file: &RawFile, charter: &Charter) {
        let quoted = charter.quoted_clauses();
        for raw in &file.clause {
            let Some(id) = &raw.id else { continue };
            for keeper in raw.by.iter().filter(|keeper| !keeper.get_ref().in_force(charter)) {
                let (id, name) = (&id.get_ref().0, keeper.get_ref().as_str());
                let message = format!("the clause `{id}` is said to be kept by `{name}`, which is not in force");
                self.reader.problem(Code::KeeperNotInForce, keeper.span(), message, keeper.get_ref().help());
            }
            let quoted = quoted.iter().any(|quoted| quoted.clause == id.get_ref())
                || charter.exemptions.clause.as_ref() == Some(id.get_ref());
            let enforced = *raw.organisational.get_ref() || !raw.by.is_empty() || quoted;
            if !enforced {
                let message = format!("nothing enforces the clause `{}`", id.get_ref().0);
                self.reader.problem(Code::ClauseNotEnforced, id.span(), message, "no rule quotes it");
            }
        }
    }
}
