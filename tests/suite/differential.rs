//! The gateway's reading of real messages beside that of three independent readers.
//!
//! For every message of a corpus that the gateway does not call ambiguous: after surgery no reader finds an attachment,
//! and every text a reader found before it finds again, the same to the byte. The corpus and the readers come from
//! packages; `tests/differential/run` fetches the one and checks for the others.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use charter_milter::message::attachments::{self, Attachment, Class, Place};
use charter_milter::message::edit::PartRemoval;
use charter_milter::message::headers;
use charter_milter::message::mime::{self, Limits, Tree};
use charter_milter::message::surgery;

#[derive(serde::Deserialize)]
struct Seen {
    file: PathBuf,
    attachments: Vec<(String, String, String)>,
    texts: Vec<String>,
}

struct Stripped {
    name: String,
    found: Vec<Attachment>,
    kept_ids: Vec<String>,
    /// Texts may be missing or changed: a file was cut out of one, or went with its container.
    texts_change: bool,
}

/// Everything goes but the images that the HTML shows.
fn strip(raw: &[u8], tree: &Tree, found: &[Attachment]) -> Vec<u8> {
    let removals: Vec<PartRemoval> = found
        .iter()
        .filter(|a| a.inside.is_none() && a.class != Class::InlineImage)
        .map(|a| PartRemoval { part: a.part, place: a.place.clone(), notice: "[pièce jointe retirée]".to_owned() })
        .collect();
    let surgery = surgery::remove(raw, tree, &removals);
    let body_start = tree.root().unwrap().body.start;
    let mut message = headers::apply(&raw[..body_start], &surgery.header_edits);
    message.extend(surgery.body);
    message
}

fn prepare(
    file: &Path,
    before: &Path,
    after: &Path,
    ambiguous: &mut BTreeMap<String, Vec<String>>,
) -> Option<Stripped> {
    let raw = mime::with_crlf(&std::fs::read(file).unwrap()).into_owned();
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let tree = mime::parse(&raw, &Limits::default());
    if !tree.ambiguities().is_empty() {
        for ambiguity in tree.ambiguities() {
            ambiguous.entry(ambiguity.kind.as_str().to_owned()).or_default().push(name.clone());
        }
        return None;
    }
    let found = attachments::find(&tree, &raw);
    std::fs::write(before.join(&name), &raw).unwrap();
    std::fs::write(after.join(&name), strip(&raw, &tree, &found)).unwrap();
    let kept_ids = found
        .iter()
        .filter(|a| a.class == Class::InlineImage)
        .map(|a| tree.part(a.part).unwrap().content_id.clone().unwrap_or_default())
        .collect();
    let is_container = |a: &Attachment| tree.part(a.part).unwrap().media_type.is_multipart();
    let texts_change = found.iter().any(|a| a.place != Place::Part || is_container(a));
    Some(Stripped { name, found, kept_ids, texts_change })
}

/// Runs a reader over files.
fn read(command: &[&str], directory: &Path, names: &[&str]) -> HashMap<String, Seen> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let list: String =
        names.iter().flat_map(|name| [directory.join(name).display().to_string(), "\n".into()]).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(list.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let seen: HashMap<String, Seen> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Seen>(line).unwrap())
        .map(|seen| (seen.file.file_name().unwrap().to_string_lossy().into_owned(), seen))
        .collect();
    assert_eq!(seen.len(), names.len(), "{command:?} did not answer for every message");
    seen
}

/// What is wrong with one message as one reader sees it, before and after.
fn judge(reader: &str, message: &Stripped, before: &Seen, after: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    for (kind, name, id) in &after.attachments {
        if !(kind.starts_with("image/") && message.kept_ids.contains(id)) {
            wrong.push(format!("{}: {reader} still finds {kind} “{name}”", message.name));
        }
    }
    let mut left = after.texts.clone();
    for text in &before.texts {
        match left.iter().position(|other| other == text) {
            Some(at) => drop(left.remove(at)),
            None if message.texts_change => {}
            None => wrong.push(format!("{}: {reader} misses text {text}", message.name)),
        }
    }
    if left.len() > message.found.len() {
        wrong.push(format!("{}: {reader} finds {} texts more than before", message.name, left.len()));
    }
    wrong
}

#[test]
#[ignore = "needs a corpus and three readers: tests/differential/run"]
fn no_reader_finds_an_attachment_after_surgery_and_every_reader_finds_its_texts() {
    let corpus = std::env::var("DIFFERENTIAL_CORPUS").expect("DIFFERENTIAL_CORPUS names a directory of messages");
    let readers = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/readers");
    let scripts = [("python3", "python.py"), ("perl", "mime_parser.pl"), ("/usr/bin/python3", "gmime.py")];
    let work = tempfile::tempdir().unwrap();
    let (before, after) = (work.path().join("before"), work.path().join("after"));
    std::fs::create_dir(&before).unwrap();
    std::fs::create_dir(&after).unwrap();

    let mut files: Vec<PathBuf> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut ambiguous = BTreeMap::new();
    let messages: Vec<Stripped> =
        files.iter().filter_map(|file| prepare(file, &before, &after, &mut ambiguous)).collect();
    let names: Vec<&str> = messages.iter().map(|message| message.name.as_str()).collect();

    let mut wrong = Vec::new();
    for (program, script) in scripts {
        let path = format!("{readers}/{script}");
        let seen_before = read(&[program, &path], &before, &names);
        let seen_after = read(&[program, &path], &after, &names);
        for message in &messages {
            wrong.extend(judge(script, message, &seen_before[&message.name], &seen_after[&message.name]));
        }
        let shown: usize = seen_before.values().map(|seen| seen.attachments.len()).sum();
        println!("{script}: {shown} attachments before surgery");
    }
    let found: usize = messages.iter().map(|message| message.found.len()).sum();
    println!("{} messages, {} ambiguous, {found} attachments found", files.len(), files.len() - messages.len());
    for (kind, names) in &ambiguous {
        println!("ambiguous {kind}: {} ({})", names.len(), names.join(" "));
    }
    assert!(messages.len() >= 100, "a corpus of {} messages proves little", messages.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
