//! Edits: one message in each directory of `tests/golden-edits`, with a README that says why it exists, the edits
//! (`edits.toml`), the message after them (`expected.eml`) and what was declared (`made`).
//!
//! `UPDATE_GOLDEN=1 cargo test --test suite edits::` writes the expectations anew; read the difference before keeping it.
//! What comes out is read again by the mail-parser crate and by Python's `email`, so that subjects, texts and accents are
//! right for others than ourselves.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use charter_milter::message::address::Address;
use charter_milter::message::attachments::{self, Class};
use charter_milter::message::edit::{
    Banner, BannerPlace, Context, Edit, Edited, ListHeaders, PartRemoval, SignedPolicy, plan,
};
use charter_milter::message::headers::Header;
use charter_milter::message::mime::{self, Limits};
use charter_milter::message::splice;
use charter_milter::wording::Language;
use proptest::prelude::*;

/// What `edits.toml` says.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
struct Wanted {
    attachments: bool,
    tracking: bool,
    subject: Option<String>,
    receipts: bool,
    notify: bool,
    reply_to: Option<Vec<String>>,
    list: Option<List>,
    automatic_answers: bool,
    return_path: Option<String>,
    mark: Option<(String, String)>,
    header: Option<String>,
    footer: Option<String>,
    signed: String,
    /// `en` for a charter in English.
    language: String,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct List {
    label: String,
    id: String,
    unsubscribe: Vec<String>,
    one_click: bool,
    help: Option<String>,
    owner: Option<String>,
}

impl Wanted {
    fn signed(&self) -> SignedPolicy {
        match self.signed.as_str() {
            "wrap" => SignedPolicy::Wrap,
            "break" => SignedPolicy::Break,
            "pass" => SignedPolicy::Pass,
            _ => SignedPolicy::Reject,
        }
    }

    /// The edits for a message, in an order that is not the one in which they are made.
    fn edits(&self, raw: &[u8]) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (place, text) in [(BannerPlace::Footer, &self.footer), (BannerPlace::Header, &self.header)] {
            edits.extend(
                text.iter().map(|text| Edit::Banner(Banner { place, text: text.clone(), signed: self.signed() })),
            );
        }
        let address = |text: &String| Address::parse(text).unwrap();
        edits.extend(
            self.mark.iter().map(|(name, value)| Edit::MarkHeader { name: name.clone(), value: value.clone() }),
        );
        edits.extend(self.return_path.iter().map(|text| Edit::ReturnPath(address(text))));
        edits.extend(self.automatic_answers.then_some(Edit::SuppressAutomaticAnswers));
        edits.extend(self.list.iter().map(|list| {
            Edit::ListHeaders(ListHeaders {
                label: list.label.clone(),
                id: list.id.clone(),
                unsubscribe: list.unsubscribe.clone(),
                one_click: list.one_click,
                help: list.help.clone(),
                owner: list.owner.clone(),
            })
        }));
        edits.extend(self.reply_to.iter().map(|to| Edit::ReplyTo(to.iter().map(address).collect())));
        edits.extend(self.notify.then_some(Edit::NeutraliseNotify));
        edits.extend(self.receipts.then_some(Edit::RemoveReceiptRequests));
        edits.extend(self.subject.iter().map(|tag| Edit::TagSubject(tag.clone())));
        edits.extend(self.tracking.then_some(Edit::RemoveTracking));
        let parts = if self.attachments { removals(raw) } else { Vec::new() };
        edits.extend((!parts.is_empty()).then(|| Edit::RemoveParts { parts, signed: self.signed() }));
        edits
    }
}

fn removals(raw: &[u8]) -> Vec<PartRemoval> {
    let tree = mime::parse(raw, &Limits::default());
    attachments::find(&tree, raw)
        .into_iter()
        .filter(|a| a.inside.is_none() && a.class != Class::InlineImage)
        .map(|a| PartRemoval { part: a.part, place: a.place, notice: "[Pièce jointe retirée]".to_owned() })
        .collect()
}

fn edited(raw: &[u8], wanted: &Wanted) -> (Edited, Vec<u8>) {
    let tree = mime::parse(raw, &Limits::default());
    let (language, date) = match wanted.language.as_str() {
        "en" => (Language::English, "11 June 2018"),
        _ => (Language::French, "11 juin 2018"),
    };
    let context = Context { language, date: date.to_owned(), reference: "K7PQM-2XTRA".to_owned() };
    let edited = plan(raw, &Header::parse(raw), &tree, &wanted.edits(raw), &context);
    let message = edited.message(raw, &tree);
    (edited, message)
}

/// A second run of the same edits has nothing to do.
fn assert_stable(message: &[u8], wanted: &Wanted, name: &str) {
    let (again, _) = edited(message, wanted);
    assert_eq!(again.header_edits, [], "{name}: a second run edits the header");
    assert_eq!(again.body, None, "{name}: a second run edits the body");
}

fn directories() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-edits");
    let mut all: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn wanted(directory: &Path) -> Wanted {
    toml::from_str(&std::fs::read_to_string(directory.join("edits.toml")).unwrap()).unwrap()
}

/// Compares with the expectation, or writes it; a failure leaves what it got beside it.
fn compare(directory: &Path, name: &str, got: &[u8], wrong: &mut Vec<String>) {
    let (expected, beside) = (directory.join(name), directory.join(format!("{name}.got")));
    let _ = std::fs::remove_file(&beside);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&expected, got).unwrap();
    } else if std::fs::read(&expected).ok().as_deref() != Some(got) {
        std::fs::write(&beside, got).unwrap();
        wrong.push(beside.display().to_string());
    }
}

#[test]
fn every_case_is_edited_as_expected_and_only_once() {
    let mut wrong = Vec::new();
    for directory in directories() {
        let name = directory.display().to_string();
        let raw = std::fs::read(directory.join("message.eml")).unwrap();
        let wanted = wanted(&directory);
        let (edited, message) = edited(&raw, &wanted);
        compare(&directory, "expected.eml", &message, &mut wrong);
        compare(&directory, "made", format!("{}\n", edited.made().join("\n")).as_bytes(), &mut wrong);
        if edited.refusal().is_none() {
            assert_stable(&message, &wanted, &name);
        }
        let why = std::fs::read_to_string(directory.join("README")).unwrap_or_default();
        assert!(why.trim().len() > 20, "{name} does not say why it exists");
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
}

/// What another program reads in a message.
#[derive(Debug, Clone, serde::Deserialize)]
struct Seen {
    file: PathBuf,
    subjects: Vec<String>,
    texts: Vec<(String, String)>,
}

/// Reads messages with Python's `email`, in the order given.
fn python(messages: &[Vec<u8>]) -> Vec<Seen> {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/edits/read.py");
    let mut reader =
        Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    let mut input = reader.stdin.take().unwrap();
    let files: Vec<PathBuf> = (0..messages.len()).map(|at| folder.path().join(at.to_string())).collect();
    for (file, message) in files.iter().zip(messages) {
        std::fs::write(file, message).unwrap();
    }
    let names: String = files.iter().map(|file| file.display().to_string() + "\n").collect();
    let writer = std::thread::spawn(move || input.write_all(names.as_bytes()));
    let output = reader.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the reader failed");
    let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
    let mut seen: HashMap<PathBuf, Seen> =
        lines.map(|line| serde_json::from_str::<Seen>(line).unwrap()).map(|seen| (seen.file.clone(), seen)).collect();
    files.iter().map(|file| seen.remove(file).unwrap()).collect()
}

/// Reads a message with the mail-parser crate.
fn mail_parser(message: &[u8]) -> (Option<String>, Vec<String>) {
    let read = mail_parser::MessageParser::new().parse(message).unwrap();
    let subject = read.subject().map(str::to_owned);
    let texts = read.parts.iter().filter(|part| part.is_text() && !part.is_message());
    (subject, texts.filter_map(|part| part.text_contents()).map(|text| text.replace("\r\n", "\n")).collect())
}

/// Is `after` the text `before` with something put into one place of it (or around it)?
fn is_kept(before: &str, after: &str) -> bool {
    let before = before.trim_end_matches('\n');
    let common = |a: &mut dyn Iterator<Item = (char, char)>| {
        a.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>()
    };
    let head = common(&mut before.chars().zip(after.chars()));
    let tail = common(&mut before.chars().rev().zip(after.trim_end_matches('\n').chars().rev()));
    after.contains(before) || head + tail >= before.len()
}

/// HTML without the blocks that were put into it.
fn without_blocks(html: &str) -> String {
    let mut rest = html.to_owned();
    while let Some((before, block)) = rest.split_once("\n<div data-charter=\"\"") {
        let after = block.split_once("\n</div>\n").unwrap().1;
        rest = format!("{before}{after}");
    }
    rest
}

/// Spaces as people see them.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// HTML as people see it, as far as our own block goes.
fn shown(kind: &str, text: &str) -> String {
    if kind != "text/html" {
        return plain(text);
    }
    let mut shown = String::new();
    for piece in text.replace("<br>", " ").split('<') {
        shown.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
    }
    for (from, to) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")] {
        shown = shown.replace(from, to);
    }
    while let Some((before, rest)) = shown.split_once("&#") {
        let (number, after) = rest.split_once(';').unwrap();
        shown = format!("{before}{}{after}", char::from_u32(number.parse().unwrap()).unwrap());
    }
    plain(&shown)
}

#[test]
fn other_programs_read_the_right_subjects_and_texts() {
    let directories = directories();
    let before: Vec<Vec<u8>> = directories.iter().map(|d| std::fs::read(d.join("message.eml")).unwrap()).collect();
    let wanted: Vec<Wanted> = directories.iter().map(|directory| wanted(directory)).collect();
    let after: Vec<(Edited, Vec<u8>)> = before.iter().zip(&wanted).map(|(raw, wanted)| edited(raw, wanted)).collect();
    let messages: Vec<Vec<u8>> = after.iter().map(|(_, message)| message.clone()).collect();
    let (seen_before, seen_after) = (python(&before), python(&messages));
    for (at, directory) in directories.iter().enumerate() {
        let name = directory.display();
        let (was, is) = (&seen_before[at], &seen_after[at]);
        let (subject, texts) = mail_parser(&messages[at]);
        if let Some(tag) = &wanted[at].subject {
            assert_eq!(is.subjects.len(), 1, "{name}: {:?}", is.subjects);
            assert_eq!(is.subjects[0].matches(tag.as_str()).count(), 1, "{name}: {:?}", is.subjects);
            // Python keeps raw octets as surrogates, which JSON cannot carry to us.
            if !is.subjects[0].contains('\u{fffd}') {
                assert_eq!(subject.as_deref().map(plain), Some(plain(&is.subjects[0])), "{name}");
            }
            let text = was.subjects.iter().find(|s| !s.is_empty()).cloned().unwrap_or_default();
            assert!(plain(&is.subjects[0]).ends_with(&plain(&text)), "{name}: {text:?} {:?}", is.subjects);
        }
        let added = after[at].0.made().contains(&"words-added".to_owned());
        let words = [&wanted[at].header, &wanted[at].footer];
        for words in words.into_iter().flatten().filter(|_| added) {
            let words = plain(words);
            let holding = is.texts.iter().filter(|(kind, text)| shown(kind, text).matches(&words).count() >= 1).count();
            assert!(holding > 0, "{name}: Python does not read the words");
            assert!(
                texts.iter().any(|text| shown("text/html", text).contains(&words) || plain(text).contains(&words)),
                "{name}: mail-parser does not read the words"
            );
        }
        if !wanted[at].tracking && !wanted[at].attachments {
            for (kind, text) in &was.texts {
                let keeps = |after: &str| match kind.as_str() {
                    "text/html" => *text == without_blocks(after),
                    _ => is_kept(text, after),
                };
                let is_there = is.texts.iter().any(|(k, t)| k == kind && keeps(t));
                assert!(is_there, "{name}: {text:?} in {:?}", is.texts);
            }
        }
    }
}

/// The cases made for attachments are as odd as mail gets: words, tag and removals go together on all of them.
#[test]
fn words_get_into_every_message_that_is_not_refused() {
    let wanted = Wanted {
        footer: Some("Message électoral : https://elections.example/u".to_owned()),
        subject: Some("[Élections]".to_owned()),
        attachments: true,
        signed: "wrap".to_owned(),
        ..Wanted::default()
    };
    let mut names = Vec::new();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for directory in super::golden::directories() {
        let raw = std::fs::read(directory.join("message.eml")).unwrap();
        let tree = mime::parse(&raw, &Limits::default());
        if !tree.ambiguities().is_empty() {
            continue;
        }
        let name = directory.display().to_string();
        let (edited, message) = edited(&raw, &wanted);
        assert!(edited.made().contains(&"words-added".to_owned()), "{name}: {:?}", edited.made());
        let ambiguities = mime::parse(&message, &Limits::default()).ambiguities().to_vec();
        assert!(ambiguities.is_empty(), "{name}: {ambiguities:?}");
        assert_stable(&message, &wanted, &name);
        names.push(name);
        before.push(raw);
        after.push(message);
    }
    assert!(names.len() > 30);
    let seen_before = python(&before);
    for (at, seen) in python(&after).iter().enumerate() {
        // Python cannot read the boundary of some messages that all mail programs read.
        if seen_before[at].texts.is_empty() && seen.texts.is_empty() {
            continue;
        }
        let holding =
            seen.texts.iter().filter(|(kind, text)| shown(kind, text).contains("Message électoral : https://"));
        assert!(holding.count() > 0, "{}: Python does not read the words in {:?}", names[at], seen.texts);
        for (kind, text) in &seen.texts {
            let count = shown(kind, text).matches("Message électoral : https://").count();
            assert!(count <= 1, "{}: the words stand {count} times in {text:?}", names[at]);
        }
        assert_eq!(seen.subjects.len(), 1, "{}", names[at]);
    }
}

/// A text or file, as part of a generated message: header and body.
fn leaf() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just("Déjà voté ?\r\n".to_owned()),
        Just("a\r\n".to_owned()),
        "[a-zé’ =.\t]{0,90}(\r\n[a-zé -]{0,40}){0,3}(\r\n)?",
        Just("<html><body><p>é</p></body></html>".to_owned()),
        Just("<p>x<!-- ".to_owned()),
    ];
    let charset =
        prop::sample::select(vec!["utf-8", "iso-8859-1", "windows-1252", "us-ascii", "utf-16le", "x-none", ""]);
    let encoding = prop::sample::select(vec!["7bit", "8bit", "quoted-printable", "base64", ""]);
    let kind = prop::sample::select(vec![
        "text/plain",
        "text/html",
        "text/plain; format=flowed",
        "image/png",
        "text/plain; name=a.txt",
    ]);
    (text, charset, encoding, kind).prop_map(|(text, charset, encoding, kind)| {
        let octets: Vec<u8> = match charset {
            "utf-8" | "x-none" => text.into_bytes(),
            "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "us-ascii" | "" => text.replace(|c: char| !c.is_ascii(), "?").into_bytes(),
            _ => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
        };
        // Octets beyond ASCII, and those of UTF-16, need an encoding that carries them.
        let encoding = match encoding {
            _ if charset == "utf-16le" => "base64",
            "7bit" | "" if !octets.is_ascii() => "8bit",
            encoding => encoding,
        };
        let body = match encoding {
            "base64" => splice::base64(&octets, "\r\n"),
            "quoted-printable" => splice::quoted_printable(&octets, "\r\n"),
            _ => octets,
        };
        let charset = if charset.is_empty() { String::new() } else { format!("; charset={charset}") };
        let encoding =
            if encoding.is_empty() { String::new() } else { format!("Content-Transfer-Encoding: {encoding}\r\n") };
        [format!("Content-Type: {kind}{charset}\r\n{encoding}\r\n").as_bytes(), &body].concat()
    })
}

/// An entity of the given depth at most.
fn entity() -> impl Strategy<Value = Vec<u8>> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        let kind = prop::sample::select(vec!["mixed", "alternative", "related", "mixed", "signed", "digest"]);
        (kind, prop::collection::vec(inner, 1..4)).prop_map(|(kind, children)| {
            let body_length: usize = children.iter().map(Vec::len).sum();
            let boundary = format!("b_{kind}_{body_length}_{}", children.len());
            let mut entity = format!("Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n").into_bytes();
            for child in children {
                entity.extend(format!("--{boundary}\r\n").into_bytes());
                entity.extend(child);
                entity.extend(b"\r\n");
            }
            entity.extend(format!("--{boundary}--\r\n").into_bytes());
            entity
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever the shape: words get in, a second run has nothing to do, no new ambiguity comes up, and what the author
    /// wrote is still read.
    #[test]
    fn words_get_into_generated_messages_once(entity in entity(), policy in prop::sample::select(vec!["wrap", "break"])) {
        let raw = [b"From: a@candidats.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n".as_slice(), &entity].concat();
        let tree = mime::parse(&raw, &Limits::default());
        prop_assume!(tree.ambiguities().is_empty());
        let wanted = Wanted {
            header: Some("Tête : élections".to_owned()),
            footer: Some("Pied – https://elections.example/u?a=1&b=2".to_owned()),
            signed: policy.to_owned(),
            ..Wanted::default()
        };
        let (made, message) = edited(&raw, &wanted);
        prop_assert!(made.made().contains(&"words-added".to_owned()), "{:?}", made.made());
        let after = mime::parse(&message, &Limits::default());
        prop_assert!(after.ambiguities().is_empty(), "{:?}\n{}", after.ambiguities(), String::from_utf8_lossy(&message));
        assert_stable(&message, &wanted, &String::from_utf8_lossy(&message));
        let texts = |raw: &[u8], tree: &mime::Tree| -> Vec<(String, String)> {
            let parts = tree.text_bodies().into_iter().map(|id| tree.part(id).unwrap());
            parts.map(|part| (part.media_type.name.clone(), tree.decode_text(raw, part.id).replace("\r\n", "\n"))).collect()
        };
        let after = texts(&message, &after);
        for (kind, text) in texts(&raw, &tree) {
            let keeps = |(other, after): &(String, String)| *other == kind && match kind.as_str() {
                "text/html" => text == without_blocks(after),
                _ => is_kept(&text, after),
            };
            prop_assert!(after.iter().any(keeps), "{text:?} in {after:?}");
        }
        let said = after.iter().filter(|(kind, text)| shown(kind, text).contains("Pied – https://elections.example/u?a=1&b=2"));
        prop_assert!(said.count() > 0, "{after:?}");
    }
}
