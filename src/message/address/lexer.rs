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
}

/// Splits a text into tokens; linear, whatever the nesting of comments.
pub(super) fn lex(text: &str) -> Lexed {
    let mut lexed = Lexed::default();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {
                chars.next();
            }
            '(' => lexed.damaged |= !skip_comment(&mut chars),
            '"' => {
                let (content, ended) = delimited(&mut chars, '"');
                lexed.damaged |= !ended;
                lexed.tokens.push(Token::Quoted(content));
            }
            '[' => {
                let (content, ended) = delimited(&mut chars, ']');
                lexed.damaged |= !ended;
                lexed.tokens.push(Token::Literal(format!("[{content}]")));
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
                let (content, sound) = atom(&mut chars);
                lexed.damaged |= !sound;
                lexed.tokens.push(Token::Atom(content));
            }
        }
    }
    lexed
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips a comment and those nested in it; `false` when it never ends.
fn skip_comment(chars: &mut Chars<'_>) -> bool {
    let mut depth = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// What stands between the delimiter at hand and the next `end`, unescaped; `false` when there is no end. Folding
/// inside a quoted string is not part of it (RFC 5322 section 3.2.4).
fn delimited(chars: &mut Chars<'_>, end: char) -> (String, bool) {
    let mut content = String::new();
    chars.next();
    while let Some(c) = chars.next() {
        match c {
            '\\' => content.extend(chars.next()),
            '\r' | '\n' => {}
            c if c == end => return (content, true),
            c => content.push(c),
        }
    }
    (content, false)
}

/// A run of ordinary characters; `false` when a control character is among them.
fn atom(chars: &mut Chars<'_>) -> (String, bool) {
    let mut content = String::new();
    let mut sound = true;
    while let Some(&c) = chars.peek() {
        match c {
            ' ' | '\t' | '\r' | '\n' | '(' | ')' | '<' | '>' | '[' | ']' | ':' | ';' | '@' | ',' | '.' | '"' => break,
            '\\' => {
                chars.next();
                content.extend(chars.next());
            }
            c => {
                sound &= !c.is_control();
                content.push(c);
                chars.next();
            }
        }
    }
    (content, sound)
}
