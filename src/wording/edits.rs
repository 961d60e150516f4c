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
    match (language, outcome.outcome) {
        (_, Outcome::Unneeded) => None,
        (Language::French, Outcome::Done(count)) => Some(french(outcome.edit, count)),
        (Language::English, Outcome::Done(count)) => Some(english(outcome.edit, count)),
        (Language::French, Outcome::Impossible(obstacle)) => Some(french_obstacle(outcome.edit, obstacle).to_owned()),
        (Language::English, Outcome::Impossible(obstacle)) => Some(english_obstacle(outcome.edit, obstacle).to_owned()),
    }
}

fn french(edit: EditName, count: u32) -> String {
    let many = |one: &str, several: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {several}") };
    match edit {
        EditName::AttachmentsRemoved => many("pièce jointe retirée", "pièces jointes retirées"),
        EditName::TrackingRemoved => many("traceur retiré", "traceurs retirés"),
        EditName::SubjectTagged => "mention ajoutée à l'objet".to_owned(),
        EditName::SubjectsRemoved => many("objet en double retiré", "objets en double retirés"),
        EditName::ReceiptsRemoved => many("demande d'accusé retirée", "demandes d'accusé retirées"),
        EditName::NotifyNeutralised => "demande d'avis de remise retirée".to_owned(),
        EditName::RepliesDirected => "adresse de réponse fixée".to_owned(),
        EditName::ListHeadersSet => "en-têtes de liste mis en place".to_owned(),
        EditName::AnswersSuppressed => "réponses automatiques déconseillées".to_owned(),
        EditName::ReturnPathSet => "adresse de retour des erreurs remplacée".to_owned(),
        EditName::Marked => "en-tête d'information ajouté".to_owned(),
        EditName::WordsAdded => "texte complété par la présente mention".to_owned(),
    }
}

fn english(edit: EditName, count: u32) -> String {
    let many = |one: &str, several: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {several}") };
    match edit {
        EditName::AttachmentsRemoved => many("attachment removed", "attachments removed"),
        EditName::TrackingRemoved => many("tracker removed", "trackers removed"),
        EditName::SubjectTagged => "subject tagged".to_owned(),
        EditName::SubjectsRemoved => many("duplicate subject removed", "duplicate subjects removed"),
        EditName::ReceiptsRemoved => many("receipt request removed", "receipt requests removed"),
        EditName::NotifyNeutralised => "delivery receipt request removed".to_owned(),
        EditName::RepliesDirected => "reply address set".to_owned(),
        EditName::ListHeadersSet => "list header fields set".to_owned(),
        EditName::AnswersSuppressed => "automatic answers discouraged".to_owned(),
        EditName::ReturnPathSet => "return address for errors replaced".to_owned(),
        EditName::Marked => "information field added to the header".to_owned(),
        EditName::WordsAdded => "this notice added to the text".to_owned(),
    }
}

fn french_obstacle(edit: EditName, obstacle: Obstacle) -> &'static str {
    match (obstacle, edit) {
        (Obstacle::Signed | Obstacle::SignedKept, EditName::AttachmentsRemoved) => {
            "pièces jointes laissées en place parce que le message est signé"
        }
        (Obstacle::Signed | Obstacle::SignedKept, _) => "texte laissé tel quel parce que le message est signé",
        (Obstacle::OpaqueLink, _) => {
            "lien par un compteur de visites laissé en place, faute d'en connaître la destination"
        }
        (Obstacle::NoHttpsTarget, _) => "en-têtes de liste mis en place, sans désinscription en un clic",
    }
}

fn english_obstacle(edit: EditName, obstacle: Obstacle) -> &'static str {
    match (obstacle, edit) {
        (Obstacle::Signed | Obstacle::SignedKept, EditName::AttachmentsRemoved) => {
            "attachments left in place because the message is signed"
        }
        (Obstacle::Signed | Obstacle::SignedKept, _) => "text left as it is because the message is signed",
        (Obstacle::OpaqueLink, _) => "link through a visit counter left in place, its destination being unknown",
        (Obstacle::NoHttpsTarget, _) => "list header fields set, without one-click unsubscription",
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
