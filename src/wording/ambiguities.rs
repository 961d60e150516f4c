//! What senders are told of a message that mail programs read differently: what it is, and what to do.

use super::Language;
use crate::message::mime::AmbiguityKind;

/// One sentence on what is ambiguous, and one on what to do.
#[must_use]
pub fn sentences(language: Language, kind: AmbiguityKind) -> &'static str {
    match language {
        Language::French => french(kind),
        Language::English => kind.help(),
    }
}

/// The program that wrote the message is at fault, not its author.
fn french(kind: AmbiguityKind) -> &'static str {
    use AmbiguityKind as Kind;
    match kind {
        Kind::BareCr => {
            "Il contient des retours chariot isolés, où certains logiciels commencent une ligne. Renvoyez-le avec un logiciel de messagerie courant."
        }
        Kind::BareLf => {
            "Il contient des sauts de ligne isolés, que certains logiciels ignorent. Renvoyez-le avec un logiciel de messagerie courant."
        }
        Kind::Nul => {
            "Il contient des octets nuls, où certains logiciels arrêtent la lecture. N'y joignez rien sous forme binaire brute."
        }
        Kind::TooDeep => "Ses parties sont trop imbriquées. Recopiez le texte dans un nouveau message.",
        Kind::TooManyParts => "Il a trop de parties. Envoyez le texte seul, ou plusieurs messages.",
        Kind::HeaderTooLong => {
            "L'en-tête d'une partie est trop long pour être vérifié. Récrivez le message dans un logiciel de messagerie courant."
        }
        Kind::TextTooLarge => "Un texte a trop de balises pour être vérifié. Envoyez un texte plus court.",
        Kind::MalformedHeaderLine => {
            "Une ligne d'en-tête n'est pas un champ : certains logiciels arrêtent l'en-tête là. Le logiciel d'envoi doit être corrigé."
        }
        Kind::SpaceBeforeColon => {
            "Un champ d'en-tête a une espace avant les deux-points : certains logiciels l'ignorent. Le logiciel d'envoi doit être corrigé."
        }
        Kind::WhitespaceLine => {
            "Une ligne d'espaces précède un champ qui décrit le contenu : certains logiciels arrêtent l'en-tête là. Le logiciel d'envoi doit être corrigé."
        }
        Kind::HeaderWithoutEnd => {
            "L'en-tête d'une partie n'est pas suivi d'une ligne vide. Le logiciel d'envoi doit être corrigé."
        }
        Kind::HeaderlessPart => {
            "Une partie commence par du texte à la place de son en-tête : il manque une ligne vide. Le logiciel d'envoi doit être corrigé."
        }
        Kind::HeaderAfterBlankLine => {
            "Des champs qui décrivent le contenu suivent la ligne vide qui termine l'en-tête. Supprimez cette ligne, ou ces champs."
        }
        Kind::DuplicateField => {
            "Un champ qui décrit le contenu (type, encodage ou disposition) figure plusieurs fois. N'en gardez qu'un."
        }
        Kind::MalformedContentType => {
            "Le champ Content-Type d'une partie n'est pas de la forme type/sous-type. Le logiciel d'envoi doit être corrigé."
        }
        Kind::MalformedDisposition => {
            "Le champ Content-Disposition d'une partie est illisible. Écrivez inline ou attachment."
        }
        Kind::UnknownEncoding => {
            "L'encodage déclaré d'une partie n'existe pas. Employez 7bit, 8bit, quoted-printable ou base64."
        }
        Kind::CommentInField => {
            "Un champ qui décrit le contenu contient un commentaire entre parenthèses, que certains logiciels lisent. Retirez-le."
        }
        Kind::EncodedWordInField => {
            "Un type, une disposition, un jeu de caractères ou une frontière est écrit en mot encodé (=?…?=). Écrivez-le en ASCII."
        }
        Kind::MalformedParameter => {
            "Un paramètre d'un champ qui décrit le contenu est mal formé. Mettez sa valeur entre guillemets."
        }
        Kind::DuplicateParameter => "Un paramètre a deux valeurs différentes. N'en gardez qu'une.",
        Kind::MissingBoundary => {
            "Un ensemble de parties ne déclare pas de frontière. Le logiciel d'envoi doit être corrigé."
        }
        Kind::SeveralBoundaries => "Un ensemble de parties déclare plusieurs frontières. N'en gardez qu'une.",
        Kind::ExtendedBoundary => {
            "Une frontière est écrite en morceaux ou encodée (RFC 2231), ce que bien des logiciels ne lisent pas. Écrivez-la en un seul paramètre."
        }
        Kind::OddBoundary => {
            "Une frontière contient des caractères interdits, ou finit par une espace. Employez des lettres et des chiffres."
        }
        Kind::LongBoundary => {
            "Une frontière dépasse 70 caractères : certains logiciels la coupent. Prenez-en une plus courte."
        }
        Kind::BoundaryReused => "Deux parties imbriquées ont la même frontière. Changez l'une des deux.",
        Kind::BoundaryPrefix => {
            "Une frontière commence comme celle qui l'entoure, et certains logiciels les confondent. Prenez des frontières différentes."
        }
        Kind::BoundaryWithJunk => {
            "Une ligne commence comme une frontière et continue autrement. Changez cette ligne, ou la frontière."
        }
        Kind::NoParts => "Il se dit en plusieurs parties et n'en a aucune. Renvoyez le texte seul.",
        Kind::MissingEnd => "Il s'arrête avant la fin de ses parties : a-t-il été coupé ? Renvoyez-le.",
        Kind::PartAfterEnd => {
            "Une partie suit la fin déclarée des parties : certains logiciels la montrent. Placez toutes les parties avant la fin."
        }
        Kind::HiddenInPreamble => "Ce qui précède la première partie ressemble à un fichier. Retirez-le.",
        Kind::HiddenInEpilogue => "Ce qui suit la dernière partie ressemble à un fichier. Retirez-le.",
        Kind::EncodedComposite => {
            "Un ensemble de parties, ou un message inclus, est lui-même encodé en base64 ou quoted-printable. N'encodez que les parties simples."
        }
        Kind::ForeignBase64 => {
            "Un texte en base64 contient des caractères étrangers. Renvoyez-le avec un logiciel de messagerie courant."
        }
        Kind::Base64AfterEnd => {
            "Un texte en base64 continue après sa marque de fin. Renvoyez-le avec un logiciel de messagerie courant."
        }
        Kind::BoundaryOfText => {
            "Un texte déclare une frontière et contient des lignes qui commencent par elle : certains logiciels y montrent des fichiers. Retirez la frontière."
        }
        Kind::UnclearCharset => {
            "Un texte est dans un jeu de caractères que les logiciels lisent différemment. Envoyez-le en UTF-8."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ambiguity_is_told_in_two_sentences_that_leave_room_in_a_reply() {
        for &kind in AmbiguityKind::ALL {
            for language in [Language::French, Language::English] {
                let text = sentences(language, kind);
                assert!(text.len() < 260 && text.ends_with('.') && text.contains(['.', ':']), "{kind}: {text}");
            }
        }
    }
}
