//! SMTP replies: what was refused, under which clause, and what the sender can do. One sentence for each reason, in each
//! language; never an internal detail, never a member's address.

use super::Language;
use crate::charter::verdict::{Evidence, Finding, ReasonCode, Ruling};

/// A reply, ready for the milter: code, enhanced status code (RFC 3463) and one line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `550`, `552`, `451`…
    pub code: &'static str,
    /// `5.7.1`…
    pub status: &'static str,
    /// The text, without codes, at most [`TEXT_CHARS_MAX`] characters.
    pub text: String,
}

impl Reply {
    /// As the client can read it: with accents only when it asked for SMTPUTF8 (RFC 6531 section 3.5).
    #[must_use]
    pub fn plain(mut self, smtputf8: bool) -> Self {
        if !smtputf8 {
            self.text = super::ascii(&self.text);
        }
        self
    }
}

/// RFC 5321 section 4.5.3.1.5 allows 512 octets for a reply line; codes and a queue id take their share.
pub const TEXT_CHARS_MAX: usize = 440;

/// What a reply quotes beside the reason.
#[derive(Debug, Clone, Copy, Default)]
pub struct Footnotes<'a> {
    /// Whom to turn to against the decision.
    pub contest: Option<&'a str>,
    /// Advice of the charter (am:5.1.b).
    pub advice: Option<&'a str>,
    /// The reference of the record.
    pub reference: &'a str,
    /// Reasons found by a text rule, strongest first, in the charter's language.
    pub reasons: &'a [String],
}

/// The reply to a message that a charter refuses.
#[must_use]
pub fn refusal(language: Language, finding: &Finding, ruling: &Ruling, notes: Footnotes<'_>) -> Reply {
    let reason = finding.reason().unwrap_or(ReasonCode::InternalFault);
    let (code, status) = codes(reason);
    let mut text = String::new();
    if let Some(clause) = &finding.clause {
        text.push('[');
        text.push_str(&clause.0);
        text.push_str("] ");
    }
    text.push_str(&sentence(language, reason, &finding.evidence, ruling.list.as_deref().unwrap_or_default()));
    if !notes.reasons.is_empty() {
        text.push_str(match language {
            Language::French => " Motifs : ",
            Language::English => " Reasons: ",
        });
        let reasons: Vec<&str> = notes.reasons.iter().map(|reason| reason.trim_end_matches('.')).collect();
        text.push_str(&reasons.join(" ; "));
        text.push('.');
    }
    if let Some(advice) = notes.advice {
        text.push(' ');
        text.push_str(advice);
    }
    if let Some(contest) = notes.contest {
        text.push_str(match language {
            Language::French => " Contester : ",
            Language::English => " To contest: ",
        });
        text.push_str(contest);
        text.push('.');
    }
    Reply { code, status, text: finish(language, &text, notes.reference) }
}

/// The reply when the gateway cannot judge now; the cause is for the operator, not for the sender.
#[must_use]
pub fn later(language: Language, reference: &str) -> Reply {
    let text = match language {
        Language::French => "Le message ne peut pas être examiné pour l'instant ; il sera représenté automatiquement.",
        Language::English => "The message cannot be examined now; your mail server will try again by itself.",
    };
    Reply { code: "451", status: "4.3.0", text: finish(language, text, reference) }
}

/// Cuts at a character, never the reference: that is what the sender needs to be heard.
fn finish(language: Language, text: &str, reference: &str) -> String {
    let tail = match (reference.is_empty(), language) {
        (true, _) => String::new(),
        (false, Language::French) => format!(" Réf. {reference}"),
        (false, Language::English) => format!(" Ref. {reference}"),
    };
    // A percent sign would be taken for a format by the mail server, and line ends would end the reply.
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let room = TEXT_CHARS_MAX.saturating_sub(tail.chars().count());
    let mut text: String = if text.chars().count() > room {
        text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    } else {
        text
    };
    text.push_str(&tail);
    text
}

/// Reply code and enhanced status code of a reason.
#[must_use]
pub fn codes(reason: ReasonCode) -> (&'static str, &'static str) {
    use ReasonCode as R;
    match reason {
        R::RecipientDeactivated => ("550", "5.2.1"),
        R::TooLarge => ("552", "5.3.4"),
        R::OverLimit | R::FromMissing | R::FromSeveral | R::FromUnreadable | R::StructureAmbiguous => ("554", "5.6.0"),
        R::RecipientsTooMany => ("550", "5.5.3"),
        R::ProofUnavailable => ("451", "4.7.5"),
        R::Flood => ("451", "4.7.1"),
        R::OverBudget
        | R::LogUnavailable
        | R::LedgerUnavailable
        | R::StoreUnavailable
        | R::Undecided
        | R::DeadlinePassed
        | R::InternalFault => ("451", "4.3.0"),
        R::RecipientsShown
        | R::Stopped
        | R::PeriodNotOpen
        | R::PeriodClosed
        | R::DeliveryImpossible
        | R::SenderUnknown
        | R::SenderOtherList
        | R::SenderNotOpen
        | R::SenderClosed
        | R::SenderNotAdhered
        | R::SenderNotProven
        | R::EnvelopeSenderNull
        | R::EnvelopeSenderDiffers
        | R::SenderFieldDiffers
        | R::LoginDiffers
        | R::NotAuthenticated
        | R::AnswersList
        | R::RecipientsMixed
        | R::RecipientsExhausted
        | R::QuotaExhausted
        | R::Encrypted
        | R::SignatureInTheWay
        | R::Attachment
        | R::Petition
        | R::ChainLetter
        | R::Copies
        | R::Tracker
        | R::ReceiptRequested
        | R::EditDue
        | R::EditImpossible
        | R::OutsideWindow
        | R::WaitsItsTurn => ("550", "5.7.1"),
    }
}

/// The sentence for a reason: what, and what to do.
#[must_use]
pub fn sentence(language: Language, reason: ReasonCode, evidence: &Evidence, list: &str) -> String {
    match language {
        Language::French => french(reason, evidence, list),
        Language::English => english(reason, evidence, list),
    }
}

fn day(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Day(day) => day.strftime("%d/%m/%Y").to_string(),
        _ => String::new(),
    }
}

fn iso_day(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Day(day) => day.to_string(),
        _ => String::new(),
    }
}

fn count_limit(evidence: &Evidence) -> u64 {
    match evidence {
        Evidence::Count { limit, .. } => *limit,
        _ => 0,
    }
}

/// Octets as people write them: decimal kilobytes or megabytes.
fn kilobytes(bytes: u64) -> String {
    if bytes >= 1_000_000 && bytes.is_multiple_of(100_000) {
        let tenths = bytes / 100_000;
        if tenths.is_multiple_of(10) {
            (tenths / 10).to_string() + " M"
        } else {
            format!("{}.{} M", tenths / 10, tenths % 10)
        }
    } else {
        format!("{} k", bytes.div_ceil(1000))
    }
}

fn size_limit(evidence: &Evidence) -> (String, String) {
    match evidence {
        Evidence::Size { bytes, bytes_max } => (kilobytes(*bytes), kilobytes(*bytes_max)),
        _ => (String::new(), String::new()),
    }
}

fn parts(evidence: &Evidence) -> usize {
    match evidence {
        Evidence::Parts(parts) | Evidence::Ambiguities(parts) => parts.len(),
        _ => 0,
    }
}

/// The first ambiguity, by name: what the sender (or the sender's support) can look up.
fn first_kind(evidence: &Evidence) -> &str {
    match evidence {
        Evidence::Ambiguities(parts) => parts.first().map_or("", |part| part.class),
        Evidence::Limit(limit) => limit,
        _ => "",
    }
}

fn stop_reference(evidence: &Evidence) -> &str {
    match evidence {
        Evidence::Reference(reference) => reference,
        _ => "",
    }
}

fn french(reason: ReasonCode, evidence: &Evidence, list: &str) -> String {
    use ReasonCode as R;
    let (size, size_max) = size_limit(evidence);
    match reason {
        R::RecipientDeactivated => "Cette boîte aux lettres est désactivée ; le message n'a pas été remis.".into(),
        R::Stopped => format!("Les envois sont suspendus (décision {}).", stop_reference(evidence)),
        R::Flood => {
            "Trop de messages en peu de temps ; les envois sont interrompus le temps d'une vérification.".into()
        }
        R::PeriodNotOpen => format!("La période d'envoi n'est pas ouverte ; elle ouvre le {}.", day(evidence)),
        R::PeriodClosed => format!("La période d'envoi est close depuis le {} au soir.", day(evidence)),
        R::DeliveryImpossible => {
            format!("Le message ne pourrait plus être distribué avant la fin de la période ({}).", day(evidence))
        }
        R::SenderUnknown => format!(
            "Cette adresse d'expéditeur n'est pas inscrite au registre de la liste {list}. Écrivez depuis l'adresse déclarée."
        ),
        R::SenderOtherList => format!("Vous êtes inscrit, mais pas pour la liste {list}. Écrivez à votre propre liste."),
        R::SenderNotOpen => format!("Votre droit d'envoi ouvre le {}.", day(evidence)),
        R::SenderClosed => format!("Votre droit d'envoi a pris fin le {}.", day(evidence)),
        R::SenderNotAdhered => "Aucune adhésion à la charte n'est enregistrée pour cet expéditeur.".into(),
        R::SenderNotProven => {
            "Rien ne prouve que ce message vient de l'expéditeur déclaré. Authentifiez-vous sur le serveur d'envoi.".into()
        }
        R::ProofUnavailable => "La signature ne peut pas être vérifiée pour l'instant ; réessai automatique.".into(),
        R::FromMissing => "Le message n'a pas de champ From.".into(),
        R::FromSeveral => "Le champ From doit contenir une adresse et une seule.".into(),
        R::FromUnreadable => "Le champ From n'est pas lisible.".into(),
        R::EnvelopeSenderNull => "Les réponses automatiques et avis de remise ne sont pas admis sur cette liste.".into(),
        R::EnvelopeSenderDiffers => {
            "L'expéditeur d'enveloppe (MAIL FROM) et le champ From ne désignent pas le même expéditeur.".into()
        }
        R::SenderFieldDiffers => "Les champs Sender et From ne désignent pas le même expéditeur.".into(),
        R::LoginDiffers => "Le compte authentifié n'est pas autorisé à utiliser cette adresse d'expéditeur.".into(),
        R::NotAuthenticated => "Cette adresse d'expéditeur demande une authentification.".into(),
        R::AnswersList => "Les réponses à la liste ne sont pas admises. Répondez à l'expéditeur du message.".into(),
        R::RecipientsMixed => {
            format!("La liste {list} doit être l'unique destinataire. Envoyez un message séparé à chaque liste ou adresse.")
        }
        R::RecipientsShown => "Les destinataires se voient les uns les autres. Mettez-les en copie cachée (Cci).".into(),
        R::RecipientsTooMany => format!("Trop de destinataires : {} au plus par message.", count_limit(evidence)),
        R::RecipientsExhausted => format!("Trop de destinataires sur la période : {} au plus.", count_limit(evidence)),
        R::TooLarge => format!("Message trop volumineux : {size}o, pour {size_max}o au plus."),
        R::QuotaExhausted => format!("Quota épuisé : {} message(s) au plus sur la période.", count_limit(evidence)),
        R::StructureAmbiguous => format!(
            "La structure MIME du message est ambiguë ({}). Renvoyez-le en texte ou HTML simple.",
            first_kind(evidence)
        ),
        R::Encrypted => "Les messages chiffrés ne sont pas admis sur cette liste : personne ne pourrait les vérifier.".into(),
        R::SignatureInTheWay => {
            "La signature du message serait rompue par les modifications prévues par la charte. Envoyez-le sans signature.".into()
        }
        R::Attachment => format!(
            "Les fichiers joints ne sont pas admis ({} trouvé(s)). Mettez le document en ligne et envoyez le lien.",
            parts(evidence)
        ),
        R::Petition => "Le message est une pétition électronique, ce que la charte n'admet pas.".into(),
        R::ChainLetter => "Le message appelle à une rediffusion en chaîne.".into(),
        R::Copies => format!("Messages identiques envoyés en nombre ({} au plus).", count_limit(evidence)),
        R::Tracker => "Le message contient un dispositif de mesure d'audience. Retirez-le.".into(),
        R::ReceiptRequested => "Les demandes d'accusé de réception ou de lecture ne sont pas admises.".into(),
        R::EditImpossible => "Le message ne peut pas recevoir les mentions prévues par la charte.".into(),
        R::OverLimit => format!("Le message dépasse une limite technique ({}).", first_kind(evidence)),
        R::EditDue | R::OutsideWindow | R::WaitsItsTurn => "Le message est en attente.".into(),
        R::OverBudget
        | R::LogUnavailable
        | R::LedgerUnavailable
        | R::StoreUnavailable
        | R::Undecided
        | R::DeadlinePassed
        | R::InternalFault => "Le message ne peut pas être examiné pour l'instant ; il sera représenté automatiquement.".into(),
    }
}

fn english(reason: ReasonCode, evidence: &Evidence, list: &str) -> String {
    use ReasonCode as R;
    let (size, size_max) = size_limit(evidence);
    match reason {
        R::RecipientDeactivated => "This mailbox is deactivated; the message was not delivered.".into(),
        R::Stopped => format!("Sending is suspended (decision {}).", stop_reference(evidence)),
        R::Flood => "Too many messages in a short time; sending is interrupted until somebody has looked.".into(),
        R::PeriodNotOpen => format!("The sending period has not begun; it opens on {}.", iso_day(evidence)),
        R::PeriodClosed => format!("The sending period ended on {}.", iso_day(evidence)),
        R::DeliveryImpossible => {
            format!("The message could not be delivered before the period ends ({}).", iso_day(evidence))
        }
        R::SenderUnknown => {
            format!("This sender address is not on the register of the list {list}. Write from the registered address.")
        }
        R::SenderOtherList => format!("You are registered, but not for the list {list}. Write to your own list."),
        R::SenderNotOpen => format!("Your right to send opens on {}.", iso_day(evidence)),
        R::SenderClosed => format!("Your right to send ended on {}.", iso_day(evidence)),
        R::SenderNotAdhered => "No adherence to the charter is recorded for this sender.".into(),
        R::SenderNotProven => {
            "Nothing proves that this message is from the sender it names. Authenticate with the submission server."
                .into()
        }
        R::ProofUnavailable => "The signature cannot be checked now; your mail server will try again.".into(),
        R::FromMissing => "The message has no From field.".into(),
        R::FromSeveral => "The From field must contain exactly one address.".into(),
        R::FromUnreadable => "The From field cannot be read.".into(),
        R::EnvelopeSenderNull => "Automatic answers and delivery notifications are not admitted on this list.".into(),
        R::EnvelopeSenderDiffers => "Envelope sender (MAIL FROM) and From do not name the same sender.".into(),
        R::SenderFieldDiffers => "Sender and From do not name the same sender.".into(),
        R::LoginDiffers => "The authenticated account may not use this sender address.".into(),
        R::NotAuthenticated => "This sender address requires authentication.".into(),
        R::AnswersList => "Replies to the list are not admitted. Reply to the author of the message.".into(),
        R::RecipientsMixed => {
            format!("The list {list} must be the only recipient. Send a message of its own to each list or address.")
        }
        R::RecipientsShown => "The recipients see each other. Put them into Bcc.".into(),
        R::RecipientsTooMany => format!("Too many recipients: at most {} in one message.", count_limit(evidence)),
        R::RecipientsExhausted => format!("Too many recipients in the period: at most {}.", count_limit(evidence)),
        R::TooLarge => format!("Message too large: {size}B, at most {size_max}B."),
        R::QuotaExhausted => format!("Quota used up: at most {} message(s) in the period.", count_limit(evidence)),
        R::StructureAmbiguous => format!(
            "The MIME structure of the message is ambiguous ({}). Send it again as plain text or simple HTML.",
            first_kind(evidence)
        ),
        R::Encrypted => "Encrypted messages are not admitted on this list: nobody could check them.".into(),
        R::SignatureInTheWay => {
            "The edits the charter demands would break the message's signature. Send it unsigned.".into()
        }
        R::Attachment => format!(
            "Attachments are not admitted ({} found). Put the document online and send a link.",
            parts(evidence)
        ),
        R::Petition => "The message is an e-petition, which the charter does not admit.".into(),
        R::ChainLetter => "The message asks to be passed on in a chain.".into(),
        R::Copies => format!("Identical messages sent in number (at most {}).", count_limit(evidence)),
        R::Tracker => "The message reports on its readers. Remove the tracker.".into(),
        R::ReceiptRequested => "Requests for delivery or read receipts are not admitted.".into(),
        R::EditImpossible => "The message cannot take the words the charter demands.".into(),
        R::OverLimit => format!("The message is over a technical limit ({}).", first_kind(evidence)),
        R::EditDue | R::OutsideWindow | R::WaitsItsTurn => "The message is waiting.".into(),
        R::OverBudget
        | R::LogUnavailable
        | R::LedgerUnavailable
        | R::StoreUnavailable
        | R::Undecided
        | R::DeadlinePassed
        | R::InternalFault => "The message cannot be examined now; your mail server will try again by itself.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_sentence_that_fits_a_reply_line() {
        for &reason in ReasonCode::ALL {
            for language in [Language::French, Language::English] {
                let text = sentence(language, reason, &Evidence::None, "liste@example.org");
                assert!(text.len() > 20 && text.len() < 200, "{reason}: {text}");
            }
            let (code, status) = codes(reason);
            assert_eq!(code.get(..1), status.get(..1), "{reason}");
        }
    }

    #[test]
    fn a_long_text_loses_its_end_and_keeps_its_reference() {
        let text = finish(Language::French, &"é".repeat(1000), "ABCD-1234");
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX);
        assert!(text.ends_with("… Réf. ABCD-1234"), "{text}");
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(kilobytes(100_000), "100 k");
        assert_eq!(kilobytes(100_001), "101 k");
        assert_eq!(kilobytes(1_500_000), "1.5 M");
        assert_eq!(kilobytes(31_457_280), "31458 k");
    }
}
