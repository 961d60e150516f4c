//! The information notice for members (cnrs:IV, pm:8): what happens to mail to a list, why, and what is kept of it, in
//! the words of the configuration in force.

mod checks;

use std::collections::HashSet;
use std::fmt::Write as _;

use super::{Language, say};
use crate::charter::calendar::{self, Days};
use crate::charter::{Charter, Inspection, List, Mode, Period, Sender};
use checks::checks;

/// A notice: a title, and headings with their paragraphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its title.
    pub title: String,
    /// Headings and paragraphs.
    pub sections: Vec<(String, Vec<String>)>,
}

/// Writes the notice of a charter. Records of decisions are kept for `kept_days`.
#[must_use]
pub fn notice(charter: &Charter, kept_days: u64) -> Notice {
    let say = |french, english| charter.language.say(french, english).to_owned();
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    if charter.mode == Mode::Monitor {
        sections.push((say("À l'essai", "On trial"), vec![trial(charter)]));
    }
    sections.push((
        say("Qui écrit, à quelles listes, et quand", "Who writes, to which lists, and when"),
        charter.lists.iter().map(|list| list_line(charter, list)).chain(times(charter)).collect(),
    ));
    let checks = all_checks(charter);
    if !checks.is_empty() {
        sections.push((
            say(
                "Ce que la passerelle vérifie automatiquement, et pourquoi",
                "What the gateway checks by itself, and why",
            ),
            checks,
        ));
    }
    sections.push((say("Ce qui est conservé", "What is kept"), kept(charter, kept_days)));
    sections.push((say("Vos droits", "Your rights"), rights(charter)));
    Notice { title: charter.title.clone(), sections }
}

/// What a charter in mode `monitor` does, in place of all that its rules say.
fn trial(charter: &Charter) -> String {
    let words = charter.language.say(
        "Cette charte est à l'essai. Ce que ses règles constatent est inscrit au journal ; elles ne refusent, ne retiennent et ne \
         modifient aucun message, quoi que dise la suite. Seule une suspension ordonnée arrête des messages.",
        "This charter is on trial. What its rules find is recorded; they refuse, hold and change no message, whatever is said \
         below. Only a suspension by order stops messages.",
    );
    words.to_owned()
}

/// What to add to a sentence about a rule that only records; nothing where the whole charter is on trial, which is said once.
fn on_trial(charter: &Charter, mode: Mode) -> &'static str {
    if mode == Mode::Enforce || charter.mode == Mode::Monitor {
        return "";
    }
    charter.language.say(
        " Règle à l'essai : ce qu'elle constate est inscrit au journal, et reste sans effet.",
        " This rule is on trial: what it finds is recorded and not acted on.",
    )
}

fn list_line(charter: &Charter, list: &List) -> String {
    let writers = charter.senders.iter().filter(|sender| sender.writes_to(list));
    let names: Vec<String> = writers.map(|sender| writer(charter, list, sender)).collect();
    let colon = charter.language.say(" : ", ": ");
    let mut line = format!("{} ({}){colon}{}.", list.label, list.address, names.join(", "));
    if let Some(rule) = &list.period {
        let [opens, closes] = days(charter, rule.period);
        line.push_str(&say!(
            charter.language,
            " Du {opens} au {closes} inclus.",
            " From {opens} to {closes}, both included."
        ));
        line.push_str(on_trial(charter, rule.mode));
    }
    line
}

/// A sender's name, with what keeps it from writing: that it has not adhered where it must, or dates of its own that leave it fewer
/// days than the list is open.
fn writer(charter: &Charter, list: &List, sender: &Sender) -> String {
    let name = &sender.name;
    let rule = list.rules.sender.as_ref().filter(|rule| rule.mode == Mode::Enforce);
    if sender.adhered.is_none() && rule.is_some_and(|rule| rule.settings.adherence) {
        return say!(
            charter.language,
            "{name} (seulement après avoir adhéré à la charte)",
            "{name} (only once it has adhered to the charter)"
        );
    }
    let effective = calendar::effective_period(charter, Some(list), Some(sender));
    match effective.days {
        Days::During(period) if effective.narrowed_by_sender => {
            let [opens, closes] = days(charter, period);
            say!(
                charter.language,
                "{name} (du {opens} au {closes} inclus)",
                "{name} (from {opens} to {closes}, both included)"
            )
        }
        Days::Never => say!(charter.language, "{name} (aucun jour)", "{name} (on no day)"),
        Days::During(_) | Days::Always => name.clone(),
    }
}

fn days(charter: &Charter, period: Period) -> [String; 2] {
    [period.opens, period.closes].map(|day| charter.language.day(day))
}

fn times(charter: &Charter) -> Vec<String> {
    let mut lines = Vec::new();
    let own = charter.lists.iter().filter(|list| list.period.is_some()).count();
    let is_used = charter.lists.is_empty() || own < charter.lists.len();
    if let Some(rule) = charter.period.as_ref().filter(|_| is_used) {
        let [opens, closes] = days(charter, rule.period);
        let mut line = if own == 0 {
            say!(charter.language, "Du {opens} au {closes} inclus.", "From {opens} to {closes}, both included.")
        } else {
            say!(
                charter.language,
                "Listes sans dates propres : du {opens} au {closes} inclus.",
                "Lists without dates of their own: from {opens} to {closes}, both included."
            )
        };
        line.push_str(on_trial(charter, rule.mode));
        lines.push(line);
    }
    if let Some(window) = &charter.night_window {
        let (from, to) = (window.from.strftime("%H:%M"), window.to.strftime("%H:%M"));
        let mut line = say!(
            charter.language,
            "Les messages sont distribués entre {from} et {to} seulement.",
            "Messages are delivered between {from} and {to} only."
        );
        line.push_str(on_trial(charter, window.mode));
        lines.push(line);
    }
    lines
}

/// What each list's rules and the general ones check. What holds for all mail is said once, and where, if it does not.
fn all_checks(charter: &Charter) -> Vec<String> {
    let of_lists = charter.lists.iter().map(|list| (Some(list), &list.rules));
    let of_others = charter.general.iter().map(|general| (None, &general.rules));
    let mut said: Vec<(String, Vec<Option<&List>>)> = Vec::new();
    for (list, rules) in of_lists.chain(of_others) {
        let mut own = HashSet::new();
        for check in checks(charter, rules) {
            // Two quotas make one sentence.
            if !own.insert(check.clone()) {
                continue;
            }
            match said.iter_mut().find(|(known, _)| *known == check) {
                Some((_, places)) => places.push(list),
                None => said.push((check, vec![list])),
            }
        }
    }
    let mut lines: Vec<String> =
        said.into_iter().map(|(check, places)| format!("{check}{}", applies_to(charter, &places))).collect();
    if charter.inspection == Inspection::Structure {
        let nobody = charter.language.say(
            "Le texte des messages n'est lu ni par une personne ni par un programme.",
            "The text of messages is read neither by a person nor by a program.",
        );
        lines.push(nobody.to_owned());
    }
    lines.extend(private_mail(charter));
    lines
}

/// Where a check holds: a list, or, where there is none, mail that goes to no list.
fn applies_to(charter: &Charter, places: &[Option<&List>]) -> String {
    let lists: Vec<&str> = places.iter().flatten().map(|list| list.label.as_str()).collect();
    let others = places.iter().any(Option::is_none);
    let language = charter.language;
    let whom = match (lists.len() == charter.lists.len(), others) {
        _ if charter.lists.is_empty() => return String::new(),
        (true, false) if charter.general.is_none() => return String::new(),
        (true, true) => language.say("à tout le courrier", "all mail").to_owned(),
        (true, false) => language.say("à toutes les listes", "all lists").to_owned(),
        (false, _) => {
            let others = others.then(|| language.say("le courrier hors listes", "mail to no list"));
            let all: Vec<&str> = lists.into_iter().chain(others).collect();
            format!("{}{}", language.say("à : ", ""), all.join(", "))
        }
    };
    say!(language, " S'applique {whom}.", " Applies to {whom}.")
}

/// What is exempt from being looked into (am:4.5).
fn private_mail(charter: &Charter) -> Option<String> {
    let exempt = &charter.exemptions;
    let (words, mailboxes) = (exempt.subject_words.join(", "), exempt.mailboxes.len());
    let mut what = Vec::new();
    if !words.is_empty() {
        what.push(say!(
            charter.language,
            "les messages dont l'objet commence par : {words}",
            "messages whose subject begins with {words}"
        ));
    }
    if mailboxes > 0 {
        what.push(say!(
            charter.language,
            "les messages de certaines boîtes et ceux qu'elles reçoivent (boîtes désignées : {mailboxes})",
            "messages from and to certain mailboxes (named: {mailboxes})"
        ));
    }
    if what.is_empty() {
        return None;
    }
    let clause = exempt.clause.as_ref().map(|clause| format!(" ({})", clause.0)).unwrap_or_default();
    let what = what.join(charter.language.say(" ; ", "; "));
    Some(say!(
        charter.language,
        "Le courrier privé n'est pas examiné : aucune règle n'en lit le texte. Sont privés {what}{clause}.",
        "Private mail is not looked into: no rule reads its text. Private are {what}{clause}."
    ))
}

fn kept(charter: &Charter, kept_days: u64) -> Vec<String> {
    let say = |french, english| charter.language.say(french, english).to_owned();
    let mut lines = vec![
        say!(
            charter.language,
            "Chaque décision est inscrite dans un journal, conservé {kept_days} jours.",
            "Each decision is written to a log, which is kept for {kept_days} days."
        ),
        say(
            "Le journal ne contient ni texte, ni objet, ni adresse de destinataire ; les expéditeurs y figurent sous \
             pseudonyme. Il sert à prouver que tous sont traités de la même façon.",
            "The log contains no text, no subject and no recipient's address; senders stand there under pseudonyms. It \
             serves to prove that all are treated alike.",
        ),
        say(
            "Aucune personne n'approuve ni ne lit les messages ; les décisions sont prises par règle.",
            "Nobody approves or reads messages; decisions are made by rule.",
        ),
    ];
    if !charter.statistics {
        lines.push(say("Aucune statistique n'est tenue par expéditeur.", "No figures are kept for each sender."));
    }
    lines
}

fn rights(charter: &Charter) -> Vec<String> {
    let mut lines = Vec::new();
    let offered = |list: &List| {
        let rule = list.rules.list_headers.as_ref().filter(|rule| rule.mode == Mode::Enforce);
        rule.is_some_and(|rule| !rule.settings.unsubscribe.is_empty())
    };
    if !charter.lists.is_empty() && charter.lists.iter().all(offered) {
        let link = charter
            .language
            .say("Chaque message contient un lien de désabonnement.", "Every message contains a link to unsubscribe.");
        lines.push(link.to_owned());
    }
    if let Some(contest) = &charter.contest {
        lines.push(say!(
            charter.language,
            "Pour toute question, réclamation ou demande d'accès à vos données : {contest}.",
            "For questions, complaints or access to your data: {contest}."
        ));
    }
    lines
}

impl Notice {
    /// As plain text, with underlined headings.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.title, "=".repeat(self.title.chars().count()));
        for (heading, paragraphs) in &self.sections {
            let _ = write!(text, "\n{heading}\n{}\n\n", "-".repeat(heading.chars().count()));
            for paragraph in paragraphs {
                let _ = writeln!(text, "* {paragraph}");
            }
        }
        text
    }

    /// As a page of HTML that needs nothing else.
    #[must_use]
    pub fn html(&self, language: Language) -> String {
        let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"{}\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<h1>{title}</h1>\n",
            language.tag(),
            title = escape(&self.title)
        );
        for (heading, paragraphs) in &self.sections {
            let _ = write!(page, "<h2>{}</h2>\n<ul>\n", escape(heading));
            for paragraph in paragraphs {
                let _ = writeln!(page, "<li>{}</li>", escape(paragraph));
            }
            page.push_str("</ul>\n");
        }
        page.push_str("</html>\n");
        page
    }
}
