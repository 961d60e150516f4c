//! The gateway's reading of real messages beside that of three independent readers.
//!
//! For every message of a corpus that the gateway does not call ambiguous: after surgery no reader finds an attachment,
//! and every text a reader found before it finds again, the same to the byte. The corpus and the readers come from
//! packages; `tests/differential/corpus.sh` fetches the one, `tests/install-packages readers` the others, and without them
//! these tests fail (`make differential` does all of it).

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
    /// The reader gave up on the message.
    error: Option<String>,
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

/// Writes a message before and after surgery, unless it is ambiguous.
fn prepare(name: String, raw: &[u8], work: &Work, ambiguous: &mut BTreeMap<String, Vec<String>>) -> Option<Stripped> {
    let tree = mime::parse(raw, &Limits::default());
    if !tree.ambiguities().is_empty() {
        for ambiguity in tree.ambiguities() {
            ambiguous.entry(ambiguity.kind.as_str().to_owned()).or_default().push(name.clone());
        }
        return None;
    }
    let found = attachments::find(&tree, raw);
    std::fs::write(work.before.join(&name), raw).unwrap();
    std::fs::write(work.after.join(&name), strip(raw, &tree, &found)).unwrap();
    let kept_ids = found
        .iter()
        .filter(|a| a.class == Class::InlineImage)
        .map(|a| tree.part(a.part).unwrap().content_id.clone().unwrap_or_default())
        .collect();
    let is_container = |a: &Attachment| tree.part(a.part).unwrap().media_type.is_multipart();
    // A text with the name of a file goes, though some readers show it as text.
    let is_text = |a: &Attachment| {
        let media_type = &tree.part(a.part).unwrap().media_type;
        // What cannot be read as a type is a file to us and text to RFC 2045 section 5.2.
        media_type.is_text() || media_type.name == mime::MALFORMED_TYPE
    };
    let texts_change = found.iter().any(|a| a.place != Place::Part || is_container(a) || is_text(a));
    Some(Stripped { name, found, kept_ids, texts_change })
}

/// Where messages lie for the readers.
struct Work {
    directory: tempfile::TempDir,
    before: PathBuf,
    after: PathBuf,
}

impl Work {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (before, after) = (directory.path().join("before"), directory.path().join("after"));
        std::fs::create_dir(&before).unwrap();
        std::fs::create_dir(&after).unwrap();
        Self { directory, before, after }
    }

    /// What each reader has against each message. Messages it complains of are kept for a look.
    fn judge(self, messages: &[Stripped]) -> Vec<String> {
        let readers = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/readers");
        let names: Vec<&str> = messages.iter().map(|message| message.name.as_str()).collect();
        let mut wrong = Vec::new();
        for (program, script) in
            [("python3", "python.py"), ("perl", "mime_parser.pl"), ("/usr/bin/python3", "gmime.py")]
        {
            let path = format!("{readers}/{script}");
            let seen_before = read(&[program, &path], &self.before, &names);
            let seen_after = read(&[program, &path], &self.after, &names);
            for message in messages {
                wrong.extend(judge(script, message, &seen_before[&message.name], &seen_after[&message.name]));
            }
            let shown: usize = seen_before.values().map(|seen| seen.attachments.len()).sum();
            let given_up = seen_before.values().filter(|seen| seen.error.is_some()).count();
            println!("{script}: {shown} attachments before surgery, {given_up} messages it cannot read");
            // A reader that sees nothing, or reads nothing, would agree with anybody.
            assert!(shown >= messages.len() / 8 && given_up <= messages.len() / 50, "{script} is no reader");
        }
        if !wrong.is_empty() {
            println!("messages kept in {}", self.directory.keep().display());
        }
        wrong
    }
}

/// `corpus.sh` sees to it that each package gives all it has; this is somewhat below their sum.
const CORPUS_MESSAGES_MIN: usize = 500;
/// Among the messages that are not ambiguous.
const ATTACHMENTS_MIN: usize = 150;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/target/differential/corpus");
    let entries = std::fs::read_dir(corpus).expect("no corpus: run tests/differential/corpus.sh");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= CORPUS_MESSAGES_MIN, "a corpus of {} messages proves little", files.len());
    files.sort();
    let name = |file: &Path| file.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|file| (name(file), mime::with_crlf(&std::fs::read(file).unwrap()).into_owned())).collect()
}

/// Runs a reader over files.
fn read(command: &[&str], directory: &Path, names: &[&str]) -> HashMap<String, Seen> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a reader: run tests/install-packages readers");
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
    assert!(output.status.success(), "{command:?} failed: run tests/install-packages readers");
    assert_eq!(seen.len(), names.len(), "{command:?} did not answer for every message");
    seen
}

/// What is wrong with one message as one reader sees it, before and after.
fn judge(reader: &str, message: &Stripped, before: &Seen, after: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    if let (None, Some(error)) = (&before.error, &after.error) {
        wrong.push(format!("{}: {reader} can no longer read it: {error}", message.name));
    }
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
fn no_reader_finds_an_attachment_after_surgery_and_every_reader_finds_its_texts() {
    let work = Work::new();
    let corpus = corpus();
    let mut ambiguous = BTreeMap::new();
    let messages: Vec<Stripped> =
        corpus.iter().filter_map(|(name, raw)| prepare(name.clone(), raw, &work, &mut ambiguous)).collect();
    let wrong = work.judge(&messages);
    let found: usize = messages.iter().map(|message| message.found.len()).sum();
    println!("{} messages, {} ambiguous, {found} attachments found", corpus.len(), corpus.len() - messages.len());
    for (kind, names) in &ambiguous {
        println!("ambiguous {kind}: {} ({})", names.len(), names.join(" "));
    }
    assert!(messages.len() >= CORPUS_MESSAGES_MIN * 4 / 5, "only {} messages are not ambiguous", messages.len());
    assert!(found >= ATTACHMENTS_MIN, "only {found} attachments in the corpus");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lines and endings of lines that people who hide attachments write.
const LINES: [&str; 20] = [
    "",
    " ",
    "x",
    "--b1",
    "--b1--",
    "Content-Type: application/pdf",
    "Content-Type: text/plain",
    "content-type:application/pdf; name=x.pdf",
    "Content-Disposition: attachment; filename=x.pdf",
    "Content-Disposition: inline",
    "Content-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: 8bit",
    "Content-Type: multipart/mixed; boundary=b1",
    "Content-Type: multipart/mixed; boundary=b2",
    "Content-Type: message/rfc822",
    "\tname=x.pdf",
    " filename=x.pdf",
    "begin 644 x",
    "#0V%T",
    "end",
];
const ENDINGS: [&str; 16] = [
    "; name=x.pdf",
    ";name=\"x.pdf\"",
    "; filename=x.pdf",
    "; filename*=utf-8''x.pdf",
    "; name*0=x; name*1=.pdf",
    "; boundary=b2",
    "; boundary*=us-ascii''b2",
    "; charset=utf-7",
    " (x)",
    "; x",
    ";",
    " ",
    "\"",
    ", attachment",
    "\r\n name=x.pdf",
    "--",
];

/// A small generator of numbers, so that every run mutates alike (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit.max(1)
    }
}

/// Changes one line that has to do with structure: a field that describes content, a boundary, or what is next to one.
fn mutate(raw: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = raw.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let is_structure = |line: &[u8]| {
        let head = line.get(..8).map(<[u8]>::to_ascii_lowercase).unwrap_or_default();
        head == b"content-" || line.starts_with(b"--") || line.starts_with(b"\t") || line == b"\r\n"
    };
    let places: Vec<usize> = (0..lines.len()).filter(|at| is_structure(&lines[*at])).collect();
    if places.is_empty() {
        return raw.to_vec();
    }
    let at = places[numbers.below(places.len())];
    let length = lines[at].len().saturating_sub(2);
    match numbers.below(8) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => {
            let other = places[numbers.below(places.len())];
            lines.swap(at, other);
        }
        3 | 4 => lines.insert(at, format!("{}\r\n", LINES[numbers.below(LINES.len())]).into_bytes()),
        5 => {
            let ending = ENDINGS[numbers.below(ENDINGS.len())].bytes();
            lines[at].splice(length..length, ending);
        }
        6 => {
            let odd = b" \t\";=()\\<>-*:,'/%?\r\n\0";
            let byte = odd[numbers.below(odd.len())];
            let place = numbers.below(length + 1);
            lines[at].insert(place, byte);
        }
        _ => {
            let place = numbers.below(length);
            if length > 0 {
                lines[at].remove(place);
            }
        }
    }
    lines.concat()
}

#[test]
fn no_reader_finds_an_attachment_in_messages_made_to_hide_one() {
    let rounds: usize = std::env::var("DIFFERENTIAL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let seed = std::env::var("DIFFERENTIAL_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(20_180_611);
    let mut numbers = Numbers(seed);
    let work = Work::new();
    let mut ambiguous = BTreeMap::new();
    let mut messages = Vec::new();
    for directory in super::golden::directories() {
        let raw = std::fs::read(directory.join("message.eml")).unwrap();
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        // Few lines: there are mostly lines of structure. Others are not worth their time.
        for round in (0..rounds).filter(|_| raw.len() < 20_000) {
            let mut mutated = mutate(&raw, &mut numbers);
            if round % 2 == 1 {
                mutated = mutate(&mutated, &mut numbers);
            }
            messages.extend(prepare(format!("{name}-{round}.eml"), &mutated, &work, &mut ambiguous));
        }
    }
    println!("{} mutated messages that are not ambiguous", messages.len());
    let wrong = work.judge(&messages);
    assert!(messages.len() >= rounds * 10, "{} messages", messages.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
