//! Reason codes in words, for those who read about a decision afterwards: reports on the log. What a sender is told at the time,
//! with limits and advice, is in [`super::replies`].

use super::Language;
use crate::charter::verdict::ReasonCode;

/// What a reason means, in one sentence.
#[must_use]
pub fn meaning(language: Language, reason: ReasonCode) -> &'static str {
    match language {
        Language::English => reason.help(),
        Language::French => french(reason),
    }
}

fn french(reason: ReasonCode) -> &'static str {
    use ReasonCode as R;
    match reason {
        R::RecipientDeactivated => "La boîte aux lettres du destinataire est désactivée.",
        R::Stopped => "L'expéditeur, la liste ou la charte est suspendu.",
        R::Flood => "Trop de messages en trop peu de temps : le disjoncteur s'est ouvert.",
        R::PeriodNotOpen => "La période n'est pas encore ouverte.",
        R::PeriodClosed => "La période est close.",
        R::DeliveryImpossible => "Le message ne pourrait plus être distribué aux jours et heures permis.",
        R::SenderUnknown => "L'expéditeur n'est pas inscrit au registre.",
        R::SenderOtherList => "L'expéditeur est inscrit au registre, mais pas pour cette liste.",
        R::SenderNotOpen => "Le droit d'envoi de l'expéditeur n'est pas encore ouvert.",
        R::SenderClosed => "Le droit d'envoi de l'expéditeur a pris fin.",
        R::SenderNotAdhered => "L'expéditeur n'a pas adhéré à la charte.",
        R::SenderNotProven => "Rien ne prouve que le message vient de l'expéditeur qu'il nomme.",
        R::ProofUnavailable => "La preuve ne pouvait pas être vérifiée à ce moment (DNS).",
        R::FromMissing => "Le message n'a pas de champ From.",
        R::FromSeveral => "Le champ From nomme plusieurs adresses, ou il y a plusieurs champs From.",
        R::FromUnreadable => "Le champ From ne se lit pas comme une seule adresse.",
        R::EnvelopeSenderNull => {
            "L'expéditeur d'enveloppe est vide : ni avis de remise ni réponse automatique sur la liste."
        }
        R::EnvelopeSenderDiffers => "L'expéditeur d'enveloppe n'est pas une adresse de l'expéditeur du champ From.",
        R::SenderFieldDiffers => "Le champ Sender n'est pas une adresse de l'expéditeur du champ From.",
        R::DisplayNameDiffers => "Le nom affiché dans le champ From est le nom ou l'adresse d'un autre expéditeur.",
        R::LoginDiffers => "Le compte authentifié n'a pas le droit d'utiliser l'adresse du champ From.",
        R::NotAuthenticated => "L'adresse du champ From est de l'organisation, et le client ne s'est pas authentifié.",
        R::AnswersList => "Le message répond à un message de la liste.",
        R::RecipientsMixed => "La liste n'est pas l'unique destinataire.",
        R::RecipientsTooMany => "Trop de destinataires dans un seul message.",
        R::RecipientsShown => "Les champs To ou Cc montrent les destinataires les uns aux autres.",
        R::RecipientsExhausted => "Trop de destinataires sur la durée prévue.",
        R::TooLarge => "Le message est trop volumineux.",
        R::QuotaExhausted => "Le quota est épuisé.",
        R::StructureAmbiguous => "Deux logiciels de messagerie pourraient lire la structure différemment.",
        R::Encrypted => "Le message est chiffré : personne ne pourrait le vérifier.",
        R::SignatureInTheWay => "Une modification prévue par la charte romprait une signature.",
        R::Attachment => "Le message porte une pièce jointe.",
        R::Petition => "Le message est une pétition électronique.",
        R::ChainLetter => "Le message est une chaîne.",
        R::Copies => "Des messages presque identiques ont été envoyés en nombre.",
        R::Tracker => "Le message renseigne sur ses lecteurs.",
        R::ReceiptRequested => "Un accusé de réception ou de lecture est demandé.",
        R::EditDue => "La modification de cette règle est à faire.",
        R::EditImpossible => "Une modification exigée par la charte ne peut pas être faite sur ce message.",
        R::OutsideWindow => "Hors de la fenêtre de nuit.",
        R::WaitsItsTurn => "Dans la fenêtre de nuit, mais des messages arrivés plus tôt attendent encore.",
        R::OverLimit => "Le message dépasse une limite technique de la passerelle.",
        R::OverBudget => "La mémoire allouée à la passerelle est épuisée.",
        R::LogUnavailable => "Le journal des décisions ne peut pas être écrit.",
        R::LedgerUnavailable => "Le registre des messages retenus ne peut pas être écrit.",
        R::StoreUnavailable => "La base de la passerelle ne peut pas être lue ou écrite.",
        R::Undecided => "Le message est arrivé à la seconde prise sans décision de la première.",
        R::DeadlinePassed => "Le travail a duré plus longtemps que son délai.",
        R::InternalFault => "La passerelle a rencontré un défaut de son propre fait.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_sentence_of_its_own_in_each_language() {
        for language in [Language::French, Language::English] {
            let sentences: std::collections::BTreeSet<_> =
                ReasonCode::ALL.iter().map(|reason| meaning(language, *reason)).collect();
            assert_eq!(sentences.len(), ReasonCode::ALL.len());
            for sentence in sentences {
                assert!(
                    sentence.ends_with('.') && sentence.chars().next().is_some_and(char::is_uppercase),
                    "{sentence}"
                );
            }
        }
    }
}
