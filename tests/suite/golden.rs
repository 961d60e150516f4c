//! Golden cases: one message in each directory of `tests/golden`, with a README that says why it exists, the tree as it
//! is drawn, and the message after surgery.
//!
//! `UPDATE_GOLDEN=1 cargo test --test suite golden::` writes the expectations anew; read the difference before keeping
//! it. A failure leaves what it got beside the expectation (`tree.got`, `stripped.got`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use charter_milter::charter::attachments::{Fate, fates};
use charter_milter::charter::rules::AttachmentsRule;
use charter_milter::message::attachments::{self, Attachment, Class};
use charter_milter::message::edit::{PartRemoval, SignedPolicy};
use charter_milter::message::headers;
use charter_milter::message::mime::{self, AmbiguityKind, Limits, Tree};
use charter_milter::message::surgery;
use charter_milter::wording::{Language, notices};

/// A message read and judged under the rule the cases are written for.
pub(crate) struct Case {
    pub(crate) raw: Vec<u8>,
    pub(crate) tree: Tree,
    pub(crate) found: Vec<Attachment>,
    pub(crate) fates: Vec<Fate>,
}

impl Case {
    pub(crate) fn read(raw: Vec<u8>) -> Self {
        let tree = mime::parse(&raw, &Limits::default());
        let found = attachments::find(&tree, &raw);
        let rule = AttachmentsRule {
            inline_image_bytes_max: 100_000,
            signed: SignedPolicy::Break,
            ..AttachmentsRule::default()
        };
        let fates = fates(&rule, false, &found);
        Self { raw, tree, found, fates }
    }

    /// Ambiguous messages and those with a forbidden part that cannot be stripped are refused.
    pub(crate) fn is_refused(&self) -> bool {
        !self.tree.ambiguities().is_empty() || self.fates.contains(&Fate::Reject)
    }

    pub(crate) fn stripped(&self) -> Vec<u8> {
        let stripped = self.found.iter().zip(&self.fates).filter(|(_, fate)| **fate == Fate::Strip);
        let removals: Vec<PartRemoval> = stripped
            .map(|(attachment, _)| PartRemoval {
                part: attachment.part,
                place: attachment.place.clone(),
                notice: self.notice(attachment),
            })
            .collect();
        let surgery = surgery::remove(&self.raw, &self.tree, &removals);
        let body_start = self.tree.root().unwrap().body.start;
        let mut message = headers::apply(&self.raw[..body_start], &surgery.header_edits);
        message.extend(surgery.body);
        message
    }

    fn notice(&self, attachment: &Attachment) -> String {
        let contents = match attachment.class {
            Class::Tnef => attachments::tnef_contents(&self.tree, &self.raw, attachment.part),
            _ => Vec::new(),
        };
        notices::removed(
            Language::French,
            &notices::Removed {
                class: attachment.class,
                name: attachment.name.as_deref(),
                media_type: &attachment.media_type,
                size_bytes: attachment.decoded_size_bytes,
                clause: "cnrs:III.h",
                charter: "Listes électorales",
                contents: &contents,
            },
        )
    }

    fn drawn(&self) -> String {
        let fate = |index: usize, _: &Attachment| self.fates[index].as_str().to_owned();
        let verdict = if self.is_refused() { "refused" } else { "accepted" };
        format!("{}{verdict}\n", mime::draw(&self.tree, &self.found, &fate))
    }
}

pub(crate) fn directories() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut all: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.join("message.eml").exists());
    all.sort();
    all
}

/// Compares with the expectation, or writes it; `None` means that there shall be none.
fn compare(directory: &Path, name: &str, got: Option<&[u8]>, wrong: &mut Vec<String>) {
    let (expected, beside) = (directory.join(name), directory.join(format!("{name}.got")));
    let _ = std::fs::remove_file(&beside);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        match got {
            Some(bytes) => std::fs::write(&expected, bytes).unwrap(),
            None => drop(std::fs::remove_file(&expected)),
        }
    } else if std::fs::read(&expected).ok().as_deref() != got {
        std::fs::write(&beside, got.unwrap_or_default()).unwrap();
        wrong.push(beside.display().to_string());
    }
}

#[test]
fn every_case_is_drawn_and_stripped_as_expected() {
    let mut wrong = Vec::new();
    for directory in directories() {
        let case = Case::read(std::fs::read(directory.join("message.eml")).unwrap());
        compare(&directory, "tree", Some(case.drawn().as_bytes()), &mut wrong);
        let stripped = (!case.is_refused()).then(|| case.stripped()).filter(|stripped| *stripped != case.raw);
        compare(&directory, "stripped.eml", stripped.as_deref(), &mut wrong);
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
}

#[test]
fn every_class_and_every_ambiguity_has_a_case_that_says_why() {
    let mut classes: BTreeSet<Class> = Class::ALL.iter().copied().collect();
    let mut kinds: BTreeSet<AmbiguityKind> = AmbiguityKind::ALL.iter().copied().collect();
    // A megabyte of tags is no file to keep; the test of the scan makes one.
    kinds.remove(&AmbiguityKind::TextTooLarge);
    for directory in directories() {
        let case = Case::read(std::fs::read(directory.join("message.eml")).unwrap());
        classes.retain(|class| case.found.iter().all(|attachment| attachment.class != *class));
        kinds.retain(|kind| case.tree.ambiguities().iter().all(|ambiguity| ambiguity.kind != *kind));
        let why = std::fs::read_to_string(directory.join("README")).unwrap_or_default();
        assert!(why.trim().len() > 20, "{} does not say why it exists", directory.display());
    }
    assert!(classes.is_empty() && kinds.is_empty(), "without a case: {classes:?} {kinds:?}");
}

#[test]
fn ordinary_mail_of_real_programs_is_not_ambiguous() {
    let programs: Vec<PathBuf> =
        directories().into_iter().filter(|d| d.to_string_lossy().contains("-program-")).collect();
    assert!(programs.len() >= 10);
    for directory in programs {
        let case = Case::read(std::fs::read(directory.join("message.eml")).unwrap());
        assert_eq!(case.tree.ambiguities(), [], "{}", directory.display());
        assert!(!case.is_refused(), "{}", directory.display());
    }
}

#[test]
fn stripping_a_stripped_message_changes_nothing() {
    for directory in directories() {
        let case = Case::read(std::fs::read(directory.join("message.eml")).unwrap());
        if !case.is_refused() {
            let once = Case::read(case.stripped());
            assert_eq!(once.tree.ambiguities(), [], "{} comes out ambiguous", directory.display());
            assert!(!once.fates.contains(&Fate::Strip), "{} still has attachments", directory.display());
            assert_eq!(once.stripped(), once.raw, "{}", directory.display());
        }
    }
}
