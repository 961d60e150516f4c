//! The subject and its tag (cnrs:III.g): there once, in front, whatever charset or encoding it came back in.

use unicode_normalization::UnicodeNormalization as _;

use super::headers::{Draft, Field, words};

/// What replies and forwards put before a subject, in the languages of French administrations and their correspondents.
const REPLY_PREFIXES: &[&str] = &["re", "ref", "tr", "fw", "fwd", "aw", "sv", "rép", "rep", "rv", "enc", "wg", "réf"];

/// The longest counter between a prefix and its colon, such as `[2]` in `Re[2]:`.
const COUNTER_CHARS_MAX: usize = 6;

/// Tags of other lists may stand before ours in so many characters: behind more, lists of messages do not show it.
const OTHER_TAGS_CHARS_MAX: usize = 40;

/// What tagging a subject took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tagging {
    /// The tag was not there, or not in front, or several times.
    pub is_tagged: bool,
    /// So many other Subject fields were removed (RFC 5322 section 3.6 allows one; programs differ on which they show).
    pub duplicates_removed: usize,
}

/// Gives the one subject of a message this tag, once, in front of everything but reply prefixes and other tags. The
/// bytes of the author's subject are kept unless the tag has to be taken out of them.
pub fn tag(draft: &mut Draft, tag: &str) -> Tagging {
    let tag: String = tag.trim().nfc().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut tagging = Tagging::default();
    if tag.is_empty() {
        return tagging;
    }
    let is_subject = |field: &Field| field.is("Subject");
    let fields = draft.header().fields();
    // Of several subjects the first that says something stays.
    let kept = fields.iter().position(|f| is_subject(f) && !f.unfolded().is_empty());
    let kept = kept.or_else(|| fields.iter().position(is_subject)).unwrap_or_default();
    tagging.duplicates_removed = draft.delete(|place, field| place != kept && is_subject(field));
    let value = match draft.header().first("Subject") {
        Some(field) => tagged_value(field, &tag),
        None => Some(value_of(&tag)),
    };
    tagging.is_tagged = value.is_some();
    if let Some(value) = value {
        draft.set("Subject", value);
    }
    tagging
}

/// Is the tag in front of this decoded subject, reply prefixes and other tags aside?
#[must_use]
pub fn is_tagged(subject: &str, tag: &str) -> bool {
    let subject: Vec<char> = subject.nfc().collect();
    let tag: Vec<char> = tag.trim().nfc().collect();
    stands_in_front(&subject, &tag)
}

/// A decoded subject without the reply and forward prefixes in front of it, and without the space around it.
#[must_use]
pub fn without_prefixes(subject: &str) -> String {
    let subject: Vec<char> = subject.nfc().collect();
    let mut at = skip_space(&subject, 0);
    while let Some(end) = prefix_end(&subject, at) {
        at = skip_space(&subject, end);
    }
    let rest: String = subject.get(at..).unwrap_or_default().iter().collect();
    rest.trim().to_owned()
}

/// The raw value with the tag; `None` when it is right already.
fn tagged_value(field: &Field, tag: &str) -> Option<Vec<u8>> {
    let decoded: Vec<char> = field.decoded().nfc().collect();
    let tag_chars: Vec<char> = tag.chars().collect();
    let occurrences = occurrences(&decoded, &tag_chars);
    if occurrences.is_empty() {
        return Some(prefixed(field, tag));
    }
    if occurrences.len() == 1 && stands_in_front(&decoded, &tag_chars) && all_show(&field.unfolded(), &tag_chars) {
        return None;
    }
    Some(value_of(&format!("{tag} {}", without(&decoded, &occurrences))))
}

/// Whether all programs show the tag in front of an unfolded value: what it is written with must be read alike by all, not what
/// follows it.
fn all_show(value: &[u8], tag: &[char]) -> bool {
    /// Far behind the longest tag in any encoding.
    const LOOKED_AT_BYTES: usize = 1_000;
    let ends = memchr::memchr2_iter(b' ', b'\t', value).take_while(|end| *end < LOOKED_AT_BYTES).chain([value.len()]);
    let mut starts = ends.filter_map(|end| value.get(..end));
    let with_tag = starts.find(|start| stands_in_front(&words::decode(start).nfc().collect::<Vec<char>>(), tag));
    with_tag.is_some_and(words::is_read_alike)
}

fn value_of(text: &str) -> Vec<u8> {
    format!(" {}", words::encode_text(text, "Subject: ".len())).into_bytes()
}

/// Puts the tag before the author's bytes.
fn prefixed(field: &Field, tag: &str) -> Vec<u8> {
    let author = super::headers::edit_value(field.raw());
    let author = author.trim_ascii_start();
    if author.is_empty() {
        return value_of(tag);
    }
    let column = "Subject: ".len();
    let tag = if author.starts_with(b"=?") {
        words::encode_text_before_word(tag, column)
    } else {
        words::encode_text(tag, column)
    };
    let last_line = tag.rsplit('\n').next().map_or(0, str::len) + if tag.contains('\n') { 0 } else { column };
    let first_line = author.split(|&b| b == b'\n').next().map_or(0, <[u8]>::len);
    let gap = if last_line + 1 + first_line > words::LINE_BYTES_PREFERRED { "\n " } else { " " };
    [b" ", tag.as_bytes(), gap.as_bytes(), author].concat()
}

/// The text without these stretches, each leaving one space at most.
fn without(text: &[char], stretches: &[std::ops::Range<usize>]) -> String {
    let mut rest = String::new();
    let mut at = 0;
    for stretch in stretches.iter().map(|stretch| with_brackets(text, stretch)) {
        rest.extend(text.get(at..stretch.start).unwrap_or_default());
        rest.truncate(rest.trim_end().len());
        at = skip_space(text, stretch.end);
        if at < text.len() && !rest.is_empty() {
            rest.push(' ');
        }
    }
    rest.extend(text.get(at..).unwrap_or_default());
    rest.trim().to_owned()
}

/// A stretch with the brackets or quotation marks that hold nothing else.
fn with_brackets(text: &[char], stretch: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let mut wide = stretch.clone();
    loop {
        let before = wide.start.checked_sub(1).and_then(|before| text.get(before));
        match (before, text.get(wide.end)) {
            (Some('['), Some(']')) | (Some('('), Some(')')) | (Some('"'), Some('"')) => {
                wide = wide.start - 1..wide.end + 1;
            }
            _ => return wide,
        }
    }
}

fn stands_in_front(subject: &[char], tag: &[char]) -> bool {
    let mut at = skip_space(subject, 0);
    let mut room = OTHER_TAGS_CHARS_MAX;
    loop {
        if match_at(subject, at, tag).is_some() {
            return true;
        }
        let bracket = || bracket_end(subject, at).filter(|end| end - at <= room);
        let end = match (prefix_end(subject, at), bracket()) {
            (Some(end), _) => end,
            (None, Some(end)) => {
                room -= end - at;
                end
            }
            (None, None) => return false,
        };
        at = skip_space(subject, end);
    }
}

fn occurrences(subject: &[char], tag: &[char]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < subject.len() {
        match match_at(subject, at, tag) {
            Some(end) => {
                found.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// Where the tag ends if it stands at this place: letter case, and which and how many spaces, make no difference.
fn match_at(subject: &[char], at: usize, tag: &[char]) -> Option<usize> {
    let (mut at, mut tag_at) = (at, 0);
    while let Some(&wanted) = tag.get(tag_at) {
        if is_space(wanted) {
            let end = skip_space(subject, at);
            if end == at {
                return None;
            }
            at = end;
            tag_at = skip_space(tag, tag_at);
        } else {
            let found = *subject.get(at)?;
            if found != wanted && !found.to_lowercase().eq(wanted.to_lowercase()) {
                return None;
            }
            at += 1;
            tag_at += 1;
        }
    }
    Some(at)
}

/// Where a reply prefix ends, its colon included: `Re:`, `RE :`, `Re[2]:`, `Tr：`.
fn prefix_end(subject: &[char], at: usize) -> Option<usize> {
    let rest = subject.get(at..)?;
    let letters = rest.iter().take_while(|c| c.is_alphabetic()).take(8).count();
    let word: String = rest.get(..letters)?.iter().collect::<String>().to_lowercase();
    if !REPLY_PREFIXES.contains(&word.as_str()) {
        return None;
    }
    let mut at = at + letters;
    if let Some(close) = subject.get(at).and_then(|c| closing(*c)) {
        let counter = subject.get(at..)?.iter().take(COUNTER_CHARS_MAX).position(|&c| c == close)?;
        at += counter + 1;
    }
    let colon = skip_space(subject, at);
    matches!(subject.get(colon), Some(':' | '：')).then_some(colon + 1)
}

/// Where another tag in brackets ends.
fn bracket_end(subject: &[char], at: usize) -> Option<usize> {
    if subject.get(at) != Some(&'[') {
        return None;
    }
    let length = subject.get(at..)?.iter().position(|&c| c == ']')?;
    Some(at + length + 1)
}

fn closing(open: char) -> Option<char> {
    match open {
        '[' => Some(']'),
        '(' => Some(')'),
        _ => None,
    }
}

/// Any space, NBSP and U+202F among them (French typography puts them before a colon).
fn is_space(c: char) -> bool {
    c.is_whitespace()
}

fn skip_space(text: &[char], at: usize) -> usize {
    let spaces = text.get(at..).unwrap_or_default().iter().take_while(|c| is_space(**c)).count();
    at + spaces
}

#[cfg(test)]
mod tests {
    use super::super::headers::{Header, HeaderEdit, apply};
    use super::*;
    use proptest::prelude::*;

    const TAG: &str = "[Élections CNRS 2018 – C]";

    /// The raw header after tagging, and the subject it has then.
    fn tagged(block: &str) -> (String, String) {
        tagged_bytes(block.as_bytes())
    }

    fn tagged_bytes(block: &[u8]) -> (String, String) {
        let mut draft = Draft::new(&Header::parse(block));
        tag(&mut draft, TAG);
        let done = apply(block, &draft.into_edits());
        let again = Header::parse(&done);
        assert_is_right(&again);
        assert_eq!(again.count("Subject"), 1);
        (String::from_utf8_lossy(&done).into_owned(), again.subject().unwrap())
    }

    fn assert_is_right(header: &Header) {
        let mut draft = Draft::new(header);
        assert_eq!(tag(&mut draft, TAG), Tagging::default());
        assert_eq!(draft.into_edits(), []);
    }

    #[test]
    fn the_tag_is_put_before_the_bytes_of_the_author() {
        let (block, subject) = tagged("Subject: Réunion\r\n\r\n");
        assert_eq!(subject, "[Élections CNRS 2018 – C] Réunion");
        assert!(block.ends_with(" C]\r\n Réunion\r\n\r\n"), "{block}");
        let (block, subject) = tagged("Subject: =?iso-8859-1?q?R=E9union?=\r\n =?iso-8859-1?q?_demain?=\r\n\r\n");
        assert_eq!(subject, "[Élections CNRS 2018 – C] Réunion demain");
        assert!(block.contains("=?iso-8859-1?q?R=E9union?=\r\n =?iso-8859-1?q?_demain?=\r\n"), "{block}");
        let (_, subject) = tagged("Subject: à 8 h\r\n\r\n");
        assert_eq!(subject, "[Élections CNRS 2018 – C] à 8 h");
        let (block, _) = tagged_bytes(b"Subject: R\xE9union\r\n\r\n");
        assert!(block.ends_with(" R\u{fffd}union\r\n\r\n"), "{block}");
    }

    #[test]
    fn a_space_between_two_encoded_words_is_shown() {
        let mut draft = Draft::new(&Header::parse(b"Subject: =?utf-8?q?=C3=A9t=C3=A9?=\n"));
        tag(&mut draft, "Élections");
        assert_eq!(draft.header().subject().unwrap(), "Élections été");
    }

    #[test]
    fn a_missing_or_empty_subject_becomes_the_tag() {
        assert_eq!(tagged("From: a@b.example\r\n\r\n").1, TAG);
        assert_eq!(tagged("Subject:\r\n\r\n").1, TAG);
        assert_eq!(tagged("Subject: \r\n \r\n\r\n").1, TAG);
    }

    #[test]
    fn the_tag_is_recognised_in_any_encoding_and_behind_prefixes() {
        for value in [
            "[Élections CNRS 2018 – C] Réunion",
            "[ÉLECTIONS cnrs 2018 – c] Réunion",
            "Re: [Élections CNRS 2018 – C] Réunion",
            "RE : TR\u{a0}: Fwd\u{202f}: rép： [Élections CNRS 2018 – C] Réunion",
            "Re[2]: [Autre] [Élections CNRS 2018 – C] Réunion",
            "Rv(3) : Enc: Aw: Sv: Ref: [Élections CNRS 2018 – C]",
            "[E\u{301}lections  CNRS\u{a0}2018 – C] x",
            "=?utf-8?q?=5B=C3=89lections_CNRS_2018_=E2=80=93_C=5D?= x",
            "=?UTF-8?B?W8OJbGVjdGlvbnMgQ05SUyAyMDE4IOKAkyBDXQ==?= x",
            "=?windows-1252*fr?Q?=5B=C9lections_CNRS_2018_=96_C=5D?= x",
            "=?utf-8?q?=5B=C3=89lections_CNRS?= =?utf-8?q?_2018_=E2=80=93_C=5D?= x",
            "[=?utf-8?q?=C3=89lections?= CNRS 2018 =?utf-8?q?=E2=80=93?=\r\n C] x",
        ] {
            assert_is_right(&Header::parse(format!("Subject: {value}\r\n").as_bytes()));
        }
    }

    #[test]
    fn a_tag_that_some_programs_do_not_show_is_written_anew() {
        for value in [
            "=?x-unknown?q?[=C3=89lections_CNRS_2018_=E2=80=93_C]?= x",
            "=?utf-7?q?[+AMk-lections_CNRS_2018_+IBM-_C]?= x",
            "=?utf-8?q?[=C3?= =?utf-8?b?iWxlY3Rpb25zIENOUlMgMjAxOCDigJMgQ10=?= x",
            "=?utf-8?q?[=C3=89lections CNRS 2018 =E2=80=93 C]?= x",
            "[Votez pour la liste A et contre la liste B] [Élections CNRS 2018 – C] x",
            "[a] [b] [c] [d] [e] [f] [g] [h] [i] [j] [k] [l] [m] [n] [Élections CNRS 2018 – C] x",
        ] {
            let (block, subject) = tagged(&format!("Subject: {value}\r\n\r\n"));
            assert!(subject.starts_with(TAG) && subject.ends_with(" x"), "{value}: {block}");
        }
        let (_, subject) = tagged_bytes("Subject: [Élections CNRS 2018 – C] \u{e9}t\u{e9}\r\n".as_bytes());
        assert_eq!(subject, "[Élections CNRS 2018 – C] été");
        let latin = encoding_rs::WINDOWS_1252.encode("Subject: [Élections CNRS 2018 – C] été\r\n").0.into_owned();
        let (block, subject) = tagged_bytes(&latin);
        assert!(block.is_ascii() && subject == "[Élections CNRS 2018 – C] été", "{block}");
        // What stands there in ASCII is shown by all, whatever follows it.
        let mut draft = Draft::new(&Header::parse(b"Subject: [CNRS] \xe9t\xe9\r\n"));
        assert_eq!(tag(&mut draft, "[CNRS]"), Tagging::default());
    }

    #[test]
    fn a_tag_elsewhere_moves_to_the_front_and_stays_alone() {
        for (value, subject) in [
            ("Réunion [Élections CNRS 2018 – C]", "[Élections CNRS 2018 – C] Réunion"),
            ("[Élections CNRS 2018 – C] Re: [Élections CNRS 2018 – C] x", "[Élections CNRS 2018 – C] Re: x"),
            ("a [Élections CNRS 2018 – C] b", "[Élections CNRS 2018 – C] a b"),
            ("[[Élections CNRS 2018 – C]] x", "[Élections CNRS 2018 – C] x"),
            ("Re: (\"[Élections CNRS 2018 – C]\") x", "[Élections CNRS 2018 – C] Re: x"),
        ] {
            assert_eq!(tagged(&format!("Subject: {value}\r\n\r\n")).1, subject, "{value}");
        }
    }

    #[test]
    fn another_tag_or_a_longer_word_is_not_the_tag() {
        assert_eq!(tagged("Subject: [Élections CNRS 2018 – D] x\r\n").1, format!("{TAG} [Élections CNRS 2018 – D] x"));
        assert!(!is_tagged("Relance: [Élections CNRS 2018 – C] x", TAG));
        assert!(is_tagged("Re: [Élections CNRS 2018 – C] x", TAG));
    }

    #[test]
    fn several_subjects_become_one() {
        let (block, subject) = tagged("Subject:\r\nX-A: b\r\nsubject: un\r\nSubject: deux\r\n\r\n");
        assert_eq!(subject, format!("{TAG} un"));
        assert!(!block.contains("deux"), "{block}");
        let mut draft = Draft::new(&Header::parse("Subject: [Élections CNRS 2018 – C] x\nSubject: y\n".as_bytes()));
        assert_eq!(tag(&mut draft, TAG), Tagging { is_tagged: false, duplicates_removed: 1 });
    }

    #[test]
    fn long_subjects_are_folded_behind_the_tag() {
        let (block, subject) = tagged(&format!("Subject: {}\r\n\r\n", "mot ".repeat(15)));
        assert!(block.contains("C]\r\n mot"), "{block}");
        assert!(subject.starts_with("[Élections CNRS 2018 – C] mot mot"));
    }

    #[test]
    fn prefixes_are_taken_off() {
        assert_eq!(without_prefixes("RE : Tr: Personnel - x"), "Personnel - x");
        assert_eq!(without_prefixes(" Réunion "), "Réunion");
    }

    proptest! {
        #[test]
        fn any_subject_is_tagged_once_and_keeps_its_text(subject in "\\PC{0,60}") {
            let value = words::encode_text(&subject, 9).replace('\n', "\r\n");
            let (_, done) = tagged(&format!("Subject: {value}\r\n\r\n"));
            let expected = format!("{TAG} {}", subject.trim());
            prop_assert_eq!(done.nfc().collect::<String>(), expected.trim().nfc().collect::<String>());
        }

        #[test]
        fn any_bytes_are_tagged_once(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let block = [b"Subject: ".as_slice(), &bytes].concat();
            let mut draft = Draft::new(&Header::parse(&block));
            tag(&mut draft, TAG);
            prop_assert!(is_tagged(&draft.header().subject().unwrap(), TAG));
            for edit in draft.into_edits() {
                let (HeaderEdit::Replace { value, .. } | HeaderEdit::Append { value, .. }) = edit else { continue };
                prop_assert!(!value.contains(&0) && !value.contains(&b'\r'));
            }
        }
    }
}
