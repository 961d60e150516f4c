//! What a sender reads when a message that waited could not be delivered, and comes back.

use super::{Language, say};
use crate::charter::overdue::Overdue;

/// What the notice quotes; none of it comes from a member.
#[derive(Debug, Clone, Copy)]
pub struct Returned<'a> {
    /// The list's name for people.
    pub list: &'a str,
    /// The charter's title.
    pub charter: &'a str,
    /// When the message arrived, local time, as people write it.
    pub arrived: &'a str,
    /// The reference of the decision, by which the message is found in the log.
    pub reference: &'a str,
    /// Whom to turn to against the decision.
    pub contest: Option<&'a str>,
    /// The order on which the message was cancelled, in the organisation's own numbering.
    pub order: Option<&'a str>,
    /// The mail server had it to deliver for a while: of several recipients some may have got it.
    pub was_let_go: bool,
}

/// The subject of the notice.
#[must_use]
pub fn subject(language: Language) -> &'static str {
    language.say("Message non distribué", "Message not delivered")
}

/// The text of the notice; lines end with LF.
#[must_use]
pub fn text(language: Language, why: Overdue, returned: &Returned<'_>) -> String {
    let Returned { list, charter, arrived, reference, contest, order, was_let_go } = returned;
    let reason = reason(language, why);
    let missed = if *was_let_go {
        language.say(
            "n'a pas pu être distribué, ou pas à tous ses destinataires",
            "could not be delivered, or not to all of its recipients",
        )
    } else {
        language.say("n'a été distribué à personne", "was delivered to nobody")
    };
    let order = order.map_or_else(String::new, |order| say!(language, "Décision : {order}\n", "Decision: {order}\n"));
    let contest = contest
        .map_or_else(String::new, |contest| say!(language, "Contestation : {contest}\n", "To contest it: {contest}\n"));
    say!(
        language,
        "Votre message du {arrived} à la liste « {list} » {missed} :\n{reason}.\n\n\
         Charte appliquée : {charter}\nRéférence : {reference}\n{order}{contest}\nIl vous est rendu ci-joint.\n",
        "Your message of {arrived} to the list \"{list}\" {missed}:\n{reason}.\n\n\
         Charter applied: {charter}\nReference: {reference}\n{order}{contest}\nIt is returned to you herewith.\n"
    )
}

fn reason(language: Language, why: Overdue) -> &'static str {
    match why {
        Overdue::PeriodOver => language.say(
            "la période pendant laquelle cette liste est ouverte s'est terminée avant qu'il ait pu partir",
            "the period in which this list is open ended before it could leave",
        ),
        Overdue::NoWindowLeft => language.say(
            "la période pendant laquelle cette liste est ouverte se termine avant la prochaine plage horaire d'envoi",
            "the period in which this list is open ends before the next delivery window",
        ),
        Overdue::Suspended => language.say(
            "une suspension était en vigueur jusqu'à ce qu'il soit trop tard pour le distribuer",
            "a suspension was in force until it was too late to deliver it",
        ),
        Overdue::Order => language.say(
            "son envoi a été annulé par décision de l'organisme",
            "its delivery was cancelled by decision of the organisation",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_words_in_each_language() {
        let returned = Returned {
            list: "Élections – C",
            charter: "Listes électorales",
            arrived: "25 juin 2018 à 11:00",
            reference: "12-0123456789abcdef",
            contest: Some("commission@organisme.example"),
            order: Some("CE-2018-07"),
            was_let_go: false,
        };
        for language in [Language::French, Language::English] {
            let texts: Vec<_> = Overdue::ALL.iter().map(|why| text(language, *why, &returned)).collect();
            for (n, text) in texts.iter().enumerate() {
                assert!(!texts.iter().skip(n + 1).any(|other| other == text));
                for quoted in ["Élections – C", "12-0123456789abcdef", "commission@organisme.example", "CE-2018-07"]
                {
                    assert!(text.contains(quoted), "{quoted} is missing in {text}");
                }
                assert!(text.lines().all(|line| line.len() <= 998));
            }
        }
    }

    #[test]
    fn of_a_message_that_was_let_go_nobody_says_that_it_reached_nobody() {
        let returned = Returned {
            list: "C",
            charter: "Listes",
            arrived: "25 juin 2018",
            reference: "12-0123456789abcdef",
            contest: None,
            order: None,
            was_let_go: true,
        };
        assert!(text(Language::French, Overdue::PeriodOver, &returned).contains("ou pas à tous ses destinataires"));
        assert!(!text(Language::English, Overdue::PeriodOver, &returned).contains("nobody"));
    }
}
