//! The address lists of header fields (RFC 5322 section 3.4): mailboxes, groups, display names.
//!
//! A display name is never an address, however much it looks like one.

use super::lexer::{Token, lex};
use super::{Address, domain_text, from_tokens, local_part, quoted_local, split_at_sign, without_route};

/// A mailbox of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name as it stands there: RFC 2047 words are not decoded. `None` when there is none.
    pub display: Option<String>,
    /// The address.
    pub address: Address,
    /// The address as the field writes it, letter case kept, without comments and folding: for fields made from it.
    pub written: String,
}

/// An address list as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailboxes {
    /// The mailboxes, in order, those of groups among them.
    pub list: Vec<Mailbox>,
    /// There is a group (`name: a, b;`), perhaps without a member.
    pub group: bool,
    /// Some entry cannot be read, or two programs would read it differently.
    pub unreadable: bool,
}

/// Reads an address list. Linear in its length.
#[must_use]
pub fn mailboxes(text: &str) -> Mailboxes {
    let lexed = lex(text);
    let mut read = Mailboxes { unreadable: lexed.damaged || lexed.contested, ..Mailboxes::default() };
    let mut entry: Vec<Token> = Vec::new();
    let mut in_angle = false;
    for token in lexed.tokens {
        match token {
            Token::Special('<') => {
                // A second bracket inside the first, as in `<<a@b>>`: no two programs agree on it.
                read.unreadable |= in_angle;
                in_angle = true;
                entry.push(token);
            }
            Token::Special('>') => {
                read.unreadable |= !in_angle;
                in_angle = false;
                entry.push(token);
            }
            // Inside brackets, commas and colons belong to a source route.
            token if in_angle => entry.push(token),
            Token::Special(':') => {
                read.group = true;
                entry.clear();
            }
            Token::Special(',' | ';') => read.take(&mut entry),
            token => entry.push(token),
        }
    }
    read.unreadable |= in_angle;
    read.take(&mut entry);
    read
}

impl Mailboxes {
    /// Reads one entry between commas; an empty one is nothing (RFC 5322 section 4.4).
    fn take(&mut self, entry: &mut Vec<Token>) {
        if !entry.is_empty() {
            match read_entry(entry) {
                Some(mailbox) => self.list.push(mailbox),
                None => self.unreadable = true,
            }
            entry.clear();
        }
    }
}

fn read_entry(tokens: &[Token]) -> Option<Mailbox> {
    let Some(open) = tokens.iter().position(|t| t.is('<')) else {
        return from_tokens(tokens).ok().map(|address| Mailbox {
            display: None,
            written: written(tokens, &address),
            address,
        });
    };
    let phrase = tokens.get(..open)?;
    let (close, inner) = tokens.get(open + 1..)?.split_last()?;
    if !close.is('>') || inner.iter().any(|t| t.is('>') || t.is('<')) {
        return None;
    }
    // Source routes have died out, and programs find addresses in them (RFC 5322 section 4.4). A literal is no word of a name.
    let hides_address = |t: &Token| matches!(t, Token::Literal(text) if text.contains(['@', ',', '<', '>']));
    if inner.first().is_some_and(|t| t.is('@')) || phrase.iter().any(hides_address) {
        return None;
    }
    let address = from_tokens(inner).ok()?;
    // An address without quotes in the place of the name is an error of syntax that some programs take for the address.
    // It is harmless when both are the same.
    if phrase.iter().any(|t| t.is('@')) && from_tokens(&without_apostrophes(phrase)).ok().as_ref() != Some(&address) {
        return None;
    }
    Some(Mailbox { display: display_name(phrase), written: written(inner, &address), address })
}

/// A phrase without the apostrophes around it, which Outlook takes for quotation marks.
fn without_apostrophes(phrase: &[Token]) -> Vec<Token> {
    let mut inner = phrase.to_vec();
    if let [Token::Atom(first), .., Token::Atom(last)] = inner.as_mut_slice()
        && first.starts_with('\'')
        && last.ends_with('\'')
    {
        first.remove(0);
        last.pop();
    }
    inner
}

/// The address with the letter case of its author: servers may tell `A@…` from `a@…`, although none is known to
/// (RFC 5321 section 2.4).
fn written(tokens: &[Token], address: &Address) -> String {
    let local = split_at_sign(without_route(tokens)).and_then(|(local, domain)| Some((local_part(local)?, domain)));
    let Some((local, domain)) = local else { return address.to_string() };
    let domain = domain_text(domain).filter(|domain| domain.is_ascii()).unwrap_or_else(|| address.domain().to_owned());
    format!("{}@{}", quoted_local(&local), domain.trim_end_matches('.'))
}

fn display_name(phrase: &[Token]) -> Option<String> {
    let mut name = String::new();
    for token in phrase {
        match token {
            Token::Special(c) => name.push(*c),
            Token::Literal(text) => name.push_str(text),
            Token::Atom(text) | Token::Quoted(text) => {
                if !name.is_empty() && !name.ends_with('@') {
                    name.push(' ');
                }
                name.push_str(text);
            }
        }
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<String> {
        mailboxes(text).list.iter().map(|m| m.address.to_string()).collect()
    }

    #[test]
    fn names_brackets_comments_and_lists() {
        let read = mailboxes("\"Liste A, college C\" <liste-a@c.example>");
        assert_eq!(read.list.len(), 1);
        assert_eq!(read.list[0].display.as_deref(), Some("Liste A, college C"));
        assert!(!read.group && !read.unreadable);
        assert_eq!(addresses("a@c.example (Liste A), B B <b@c.example>"), ["a@c.example", "b@c.example"]);
        assert_eq!(addresses(",, a@c.example,"), ["a@c.example"]);
    }

    #[test]
    fn an_address_is_also_known_as_it_was_written() {
        for (text, written) in [
            ("Liste A <Liste.A@C.example.>", "Liste.A@C.example"),
            ("\"Liste A\"@c.example (x)", "\"Liste A\"@c.example"),
            ("\"liste.A\"@c.example", "liste.A@c.example"),
            ("<A@é.example>", "A@xn--9ca.example"),
        ] {
            assert_eq!(mailboxes(text).list[0].written, written);
        }
    }

    #[test]
    fn a_display_name_is_never_an_address() {
        assert_eq!(addresses("\"chef@c.example\" <autre@d.example>"), ["autre@d.example"]);
        assert_eq!(addresses("=?utf-8?q?chef=40c=2Eexample?= <autre@d.example>"), ["autre@d.example"]);
        let read = mailboxes("chef@c.example <autre@d.example>");
        assert!(read.unreadable && read.list.is_empty());
        assert_eq!(addresses("a@c.example <a@c.example>"), ["a@c.example"]);
        assert_eq!(addresses("'a@c.example' <a@c.example>"), ["a@c.example"]);
        assert!(mailboxes("'b@c.example' <a@c.example>").unreadable);
    }

    #[test]
    fn addresses_that_some_program_would_show_are_not_hidden() {
        for text in [
            "=?utf-8?q?\"_?= <b@c.example>, =?utf-8?q?_\"?= <a@c.example>",
            "=?utf-8?b?\"?= <b@c.example> =?utf-8?b?\"?= <a@c.example>",
            "x[,b@c.example,] <a@c.example>",
            "[<b@c.example>] <a@c.example>",
            "<@x,b@c.example:a@c.example>",
            "<@[<b@c.example>]:a@c.example>",
            "<@r.example:a@c.example>",
            "(x (y) <b@c.example>) <a@c.example>",
            "<a@c.example> ((x) <b@c.example>)",
            "a@c.example (\\) <b@c.example>)",
            "\"x\r\n <b@c.example>\" <a@c.example>",
            "(x\r\n <b@c.example>) <a@c.example>",
            "b\\@c\\.example <a@c.example>",
        ] {
            assert!(mailboxes(text).unreadable, "{text}");
        }
        for text in [
            "Liste A [CNRS] <a@c.example>",
            "a@c.example (Jean (Paul) Martin)",
            "a@c.example (b@c.example)",
            "\"Long\r\n name\" <a@c.example>",
            "\"Liste A, <b@c.example>\" <a@c.example>",
            "Jean \"Jeannot\"Dupont <a@c.example>",
            "Jean \\o/ <a@c.example>",
            "=?utf-8?q?Liste_A?=\r\n <a@c.example>",
        ] {
            assert!(!mailboxes(text).unreadable, "{text}");
            assert_eq!(addresses(text), ["a@c.example"], "{text}");
        }
    }

    #[test]
    fn groups_are_seen() {
        let read = mailboxes("Listes: a@c.example, B <b@c.example>;");
        assert!(read.group && !read.unreadable);
        assert_eq!(read.list.len(), 2);
        let read = mailboxes("undisclosed-recipients:;");
        assert!(read.group && read.list.is_empty() && !read.unreadable);
    }

    #[test]
    fn what_two_programs_would_read_differently_is_unreadable() {
        for text in [
            "<a@c.example> b@c.example",
            "<a@c.example> <b@c.example>",
            "<<a@c.example>>",
            "a@c.example>",
            "<a@c.example",
            "\"a@c.example",
            "a@c.example b@c.example",
            "a@c.example\0, b@c.example",
        ] {
            assert!(mailboxes(text).unreadable, "{text}");
        }
    }

    #[test]
    fn ten_thousand_mailboxes_and_deep_comments_take_linear_time() {
        let many = "a@c.example, ".repeat(10_000);
        assert_eq!(mailboxes(&many).list.len(), 10_000);
        let deep = format!("{}a@c.example", "(".repeat(65_000));
        assert!(mailboxes(&deep).unreadable);
    }
}
