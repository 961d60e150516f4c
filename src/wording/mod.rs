//! Every sentence that a sender or a member reads: SMTP replies, notices in the place of removed parts, declarations of edits,
//! what returned mail says, the information for members. One file for each kind of text, in which the languages stand beside
//! each other.
//!
//! SMTP replies are ASCII unless the client asked for SMTPUTF8 (RFC 6531); [`ascii`] makes them so.

pub mod ambiguities;
pub mod edits;
pub mod information;
pub mod notices;
pub mod petition;
pub mod reasons;
pub mod replies;
pub mod returned;

/// The language of a charter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Language {
    /// French, the language of the charters.
    #[default]
    French,
    /// English.
    English,
}

impl Language {
    /// The BCP 47 tag, as configuration files and `Content-Language` write it.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// The one of two texts that is in this language. Texts with something to fill in are told by `say!`.
    #[must_use]
    pub fn say<'a>(self, french: &'a str, english: &'a str) -> &'a str {
        match self {
            Self::French => french,
            Self::English => english,
        }
    }

    /// A day, as people write it.
    #[must_use]
    pub fn day(self, day: jiff::civil::Date) -> String {
        day.strftime(self.say("%d/%m/%Y", "%Y-%m-%d")).to_string()
    }
}

/// Fills in the one of two texts that is in the language.
macro_rules! say {
    ($language:expr, $french:literal, $english:literal) => {
        match $language {
            $crate::wording::Language::French => format!($french),
            $crate::wording::Language::English => format!($english),
        }
    };
}
use say;

/// Writes French without accents, for SMTP replies to clients that did not ask for SMTPUTF8.
///
/// Canonical decomposition, combining marks dropped, the few letters and signs that do not decompose spelled out;
/// whatever is still not ASCII becomes `?`.
#[must_use]
pub fn ascii(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    let mut plain = String::with_capacity(text.len());
    for c in text.nfd() {
        match c {
            c if c.is_ascii() => plain.push(c),
            c if unicode_normalization::char::is_combining_mark(c) => {}
            'œ' => plain.push_str("oe"),
            'Œ' => plain.push_str("OE"),
            'æ' => plain.push_str("ae"),
            'Æ' => plain.push_str("AE"),
            '«' | '»' | '“' | '”' => plain.push('"'),
            '’' | '‘' => plain.push('\''),
            '–' | '—' => plain.push('-'),
            '…' => plain.push_str("..."),
            '\u{a0}' | '\u{202f}' => plain.push(' '),
            '€' => plain.push_str("EUR"),
            '×' => plain.push('x'),
            _ => plain.push('?'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::ascii;

    #[test]
    fn french_loses_its_accents_and_nothing_else() {
        assert_eq!(ascii("Élections : « collège » — l’œuvre…"), "Elections : \" college \" - l'oeuvre...");
    }
}
