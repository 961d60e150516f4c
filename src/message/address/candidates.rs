//! Every mailbox that a mail server could deliver a recipient to.
//!
//! Postfix and Sendmail do not deliver to what the client wrote but to what they make of it: they drop source routes,
//! look behind `%` and `!` and inside quotes, cut sub-addresses off, and complete missing domains. Which of these a
//! server really does depends on its configuration, so all of them are followed; a list is protected if any of the
//! mailboxes is one of its addresses.

use std::collections::BTreeSet;

use super::lexer::{Token, lex};
use super::{Address, canonical_domain, without_route};

/// How many routing marks (`@ % !`, delimiters, spaces) a path may have. Real paths have one or two; the number of
/// readings grows with the square of the marks.
const MARKS_MAX: usize = 24;

/// The longest path in octets that is followed. RFC 5321 section 4.5.3.1.3 allows 256; SMTPUTF8 and routes need more.
const PATH_BYTES_MAX: usize = 2048;

/// What the local mail server makes of recipients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecipientSyntax {
    /// The characters that begin a sub-address (Postfix `recipient_delimiter`), such as `+`.
    pub recipient_delimiters: String,
    /// The domains that complete a recipient without one (Postfix `myorigin`, `mydomain`).
    pub local_domains: Vec<String>,
}

/// The path has so many routing marks, or is so long, that not all its readings were followed. No honest recipient is
/// like that: refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recipient has too many routing marks")]
pub struct TooManyRoutes;

/// Every mailbox a mail server could deliver this recipient to, sorted; the path as the client wrote it, with or without
/// angle brackets. Empty when no reading gives an address.
///
/// # Errors
/// [`TooManyRoutes`] when the path is no honest recipient: the caller refuses it.
pub fn candidates(raw_path: &str, syntax: &RecipientSyntax) -> Result<Vec<Address>, TooManyRoutes> {
    let is_mark = |c: char| matches!(c, '@' | '%' | '!' | ' ') || syntax.recipient_delimiters.contains(c);
    if raw_path.len() > PATH_BYTES_MAX || raw_path.trim().chars().filter(|&c| is_mark(c)).count() > MARKS_MAX {
        return Err(TooManyRoutes);
    }
    let mut search = Search { syntax, seen: BTreeSet::new(), found: BTreeSet::new() };
    search.follow_path(raw_path);
    Ok(search.found.into_iter().collect())
}

struct Search<'a> {
    syntax: &'a RecipientSyntax,
    /// Readings already followed: local part as written, domain (empty when missing).
    seen: BTreeSet<(String, String)>,
    found: BTreeSet<Address>,
}

impl Search<'_> {
    /// Reads a path; one that names several mailboxes, or hides one behind a phrase or in a group, is read for each.
    fn follow_path(&mut self, path: &str) {
        let tokens = lex(path).tokens;
        let bounds = |t: &Token| t.is('<') || t.is('>') || t.is(';');
        for piece in tokens.split(bounds) {
            self.follow_tokens(without_route(piece));
            // A colon that ends no route begins a group (`name: a@b;`).
            for entry in piece.split(|t| t.is(':') || t.is(',')) {
                self.follow_tokens(entry);
            }
        }
    }

    fn follow_tokens(&mut self, tokens: &[Token]) {
        let (local, domain) = match tokens.iter().rposition(|t| t.is('@')) {
            Some(at) => (tokens.get(..at).unwrap_or_default(), tokens.get(at + 1..).unwrap_or_default()),
            None => (tokens, [].as_slice()),
        };
        let domain = joined(domain, "");
        // Words that stand side by side: Postfix keeps the space, Sendmail puts its BlankSub (a dot) there.
        for gap in ["", ".", " "] {
            self.follow(joined(local, gap), domain.clone());
        }
    }

    /// Follows one reading and all that come from it. Each step makes the local part shorter, so it ends.
    fn follow(&mut self, local: String, domain: String) {
        let mut waiting = vec![(local, domain)];
        while let Some((local, domain)) = waiting.pop() {
            if local.is_empty() || !self.seen.insert((local.clone(), domain.clone())) {
                continue;
            }
            self.keep(&local, &domain);
            waiting.extend(rerouted(&local));
            // A delimiter in the first place begins no sub-address: the mailbox would have no name.
            let delimiters =
                local.char_indices().skip(1).filter(|(_, c)| self.syntax.recipient_delimiters.contains(*c));
            let bases = delimiters.filter_map(|(at, _)| local.get(..at));
            waiting.extend(bases.map(|base| (base.to_owned(), domain.clone())));
        }
    }

    /// Keeps a reading, its domain completed where it is missing or has a single label.
    fn keep(&mut self, local: &str, domain: &str) {
        let domain = domain.trim_matches('.');
        self.found.extend(Address::from_parts(local, domain));
        if domain.contains('.') || domain.starts_with('[') {
            return;
        }
        for local_domain in &self.syntax.local_domains {
            let full = if domain.is_empty() { local_domain.clone() } else { format!("{domain}.{local_domain}") };
            self.found.extend(Address::from_parts(local, &full));
        }
    }
}

/// The readings behind `user%domain`, `host!user` and `"user@domain"` (Postfix `allow_percent_hack`, `swap_bangpath`,
/// `resolve_dequoted_address`).
fn rerouted(local: &str) -> Vec<(String, String)> {
    let mut routes = Vec::new();
    for mark in ['@', '%'] {
        if let Some((user, host)) = local.rsplit_once(mark) {
            routes.push((user.to_owned(), host.to_owned()));
        }
    }
    if let Some((host, user)) = local.split_once('!') {
        routes.push((user.to_owned(), host.to_owned()));
    }
    if local.starts_with('@')
        && let Some((_, path)) = local.split_once(':')
    {
        routes.push((path.to_owned(), String::new()));
    }
    routes.retain(|(_, host)| host.is_empty() || canonical_domain(host).is_some());
    routes
}

/// The tokens as one text, with `gap` between words that stand side by side.
fn joined(tokens: &[Token], gap: &str) -> String {
    let mut text = String::new();
    let mut after_word = false;
    for token in tokens {
        match token {
            Token::Special(c) => text.push(*c),
            Token::Atom(word) | Token::Quoted(word) | Token::Literal(word) => {
                if after_word {
                    text.push_str(gap);
                }
                text.push_str(word);
            }
        }
        after_word = token.word().is_some();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn syntax() -> RecipientSyntax {
        RecipientSyntax { recipient_delimiters: "+-".to_owned(), local_domains: vec!["cnrs.example".to_owned()] }
    }

    fn reaches(path: &str, mailbox: &str) -> bool {
        candidates(path, &syntax()).unwrap().contains(&Address::parse(mailbox).unwrap())
    }

    #[test]
    fn every_spelling_of_a_list_reaches_it() {
        for path in [
            "<elec.teurs@listes.cnrs.example>",
            "<ELEC.TEURS@LISTES.CNRS.EXAMPLE.>",
            "elec.teurs@listes.cnrs.example",
            "<\"elec.teurs\"@listes.cnrs.example>",
            "<elec\\.teurs@listes.cnrs.example>",
            "<elec.teurs+vote@listes.cnrs.example>",
            "<elec.teurs+a+b@listes.cnrs.example>",
            "<elec.teurs-vote+a@listes.cnrs.example>",
            "<\"elec.teurs+a b\"@listes.cnrs.example>",
            "<@relais.example,@b.example:elec.teurs@listes.cnrs.example>",
            "<elec.teurs%listes.cnrs.example@relais.example>",
            "<elec.teurs+x%listes.cnrs.example%b.example@relais.example>",
            "<listes.cnrs.example!elec.teurs>",
            "<a.example!listes.cnrs.example!elec.teurs@relais.example>",
            "<\"elec.teurs@listes.cnrs.example\"@relais.example>",
            "<\"@a.example:elec.teurs@listes.cnrs.example\"@relais.example>",
            "<elec.teurs@listes.cnrs.example@relais.example>",
            "<elec.teurs@listes.cnrs.example@>",
            "<elec.teurs@listes>",
            "<elec teurs@listes.cnrs.example>",
            "<\"elec\".\"teurs\"@listes.cnrs.example>",
            "<\"elec\"\".teurs\"@listes.cnrs.example>",
            "<elec.teurs(vote)@listes.cnrs.example>",
            "Les électeurs <elec.teurs@listes.cnrs.example>",
            "<groupe: elec.teurs@listes.cnrs.example;>",
            "<elec.teurs@ listes.cnrs.example>",
        ] {
            assert!(reaches(path, "elec.teurs@listes.cnrs.example"), "{path}");
        }
        for path in ["<electeurs>", "electeurs", "<electeurs@>", "<electeurs+a>", "<electeurs@cnrs.example>"] {
            assert!(reaches(path, "electeurs@cnrs.example"), "{path}");
        }
    }

    #[test]
    fn another_mailbox_is_not_the_list() {
        for path in [
            "<electeurs-d@listes.cnrs.example>",
            "<electeurs@autre.example>",
            "<xelecteurs-c@listes.cnrs.example>",
            "<electeurs.c@listes.cnrs.example>",
            "<+electeurs-c@listes.cnrs.example>",
            "<>",
            "",
        ] {
            assert!(!reaches(path, "electeurs-c@listes.cnrs.example"), "{path}");
        }
    }

    #[test]
    fn a_path_that_cannot_be_followed_to_the_end_is_refused() {
        let long = format!("<{}a@b.example>", "x!".repeat(40));
        assert_eq!(candidates(&long, &syntax()), Err(TooManyRoutes));
        let long = format!("<{}@b.example>", "x".repeat(3000));
        assert_eq!(candidates(&long, &syntax()), Err(TooManyRoutes));
    }

    /// One trick on the way from the address of a list to what a client writes.
    #[derive(Debug, Clone)]
    enum Trick {
        Upper,
        Quote,
        Dot,
        Sub(String),
        Percent,
        Bang,
        Inner,
        Route,
    }

    fn trick() -> impl Strategy<Value = Trick> {
        prop_oneof![
            Just(Trick::Upper),
            Just(Trick::Quote),
            Just(Trick::Dot),
            "[a-z+]{0,6}".prop_map(Trick::Sub),
            Just(Trick::Percent),
            Just(Trick::Bang),
            Just(Trick::Inner),
            Just(Trick::Route),
        ]
    }

    fn quoted(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn no_chain_of_tricks_slips_past(tricks in prop::collection::vec(trick(), 0..5)) {
            let (mut local, mut domain) = ("elec.teurs".to_owned(), "listes.cnrs.example".to_owned());
            let (mut quote, mut route) = (false, false);
            for trick in &tricks {
                match trick {
                    Trick::Upper => { local = local.to_uppercase(); domain = domain.to_uppercase(); }
                    Trick::Quote => quote = true,
                    Trick::Dot => if !domain.ends_with('.') { domain.push('.') },
                    Trick::Sub(text) => { local.push('+'); local.push_str(text); }
                    Trick::Percent => { local = format!("{local}%{domain}"); domain = "relais.example".to_owned(); }
                    Trick::Bang => { local = format!("{domain}!{local}"); domain = "relais.example".to_owned(); }
                    Trick::Inner => {
                        local = format!("{local}@{domain}"); domain = "relais.example".to_owned(); quote = true;
                    }
                    Trick::Route => route = true,
                }
            }
            let local = if quote { quoted(&local) } else { local };
            let route = if route { "@a.example,@b.example:" } else { "" };
            let path = format!("<{route}{local}@{domain}>");
            prop_assert!(reaches(&path, "elec.teurs@listes.cnrs.example"), "{path}");
        }

        #[test]
        fn nothing_panics(path in any::<String>()) {
            let _ = candidates(&path, &syntax());
        }
    }
}
