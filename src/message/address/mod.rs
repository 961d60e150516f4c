//! Mail addresses in canonical form, so that one mailbox has one spelling wherever two addresses are compared.
//!
//! [`Address`] is the canonical form; [`mailboxes`] reads the address lists of header fields; [`candidates`] says to
//! which mailboxes a mail server could deliver a recipient, for a protected list must not be reached by a spelling
//! that only the mail server understands.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use icu_casemap::CaseMapper;
use unicode_normalization::UnicodeNormalization as _;

mod candidates;
mod lexer;
mod mailboxes;

pub use candidates::{RecipientSyntax, TooManyRoutes, candidates};
pub use mailboxes::{Mailbox, Mailboxes, mailboxes};

use lexer::Token;

/// The longest domain name in octets (RFC 5321 section 4.5.3.1.2, less the dot of the root).
const DOMAIN_BYTES_MAX: usize = 253;

/// The longest label of a domain name in octets (RFC 1035 section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// A mailbox address in canonical form: local part unquoted, lower case, NFC; domain in lower-case A-labels without a
/// trailing dot, or an address literal (RFC 5321 section 4.1.2, RFC 5890, RFC 6532).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: String,
}

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or nothing before or after it, or the local part cannot be read.
    #[error("not of the form local-part@domain")]
    Form,
    /// The domain is neither a host name nor an address literal.
    #[error("the domain is not a valid host name")]
    Domain,
}

impl Address {
    /// Reads an address such as SMTP and header fields write it: with or without angle brackets, source route, comments,
    /// quotes and escapes. A display name before the brackets is not an address.
    ///
    /// # Errors
    /// [`AddressError`] when it has no local part or no valid domain.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let lexed = lexer::lex(text);
        if lexed.damaged {
            return Err(AddressError::Form);
        }
        let tokens = match lexed.tokens.as_slice() {
            [open, inner @ .., close] if open.is('<') && close.is('>') => inner,
            tokens => tokens,
        };
        from_tokens(tokens)
    }

    /// Builds an address from its two halves, the local part unquoted.
    ///
    /// # Errors
    /// [`AddressError`] when the local part is empty or holds control characters, or the domain is not valid.
    pub fn from_parts(local: &str, domain: &str) -> Result<Self, AddressError> {
        if local.is_empty() || local.contains(char::is_control) {
            return Err(AddressError::Form);
        }
        Ok(Self { local: canonical_local(local), domain: canonical_domain(domain).ok_or(AddressError::Domain)? })
    }

    /// The local part, unquoted, lower case.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, lower-case A-labels, no trailing dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

impl fmt::Display for Address {
    /// Writes the address as SMTP takes it: the local part is quoted where it must be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", quoted_local(&self.local), self.domain)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// A local part as SMTP takes it: quoted where it must be.
fn quoted_local(local: &str) -> std::borrow::Cow<'_, str> {
    if is_dot_atom(local) {
        return local.into();
    }
    format!("\"{}\"", local.replace('\\', "\\\\").replace('"', "\\\"")).into()
}

/// Reads an addr-spec, or a path with a source route (RFC 5322 section 3.4.1, RFC 5321 appendix C).
fn from_tokens(tokens: &[Token]) -> Result<Address, AddressError> {
    let (local, domain) = split_at_sign(without_route(tokens)).ok_or(AddressError::Form)?;
    let local = local_part(local).ok_or(AddressError::Form)?;
    Address::from_parts(&local, &domain_text(domain).ok_or(AddressError::Domain)?)
}

/// What follows the source route `@a,@b:`, which every receiver must ignore (RFC 5321 appendix C).
fn without_route(tokens: &[Token]) -> &[Token] {
    if tokens.first().is_some_and(|t| t.is('@'))
        && let Some(colon) = tokens.iter().position(|t| t.is(':'))
    {
        return tokens.get(colon + 1..).unwrap_or_default();
    }
    tokens
}

/// The tokens before and after the last `@`.
fn split_at_sign(tokens: &[Token]) -> Option<(&[Token], &[Token])> {
    let at = tokens.iter().rposition(|t| t.is('@'))?;
    Some((tokens.get(..at)?, tokens.get(at + 1..)?))
}

/// Words separated by dots: `dot-atom`, `quoted-string` and the mixtures of `obs-local-part`.
fn local_part(tokens: &[Token]) -> Option<String> {
    let mut local = String::new();
    let mut after_word = false;
    for token in tokens {
        match token {
            Token::Atom(text) | Token::Quoted(text) if !after_word => {
                local.push_str(text);
                after_word = true;
            }
            Token::Special('.') => {
                local.push('.');
                after_word = false;
            }
            Token::Atom(_) | Token::Quoted(_) | Token::Literal(_) | Token::Special(_) => return None,
        }
    }
    Some(local)
}

/// Atoms separated by dots, or one literal.
fn domain_text(tokens: &[Token]) -> Option<String> {
    if let [Token::Literal(literal)] = tokens {
        return Some(literal.clone());
    }
    let mut domain = String::new();
    let mut after_atom = false;
    for token in tokens {
        match token {
            Token::Atom(text) if !after_atom => {
                domain.push_str(text);
                after_atom = true;
            }
            Token::Special('.') => {
                domain.push('.');
                after_atom = false;
            }
            Token::Atom(_) | Token::Quoted(_) | Token::Literal(_) | Token::Special(_) => return None,
        }
    }
    Some(domain)
}

/// Case folded in full, as Postfix folds what it looks up (ſ is s, ﬁ is fi), and NFC, so that an accent has one spelling
/// (RFC 6532 section 3.1).
fn canonical_local(local: &str) -> String {
    if local.is_ascii() {
        return local.to_ascii_lowercase();
    }
    // Folding first and composing last makes the form its own canonical form.
    let composed: String = local.nfc().collect();
    CaseMapper::new().fold_string(&composed).nfc().collect()
}

/// The domain in lower-case A-labels (UTS 46), or an address literal in its one spelling; `None` if it is neither.
fn canonical_domain(domain: &str) -> Option<String> {
    if let Some(literal) = domain.strip_prefix('[') {
        return canonical_literal(literal.strip_suffix(']')?);
    }
    let ascii = idna::domain_to_ascii(domain.trim_end_matches('.')).ok()?;
    let ascii = ascii.trim_end_matches('.');
    let label_is_valid = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    (ascii.len() <= DOMAIN_BYTES_MAX && ascii.split('.').all(label_is_valid)).then(|| ascii.to_owned())
}

/// RFC 5321 section 4.1.3.
fn canonical_literal(literal: &str) -> Option<String> {
    let literal = literal.trim().to_ascii_lowercase();
    if let Some(v6) = literal.strip_prefix("ipv6:") {
        return v6.parse::<Ipv6Addr>().ok().map(|address| format!("[ipv6:{address}]"));
    }
    if let Ok(v4) = literal.parse::<Ipv4Addr>() {
        return Some(format!("[{v4}]"));
    }
    let printable = literal.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'[' | b']' | b'\\'));
    (printable && literal.contains(':') && literal.len() <= DOMAIN_BYTES_MAX).then(|| format!("[{literal}]"))
}

/// Can the local part stand without quotes (RFC 5322 section 3.2.3, with the UTF-8 of RFC 6532)?
fn is_dot_atom(local: &str) -> bool {
    let is_atext =
        |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii() && !c.is_control();
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        Address::parse(text).map_or_else(|e| format!("{e:?}"), |a| a.to_string())
    }

    #[test]
    fn letters_are_folded_as_mail_servers_fold_them() {
        for (spelling, folded) in [
            ("electeur\u{17f}@listes.example", "electeurs@listes.example"),
            ("\u{fb01}r\u{fb06}@listes.example", "first@listes.example"),
            ("stra\u{df}e@listes.example", "strasse@listes.example"),
            ("\u{212a}ellner@listes.example", "kellner@listes.example"),
            ("\u{3a3}\u{3a3}@listes.example", "\u{3c3}\u{3c3}@listes.example"),
        ] {
            assert_eq!(canonical(spelling), canonical(folded), "{spelling}");
            assert_eq!(canonical(&canonical(spelling)), canonical(spelling));
        }
        // A letter of its own, whatever its capital looks like.
        assert_ne!(canonical("l\u{131}ste@listes.example"), canonical("liste@listes.example"));
    }

    #[test]
    fn one_mailbox_has_one_spelling() {
        for spelling in [
            "elec.teurs@listes.example",
            "<elec.teurs@listes.example>",
            "ELEC.Teurs@LISTES.Example",
            "\"elec.teurs\"@listes.example",
            "\"elec\".\"teurs\"@listes.example",
            "\"\\e\\lec.teurs\"@listes.example",
            "elec\\.teurs@listes.example",
            "elec.teurs@listes.example.",
            "elec.teurs(college C (bis))@(here)listes.example",
            " elec . teurs @ listes . example ",
            "<@relais.example,@autre.example:elec.teurs@listes.example>",
            "@relais.example:elec.teurs@listes.example",
        ] {
            assert_eq!(canonical(spelling), "elec.teurs@listes.example", "{spelling}");
        }
    }

    #[test]
    fn international_addresses_have_one_spelling() {
        assert_eq!(canonical("a@XN--LECTIONS-90A.example"), "a@xn--lections-90a.example");
        assert_eq!(canonical("a@Élections.example"), "a@xn--lections-90a.example");
        assert_eq!(canonical("a@e\u{301}lections.example"), "a@xn--lections-90a.example");
        assert_eq!(canonical("a@élections。example。"), "a@xn--lections-90a.example");
        assert_eq!(canonical("E\u{301}lecteurs@x.example"), canonical("électeurs@x.example"));
    }

    #[test]
    fn address_literals_have_one_spelling() {
        assert_eq!(canonical("a@[192.0.2.1]"), "a@[192.0.2.1]");
        assert_eq!(canonical("a@[IPv6:2001:DB8:0:0:0:0:0:1]"), canonical("a@[ipv6:2001:db8::1]"));
        assert_eq!(canonical("a@[999.0.2.1]"), "Domain");
    }

    #[test]
    fn what_is_no_address_says_so() {
        for (text, why) in [
            ("", "Form"),
            ("electeurs", "Form"),
            ("@listes.example", "Form"),
            ("\"\"@listes.example", "Form"),
            ("a@", "Domain"),
            ("a@.", "Domain"),
            ("a@b..c", "Domain"),
            ("a@b c", "Domain"),
            ("a b@c.example", "Form"),
            ("a@b@c.example", "Form"),
            ("Liste A <a@c.example>", "Form"),
            ("\"a@c.example", "Form"),
            ("(a@c.example", "Form"),
            ("a\0@c.example", "Form"),
            ("a@c\0.example", "Form"),
            ("a,b@c.example", "Form"),
        ] {
            assert_eq!(canonical(text), why, "{text}");
        }
    }

    #[test]
    fn a_quoted_local_part_is_written_with_its_quotes() {
        assert_eq!(canonical("\"a b\"@c.example"), "\"a b\"@c.example");
        assert_eq!(canonical("\"a@b\"@c.example"), "\"a@b\"@c.example");
        assert_eq!(canonical("\"a\\\"b\\\\\"@c.example"), "\"a\\\"b\\\\\"@c.example");
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(text in "\\PC{1,40}@\\PC{1,20}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = Address::parse(&text);
        }
    }
}
