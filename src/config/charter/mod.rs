//! From a charter file to a [`Charter`], valid by construction.

mod checks;
pub mod raw;
mod register;
mod rules;

use toml::Spanned;

use super::codes::Code;
use super::reader::Reader;
use super::ways::{self, Way};
use crate::charter::rules::Rules;
use crate::charter::{
    Charter, Clause, ClauseEntry, Exemptions, General, List, Mode, NightWindow, Pace, Period, PeriodRule,
    RecipientState,
};
use crate::message::address::Address;
use raw::{RawClause, RawFile, RawGeneral, RawList, RawPeriod, RawWindow};
use rules::{RuleBuilder, value};

/// What a charter takes from the main file, where it does not say it itself.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// The organisation's own domains.
    pub domains: Vec<String>,
    /// Our own mail server's identifier in `Authentication-Results`.
    pub authserv_id: Option<String>,
    /// Nobody knows what the main file says: the charter is read by itself.
    pub unknown: bool,
    /// The ids of the petition packs' signals; `None` when no pack was read.
    pub signals: Option<Vec<String>>,
}

/// A charter with the places of its addresses, for checks that reach across files.
pub struct Placed {
    /// The charter.
    pub charter: Charter,
    /// Where its id stands.
    pub id: std::ops::Range<usize>,
    /// Every address that leads to one of its lists: the address, the list's place in the charter, the place in the file.
    pub addresses: Vec<(Address, usize, std::ops::Range<usize>)>,
    /// Every period of lists: what it belongs to, the days, the place of the last day.
    pub closings: Vec<(String, Period, std::ops::Range<usize>)>,
    /// Where it sends answers and failures.
    pub ways: Vec<Way>,
}

/// Reads a charter from the text of its file. `None` when it cannot be built; the reader knows why.
pub fn read(text: &str, digest: String, defaults: &Defaults, reader: &mut Reader<'_>) -> Option<Placed> {
    let file: RawFile = reader.document(text)?;
    Builder { defaults, reader }.build(&file, digest)
}

pub(super) struct Builder<'b, 'r> {
    defaults: &'b Defaults,
    reader: &'b mut Reader<'r>,
}

impl<'r> Builder<'_, 'r> {
    fn build(&mut self, file: &RawFile, digest: String) -> Option<Placed> {
        let head = file.charter.as_ref()?;
        let mode = value(head.mode.as_ref());
        let clauses = self.clauses(&file.clause);
        let ids: Vec<_> = file.clause.iter().filter_map(|c| Some(c.id.as_ref()?.get_ref().clone())).collect();

        let period = file.period.as_ref().and_then(|p| self.period(p, &ids, mode));
        let night_window = file.night_window.as_ref().and_then(|w| self.window(w, &ids, mode));
        let base = file.rules.as_ref().map(|raw| self.rules(&ids, mode).build(raw).over(&Rules::default()));
        let base = base.unwrap_or_default();
        let lists: Vec<_> = file.list.iter().filter_map(|raw| self.list(raw, &base, &ids, mode)).collect();
        let senders: Vec<_> = file.sender.iter().filter_map(|raw| self.sender(raw, &file.list)).collect();
        let general = file.general.as_ref().and_then(|raw| self.general(raw, &ids, mode));
        let exemptions = file.exemptions.as_ref().map(|raw| {
            let clause = self.rules(&ids, mode).clause(raw.clause.as_ref());
            Exemptions {
                mailboxes: raw.mailboxes.iter().map(|m| m.get_ref().clone()).collect(),
                subject_words: raw.subject_words.iter().map(|w| w.get_ref().0.clone()).collect(),
                clause,
            }
        });
        let recipients = file.recipient.iter().filter_map(|raw| {
            let clause = self.rules(&ids, mode).clause(raw.clause.as_ref())?;
            Some(RecipientState {
                address: raw.address.as_ref()?.get_ref().clone(),
                state: *raw.state.as_ref()?.get_ref(),
                clause,
            })
        });
        let recipients: Vec<_> = recipients.collect();
        let domains: Vec<_> = head.domains.iter().map(|d| d.get_ref().0.clone()).collect();
        let charter = Charter {
            id: head.id.as_ref()?.get_ref().0.clone(),
            title: head.title.as_ref()?.get_ref().0.clone(),
            language: value(head.language.as_ref()),
            time_zone: head.timezone.as_ref()?.get_ref().clone(),
            mode,
            inspection: value(head.inspection.as_ref()),
            shared: *head.shared.get_ref(),
            statistics: *head.statistics.get_ref(),
            contest: head.contest.as_ref().map(|contest| contest.get_ref().to_string()),
            domains: if domains.is_empty() { self.defaults.domains.clone() } else { domains },
            period,
            night_window,
            lists,
            senders,
            // A mailbox with a state of its own concerns everybody's mail, also where there are no other rules for it.
            general: general.or_else(|| {
                (!recipients.is_empty()).then(|| General { exempt_networks: Vec::new(), rules: Rules::default() })
            }),
            recipients,
            exemptions: exemptions.unwrap_or_default(),
            clauses,
            digest,
        };
        self.check(file, &charter);
        let addresses = file.list.iter().enumerate().flat_map(|(index, list)| {
            list.address.iter().chain(&list.aliases).map(move |a| (a.get_ref().clone(), index, a.span()))
        });
        let addresses = addresses.collect();
        let closings = closings(file, &charter);
        Some(Placed { id: head.id.as_ref()?.span(), charter, addresses, closings, ways: ways::of_charter(file) })
    }

    fn rules<'s>(&'s mut self, clauses: &'s [Clause], mode: Mode) -> RuleBuilder<'s, 'r> {
        RuleBuilder { reader: self.reader, mode, clauses, signals: self.defaults.signals.as_deref() }
    }

    fn clauses(&mut self, raw: &[RawClause]) -> Vec<ClauseEntry> {
        let mut entries: Vec<ClauseEntry> = Vec::new();
        let mut places: Vec<&Spanned<Clause>> = Vec::new();
        for clause in raw {
            let (Some(id), Some(text)) = (&clause.id, &clause.text) else { continue };
            if let Some(first) = places.iter().find(|p| p.get_ref() == id.get_ref()) {
                let message = format!("the clause `{}` is listed twice", id.get_ref().0);
                let related = (first.span(), "first here");
                self.reader.problem_with(Code::DuplicateClause, id.span(), message, "again here", related);
                continue;
            }
            let organisational = *clause.organisational.get_ref();
            if organisational && let Some(keeper) = clause.by.first() {
                let message = format!("the clause `{}` is organisational and has a keeper", id.get_ref().0);
                self.reader.problem(Code::ClauseContradiction, keeper.span(), message, "one of the two must go");
            }
            places.push(id);
            entries.push(ClauseEntry {
                id: id.get_ref().clone(),
                text: text.get_ref().0.clone(),
                organisational,
                by: clause.by.iter().map(|keeper| *keeper.get_ref()).collect(),
            });
        }
        entries
    }

    fn period(&mut self, raw: &RawPeriod, clauses: &[Clause], mode: Mode) -> Option<PeriodRule> {
        let mut rules = self.rules(clauses, mode);
        let clause = rules.clause(raw.clause.as_ref());
        let mode = rules.mode(raw.mode.as_ref());
        let period = self.days(raw.opens.as_ref(), raw.closes.as_ref());
        Some(PeriodRule { period: period?, clause: clause?, mode })
    }

    fn days(
        &mut self,
        opens: Option<&Spanned<jiff::civil::Date>>,
        closes: Option<&Spanned<jiff::civil::Date>>,
    ) -> Option<Period> {
        let (opens, closes) = (opens?, closes?);
        if closes.get_ref() < opens.get_ref() {
            let message = format!("the period closes on {} before it opens on {}", closes.get_ref(), opens.get_ref());
            let related = (opens.span(), "opens here");
            self.reader.problem_with(Code::PeriodReversed, closes.span(), message, "closes here", related);
            return None;
        }
        Some(Period { opens: *opens.get_ref(), closes: *closes.get_ref() })
    }

    fn window(&mut self, raw: &RawWindow, clauses: &[Clause], mode: Mode) -> Option<NightWindow> {
        let mut rules = self.rules(clauses, mode);
        let clause = rules.clause(raw.clause.as_ref());
        let mode = rules.mode(raw.mode.as_ref());
        let (from, to) = (raw.from.as_ref()?, raw.to.as_ref()?);
        if from.get_ref() == to.get_ref() {
            let message = "the night window has no length";
            let related = (from.span(), "opens at the same time");
            self.reader.problem_with(Code::EmptyWindow, to.span(), message, "closes here", related);
            return None;
        }
        let pace = raw.pace.as_ref().and_then(|pace| {
            let messages = pace.messages.as_ref()?.get_ref().0;
            Some(Pace { messages, per_seconds: pace.per.as_ref()?.get_ref().seconds() })
        });
        Some(NightWindow {
            from: *from.get_ref(),
            to: *to.get_ref(),
            pace,
            order: value(raw.order.as_ref()),
            clause: clause?,
            mode,
        })
    }

    fn list(&mut self, raw: &RawList, base: &Rules, clauses: &[Clause], mode: Mode) -> Option<List> {
        let period = raw.period.as_ref().and_then(|p| self.period(p, clauses, mode));
        let own = raw.rules.as_ref().map(|own| self.rules(clauses, mode).build(own)).unwrap_or_default();
        let mut rules = own.over(base);
        let label = raw.label.as_ref()?.get_ref().0.clone();
        if let Some(subject) = &mut rules.subject {
            subject.settings.tag = subject.settings.tag.replace("{label}", &label);
        }
        Some(List {
            address: raw.address.as_ref()?.get_ref().clone(),
            aliases: raw.aliases.iter().map(|a| a.get_ref().clone()).collect(),
            label,
            return_path: raw.return_path.as_ref().map(|a| a.get_ref().clone()),
            period,
            rules,
        })
    }

    fn general(&mut self, raw: &RawGeneral, clauses: &[Clause], mode: Mode) -> Option<General> {
        let own = raw.rules.as_ref()?;
        self.check_general(own);
        let rules = self.rules(clauses, mode).build(own).over(&Rules::default());
        Some(General { exempt_networks: raw.exempt_networks.iter().map(|n| *n.get_ref()).collect(), rules })
    }
}

fn closings(file: &RawFile, charter: &Charter) -> Vec<(String, Period, std::ops::Range<usize>)> {
    let place = |raw: Option<&RawPeriod>| Some(raw?.closes.as_ref()?.span());
    let own = charter.period.as_ref().map(|rule| rule.period).zip(place(file.period.as_ref()));
    let own = own.map(|(period, span)| (format!("the charter `{}`", charter.id), period, span));
    let lists = charter.lists.iter().zip(&file.list).filter_map(|(list, raw)| {
        let period = list.period.as_ref()?.period;
        Some((format!("the list {}", list.address), period, place(raw.period.as_ref())?))
    });
    own.into_iter().chain(lists).collect()
}
