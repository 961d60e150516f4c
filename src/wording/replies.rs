//! SMTP replies: what was refused, under which clause, and what the sender can do. One table has the codes and the sentence of
//! each reason, in each language; never an internal detail, never a member's address.

use super::{Language, ambiguities, notices, say};
use crate::charter::rules::Span;
use crate::charter::verdict::{Evidence, Finding, PartEvidence, ReasonCode, Ruling};

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
    /// The span of the rule that counts.
    pub per: Option<Span>,
}

/// The reply to a message that a charter refuses.
#[must_use]
pub fn refusal(language: Language, finding: &Finding, ruling: &Ruling, notes: Footnotes<'_>) -> Reply {
    let reason = finding.reason().unwrap_or(ReasonCode::InternalFault);
    let mut text = String::new();
    if let Some(clause) = &finding.clause {
        text.push('[');
        text.push_str(&clause.0);
        text.push_str("] ");
    }
    let list = ruling.list.as_deref().unwrap_or_default();
    let per = notes.per.map_or("", |span| in_span(language, span));
    text.push_str(&sentence(language, reason, &Figures { per, ..Figures::of(language, &finding.evidence, list) }));
    if !notes.reasons.is_empty() {
        text.push_str(language.say(" Motifs : ", " Reasons: "));
        let reasons: Vec<&str> = notes.reasons.iter().map(|reason| reason.trim_end_matches('.')).collect();
        text.push_str(&reasons.join(" ; "));
        text.push('.');
    }
    if let Some(advice) = notes.advice {
        text.push(' ');
        text.push_str(advice);
    }
    if let Some(contest) = notes.contest {
        text.push_str(language.say(" Contester : ", " To contest: "));
        text.push_str(contest);
        text.push('.');
    }
    reply(language, reason, &text, notes.reference)
}

/// The reply when the gateway cannot judge now; the cause is for the operator, not for the sender.
#[must_use]
pub fn later(language: Language, reference: &str) -> Reply {
    let reason = ReasonCode::InternalFault;
    reply(language, reason, &sentence(language, reason, &Figures::default()), reference)
}

fn reply(language: Language, reason: ReasonCode, text: &str, reference: &str) -> Reply {
    let (code, status) = codes(reason);
    Reply { code, status, text: finish(language, text, reference) }
}

/// Cuts at a character, never the reference: that is what the sender needs to be heard.
fn finish(language: Language, text: &str, reference: &str) -> String {
    let tail = match reference {
        "" => String::new(),
        reference => format!(" {} {reference}", language.say("Réf.", "Ref.")),
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

/// The charter, or the state of what it governs, is against the message.
const REFUSED: (&str, &str) = ("550", "5.7.1");
/// The form of the message is at fault, whoever sends it.
const BAD_FORM: (&str, &str) = ("554", "5.6.0");
/// The gateway itself is at fault, and may do better later.
const LATER: (&str, &str) = ("451", "4.3.0");

/// Declares what senders are told for each reason: the codes, and in each language what was found and what to do, with figures in
/// braces. A reason without an entry, and a figure that is not one, do not compile.
macro_rules! replies {
    (($($figure:ident),+) $($($reason:ident)|+ => $codes:expr, $french:literal, $english:literal;)+) => {
        /// Reply code and enhanced status code of a reason.
        #[must_use]
        pub fn codes(reason: ReasonCode) -> (&'static str, &'static str) {
            match reason { $($(ReasonCode::$reason)|+ => $codes,)+ }
        }

        fn sentence(language: Language, reason: ReasonCode, figures: &Figures<'_>) -> String {
            let Figures { $($figure),+ } = figures;
            match reason { $($(ReasonCode::$reason)|+ => say!(language, $french, $english),)+ }
        }
    };
}

replies! {
    (list, day, in_time, limit, per, size, size_max, parts, kind, cause, reference)
    RecipientDeactivated => ("550", "5.2.1"),
        "Cette boîte aux lettres est désactivée ; le message n'a pas été remis.",
        "This mailbox is deactivated; the message was not delivered.";
    Stopped => REFUSED,
        "Les envois sont suspendus (décision {reference}).",
        "Sending is suspended (decision {reference}).";
    Flood => ("451", "4.7.1"),
        "Trop de messages en peu de temps ; les envois sont interrompus le temps d'une vérification.",
        "Too many messages in a short time; sending is interrupted until somebody has looked.";
    PeriodNotOpen => REFUSED,
        "La période d'envoi n'est pas ouverte ; elle ouvre le {day}.",
        "The sending period has not begun; it opens on {day}.";
    PeriodClosed => REFUSED,
        "La période d'envoi est close depuis le {day} au soir.",
        "The sending period ended on {day}.";
    DeliveryImpossible => REFUSED,
        "Le message ne pourrait plus être distribué {in_time}.",
        "The message could not be delivered {in_time}.";
    SenderUnknown => REFUSED,
        "Cette adresse d'expéditeur n'est pas inscrite au registre de la liste {list}. Écrivez depuis l'adresse déclarée.",
        "This sender address is not on the register of the list {list}. Write from the registered address.";
    SenderOtherList => REFUSED,
        "Vous êtes inscrit, mais pas pour la liste {list}. Écrivez à votre propre liste.",
        "You are registered, but not for the list {list}. Write to your own list.";
    SenderNotOpen => REFUSED,
        "Votre droit d'envoi ouvre le {day}.",
        "Your right to send opens on {day}.";
    SenderClosed => REFUSED,
        "Votre droit d'envoi a pris fin le {day}.",
        "Your right to send ended on {day}.";
    SenderNotAdhered => REFUSED,
        "Aucune adhésion à la charte n'est enregistrée pour cet expéditeur.",
        "No adherence to the charter is recorded for this sender.";
    SenderNotProven => REFUSED,
        "Rien ne prouve que ce message vient de l'expéditeur déclaré. Authentifiez-vous sur le serveur d'envoi.",
        "Nothing proves that this message is from the sender it names. Authenticate with the submission server.";
    ProofUnavailable => ("451", "4.7.5"),
        "La signature ne peut pas être vérifiée pour l'instant ; réessai automatique.",
        "The signature cannot be checked now; your mail server will try again.";
    FromMissing => BAD_FORM,
        "Le message n'a pas de champ From.",
        "The message has no From field.";
    FromSeveral => BAD_FORM,
        "Le champ From doit contenir une adresse et une seule.",
        "The From field must contain exactly one address.";
    FromUnreadable => BAD_FORM,
        "Le champ From n'est pas lisible, ou pas partout de la même façon. Écrivez un nom simple et une seule adresse.",
        "The From field cannot be read, or not alike by all programs. Write a plain name and one address.";
    EnvelopeSenderNull => REFUSED,
        "Les réponses automatiques et avis de remise ne sont pas admis sur cette liste.",
        "Automatic answers and delivery notifications are not admitted on this list.";
    EnvelopeSenderDiffers => REFUSED,
        "L'expéditeur d'enveloppe (MAIL FROM) et le champ From ne désignent pas le même expéditeur. Envoyez depuis l'adresse déclarée.",
        "Envelope sender (MAIL FROM) and From do not name the same sender. Send from the registered address.";
    SenderFieldDiffers => REFUSED,
        "Les champs Sender et From ne désignent pas le même expéditeur. Envoyez depuis l'adresse déclarée.",
        "Sender and From do not name the same sender. Send from the registered address.";
    DisplayNameDiffers => REFUSED,
        "Le nom affiché dans le champ From est celui d'un autre expéditeur. Renvoyez le message sous votre propre nom.",
        "The display name in From is another sender's. Send the message again under your own name.";
    LoginDiffers => REFUSED,
        "Le compte authentifié n'est pas autorisé à utiliser cette adresse d'expéditeur. Connectez-vous avec le compte déclaré.",
        "The authenticated account may not use this sender address. Log in with the registered account.";
    NotAuthenticated => REFUSED,
        "Cette adresse d'expéditeur demande une authentification.",
        "This sender address requires authentication.";
    AnswersList => REFUSED,
        "Les réponses à la liste ne sont pas admises. Répondez à l'expéditeur du message.",
        "Replies to the list are not admitted. Reply to the author of the message.";
    RecipientsMixed => REFUSED,
        "La liste {list} doit être l'unique destinataire. Envoyez un message séparé à chaque liste ou adresse.",
        "The list {list} must be the only recipient. Send a message of its own to each list or address.";
    RecipientsShown => REFUSED,
        "Les destinataires se voient les uns les autres. Mettez-les en copie cachée (Cci).",
        "The recipients see each other. Put them into Bcc.";
    RecipientsTooMany => ("550", "5.5.3"),
        "Trop de destinataires : {limit} au plus par message.",
        "Too many recipients: at most {limit} in one message.";
    RecipientsExhausted => REFUSED,
        "Trop de destinataires : {limit} au plus{per}.",
        "Too many recipients: at most {limit}{per}.";
    TooLarge => ("552", "5.3.4"),
        "Message trop volumineux : {size}o, pour {size_max}o au plus.",
        "Message too large: {size}B, at most {size_max}B.";
    QuotaExhausted => REFUSED,
        "Quota épuisé : {limit} message(s) au plus{per}.",
        "Quota used up: at most {limit} message(s){per}.";
    StructureAmbiguous => BAD_FORM,
        "D'un logiciel de messagerie à l'autre, ce message serait lu différemment ({kind}). {cause}",
        "Mail programs would read this message differently ({kind}). {cause}";
    Encrypted => REFUSED,
        "Les messages chiffrés ne sont pas admis sur cette liste : personne ne pourrait les vérifier.",
        "Encrypted messages are not admitted on this list: nobody could check them.";
    SignatureInTheWay => REFUSED,
        "La signature du message serait rompue par les modifications prévues par la charte. Envoyez-le sans signature.",
        "The edits the charter demands would break the message's signature. Send it unsigned.";
    Attachment => REFUSED,
        "Les fichiers joints ne sont pas admis (trouvé : {parts}). Mettez le document en ligne et envoyez le lien.",
        "Attachments are not admitted (found: {parts}). Put the document online and send a link.";
    Petition => REFUSED,
        "Le message est une pétition électronique, ce que la charte n'admet pas.",
        "The message is an e-petition, which the charter does not admit.";
    ChainLetter => REFUSED,
        "Le message appelle à une rediffusion en chaîne.",
        "The message asks to be passed on in a chain.";
    Copies => REFUSED,
        "Messages identiques envoyés en nombre ({limit} au plus).",
        "Identical messages sent in number (at most {limit}).";
    Tracker => REFUSED,
        "Le message contient un dispositif de mesure d'audience. Retirez-le.",
        "The message reports on its readers. Remove the tracker.";
    ReceiptRequested => REFUSED,
        "Les demandes d'accusé de réception ou de lecture ne sont pas admises.",
        "Requests for delivery or read receipts are not admitted.";
    EditImpossible => REFUSED,
        "Le message ne peut pas recevoir les mentions prévues par la charte. Renvoyez-le en texte ou HTML simple.",
        "The message cannot take the words the charter demands. Send it again as plain text or simple HTML.";
    OverLimit => BAD_FORM,
        "Le message dépasse une limite technique ({kind}). Envoyez-en un plus court, ou à moins de destinataires.",
        "The message is over a technical limit ({kind}). Send a shorter one, or one to fewer recipients.";
    EditDue | OutsideWindow | WaitsItsTurn => REFUSED,
        "Le message est en attente.",
        "The message is waiting.";
    OverBudget | LogUnavailable | LedgerUnavailable | StoreUnavailable | Undecided | DeadlinePassed | InternalFault => LATER,
        "Le message ne peut pas être examiné pour l'instant ; il sera représenté automatiquement.",
        "The message cannot be examined now; your mail server will try again by itself.";
}

/// What a sentence may quote.
#[derive(Debug, Default)]
struct Figures<'a> {
    list: &'a str,
    /// As the language writes days.
    day: String,
    /// Until when, in words.
    in_time: String,
    limit: u64,
    /// In which span, in words.
    per: &'a str,
    /// Without the letter for octets, which differs between the languages.
    size: String,
    size_max: String,
    /// The kinds of attachments found, in words.
    parts: String,
    /// The first ambiguity, or the limit, by name: what the sender (or the sender's support) can look up.
    kind: &'a str,
    /// What that ambiguity is, and what to do.
    cause: &'a str,
    /// Of the decision that suspended the sender.
    reference: &'a str,
}

impl<'a> Figures<'a> {
    /// Those that the evidence has.
    fn of(language: Language, evidence: &'a Evidence, list: &'a str) -> Self {
        let no_hour = language.say("aux heures que permet chaque charte", "at an hour that each charter allows");
        let none = Self { list, in_time: no_hour.to_owned(), ..Self::default() };
        match evidence {
            Evidence::Count { limit, .. } => Self { limit: *limit, ..none },
            Evidence::Size { bytes, bytes_max } => {
                let (size, size_max) = sizes(*bytes, *bytes_max);
                Self { size, size_max, ..none }
            }
            Evidence::Day(day) => {
                let day = language.day(*day);
                let in_time = say!(language, "avant la fin de la période ({day})", "before the period ends ({day})");
                Self { day, in_time, ..none }
            }
            Evidence::Parts(parts) => Self { parts: kinds(language, parts), ..none },
            Evidence::Ambiguities(places) => {
                let kind = places.first().map_or("", |place| place.class);
                let cause = kind.parse().map_or("", |kind| ambiguities::sentences(language, kind));
                Self { kind, cause, ..none }
            }
            Evidence::Limit(kind) => Self { kind, ..none },
            Evidence::Reference(reference) => Self { reference, ..none },
            Evidence::None
            | Evidence::Until(_)
            | Evidence::Signals { .. }
            | Evidence::Proof(_)
            | Evidence::Fields(_) => none,
        }
    }
}

/// The kinds of attachments in words, each once, with its number where there are several.
fn kinds(language: Language, parts: &[PartEvidence]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for part in parts {
        let kind = part.class.parse().map_or(part.class, |class| notices::class(language, class));
        match counts.iter_mut().find(|(counted, _)| *counted == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    let in_words = |(kind, count): &(&str, usize)| match count {
        1 => (*kind).to_owned(),
        _ => format!("{kind} × {count}"),
    };
    counts.iter().map(in_words).collect::<Vec<_>>().join(", ")
}

/// A span, behind a number.
fn in_span(language: Language, span: Span) -> &'static str {
    match span {
        Span::Hour => language.say(" par heure", " an hour"),
        Span::Day => language.say(" par jour", " a day"),
        Span::Week => language.say(" par semaine (du lundi au dimanche)", " a week (Monday to Sunday)"),
        Span::Month => language.say(" par mois", " a month"),
        Span::Period => language.say(" pour toute la période", " in the whole period"),
    }
}

/// A size and the limit that it passes, in the greatest unit in which the limit is a whole number: a limit is never rounded, and
/// what passes it is rounded up.
fn sizes(bytes: u64, bytes_max: u64) -> (String, String) {
    const UNITS: [(u64, &str); 5] = [(1_000_000, "M"), (1 << 20, "Mi"), (1_000, "k"), (1 << 10, "Ki"), (1, "")];
    let fits = |(size, _): &&(u64, &str)| bytes_max > 0 && bytes_max.is_multiple_of(*size);
    let (size, unit) = UNITS.iter().find(fits).copied().unwrap_or((1, ""));
    (format!("{} {unit}", bytes.div_ceil(size)), format!("{} {unit}", bytes_max / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_sentence_that_fits_a_reply_line() {
        for &reason in ReasonCode::ALL {
            for language in [Language::French, Language::English] {
                let text = sentence(language, reason, &Figures { list: "liste@example.org", ..Figures::default() });
                assert!(text.len() > 20 && text.len() < 200, "{reason}: {text}");
            }
            let (code, status) = codes(reason);
            assert_eq!(code.get(..1), status.get(..1), "{reason}");
        }
    }

    #[test]
    fn no_sentence_has_a_gap_where_a_day_is_unknown() {
        let told = |evidence| {
            let figures = Figures::of(Language::French, &evidence, "liste@example.org");
            sentence(Language::French, ReasonCode::DeliveryImpossible, &figures)
        };
        let dated = told(Evidence::Day(jiff::civil::date(2018, 6, 25)));
        assert!(dated.contains("avant la fin de la période (25/06/2018)"), "{dated}");
        assert!(told(Evidence::None).contains("aux heures que permet chaque charte."));
    }

    #[test]
    fn an_ambiguous_message_is_told_why_and_what_to_do() {
        let evidence = Evidence::Ambiguities(vec![PartEvidence { part: 1, class: "duplicate-field" }]);
        let told = |language| {
            sentence(language, ReasonCode::StructureAmbiguous, &Figures::of(language, &evidence, "liste@example.org"))
        };
        let french = told(Language::French);
        assert!(french.contains("(duplicate-field). Un champ") && french.ends_with("N'en gardez qu'un."), "{french}");
        let english = told(Language::English);
        assert!(english.contains("(duplicate-field). A field") && english.ends_with("Keep one."), "{english}");
    }

    #[test]
    fn a_refused_attachment_is_named_by_its_kind() {
        let parts = ["file", "vcard", "file"].map(|class| PartEvidence { part: 1, class });
        let evidence = Evidence::Parts(parts.to_vec());
        let figures = Figures::of(Language::French, &evidence, "liste@example.org");
        let text = sentence(Language::French, ReasonCode::Attachment, &figures);
        assert!(text.contains("(trouvé : fichier × 2, carte de visite)"), "{text}");
        assert!(super::super::ascii(&text).contains("fichier x 2"), "{text}");
    }

    #[test]
    fn a_long_text_loses_its_end_and_keeps_its_reference() {
        let text = finish(Language::French, &"é".repeat(1000), "ABCD-1234");
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX);
        assert!(text.ends_with("… Réf. ABCD-1234"), "{text}");
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        let pair = |bytes, max| {
            let (size, max) = sizes(bytes, max);
            format!("{size}/{max}")
        };
        assert_eq!(pair(100_001, 100_000), "101 k/100 k");
        assert_eq!(pair(204_801, 204_800), "201 Ki/200 Ki");
        assert_eq!(pair(1_600_000, 1_500_000), "1600 k/1500 k");
        assert_eq!(pair(40_000_000, 30 << 20), "39 Mi/30 Mi");
        assert_eq!(pair(5_000_001, 5_000_000), "6 M/5 M");
        assert_eq!(pair(1_235, 1_234), "1235 /1234 ");
    }
}
