//! From a TOML document with positions to raw structures, without stopping at the first problem.
//!
//! serde gives up at the first unknown key or wrong type, and a postmaster who mends one key at a time mends for an
//! hour. So the raw structures are read from the `toml` crate's own tree with spans ([`toml::de::DeTable`]), by code that the
//! macro [`raw_table`] writes from their declaration. The same declaration yields the reference in
//! `docs/configuration.md`, which therefore cannot name a key that does not exist.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::codes::{Code, Severity};
use super::report::{FileId, Place, Problem, Report};

/// Where problems of one file go.
pub struct Reader<'r> {
    report: &'r mut Report,
    file: FileId,
    errors: usize,
}

impl<'r> Reader<'r> {
    /// A reader of `file`.
    pub fn new(report: &'r mut Report, file: FileId) -> Self {
        Self { report, file, errors: 0 }
    }

    /// The place of a span in this file.
    #[must_use]
    pub fn place(&self, span: Range<usize>) -> Place {
        Place { file: self.file, span: Some(span) }
    }

    /// Records a problem at a span.
    pub fn problem(&mut self, code: Code, span: Range<usize>, message: impl Into<String>, label: impl Into<String>) {
        let place = self.place(span);
        self.add(Problem { code, message: message.into(), place, label: label.into(), help: None, related: None });
    }

    /// Records a problem that has a second place.
    pub fn problem_with(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        related: (Range<usize>, &str),
    ) {
        let related = Some((self.place(related.0), related.1.to_owned()));
        let place = self.place(span);
        self.add(Problem { code, message: message.into(), place, label: label.into(), help: None, related });
    }

    /// Records a problem built by hand.
    pub fn add(&mut self, problem: Problem) {
        self.errors += usize::from(problem.code.severity() == Severity::Error);
        self.report.add(problem);
    }

    /// How many errors this reader has met.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Whether this reader has met an error. What is missing may then merely not have been understood, so it is no time
    /// to complain of things that are missing.
    #[must_use]
    pub fn met_errors(&self) -> bool {
        self.errors > 0
    }

    /// Parses the text of the file and reads the document as a raw structure.
    pub fn document<T: FromNode>(&mut self, text: &str) -> Option<T> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let whole = !errors.is_empty();
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let quoted = text.get(span.clone()).unwrap_or_default();
            let code = if looks_like_date(quoted) { Code::BadDate } else { Code::Syntax };
            let message = match code {
                Code::BadDate => "there is no such date or time".to_owned(),
                _ => "the file is not TOML".to_owned(),
            };
            self.problem(code, span, message, error.message());
        }
        if whole {
            // What follows a syntax error is guesswork, and problems found in guesses mislead.
            return None;
        }
        let span = 0..0;
        T::from_node(&Spanned::new(span, DeValue::Table(table.into_inner())), "the file", self)
    }
}

/// Whether the text that TOML could not read was meant as a date.
fn looks_like_date(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits == 4 && text.as_bytes().get(4) == Some(&b'-')
}

/// Something that can be read from a node of the document.
pub trait FromNode: Sized {
    /// Reads it, recording every problem; `key` names the node for people.
    fn from_node(node: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self>;

    /// What it looks like, for the reference.
    fn shape() -> Shape;
}

/// What a value looks like, for the reference.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A single value, described in words.
    Leaf(String),
    /// A table with these keys.
    Table(&'static str, fn() -> Vec<KeyDoc>),
    /// Several of these.
    List(Box<Shape>),
}

/// A key, for the reference.
#[derive(Debug, Clone)]
pub struct KeyDoc {
    /// The key.
    pub key: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// Whether it must be there, and if not, what holds instead.
    pub need: Need,
}

/// Whether a key must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// It must.
    Required,
    /// It may be left out.
    Optional,
    /// This holds when it is left out.
    Default(String),
}

/// Why a single value was refused: the code, and a label for the place.
pub type LeafError = (Code, String);

/// A single value of the document.
pub trait Leaf: Sized {
    /// What it looks like, for the reference and for messages: "a mail address".
    fn shape() -> String;

    /// Reads it.
    ///
    /// # Errors
    /// The code and the label of the problem.
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError>;
}

impl<T: Leaf> FromNode for Spanned<T> {
    fn from_node(node: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match T::read(node.get_ref()) {
            Ok(value) => Some(Spanned::new(node.span(), value)),
            Err((code, label)) => {
                reader.problem(code, node.span(), format!("`{key}` must be {}", T::shape()), label);
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Leaf(T::shape())
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(array) = node.get_ref() else {
            let label = format!("this is {}", kind(node.get_ref()));
            reader.problem(Code::WrongType, node.span(), format!("`{key}` must be an array"), label);
            return None;
        };
        // A bad element is reported and left out: the good ones still count, so that one bad address does not draw
        // a train of problems behind it.
        Some(array.iter().filter_map(|element| T::from_node(element, key, reader)).collect())
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

/// One value, or an array of them.
#[derive(Debug)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: FromNode> FromNode for OneOrMany<T> {
    fn from_node(node: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match node.get_ref() {
            DeValue::Array(_) => Vec::from_node(node, key, reader).map(Self),
            _ => T::from_node(node, key, reader).map(|one| Self(vec![one])),
        }
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

/// A rule: its settings, or `false` to switch it off where it would be inherited.
#[derive(Debug)]
pub enum Switch<T> {
    /// The settings.
    On(T),
    /// Switched off.
    Off,
}

/// The settings of what is there and not switched off.
pub fn on<T>(switch: Option<&Switch<T>>) -> Option<&T> {
    match switch? {
        Switch::On(settings) => Some(settings),
        Switch::Off => None,
    }
}

impl<T: FromNode> FromNode for Switch<T> {
    fn from_node(node: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match node.get_ref() {
            DeValue::Boolean(false) => Some(Self::Off),
            _ => T::from_node(node, key, reader).map(Self::On),
        }
    }

    fn shape() -> Shape {
        T::shape()
    }
}

/// A table whose keys are free, such as the weights of signals.
#[derive(Debug)]
pub struct Free<T>(pub Vec<(Spanned<String>, T)>);

impl<T: FromNode> FromNode for Free<T> {
    fn from_node(node: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let table = as_table(node, key, reader)?;
        let mut entries = Vec::new();
        for (name, value) in table {
            if let Some(value) = T::from_node(value, name.get_ref(), reader) {
                entries.push((Spanned::new(name.span(), name.get_ref().to_string()), value));
            }
        }
        Some(Self(entries))
    }

    fn shape() -> Shape {
        match T::shape() {
            Shape::Leaf(leaf) => Shape::Leaf(format!("a table of names, each with {leaf}")),
            other => other,
        }
    }
}

/// The node as a table, or a problem.
pub fn as_table<'n, 'i>(node: &'n Spanned<DeValue<'i>>, key: &str, reader: &mut Reader<'_>) -> Option<&'n DeTable<'i>> {
    if let DeValue::Table(table) = node.get_ref() {
        return Some(table);
    }
    let label = format!("this is {}", kind(node.get_ref()));
    reader.problem(Code::WrongType, node.span(), format!("`{key}` must be a table"), label);
    None
}

/// The kind of a value, with its article.
#[must_use]
pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a floating-point number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The complaint about a value of another kind.
pub fn wrong(value: &DeValue<'_>) -> LeafError {
    (Code::WrongType, format!("this is {}", kind(value)))
}

/// The text of a value that must be a string.
///
/// # Errors
/// [`Code::WrongType`].
pub fn string<'v>(value: &'v DeValue<'_>) -> Result<&'v str, LeafError> {
    match value {
        DeValue::String(text) => Ok(text),
        other => Err(wrong(other)),
    }
}

/// Reports the keys of `table` that are not among `known`, with the nearest known one as a suggestion.
pub fn report_unknown_keys(table: &DeTable<'_>, known: &[&'static str], inside: &str, reader: &mut Reader<'_>) {
    for key in table.keys() {
        if known.contains(&key.get_ref().as_ref()) {
            continue;
        }
        let label = did_you_mean(key.get_ref(), known, "not known here");
        let message = format!("unknown key `{}` in {inside}", key.get_ref());
        let mut problem = Problem {
            code: Code::UnknownKey,
            message,
            place: reader.place(key.span()),
            label,
            help: None,
            related: None,
        };
        problem.help = Some(format!("the keys known here are {}", enumerate(known)));
        reader.add(problem);
    }
}

/// Asks whether the known word nearest to a mistyped one was meant; says something else where none is near.
#[must_use]
pub fn did_you_mean(word: &str, known: &[&str], otherwise: &str) -> String {
    // Below 0.75 the suggestions are guesses that only distract; found by trying the usual slips.
    const LIKENESS_MIN: f64 = 0.75;
    let likenesses = known.iter().map(|known| (strsim::jaro_winkler(word, known), known));
    let nearest = likenesses.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map_or_else(|| otherwise.to_owned(), |(_, known)| format!("did you mean `{known}`?"))
}

/// Words as people enumerate them: `a`, `b`, `c`.
#[must_use]
pub fn enumerate(words: &[&str]) -> String {
    words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}

/// Declares a raw structure: its keys with their documentation, whether each must be there, and its type.
///
/// `required` and `optional` keys become `Option` fields (a required key that is missing has been reported, so lowering
/// can simply stop); `many` keys become `Vec` fields; `default(VALUE)` keys become `Spanned` fields that always hold a value.
macro_rules! raw_table {
    ($(#[doc = $doc:literal])+ $name:ident called $called:literal {
        $($(#[doc = $help:literal])+ $field:ident : $need:ident $ty:ty $(= $default:expr)?,)+
    }) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub struct $name {
            /// Where the table is.
            pub span: std::ops::Range<usize>,
            /// The keys whose values could not be read; they are not missing, and have been complained of.
            pub bad: Vec<&'static str>,
            $($(#[doc = $help])+ pub $field: raw_table!(@type $need $ty),)+
        }

        impl $name {
            /// The keys, in the order of the reference.
            pub const KEYS: &[&'static str] = &[$(stringify!($field)),+];

            /// The keys with all that is to be said of them.
            #[must_use]
            pub fn keys() -> Vec<$crate::config::reader::KeyDoc> {
                vec![$($crate::config::reader::KeyDoc {
                    key: stringify!($field),
                    help: concat!($($help),+).trim_ascii(),
                    shape: <$ty as $crate::config::reader::FromNode>::shape(),
                    need: raw_table!(@need $need $(($default))?),
                }),+]
            }
        }

        impl $crate::config::reader::FromNode for $name {
            fn from_node(
                node: &toml::Spanned<toml::de::DeValue<'_>>,
                key: &str,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                let table = $crate::config::reader::as_table(node, key, reader)?;
                $crate::config::reader::report_unknown_keys(table, Self::KEYS, $called, reader);
                let mut bad = Vec::new();
                $(
                    let before = reader.errors();
                    let $field = raw_table!(@read $need $(($default))? $ty, table, stringify!($field), node, $called, reader);
                    if reader.errors() > before {
                        bad.push(stringify!($field));
                    }
                )+
                Some(Self { span: node.span(), bad, $($field,)+ })
            }

            fn shape() -> $crate::config::reader::Shape {
                $crate::config::reader::Shape::Table($called, Self::keys)
            }
        }
    };
    (@type required $ty:ty) => { Option<$ty> };
    (@type optional $ty:ty) => { Option<$ty> };
    (@type many $ty:ty) => { $ty };
    (@type default $ty:ty) => { $ty };
    (@need required) => { $crate::config::reader::Need::Required };
    (@need optional) => { $crate::config::reader::Need::Optional };
    (@need many) => { $crate::config::reader::Need::Optional };
    (@need default ($default:expr)) => { $crate::config::reader::Need::Default($default.to_string()) };
    (@read required $ty:ty, $table:ident, $key:expr, $node:ident, $called:literal, $reader:ident) => {
        $crate::config::reader::required::<$ty>($table, $key, $node.span(), $called, $reader)
    };
    (@read optional $ty:ty, $table:ident, $key:expr, $node:ident, $called:literal, $reader:ident) => {
        $crate::config::reader::optional::<$ty>($table, $key, $reader)
    };
    (@read many $ty:ty, $table:ident, $key:expr, $node:ident, $called:literal, $reader:ident) => {
        $crate::config::reader::optional::<$ty>($table, $key, $reader).unwrap_or_default()
    };
    (@read default ($default:expr) $ty:ty, $table:ident, $key:expr, $node:ident, $called:literal, $reader:ident) => {
        $crate::config::reader::optional::<$ty>($table, $key, $reader)
            .unwrap_or_else(|| toml::Spanned::new($node.span(), $default))
    };
}
pub(crate) use raw_table;

/// Reads a key that must be there.
pub fn required<T: FromNode>(
    table: &DeTable<'_>,
    key: &'static str,
    span: Range<usize>,
    inside: &str,
    reader: &mut Reader<'_>,
) -> Option<T> {
    if let Some(node) = table.get(key) {
        return T::from_node(node, key, reader);
    }
    reader.problem(Code::MissingKey, span, format!("{inside} lacks the key `{key}`"), format!("`{key}` is not here"));
    None
}

/// Reads a key that may be left out.
pub fn optional<T: FromNode>(table: &DeTable<'_>, key: &'static str, reader: &mut Reader<'_>) -> Option<T> {
    table.get(key).and_then(|node| T::from_node(node, key, reader))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Reads one value as a file would write it.
    pub(in crate::config) fn read<T: Leaf>(toml: &str) -> Result<T, Code> {
        let document = format!("v = {toml}");
        let table = DeTable::parse(&document).unwrap();
        T::read(table.get_ref().get("v").unwrap().get_ref()).map_err(|(code, _)| code)
    }
}
