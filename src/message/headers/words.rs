//! RFC 2047: text in header fields beyond ASCII, read as generously as mail programs do, written strictly.

use std::fmt::Write as _;

use data_encoding::BASE64;
use encoding_rs::WINDOWS_1252;

/// The longest encoded word (RFC 2047 section 2).
const WORD_BYTES_MAX: usize = 75;

/// What an encoded word has around its text.
const WORD_BYTES_FRAME: usize = "=?UTF-8?Q??=".len();

/// An encoded word shorter than this is not worth squeezing into the rest of a line. At least the frame and the longest
/// encoded character.
const WORD_BYTES_USEFUL: usize = 30;

/// The longest line with an encoded word in it (RFC 2047 section 2); beyond it fields are folded.
pub const LINE_BYTES_PREFERRED: usize = 76;

/// Reads bytes as UTF-8 or, when they are not, as windows-1252: every byte has a meaning.
#[must_use]
pub fn lossless(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// Decodes the encoded words of an unfolded value; what is not one stays as it is. Linear.
///
/// A character that is split between two words of the same charset is put together again, as mail programs do although
/// RFC 2047 section 5 forbids writing it.
#[must_use]
pub fn decode(value: &[u8]) -> String {
    let mut decoded = String::with_capacity(value.len());
    // The bytes of neighbouring words in one charset, not yet turned into text.
    let mut pending: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut rest = value;
    while !rest.is_empty() {
        let gap = rest.len() - rest.trim_ascii_start().len();
        let (space, after) = rest.split_at_checked(gap).unwrap_or((rest, &[]));
        if let Some((word, tail)) = EncodedWord::parse(after) {
            match &mut pending {
                Some((charset, bytes)) if charset.eq_ignore_ascii_case(word.charset) => bytes.extend(word.content()),
                _ => {
                    // Space between two words is not shown (RFC 2047 section 6.2).
                    if !flush(&mut pending, &mut decoded) {
                        decoded.push_str(&lossless(space));
                    }
                    pending = Some((word.charset.to_vec(), word.content()));
                }
            }
            rest = tail;
        } else {
            flush(&mut pending, &mut decoded);
            // Up to the next space, or the next thing that looks like a word: some programs write words unseparated.
            let end = plain_length(after);
            let (plain, tail) = after.split_at_checked(end).unwrap_or((after, &[]));
            decoded.push_str(&lossless(space));
            decoded.push_str(&lossless(plain));
            rest = tail;
        }
    }
    flush(&mut pending, &mut decoded);
    decoded
}

/// Whether all programs read an unfolded value alike: each encoded word stands for whole characters of a charset that they all
/// know, and the rest is UTF-8.
#[must_use]
pub fn is_read_alike(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(at) = memchr::memmem::find(rest, b"=?") {
        let word = rest.get(at..).unwrap_or_default();
        rest = match EncodedWord::parse(word) {
            Some((word, tail)) if word.is_read_alike() => tail,
            Some(_) => return false,
            None => word.get(2..).unwrap_or_default(),
        };
    }
    std::str::from_utf8(value).is_ok()
}

/// The length of what is plain text at the head, at least one byte: up to the next space or the next thing that looks
/// like a word, for some programs write words unseparated.
fn plain_length(bytes: &[u8]) -> usize {
    let ends = |pair: &[u8]| pair.first().is_some_and(u8::is_ascii_whitespace) || pair == b"=?";
    let tail = bytes.get(1..).unwrap_or_default();
    match tail.windows(2).position(ends) {
        Some(at) => at + 1,
        None => bytes.len() - usize::from(bytes.len() > 1 && tail.last().is_some_and(u8::is_ascii_whitespace)),
    }
}

/// Turns pending bytes into text; `false` when there were none.
fn flush(pending: &mut Option<(Vec<u8>, Vec<u8>)>, decoded: &mut String) -> bool {
    let Some((charset, bytes)) = pending.take() else { return false };
    decoded.push_str(&charset_text(&charset, &bytes));
    true
}

/// Reads bytes in a named charset; an unknown one is read as UTF-8 or windows-1252.
#[must_use]
pub fn charset_text(charset: &[u8], bytes: &[u8]) -> String {
    if let Some(encoding) = encoding_rs::Encoding::for_label_no_replacement(charset) {
        return encoding.decode_without_bom_handling(bytes).0.into_owned();
    }
    match mail_parser::decoders::charsets::map::charset_decoder(charset) {
        Some(decoder) => decoder(bytes),
        None => lossless(bytes),
    }
}

/// An encoded word: `=?charset*language?B|Q?text?=`.
struct EncodedWord<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
}

impl<'a> EncodedWord<'a> {
    /// Reads the word at the head; returns it with what follows. Looks no further than the next `?`, so that a value
    /// full of words without an end takes linear time.
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let rest = bytes.strip_prefix(b"=?")?;
        let (charset, rest) = until_question_mark(rest)?;
        let (encoding, rest) = until_question_mark(rest)?;
        let base64 = match encoding {
            b"B" | b"b" => true,
            b"Q" | b"q" => false,
            _ => return None,
        };
        let (text, rest) = until_question_mark(rest)?;
        let rest = rest.strip_prefix(b"=")?;
        if charset.is_empty() || charset.iter().any(u8::is_ascii_whitespace) {
            return None;
        }
        // RFC 2231 section 5: the charset may carry a language.
        let charset = charset.split(|&b| b == b'*').next().unwrap_or(charset);
        Some((Self { charset, base64, text }, rest))
    }

    fn is_read_alike(&self) -> bool {
        let label = String::from_utf8_lossy(self.charset).to_ascii_lowercase();
        let is_common =
            ["utf-8", "utf8", "us-ascii", "iso-8859-", "windows-125"].iter().any(|name| label.starts_with(name));
        let encoding = encoding_rs::Encoding::for_label_no_replacement(self.charset).filter(|_| is_common);
        let is_whole =
            |encoding: &'static encoding_rs::Encoding| !encoding.decode_without_bom_handling(&self.content()).1;
        !self.text.iter().any(u8::is_ascii_whitespace) && encoding.is_some_and(is_whole)
    }

    fn content(&self) -> Vec<u8> {
        if self.base64 { decode_base64(self.text) } else { decode_q(self.text) }
    }
}

fn until_question_mark(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&b| b == b'?')?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// Base64 as mail programs take it: foreign characters skipped, padding optional, trailing bits ignored.
#[must_use]
pub fn decode_base64(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
        }
    }
    decoded
}

/// The encoding Q (RFC 2047 section 4.2); a `=` that is no escape stays.
fn decode_q(text: &[u8]) -> Vec<u8> {
    let hex = |b: Option<&u8>| b.and_then(|&b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, hex(text.get(at + 1)), hex(text.get(at + 2))) {
            (b'=', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 2;
            }
            (b'_', _, _) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    decoded
}

/// Writes free text for a field such as Subject: plain words stay plain, the others become UTF-8 encoded words, whole,
/// so that the spaces beside them survive. Folded with LF and a space; `column` is how much of the first line is taken.
#[must_use]
pub fn encode_text(text: &str, column: usize) -> String {
    fold(&runs(text), column)
}

/// The same, to stand before an encoded word: the space between them is shown although it stands between two words.
#[must_use]
pub fn encode_text_before_word(text: &str, column: usize) -> String {
    let mut runs = runs(text);
    if let Some(Run { text, encoded: true }) = runs.last_mut() {
        text.push(' ');
    }
    fold(&runs, column)
}

/// Writes a phrase, such as a display name (RFC 5322 section 3.2.5): atoms, a quoted string, or encoded words.
#[must_use]
pub fn encode_phrase(text: &str, column: usize) -> String {
    let text = printable(text);
    if !text.is_ascii() || text.contains("=?") {
        return fold(&[Run { text, encoded: true }], column);
    }
    let is_atext = |b: u8| b.is_ascii_alphanumeric() || b" !#$%&'*+-/=?^_`{|}~".contains(&b);
    if text.bytes().all(is_atext) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A stretch of text that is written either plainly or as encoded words.
struct Run {
    text: String,
    encoded: bool,
}

/// Splits text into runs, separated by one space each; neighbouring words that need encoding are one run.
fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for word in printable(text).split(' ') {
        let encoded = !word.is_ascii() || word.contains("=?");
        match runs.last_mut() {
            // An empty word is one of several spaces in a row.
            Some(run) if run.encoded && (encoded || word.is_empty()) => {
                run.text.push(' ');
                run.text.push_str(word);
            }
            _ => runs.push(Run { text: word.to_owned(), encoded }),
        }
    }
    runs
}

/// Control characters have no place in a header field: they become spaces.
fn printable(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Joins runs with single spaces, or with folds where a line would become too long.
fn fold(runs: &[Run], column: usize) -> String {
    let mut line = Line { text: String::new(), column };
    for run in runs {
        if run.encoded {
            for word in encoded_words(&run.text, line.room()) {
                line.put(&word);
            }
        } else {
            line.put(&run.text);
        }
    }
    line.text
}

/// A value while it is written.
struct Line {
    text: String,
    column: usize,
}

impl Line {
    /// How many octets the next encoded word may have to stay on this line; a whole word's worth if it goes to the next.
    fn room(&self) -> usize {
        let gap = usize::from(!self.text.is_empty());
        let left = LINE_BYTES_PREFERRED.saturating_sub(self.column + gap);
        if left < WORD_BYTES_USEFUL { WORD_BYTES_MAX } else { left.min(WORD_BYTES_MAX) }
    }

    fn put(&mut self, piece: &str) {
        // The first piece stays on the line of the name: a line of spaces alone is obsolete (RFC 5322 section 4.2).
        if !self.text.is_empty() {
            if self.column + 1 + piece.len() > LINE_BYTES_PREFERRED {
                self.text.push('\n');
                self.column = 0;
            }
            self.text.push(' ');
            self.column += 1;
        }
        self.text.push_str(piece);
        self.column += piece.len();
    }
}

/// Text as encoded words in UTF-8, each within the length limit (the first within `room`) and none splitting a
/// character.
fn encoded_words(text: &str, room: usize) -> Vec<String> {
    // Q is readable without a decoder, so it may be somewhat longer than B.
    let quoted = text.chars().map(q_cost).sum::<usize>() <= 2 * text.len();
    let mut room = room - WORD_BYTES_FRAME;
    let mut words = Vec::new();
    let mut piece = String::new();
    let mut taken = 0;
    for c in text.chars() {
        let full = if quoted { taken + q_cost(c) > room } else { (piece.len() + c.len_utf8()).div_ceil(3) * 4 > room };
        if full {
            words.push(encoded_word(&piece, quoted));
            piece.clear();
            taken = 0;
            room = WORD_BYTES_MAX - WORD_BYTES_FRAME;
        }
        piece.push(c);
        taken += q_cost(c);
    }
    if !piece.is_empty() {
        words.push(encoded_word(&piece, quoted));
    }
    words
}

/// What stands for itself in Q, also inside a phrase (RFC 2047 section 5, rule 3).
fn is_q_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '!' | '*' | '+' | '-' | '/')
}

fn q_cost(c: char) -> usize {
    if c == ' ' || is_q_plain(c) { 1 } else { 3 * c.len_utf8() }
}

fn encoded_word(text: &str, quoted: bool) -> String {
    if !quoted {
        return format!("=?UTF-8?B?{}?=", BASE64.encode(text.as_bytes()));
    }
    let mut word = String::from("=?UTF-8?Q?");
    for c in text.chars() {
        if c == ' ' {
            word.push('_');
        } else if is_q_plain(c) {
            word.push(c);
        } else {
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                // Writing to a String does not fail.
                let _ = write!(word, "={byte:02X}");
            }
        }
    }
    word.push_str("?=");
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> String {
        decode(value.as_bytes())
    }

    #[test]
    fn words_in_every_encoding_are_read() {
        for (value, text) in [
            ("=?UTF-8?Q?=C3=89lections_CNRS?=", "Élections CNRS"),
            ("=?utf-8?b?w4lsZWN0aW9ucyBDTlJT?=", "Élections CNRS"),
            ("=?utf-8?b?w4lsZWN0aW9ucyBDTlJTCg?=", "Élections CNRS\n"),
            ("=?ISO-8859-1?Q?=C9lections?= CNRS", "Élections CNRS"),
            ("=?iso-8859-15*fr?Q?10_=A4?=", "10 €"),
            ("=?windows-1252?q?=80?=", "€"),
            ("=?utf-7?Q?+AMk-lections?=", "Élections"),
            ("=?utf-8?q?=C3?= =?utf-8?q?=89l?=", "Él"),
            ("=?utf-8?q?a?=\t =?iso-8859-1?q?b?=", "ab"),
            ("a =?utf-8?q?b?= c", "a b c"),
            ("a=?utf-8?q?b?=c", "abc"),
            ("(=?utf-8?q?b?=)", "(b)"),
            ("=?utf-8?x?b?=", "=?utf-8?x?b?="),
            ("=?utf-8?q?b", "=?utf-8?q?b"),
            ("=?unknown-42?q?=C3=89?=", "É"),
            ("=?utf-8?q?100_%_=ZZ?=", "100 % =ZZ"),
            ("plain  text", "plain  text"),
        ] {
            assert_eq!(read(value), text, "{value}");
        }
        assert_eq!(decode(b"\xC9lections"), "Élections");
        assert_eq!(decode("Élections".as_bytes()), "Élections");
    }

    #[test]
    fn words_without_end_take_linear_time() {
        for piece in ["=?a?q?", "=?", "=?a?q?x ", "=?a?q?x?= ", "? ", "=?utf-8?q?=C3?="] {
            let _ = read(&piece.repeat(200_000));
        }
    }

    #[test]
    fn whole_words_are_encoded_and_spaces_survive() {
        assert_eq!(encode_text("Election CNRS", 9), "Election CNRS");
        assert_eq!(
            encode_text("[Élections CNRS 2018 – C]", 9),
            "=?UTF-8?Q?=5B=C3=89lections?= CNRS 2018 =?UTF-8?B?4oCT?= C]"
        );
        assert_eq!(encode_text("à été", 0), "=?UTF-8?B?w6Agw6l0w6k=?=");
        assert_eq!(encode_text("=?utf-8?q?a?=", 0), "=?UTF-8?Q?=3D=3Futf-8=3Fq=3Fa=3F=3D?=");
        assert_eq!(encode_text("a\r\nBcc: x@y.example", 0), "a  Bcc: x@y.example");
    }

    #[test]
    fn phrases_are_atoms_quoted_or_encoded() {
        assert_eq!(encode_phrase("Elections CNRS", 0), "Elections CNRS");
        assert_eq!(encode_phrase("Elections (C) \"x\"", 0), "\"Elections (C) \\\"x\\\"\"");
        assert_eq!(encode_phrase("Collège, C", 0), "=?UTF-8?Q?Coll=C3=A8ge=2C_C?=");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_again(text in "\\PC{0,120}", column in 0_usize..90) {
            let text = text.trim();
            let encoded = encode_text(text, column);
            prop_assert!(encoded.is_ascii());
            for word in encoded.split([' ', '\n']).filter(|w| w.starts_with("=?UTF-8?")) {
                prop_assert!(word.len() <= WORD_BYTES_MAX, "{word}");
            }
            prop_assert_eq!(read(&encoded.replace('\n', "")), text);
        }

        #[test]
        fn lines_are_short(words in prop::collection::vec("[a-zé]{1,20}", 1..40)) {
            for line in encode_text(&words.join(" "), 9).split('\n') {
                prop_assert!(line.len() <= LINE_BYTES_PREFERRED);
            }
        }
    }
}
