//! The notices that stand in the place of removed attachments (cnrs:III.h, am:5.1.d).

use std::fmt::Write as _;

use super::{Language, say};
use crate::message::attachments::Class;

/// What a notice tells of the attachment it stands for.
#[derive(Debug, Clone, Copy)]
pub struct Removed<'a> {
    /// Its kind.
    pub class: Class,
    /// Its file name as the sender wrote it.
    pub name: Option<&'a str>,
    /// Its media type.
    pub media_type: &'a str,
    /// Its size after decoding, octets, estimated.
    pub size_bytes: u64,
    /// The clause that forbids it, such as `cnrs:III.h`.
    pub clause: &'a str,
    /// The title of the charter.
    pub charter: &'a str,
    /// The names of the files inside, of a container.
    pub contents: &'a [String],
}

/// The notice, complete, lines separated by `\n`.
#[must_use]
pub fn removed(language: Language, what: &Removed<'_>) -> String {
    let say = |french, english| language.say(french, english);
    let colon = say(" : ", ": ");
    let mut notice = say("[Pièce jointe retirée]\n", "[Attachment removed]\n").to_owned();
    let mut tell = |label: &str, value: &str| {
        let _ = writeln!(notice, "  {label}{colon}{value}");
    };
    tell(say("Nature", "Kind"), class(language, what.class));
    if let Some(name) = what.name.map(one_line).filter(|name| !name.is_empty()) {
        tell(say("Nom", "Name"), &name);
    }
    tell("Type", &one_line(what.media_type));
    let size = size(language, what.size_bytes);
    tell(say("Taille", "Size"), &say!(language, "environ {size}", "about {size}"));
    if let Some(contents) = listed(what.contents) {
        tell(say("Contenu", "Contents"), &contents);
    }
    let (clause, charter) = (one_line(what.clause), one_line(what.charter));
    let reason = say!(language, "{clause} (charte « {charter} »)", "{clause} (charter “{charter}”)");
    tell(say("Motif", "Reason"), &reason);
    notice.push_str(say(
        "Pour obtenir ce document, demandez à l’expéditeur de le déposer sur un site\n\
         et de vous en envoyer l’adresse : les liens sont permis.",
        "To obtain this document, ask the sender to put it on a web site and to send\n\
         you its address: links are allowed.",
    ));
    notice
}

/// A kind of attachment in words.
pub(super) fn class(language: Language, class: Class) -> &'static str {
    let say = |french, english| language.say(french, english);
    match class {
        Class::File => say("fichier", "file"),
        Class::InlineFile => say("fichier inséré dans le texte", "file shown in the text"),
        Class::InlineImage => say("image du texte", "image of the text"),
        Class::EmbeddedMessage => say("message transmis en pièce jointe", "message forwarded as an attachment"),
        Class::Calendar => say("invitation ou rendez-vous", "invitation or appointment"),
        Class::Vcard => say("carte de visite", "visiting card"),
        Class::Tnef => say("conteneur Outlook (winmail.dat)", "Outlook container (winmail.dat)"),
        Class::AppleDouble => say("fichier Macintosh", "Macintosh file"),
        Class::EncodedInText => say("fichier codé dans le texte", "file encoded in the text"),
        Class::DataUri => say("données incluses dans le HTML", "data inside the HTML"),
        Class::Partial => say("fragment d’un message plus grand", "fragment of a larger message"),
        Class::ExternalBody => say("renvoi à un fichier conservé ailleurs", "reference to a file kept elsewhere"),
        Class::DeliveryStatus => say("rapport automatique", "automatic report"),
        Class::OpaqueSigned => say("texte signé sous une forme opaque", "text signed in an opaque form"),
        Class::Encrypted => say("contenu chiffré", "encrypted content"),
        Class::PgpKey => say("clé OpenPGP", "OpenPGP key"),
        Class::AlternativeForm => say("autre forme du texte", "another form of the text"),
        Class::Unreadable => say("contenu illisible", "unreadable content"),
    }
}

/// The sender's words on one line of bounded length, without characters that move or hide text (RFC 3987 section 8.2
/// warns of those that change direction).
fn one_line(text: &str) -> String {
    const CHARACTERS_MAX: usize = 120;
    let hidden = |c: &char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let mut line = String::new();
    let mut kept = text
        .chars()
        .filter(|c| !hidden(c))
        .map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c });
    line.extend(kept.by_ref().take(CHARACTERS_MAX));
    if kept.next().is_some() {
        line.push('…');
    }
    line.trim().to_owned()
}

/// Names for people: so many, then an ellipsis.
fn listed(names: &[String]) -> Option<String> {
    const NAMES_MAX: usize = 10;
    let mut shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| one_line(name)).collect();
    if names.len() > NAMES_MAX {
        shown.push("…".to_owned());
    }
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// Octets for people, decimal units, one decimal below ten.
pub(super) fn size(language: Language, bytes: u64) -> String {
    let say = |french, english| language.say(french, english);
    let (comma, one, kilo, mega) = (say(",", "."), say("octets", "bytes"), say("ko", "kB"), say("Mo", "MB"));
    let (unit_bytes, unit) = match bytes {
        0..1_000 => return format!("{bytes} {one}"),
        1_000..1_000_000 => (1_000, kilo),
        _ => (1_000_000, mega),
    };
    let tenths = bytes / (unit_bytes / 10);
    if tenths < 100 {
        format!("{}{comma}{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", bytes / unit_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pdf() -> Removed<'static> {
        Removed {
            class: Class::File,
            name: Some("Profession de foi.pdf"),
            media_type: "application/pdf",
            size_bytes: 1_234_567,
            clause: "cnrs:III.h",
            charter: "Listes électorales",
            contents: &[],
        }
    }

    #[test]
    fn the_notice_says_what_why_and_what_to_do() {
        let notice = removed(Language::French, &pdf());
        assert_eq!(
            notice,
            "[Pièce jointe retirée]\n  Nature : fichier\n  Nom : Profession de foi.pdf\n  Type : application/pdf\n  \
             Taille : environ 1,2 Mo\n  Motif : cnrs:III.h (charte « Listes électorales »)\nPour obtenir ce document, \
             demandez à l’expéditeur de le déposer sur un site\net de vous en envoyer l’adresse : les liens sont permis."
        );
        assert!(removed(Language::English, &pdf()).contains("Size: about 1.2 MB"));
    }

    #[test]
    fn a_name_cannot_write_lines_of_its_own() {
        let what = Removed { name: Some("a\r\n--b\nContent-Type: x\u{202e}fdp.exe"), ..pdf() };
        let notice = removed(Language::English, &what);
        assert!(notice.contains("Name: a  --b Content-Type: xfdp.exe\n"), "{notice}");
    }

    #[test]
    fn sizes_are_told_in_the_unit_people_use() {
        let told = |bytes| size(Language::French, bytes);
        assert_eq!(told(999), "999 octets");
        assert_eq!(told(1_000), "1,0 ko");
        assert_eq!(told(45_000), "45 ko");
        assert_eq!(told(10_400_000), "10 Mo");
    }
}
