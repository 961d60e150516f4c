//! The lexical tokens of RFC 5322 section 3.2 (atoms, quoted strings, domain literals, comments), read the way mail
//! servers read them: generously. Comments and folding are dropped; what cannot be a token marks the text as damaged.

/// One token of an address or a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A run of characters that are neither space nor special; a backslash outside quotes escapes, as Postfix has it.
    Atom(String),
    /// A quoted string, without its quotes and escapes.
    Quoted(String),
    /// A domain literal, with its brackets.
    Literal(String),
    /// One of `<>:;@,.` standing by itself.
    Special(char),
}

impl Token {
    /// The words of the token, if it is a word.
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Atom(text) | Self::Quoted(text) => Some(text),
            Self::Literal(_) | Self::Special(_) => None,
        }
    }

    /// Is it this special character?
    pub(super) fn is(&self, special: char) -> bool {
        matches!(self, Self::Special(c) if *c == special)
    }
}

/// The tokens of a text.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    /// In order, each with whether space or a comment stood before it.
    pub(super) tokens: Vec<Token>,
    /// A quoted string, comment or literal never ends, or there is a control character.
    pub(super) damaged: bool,
    /// Mail programs would find other addresses: in what a comment, quotation marks or a backslash cover here and not there.
    pub(super) contested: bool,
}

/// Splits a text into tokens; linear, whatever the nesting of comments.
pub(super) fn lex(text: &str) -> Lexed {
    let mut lexed = Lexed::default();
    let mut chars = text.chars().peekable();
    // The word right before, without space between.
    let mut touching = Touching::Nothing;
    while let Some(&c) = chars.peek() {
        let before = std::mem::take(&mut touching);
        match c {
            ' ' | '\t' | '\r' | '\n' => {
                chars.next();
            }
            '(' => {
                let comment = skip_comment(&mut chars);
                lexed.damaged |= !comment.ended;
                lexed.contested |= comment.contested;
            }
            '"' => {
                let quoted = delimited(&mut chars, '"');
                lexed.damaged |= !quoted.ended;
                // Some end a quoted string at a fold, some begin none inside a word.
                let hides_address = quoted.content.contains(['@', '<', '>', ',']);
                lexed.contested |= hides_address && (quoted.folded || before == Touching::Atom);
                touching = if hides_address { Touching::Address } else { Touching::Nothing };
                lexed.tokens.push(Token::Quoted(quoted.content));
            }
            '[' => {
                let literal = delimited(&mut chars, ']');
                lexed.damaged |= !literal.ended;
                lexed.tokens.push(Token::Literal(format!("[{}]", literal.content)));
            }
            '<' | '>' | ':' | ';' | '@' | ',' | '.' => {
                chars.next();
                lexed.tokens.push(Token::Special(c));
            }
            ')' | ']' => {
                chars.next();
                lexed.damaged = true;
            }
            _ => {
                let atom = atom(&mut chars);
                lexed.damaged |= !atom.sound;
                lexed.contested |= atom.contested || before == Touching::Address;
                touching = Touching::Atom;
                lexed.tokens.push(Token::Atom(atom.content));
            }
        }
    }
    lexed
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What stands right before a token.
#[derive(Default, PartialEq, Eq)]
enum Touching {
    #[default]
    Nothing,
    Atom,
    /// A quoted string with something in it that may be an address.
    Address,
}

/// A comment that was skipped.
struct Comment {
    ended: bool,
    /// It may have an address in it, and programs disagree about where it ends: few nest, unescape and unfold.
    contested: bool,
}

/// Skips a comment and those nested in it.
fn skip_comment(chars: &mut Chars<'_>) -> Comment {
    let (mut depth, mut is_plain, mut has_address) = (0_usize, true, false);
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                is_plain = false;
                chars.next();
            }
            '(' => {
                is_plain &= depth == 0;
                depth += 1;
            }
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Comment { ended: true, contested: has_address && !is_plain };
                }
            }
            '\r' | '\n' => is_plain = false,
            '@' | '<' => has_address = true,
            _ => {}
        }
    }
    Comment { ended: false, contested: false }
}

/// What stands between two delimiters.
struct Delimited {
    content: String,
    ended: bool,
    folded: bool,
}

/// What stands between the delimiter at hand and the next `end`, unescaped. Folding inside a quoted string is not part of it
/// (RFC 5322 section 3.2.4).
fn delimited(chars: &mut Chars<'_>, end: char) -> Delimited {
    let mut read = Delimited { content: String::new(), ended: false, folded: false };
    chars.next();
    while let Some(c) = chars.next() {
        match c {
            '\\' => read.content.extend(chars.next()),
            '\r' | '\n' => read.folded = true,
            c if c == end => {
                read.ended = true;
                break;
            }
            c => read.content.push(c),
        }
    }
    read
}

/// A run of ordinary characters.
struct Atom {
    content: String,
    /// No control character is among them.
    sound: bool,
    /// A special character stands behind a backslash, which few programs know outside quotation marks.
    contested: bool,
}

fn atom(chars: &mut Chars<'_>) -> Atom {
    let mut atom = Atom { content: String::new(), sound: true, contested: false };
    while let Some(&c) = chars.peek() {
        match c {
            ' ' | '\t' | '\r' | '\n' | '(' | ')' | '<' | '>' | '[' | ']' | ':' | ';' | '@' | ',' | '.' | '"' => break,
            '\\' => {
                chars.next();
                let escaped = chars.next();
                atom.contested |= escaped.is_some_and(|c| "@<>,:;\".()[]\\".contains(c));
                atom.content.extend(escaped);
            }
            c => {
                atom.sound &= !c.is_control();
                atom.content.push(c);
                chars.next();
            }
        }
    }
    atom
}
