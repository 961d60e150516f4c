//! Problems of configuration files, collected from all files before anybody is told of the first, and shown with the
//! place, the offending line and a stable code: drawn for people, JSON for programs.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle};
use serde::Serialize;

use super::codes::{Code, Severity};

/// The place of a file in its [`Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(usize);

/// A file that was read, kept for the lines a problem quotes. Files that could not be read have an empty text.
#[derive(Debug, Clone)]
struct Source {
    path: PathBuf,
    text: String,
}

/// A stretch of a file, in octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The stretch; `None` for the file as a whole.
    pub span: Option<Range<usize>>,
}

/// One problem.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What kind of problem.
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to say at the place itself.
    pub label: String,
    /// What to do, when it can be said more precisely than the code's own help text does.
    pub help: Option<String>,
    /// Another place that belongs to the problem, with its label.
    pub related: Option<(Place, String)>,
}

/// All problems of all files.
#[derive(Debug, Clone, Default)]
pub struct Report {
    sources: Vec<Source>,
    problems: Vec<Problem>,
}

/// A line and a column, both counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    line: usize,
    column: usize,
}

/// A problem as `--json` shows it.
#[derive(Debug, Serialize)]
struct JsonProblem<'a> {
    code: Code,
    severity: &'static str,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    message: &'a str,
    label: &'a str,
    help: &'a str,
}

impl Report {
    /// Makes a file known, so that problems can quote it.
    pub fn add_file(&mut self, path: PathBuf, text: String) -> FileId {
        self.sources.push(Source { path, text });
        FileId(self.sources.len() - 1)
    }

    /// Records a problem.
    pub fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether any problem is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.code.severity() == Severity::Error)
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The codes of all problems, in the order of the files.
    #[must_use]
    pub fn codes(&self) -> Vec<Code> {
        self.problems.iter().map(|p| p.code).collect()
    }

    /// How many errors and how many warnings there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.problems.iter().filter(|p| p.code.severity() == Severity::Error).count();
        (errors, self.problems.len() - errors)
    }

    /// Puts the problems in the order in which a reader of the files meets them.
    pub fn sort(&mut self) {
        self.problems.sort_by_key(|p| (p.place.file.0, p.place.span.as_ref().map_or(0, |s| s.start), p.code));
    }

    /// The problems as text for people; with `colour`, for a terminal.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
        let mut text = String::new();
        for problem in &self.problems {
            let _ = writeln!(text, "{}\n", renderer.render(&self.group(problem)));
        }
        text
    }

    /// The problems on one line each, for a log: `path:line:column: code: message`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.problems.iter().map(|p| format!("{}: {}: {}", self.locate(&p.place), p.code, p.message)).collect()
    }

    /// The problems for programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let problems: Vec<_> = self
            .problems
            .iter()
            .map(|p| {
                let position = p.place.span.as_ref().and_then(|s| self.position(p.place.file, s.start));
                JsonProblem {
                    code: p.code,
                    severity: match p.code.severity() {
                        Severity::Error => "error",
                        Severity::Warning => "warning",
                    },
                    file: self.path(p.place.file),
                    line: position.map(|p| p.line),
                    column: position.map(|p| p.column),
                    message: &p.message,
                    label: &p.label,
                    help: p.help.as_deref().unwrap_or(p.code.help()),
                }
            })
            .collect();
        serde_json::to_value(problems).unwrap_or_default()
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Vec<Group<'a>> {
        let level = match problem.code.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(problem.message.as_str()).id(problem.code.as_str()));
        group = self.elements(group, problem);
        group = group.element(Level::HELP.message(problem.help.as_deref().unwrap_or(problem.code.help())));
        vec![group]
    }

    fn elements<'a>(&'a self, group: Group<'a>, problem: &'a Problem) -> Group<'a> {
        let label = problem.label.as_str();
        match &problem.related {
            None => group.elements(self.snippet(&problem.place, [(&problem.place, label)])),
            Some((place, other)) if place.file == problem.place.file => {
                group.elements(self.snippet(place, [(&problem.place, label), (place, other)]))
            }
            Some((place, other)) => group
                .elements(self.snippet(&problem.place, [(&problem.place, label)]))
                .elements(self.snippet(place, [(place, other.as_str())])),
        }
    }

    /// The lines of one file, with labels at the first place as primary and at the others as context.
    fn snippet<'a, const N: usize>(&'a self, at: &Place, labels: [(&Place, &'a str); N]) -> Option<Element<'a>> {
        let source = self.sources.get(at.file.0)?;
        let path = self.path(at.file);
        if at.span.is_none() {
            return Some(Origin::path(path).into());
        }
        let kinds = std::iter::once(AnnotationKind::Primary).chain(std::iter::repeat(AnnotationKind::Context));
        let annotations = labels.into_iter().zip(kinds).filter_map(|((place, label), kind)| {
            let span = place.span.clone()?;
            let end = source.text.len();
            Some(kind.span(span.start.min(end)..span.end.min(end)).label(label))
        });
        Some(Snippet::source(source.text.as_str()).path(path).annotations(annotations).into())
    }

    fn path(&self, file: FileId) -> String {
        self.sources.get(file.0).map(|s| s.path.display().to_string()).unwrap_or_default()
    }

    fn locate(&self, place: &Place) -> String {
        let path = self.path(place.file);
        match place.span.as_ref().and_then(|s| self.position(place.file, s.start)) {
            Some(Position { line, column }) => format!("{path}:{line}:{column}"),
            None => path,
        }
    }

    fn position(&self, file: FileId, offset: usize) -> Option<Position> {
        let before = self.sources.get(file.0)?.text.get(..offset)?;
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Some(Position { line, column })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
