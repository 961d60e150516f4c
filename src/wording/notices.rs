//! The notices that stand in the place of removed attachments (cnrs:III.h, am:5.1.d).

use super::Language;
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
    match language {
        Language::French => french(what),
        Language::English => english(what),
    }
}

fn french(what: &Removed<'_>) -> String {
    let mut lines = vec!["[Pièce jointe retirée]".to_owned()];
    lines.push(format!("  Nature : {}", french_class(what.class)));
    if let Some(name) = what.name.map(one_line).filter(|name| !name.is_empty()) {
        lines.push(format!("  Nom : {name}"));
    }
    lines.push(format!("  Type : {}", one_line(what.media_type)));
    lines.push(format!("  Taille : environ {}", size(what.size_bytes, ',', ["octets", "ko", "Mo"])));
    if let Some(contents) = listed(what.contents) {
        lines.push(format!("  Contenu : {contents}"));
    }
    lines.push(format!("  Motif : {} (charte « {} »)", one_line(what.clause), one_line(what.charter)));
    lines.push("Pour obtenir ce document, demandez à l’expéditeur de le déposer sur un site".to_owned());
    lines.push("et de vous en envoyer l’adresse : les liens sont permis.".to_owned());
    lines.join("\n")
}

fn english(what: &Removed<'_>) -> String {
    let mut lines = vec!["[Attachment removed]".to_owned()];
    lines.push(format!("  Kind: {}", english_class(what.class)));
    if let Some(name) = what.name.map(one_line).filter(|name| !name.is_empty()) {
        lines.push(format!("  Name: {name}"));
    }
    lines.push(format!("  Type: {}", one_line(what.media_type)));
    lines.push(format!("  Size: about {}", size(what.size_bytes, '.', ["bytes", "kB", "MB"])));
    if let Some(contents) = listed(what.contents) {
        lines.push(format!("  Contents: {contents}"));
    }
    lines.push(format!("  Reason: {} (charter “{}”)", one_line(what.clause), one_line(what.charter)));
    lines.push("To obtain this document, ask the sender to put it on a web site and to send".to_owned());
    lines.push("you its address: links are allowed.".to_owned());
    lines.join("\n")
}

fn french_class(class: Class) -> &'static str {
    match class {
        Class::File => "fichier",
        Class::InlineFile => "fichier inséré dans le texte",
        Class::InlineImage => "image du texte",
        Class::EmbeddedMessage => "message transmis en pièce jointe",
        Class::Calendar => "invitation ou rendez-vous",
        Class::Vcard => "carte de visite",
        Class::Tnef => "conteneur Outlook (winmail.dat)",
        Class::AppleDouble => "fichier Macintosh",
        Class::EncodedInText => "fichier codé dans le texte",
        Class::DataUri => "données incluses dans le HTML",
        Class::Partial => "fragment d’un message plus grand",
        Class::ExternalBody => "renvoi à un fichier conservé ailleurs",
        Class::DeliveryStatus => "rapport automatique",
        Class::OpaqueSigned => "texte signé sous une forme opaque",
        Class::Encrypted => "contenu chiffré",
        Class::PgpKey => "clé OpenPGP",
        Class::AlternativeForm => "autre forme du texte",
        Class::Unreadable => "contenu illisible",
    }
}

fn english_class(class: Class) -> &'static str {
    match class {
        Class::File => "file",
        Class::InlineFile => "file shown in the text",
        Class::InlineImage => "image of the text",
        Class::EmbeddedMessage => "message forwarded as an attachment",
        Class::Calendar => "invitation or appointment",
        Class::Vcard => "visiting card",
        Class::Tnef => "Outlook container (winmail.dat)",
        Class::AppleDouble => "Macintosh file",
        Class::EncodedInText => "file encoded in the text",
        Class::DataUri => "data inside the HTML",
        Class::Partial => "fragment of a larger message",
        Class::ExternalBody => "reference to a file kept elsewhere",
        Class::DeliveryStatus => "automatic report",
        Class::OpaqueSigned => "text signed in an opaque form",
        Class::Encrypted => "encrypted content",
        Class::PgpKey => "OpenPGP key",
        Class::AlternativeForm => "another form of the text",
        Class::Unreadable => "unreadable content",
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
fn size(bytes: u64, comma: char, units: [&str; 3]) -> String {
    let [one, kilo, mega] = units;
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
        let told = |bytes| size(bytes, ',', ["octets", "ko", "Mo"]);
        assert_eq!(told(999), "999 octets");
        assert_eq!(told(1_000), "1,0 ko");
        assert_eq!(told(45_000), "45 ko");
        assert_eq!(told(10_400_000), "10 Mo");
    }
}
