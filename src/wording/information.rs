//! The information notice for members (cnrs:IV, pm:8): what happens to mail to a list, why, and what is kept of it, in
//! the words of the configuration in force.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::{Language, say};
use crate::charter::rules::{RuleName, Rules};
use crate::charter::{Charter, Inspection, List};

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
    let mut sections: Vec<(String, Vec<String>)> = vec![(
        say("Qui écrit, à quelles listes, et quand", "Who writes, to which lists, and when"),
        charter.lists.iter().map(|list| list_line(charter, list)).chain(times(charter)).collect(),
    )];
    let of_lists = charter.lists.iter().map(|list| &list.rules);
    let rules = of_lists.chain(charter.general.iter().map(|general| &general.rules));
    // What holds for several lists is said once.
    let mut said = HashSet::new();
    let checks = rules.flat_map(|rules| checks(rules, charter.inspection, charter.language));
    let checks: Vec<String> = checks.filter(|check| said.insert(check.clone())).collect();
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

fn list_line(charter: &Charter, list: &List) -> String {
    let names: Vec<&str> =
        charter.senders.iter().filter(|sender| sender.writes_to(list)).map(|sender| sender.name.as_str()).collect();
    format!("{} ({}){}{}.", list.label, list.address, charter.language.say(" : ", ": "), names.join(", "))
}

fn times(charter: &Charter) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(rule) = &charter.period {
        let [opens, closes] = [rule.period.opens, rule.period.closes].map(|day| charter.language.day(day));
        lines.push(say!(
            charter.language,
            "Du {opens} au {closes} inclus.",
            "From {opens} to {closes}, both included."
        ));
    }
    if let Some(window) = &charter.night_window {
        let (from, to) = (window.from.strftime("%H:%M"), window.to.strftime("%H:%M"));
        lines.push(say!(
            charter.language,
            "Les messages sont distribués entre {from} et {to} seulement.",
            "Messages are delivered between {from} and {to} only."
        ));
    }
    lines
}

/// One line for each check, with its clause and the organisation's own reason where it gives one.
fn checks(rules: &Rules, inspection: Inspection, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    macro_rules! line {
        ($($field:ident $name:ident $fr:literal $en:literal;)+) => {
            $(for rule in rules.$field.iter() {
                if let Some(text) = check(RuleName::$name, inspection, language.say($fr, $en)) {
                    let purpose = rule.purpose.as_ref().map(|purpose| format!(" — {purpose}")).unwrap_or_default();
                    lines.push(format!("{text} ({}){purpose}.", rule.clause.0));
                }
            })+
        };
    }
    line! {
        sender Sender "L'expéditeur est inscrit au registre et prouvé" "The sender is on the register, and proven";
        identity Identity "Tous les noms d'expéditeur du message concordent" "All sender names of the message agree";
        reply Reply "Les réponses à la liste sont refusées" "Answers to the list are refused";
        recipients Recipients "Le nombre de destinataires est limité" "The number of recipients is limited";
        size Size "La taille du message est limitée" "The size of the message is limited";
        quotas Quota "Le nombre de messages est limité" "The number of messages is limited";
        attachments Attachments "Les fichiers joints sont retirés ou refusés" "Attachments are removed or refused";
        petition Petition "Les pétitions électroniques sont reconnues à des indices" "E-petitions are recognised by signals";
        chain_letter ChainLetter "Les chaînes de messages sont reconnues à des indices" "Chain letters are recognised by signals";
        copies Copies "Les messages identiques envoyés en nombre sont reconnus" "Identical messages in number are recognised";
        tracking Tracking "Les dispositifs de mesure d'audience sont retirés" "Trackers are removed";
        receipts Receipts "Les demandes d'accusé de réception sont traitées" "Requests for receipts are dealt with";
        subject Subject "L'objet porte la mention de la liste" "The subject bears the tag of the list";
        banner Banner "Une mention est ajoutée au texte" "Words are added to the text";
        disclaimer Disclaimer "Une décharge est ajoutée aux messages sortants" "A disclaimer is added to outgoing mail";
    }
    if inspection == Inspection::Structure {
        let nobody = language.say(
            "Le texte des messages n'est lu ni par une personne ni par un programme.",
            "The text of messages is read neither by a person nor by a program.",
        );
        lines.push(nobody.to_owned());
    }
    lines
}

/// A check that never runs under this inspection is not announced.
fn check(rule: RuleName, inspection: Inspection, text: &str) -> Option<String> {
    let reads_text = matches!(rule, RuleName::Petition | RuleName::ChainLetter | RuleName::Copies);
    (inspection == Inspection::Content || !reads_text).then(|| text.to_owned())
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
    let offered =
        |list: &List| list.rules.list_headers.as_ref().is_some_and(|rule| !rule.settings.unsubscribe.is_empty());
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
