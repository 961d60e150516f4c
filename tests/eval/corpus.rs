//! Reads the corpus under `tests/corpus/petition` and analyses its messages.

use std::path::Path;

use charter_milter::charter::petition::{Pack, Report, Settings, SignalHit, analyse};
use charter_milter::message::mime::PartId;
use charter_milter::message::text::{Kind, Reading, Source, read};

/// What a message is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Odd number, or in the folder `development`: rules may be made on it.
    Development,
    /// Even number: measured after each change, never read for making rules.
    Test,
    /// In the folder `held-out`: written before the rules of pack version 4, measured once they were done.
    HeldOut,
    /// In the folder `blind`: written after the rules, and not read for making them.
    Blind,
}

impl Half {
    /// All of them, in the order in which they are printed.
    #[allow(dead_code, reason = "the evaluation uses it, the suite names its halves")]
    pub const ALL: [Self; 4] = [Self::Development, Self::Test, Self::HeldOut, Self::Blind];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::HeldOut => "held-out",
            Self::Blind => "blind",
        }
    }
}

/// One labelled message.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file's name without its ending.
    pub name: String,
    /// `petition`, `chain-letter` or `none`.
    pub label: String,
    /// What kind of message it is.
    pub category: String,
    /// What it is there for.
    pub half: Half,
    subject: String,
    html: bool,
    text: String,
}

impl Case {
    /// The message as its reader sees it.
    pub fn reading(&self) -> Reading {
        let kind = if self.html { Kind::Html } else { Kind::Plain { flowed: false } };
        read(&[
            Source { kind: Kind::Subject, text: &self.subject, part: PartId(0) },
            Source { kind, text: &self.text, part: PartId(1) },
        ])
    }

    /// The evidence of a signal: this corpus is the project's own and may be shown.
    pub fn excerpt(&self, hit: &SignalHit) -> String {
        let text = if hit.part.is_none() { &self.subject } else { &self.text };
        text.chars().skip(hit.start as usize).take(hit.end.saturating_sub(hit.start) as usize).collect()
    }

    /// What the pack says of it.
    pub fn report(&self, pack: &Pack) -> Report {
        analyse(pack, &self.reading(), &Settings::default())
    }
}

/// The whole corpus in the order of its numbers.
pub fn load() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/petition");
    let mut cases = load_folder(&folder, None);
    for half in [Half::Development, Half::HeldOut, Half::Blind] {
        cases.extend(load_folder(&folder.join(half.name()), Some(half)));
    }
    cases
}

/// The short messages of a file such as `sentences/development.txt`: each with its label, told by the sign before it.
pub fn sentences(file: &str) -> impl Iterator<Item = (&'static str, &str, Reading)> {
    file.split("\n=====\n").map(|block| {
        let (sign, text) = block.trim().split_once(' ').expect("a sign and a text");
        let label = match sign {
            "+" => "petition",
            "~" => "chain-letter",
            "-" => "none",
            _ => panic!("{block} has no sign"),
        };
        let kind = if text.starts_with('<') { Kind::Html } else { Kind::Plain { flowed: false } };
        (label, text, read(&[Source { kind, text, part: PartId(1) }]))
    })
}

/// The messages of a folder: all of one half, or of two by their numbers.
fn load_folder(folder: &Path, half: Option<Half>) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).expect("the corpus is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    files.iter().map(|path| parse(path, half)).collect()
}

fn parse(path: &Path, half: Option<Half>) -> Case {
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let file = std::fs::read_to_string(path).expect("a readable file");
    let (head, text) = file.split_once("\n\n").expect("a head and a text");
    let field = |key: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} has no {key}")).trim().to_owned()
    };
    let number: u32 = name.get(..3).and_then(|n| n.parse().ok()).expect("a number of three digits");
    assert!(!field("reason").is_empty(), "{name} gives no reason");
    let half = half.unwrap_or(if number % 2 == 1 { Half::Development } else { Half::Test });
    Case {
        half,
        label: field("label"),
        category: field("category"),
        subject: field("subject"),
        html: field("type") == "html",
        text: text.to_owned(),
        name,
    }
}
