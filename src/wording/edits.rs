//! What the gateway changed in a message, in words that members read (am:5.1.d).
//!
//! Straight apostrophes and no dashes beyond ASCII, so that the words fit the older charsets of the texts they go into.

use super::Language;
use crate::message::edit::{EditName, EditOutcome, Obstacle, Outcome};

/// One sentence that declares the edits; `None` when there is nothing to declare. `date` and `reference` may be empty.
#[must_use]
pub fn declaration(language: Language, outcomes: &[EditOutcome], date: &str, reference: &str) -> Option<String> {
    let phrases: Vec<String> = outcomes.iter().filter_map(|outcome| phrase(language, outcome)).collect();
    if phrases.is_empty() {
        return None;
    }
    let (opening, day, number, gap, end) = match language {
        Language::French => ("Modifications faites par la passerelle de messagerie", "le ", "référence ", " : ", " ; "),
        Language::English => ("Changes made by the mail gateway", "on ", "reference ", ": ", "; "),
    };
    let details: Vec<String> = [(day, date), (number, reference)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| format!("{label}{value}"))
        .collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    Some(format!("{opening}{details}{gap}{}.", phrases.join(end)))
}

fn phrase(language: Language, outcome: &EditOutcome) -> Option<String> {
    match outcome.outcome {
        Outcome::Unneeded => None,
        Outcome::Done(count) => Some(done(language, outcome.edit, count)),
        Outcome::Impossible(obstacle) => Some(undone(language, outcome.edit, obstacle).to_owned()),
    }
}

fn done(language: Language, edit: EditName, count: u32) -> String {
    let say = |french, english| language.say(french, english).to_owned();
    let counted = |(french, english), (plus_french, plus_english)| {
        let (one, several) = (language.say(french, english), language.say(plus_french, plus_english));
        format!("{count} {}", if count == 1 { one } else { several })
    };
    match edit {
        EditName::AttachmentsRemoved => {
            counted(("pièce jointe retirée", "attachment removed"), ("pièces jointes retirées", "attachments removed"))
        }
        EditName::TrackingRemoved => {
            counted(("traceur retiré", "tracker removed"), ("traceurs retirés", "trackers removed"))
        }
        EditName::SubjectTagged => say("mention ajoutée à l'objet", "subject tagged"),
        EditName::SubjectsRemoved => counted(
            ("objet en double retiré", "duplicate subject removed"),
            ("objets en double retirés", "duplicate subjects removed"),
        ),
        EditName::ReceiptsRemoved => counted(
            ("demande d'accusé retirée", "receipt request removed"),
            ("demandes d'accusé retirées", "receipt requests removed"),
        ),
        EditName::NotifyNeutralised => say("demande d'avis de remise retirée", "delivery receipt request removed"),
        EditName::RepliesDirected => say("adresse de réponse fixée", "reply address set"),
        EditName::ListHeadersSet => say("en-têtes de liste mis en place", "list header fields set"),
        EditName::AnswersSuppressed => say("réponses automatiques déconseillées", "automatic answers discouraged"),
        EditName::ReturnPathSet => say("adresse de retour des erreurs remplacée", "return address for errors replaced"),
        EditName::Marked => say("en-tête d'information ajouté", "information field added to the header"),
        EditName::WordsAdded => say("texte complété par la présente mention", "this notice added to the text"),
    }
}

fn undone(language: Language, edit: EditName, obstacle: Obstacle) -> &'static str {
    match (obstacle, edit) {
        (Obstacle::Signed | Obstacle::SignedKept, EditName::AttachmentsRemoved) => language.say(
            "pièces jointes laissées en place parce que le message est signé",
            "attachments left in place because the message is signed",
        ),
        (Obstacle::Signed | Obstacle::SignedKept, _) => language.say(
            "texte laissé tel quel parce que le message est signé",
            "text left as it is because the message is signed",
        ),
        (Obstacle::OpaqueLink, _) => language.say(
            "lien par un compteur de visites laissé en place, faute d'en connaître la destination",
            "link through a visit counter left in place, its destination being unknown",
        ),
        (Obstacle::NoHttpsTarget, _) => language.say(
            "en-têtes de liste mis en place, sans désinscription en un clic",
            "list header fields set, without one-click unsubscription",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: &[EditOutcome] = &[
        EditOutcome { edit: EditName::AttachmentsRemoved, outcome: Outcome::Done(2) },
        EditOutcome { edit: EditName::SubjectTagged, outcome: Outcome::Unneeded },
        EditOutcome { edit: EditName::ReceiptsRemoved, outcome: Outcome::Done(1) },
        EditOutcome { edit: EditName::WordsAdded, outcome: Outcome::Impossible(Obstacle::SignedKept) },
    ];

    #[test]
    fn edits_are_declared_in_one_sentence() {
        assert_eq!(
            declaration(Language::French, DONE, "11 juin 2018", "K7PQM").unwrap(),
            "Modifications faites par la passerelle de messagerie (le 11 juin 2018, référence K7PQM) : 2 pièces jointes \
             retirées ; 1 demande d'accusé retirée ; texte laissé tel quel parce que le message est signé."
        );
        assert_eq!(
            declaration(Language::English, DONE.get(..1).unwrap(), "", "").unwrap(),
            "Changes made by the mail gateway: 2 attachments removed."
        );
        assert_eq!(declaration(Language::French, DONE.get(1..2).unwrap(), "x", "y"), None);
    }

    #[test]
    fn the_words_fit_old_charsets() {
        for language in [Language::French, Language::English] {
            for &edit in EditName::ALL {
                let outcomes = [Outcome::Done(1), Outcome::Done(2)].into_iter();
                let obstacles = Obstacle::ALL.iter().map(|&obstacle| Outcome::Impossible(obstacle));
                for outcome in outcomes.chain(obstacles) {
                    let words = declaration(language, &[EditOutcome { edit, outcome }], "", "").unwrap();
                    assert!(words.chars().all(|c| u32::from(c) < 256), "{words}");
                }
            }
        }
    }
}
