//! What the gateway checks and does under a charter's rules, one sentence for each rule.

use super::on_trial;
use crate::charter::rules::{
    AttachmentAction, AttachmentsRule, CopiesRule, DisclaimerRule, FloodRule, FloodSubject, IdentityRule, PetitionRule,
    ReceiptsRule, RefuseOrTag, Rule, RuleName, Rules, StructureRule, TrackingRule,
};
use crate::charter::{Charter, Inspection};
use crate::message::attachments::Class;
use crate::message::edit::SignedPolicy;
use crate::wording::notices::{class, size};
use crate::wording::{Language, say};

/// One sentence for each check, with its clause, the organisation's own reason where it gives one, and whether it is on trial.
pub(super) fn checks(charter: &Charter, rules: &Rules) -> Vec<String> {
    let language = charter.language;
    let mut lines = Vec::new();
    macro_rules! line {
        ($($field:ident $name:ident $words:expr;)+) => {
            $(if runs(RuleName::$name, charter.inspection) {
                lines.extend(rules.$field.iter().map(|rule| announced(charter, rule, $words)));
            })+
        };
    }
    let say = |french, english| language.say(french, english).to_owned();
    line! {
        sender Sender |_| say("L'expéditeur est inscrit au registre et prouvé", "The sender is on the register, and proven");
        identity Identity |rule| identity(language, rule);
        reply Reply |()| say("Les réponses à la liste sont refusées", "Answers to the list are refused");
        flood Stop |rule| flood(language, *rule);
        recipients Recipients |_| say("Le nombre de destinataires est limité", "The number of recipients is limited");
        size Size |_| say("La taille du message est limitée", "The size of the message is limited");
        quotas Quota |_| say("Le nombre de messages est limité", "The number of messages is limited");
        structure Structure |rule| structure(language, rule);
        attachments Attachments |rule| attachments(language, rule);
        petition Petition |rule| petition(language, rule);
        chain_letter ChainLetter |rule| chain_letter(language, rule);
        copies Copies |rule| copies(language, rule);
        tracking Tracking |rule| tracking(language, *rule);
        receipts Receipts |rule| receipts(language, *rule);
        subject Subject |_| say("L'objet porte la mention de la liste", "The subject bears the tag of the list");
        banner Banner |_| say("Une mention est ajoutée au texte", "Words are added to the text");
        disclaimer Disclaimer |rule| disclaimer(language, rule);
    }
    lines
}

/// A check that never runs under this inspection is not announced.
fn runs(rule: RuleName, inspection: Inspection) -> bool {
    let reads_text = matches!(rule, RuleName::Petition | RuleName::ChainLetter | RuleName::Copies);
    inspection == Inspection::Content || !reads_text
}

fn announced<S>(charter: &Charter, rule: &Rule<S>, words: impl FnOnce(&S) -> String) -> String {
    let text = words(&rule.settings);
    let purpose = rule.purpose.as_ref().map(|purpose| format!(" — {purpose}")).unwrap_or_default();
    format!("{text} ({}){purpose}.{}", rule.clause.0, on_trial(charter, rule.mode))
}

/// What becomes of messages, of which both languages speak in the plural; `feminine` is the gender of the French noun.
fn fate(language: Language, action: RefuseOrTag, feminine: bool) -> &'static str {
    match (action, feminine) {
        (RefuseOrTag::Reject, false) => language.say("refusés", "refused"),
        (RefuseOrTag::Reject, true) => language.say("refusées", "refused"),
        (RefuseOrTag::Tag, false) => language.say("signalés", "marked"),
        (RefuseOrTag::Tag, true) => language.say("signalées", "marked"),
    }
}

fn identity(language: Language, rule: &IdentityRule) -> String {
    let fate = fate(language, rule.action, false);
    say!(
        language,
        "Les messages dont les noms d'expéditeur ne concordent pas sont {fate}",
        "Messages whose sender names do not agree are {fate}"
    )
}

fn flood(language: Language, rule: FloodRule) -> String {
    let FloodRule { messages_max, within_seconds, of } = rule;
    let within = lasting(language, within_seconds);
    let who = match of {
        FloodSubject::Sender => language.say("l'expéditeur est suspendu", "the sender is suspended"),
        FloodSubject::List => language.say("la liste est suspendue", "the list is suspended"),
    };
    say!(
        language,
        "Au-delà de {messages_max} messages en {within}, {who} jusqu'à vérification",
        "After {messages_max} messages within {within}, {who} until somebody has looked"
    )
}

/// A duration in the largest unit of which it is a whole number.
fn lasting(language: Language, seconds: u64) -> String {
    let units = [
        (86_400, language.say("jour", "day"), "s"),
        (3_600, language.say("heure", "hour"), "s"),
        (60, "min", ""),
        (1, "s", ""),
    ];
    let unit = units.into_iter().find(|(length, ..)| seconds > 0 && seconds.is_multiple_of(*length));
    let (length, name, several) = unit.unwrap_or((1, "s", ""));
    let count = seconds / length;
    format!("{count} {name}{}", if count > 1 { several } else { "" })
}

fn structure(language: Language, rule: &StructureRule) -> String {
    let fate = fate(language, rule.ambiguous, false);
    let encrypted = if rule.encrypted_allowed {
        language.say("les messages chiffrés passent", "encrypted messages pass")
    } else {
        language.say("les messages chiffrés sont refusés", "encrypted messages are refused")
    };
    say!(
        language,
        "Les messages que deux logiciels liraient différemment sont {fate} ; {encrypted}",
        "Messages that two programs would read differently are {fate}; {encrypted}"
    )
}

fn attachments(language: Language, rule: &AttachmentsRule) -> String {
    let mut text = match rule.action {
        AttachmentAction::Strip => language.say("Les fichiers joints sont retirés", "Attachments are removed"),
        AttachmentAction::Reject => {
            language.say("Les messages avec fichiers joints sont refusés", "Messages with attachments are refused")
        }
        AttachmentAction::Tag => {
            language.say("Les fichiers joints passent et sont signalés", "Attachments pass, and the message is marked")
        }
        AttachmentAction::Allow => language.say("Les fichiers joints passent", "Attachments pass"),
    }
    .to_owned();
    let mut more = Vec::new();
    for (name, action) in rule.classes.iter().filter(|(_, action)| *action != rule.action) {
        let what = name.parse::<Class>().map_or(name.as_str(), |known| class(language, known));
        let what_becomes = match action {
            AttachmentAction::Strip => language.say("retrait", "removed"),
            AttachmentAction::Reject => language.say("refus du message", "the message is refused"),
            AttachmentAction::Tag => language.say("signalement", "marked"),
            AttachmentAction::Allow => language.say("passage", "passes"),
        };
        more.push(format!("{what}{}{what_becomes}", language.say(" : ", ": ")));
    }
    if rule.inline_image_bytes_max > 0 && rule.action != AttachmentAction::Allow {
        let size = size(language, rule.inline_image_bytes_max);
        more.push(say!(
            language,
            "les images du texte passent jusqu'à environ {size}",
            "images that the text shows pass up to about {size}"
        ));
    }
    if rule.action == AttachmentAction::Strip
        || rule.classes.iter().any(|(_, action)| *action == AttachmentAction::Strip)
    {
        let signed = match rule.signed {
            SignedPolicy::Reject => language.say(
                "un message signé dont un fichier serait à retirer est refusé",
                "a signed message with a file to remove is refused",
            ),
            SignedPolicy::Wrap | SignedPolicy::Pass => {
                language.say("un fichier couvert par une signature reste", "a file under a signature stays")
            }
            SignedPolicy::Break => language.say(
                "une signature qui couvre un fichier retiré est rompue",
                "a signature over a file that is removed is broken",
            ),
        };
        more.push(signed.to_owned());
    }
    for part in more {
        text.push_str(language.say(" ; ", "; "));
        text.push_str(&part);
    }
    text
}

fn petition(language: Language, rule: &PetitionRule) -> String {
    let fate = fate(language, rule.action, true);
    say!(
        language,
        "Les pétitions électroniques, reconnues à des indices, sont {fate}",
        "E-petitions, recognised by signals, are {fate}"
    )
}

fn chain_letter(language: Language, rule: &PetitionRule) -> String {
    let fate = fate(language, rule.action, true);
    say!(
        language,
        "Les chaînes de messages, reconnues à des indices, sont {fate}",
        "Chain letters, recognised by signals, are {fate}"
    )
}

fn copies(language: Language, rule: &CopiesRule) -> String {
    let fate = fate(language, rule.action, false);
    say!(
        language,
        "Les messages presque identiques envoyés en nombre sont {fate}",
        "Near-identical messages sent in number are {fate}"
    )
}

fn tracking(language: Language, rule: TrackingRule) -> String {
    if rule.reject {
        language.say(
            "Les messages qui mesurent leur audience sont refusés",
            "Messages that track their readers are refused",
        )
    } else {
        language.say("Les dispositifs de mesure d'audience sont retirés", "Trackers are removed")
    }
    .to_owned()
}

fn receipts(language: Language, rule: ReceiptsRule) -> String {
    match rule {
        ReceiptsRule::Remove => {
            language.say("Les demandes d'accusé de réception sont retirées", "Requests for receipts are removed")
        }
        ReceiptsRule::Reject => language.say(
            "Les messages qui demandent un accusé de réception sont refusés",
            "Messages that ask for receipts are refused",
        ),
        ReceiptsRule::Pass => language.say("Les demandes d'accusé de réception passent", "Requests for receipts pass"),
    }
    .to_owned()
}

fn disclaimer(language: Language, rule: &DisclaimerRule) -> String {
    let is_marked = rule.official_header.is_some() || rule.official_subject_tag.is_some();
    let unless = if is_marked { language.say(", sauf courriels officiels", ", unless it is official") } else { "" };
    say!(
        language,
        "Une décharge est ajoutée aux messages sortants{unless}",
        "A disclaimer is added to outgoing mail{unless}"
    )
}
