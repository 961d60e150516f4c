//! The reference of every key, written from the declarations that read the files, for `docs/configuration.md`.

use std::fmt::Write as _;

use super::charter::raw::RawFile;
use super::codes::Code;
use super::daemon::RawMain;
use super::reader::{KeyDoc, Need, Shape};
use crate::charter::Measure;
use crate::charter::rules::RuleName;
use crate::message::attachments::Class;
use crate::message::mime::AmbiguityKind;

/// The parts of the reference, by the name under which `docs/configuration.md` marks their place.
#[must_use]
pub fn parts() -> Vec<(&'static str, String)> {
    vec![
        ("main file", sections("The main file", RawMain::keys())),
        ("charter file", sections("A charter file", RawFile::keys())),
        ("rules", list(RuleName::ALL.iter().map(|rule| (rule.as_str(), rule.help())))),
        ("measures", list(Measure::ALL.iter().map(|measure| (measure.as_str(), measure.help())))),
        ("classes", list(Class::ALL.iter().map(|class| (class.as_str(), class.help())))),
        ("ambiguities", list(AmbiguityKind::ALL.iter().map(|kind| (kind.as_str(), kind.help())))),
        ("codes", list(Code::ALL.iter().map(|code| (code.as_str(), code.help())))),
    ]
}

fn list<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("| name | |\n|---|---|\n");
    for (name, help) in entries {
        let _ = writeln!(text, "| `{name}` | {} |", cell(help));
    }
    text
}

/// One section for each table, in the order in which they are first named, outermost first.
fn sections(title: &'static str, keys: Vec<KeyDoc>) -> String {
    let mut waiting = vec![(title, keys)];
    let mut seen = vec![title];
    let mut text = String::new();
    while !waiting.is_empty() {
        let (title, keys) = waiting.remove(0);
        let _ = write!(text, "### {title}\n\n| key | value | |\n|---|---|---|\n");
        let mut inner = Vec::new();
        for key in keys {
            let need = match &key.need {
                Need::Required => "**Required.** ".to_owned(),
                Need::Optional => String::new(),
                Need::Default(value) => format!("Default `{}`. ", literal(value)),
            };
            let _ = writeln!(text, "| `{}` | {} | {need}{} |", key.key, cell(&value(&key.shape)), cell(key.help));
            inner.extend(table(&key.shape).filter(|(title, _)| !seen.contains(title)));
            seen.extend(inner.iter().map(|(title, _)| *title));
        }
        text.push('\n');
        // A table's own tables come right behind it, before those of its neighbours.
        inner.append(&mut waiting);
        waiting = inner;
    }
    text
}

fn table(shape: &Shape) -> Option<(&'static str, Vec<KeyDoc>)> {
    match shape {
        Shape::Leaf(_) => None,
        Shape::Table(title, keys) => Some((title, keys())),
        Shape::List(inner) => table(inner),
    }
}

fn value(shape: &Shape) -> String {
    match shape {
        Shape::Leaf(leaf) => leaf.clone(),
        Shape::Table(title, _) => format!("a table, see {title}"),
        Shape::List(inner) => match inner.as_ref() {
            Shape::Leaf(leaf) => format!("an array; each: {leaf}"),
            Shape::Table(title, _) => format!("tables, see {title}"),
            Shape::List(_) => value(inner),
        },
    }
}

/// A default as a file would write it.
fn literal(value: &str) -> String {
    let bare = value.starts_with('"') || value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
    if bare { value.to_owned() } else { format!("\"{value}\"") }
}

/// Text that stands in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
