//! Files written into a text line by line: uuencode, yEnc, BinHex, OpenPGP armour.
//!
//! Mail programs turn such lines into attachments (Outlook, Thunderbird and `MIME::Parser` for uuencode). A line of a
//! letter that merely begins with `begin` is no file: what follows must look like one.

use std::ops::Range;

use super::{Class, Form, TextBlock, WRITTEN_MAX};
use crate::message::mime::decode;

/// Longer words than this behind `begin` are no file mode.
const MODE_CHARACTERS_MAX: usize = 6;

/// Finds the blocks, in order. One pass over the lines; a block that has no end is taken as far as its lines look
/// like it. After [`WRITTEN_MAX`] it is enough.
pub(super) fn find(text: &[u8]) -> Vec<TextBlock> {
    let mut found = Vec::new();
    let mut lines = Lines { text, at: 0 };
    let mut scattered = None;
    while found.len() <= WRITTEN_MAX
        && let Some((range, line)) = lines.next()
    {
        let block = match line.first() {
            Some(b'b' | b'B') => uuencode(line, &mut lines, &mut scattered),
            Some(b'=') => yenc(line, &mut lines),
            Some(b'(') => binhex(line, &mut lines),
            Some(b'-') => armour(line, &mut lines),
            _ => None,
        };
        if let Some(block) = block {
            found.push(TextBlock {
                range: range.start..lines.at,
                class: block.class,
                name: block.name.filter(|name| !name.is_empty()),
                media_type: block.media_type.to_owned(),
                size_bytes: block.size_bytes,
                form: Form::Lines,
            });
        }
    }
    found
}

struct Block {
    class: Class,
    name: Option<String>,
    media_type: &'static str,
    size_bytes: u64,
}

/// The lines of a text; a copy can run ahead.
#[derive(Clone)]
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (Range<usize>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let range = self.at..self.at + length;
        self.at = range.end;
        let line = rest.get(..length)?;
        Some((range, line.strip_suffix(b"\n").map_or(line, |l| l.strip_suffix(b"\r").unwrap_or(l))))
    }
}

/// `begin 644 name`, lines of which the first character gives the length, `end` (POSIX uuencode); and the base64 form.
fn uuencode(line: &[u8], lines: &mut Lines<'_>, scattered: &mut Option<Scattered>) -> Option<Block> {
    let is_base64 = line.get(..13).is_some_and(|start| start.eq_ignore_ascii_case(b"begin-base64 "));
    let rest = if is_base64 {
        line.get(13..)?
    } else {
        line.get(..5).filter(|start| start.eq_ignore_ascii_case(b"begin"))?;
        line.get(5..).filter(|rest| rest.starts_with(b" ") || rest.starts_with(b"\t"))?
    };
    // Three digits in octal say who may read the file; programs take whatever number they find.
    let rest = rest.trim_ascii_start();
    let mode = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let (mode, name) = rest.split_at(mode);
    let is_octal = mode.len() >= 3 && mode.iter().all(|b| matches!(b, b'0'..=b'7'));
    if !mode.first()?.is_ascii_digit() || mode.len() > MODE_CHARACTERS_MAX {
        return None;
    }
    // Nobody's prose has such a line: what follows it is read as the most lenient program reads it.
    let is_sure = is_octal && is_file_name(name.trim_ascii());
    let (end, size_bytes) = match following_data(lines, is_base64, is_sure) {
        Some(found) => found,
        None if is_base64 || !is_octal => return None,
        // MIME::Parser and others read on to `end` and skip the lines that are no data. Some show a file for its first line alone.
        None => match scattered.get_or_insert_with(|| Scattered::in_text(lines.text)).block_end(lines.at) {
            Some(end) => (end, 0),
            None if is_sure => (lines.at, 0),
            None => return None,
        },
    };
    lines.at = end;
    Some(Block {
        class: Class::EncodedInText,
        name: Some(decode::raw_text(name.trim_ascii()).into_owned()),
        media_type: "application/octet-stream",
        size_bytes,
    })
}

/// Whether a name has no blank, and an ending.
fn is_file_name(name: &[u8]) -> bool {
    let ending = name.iter().rev().take_while(|octet| octet.is_ascii_alphanumeric()).count();
    (1..=5).contains(&ending) && name.iter().rev().nth(ending) == Some(&b'.') && !name.contains(&b' ')
}

/// The data that follows a `begin` line at once: where it ends, and how many octets it carries. After a line that is surely one,
/// every character is data: programs look at its last six bits only.
fn following_data(lines: &Lines<'_>, is_base64: bool, is_sure: bool) -> Option<(usize, u64)> {
    let (mut end, mut size_bytes) = (None, 0);
    for (range, line) in lines.clone() {
        if line.trim_ascii() == b"end" || is_base64 && line.trim_ascii() == b"====" {
            end = Some(range.end);
            break;
        }
        let length = if is_base64 { base64_line(line) } else { uu_line(line, if is_sure { b'~' } else { b'`' }) };
        let Some(length) = length else { break };
        size_bytes += length;
        if length > 0 || end.is_some() {
            end = Some(range.end);
        }
    }
    end.map(|end| (end, size_bytes))
}

/// Lines of uuencode anywhere in a text, found once for all `begin` lines, so that many of them cost no more than one.
struct Scattered {
    /// Ends of the lines that can be nothing else than data, in order.
    data: Vec<usize>,
    /// Ends of the lines that say `end`, in order.
    ends: Vec<usize>,
}

impl Scattered {
    fn in_text(text: &[u8]) -> Self {
        let (mut data, mut ends) = (Vec::new(), Vec::new());
        for (range, line) in (Lines { text, at: 0 }) {
            if line.starts_with(b"end") {
                ends.push(range.end);
            } else if is_strict_data(line, range.len()) || is_long_data(line) {
                data.push(range.end);
            }
        }
        Self { data, ends }
    }

    /// The end of the file that begins before `at`; `None` when no data comes before the next `end`.
    fn block_end(&self, at: usize) -> Option<usize> {
        let first_data = self.data.get(self.data.partition_point(|end| *end <= at)).copied()?;
        let end = self.ends.get(self.ends.partition_point(|end| *end <= at)).copied();
        match end {
            Some(end) if end < first_data => None,
            Some(end) => Some(end),
            None => self.data.last().copied(),
        }
    }
}

/// What `MIME::Parser` takes for data: no small letter, and the length that the first character tells.
fn is_strict_data(line: &[u8], line_bytes: usize) -> bool {
    let Some(first) = line.first() else { return false };
    let groups = usize::from(first.wrapping_sub(b' ') & 0x3f).div_ceil(3);
    groups > 0 && !line.iter().any(u8::is_ascii_lowercase) && groups == line_bytes / 4
}

/// What others take for data among lines that are none: all the characters that the first one counts, enough of them to be no
/// words, and not a row of dashes.
fn is_long_data(line: &[u8]) -> bool {
    const OCTETS_MIN: u64 = 9;
    let is_row = line.iter().all(|octet| line.first() == Some(octet));
    let is_whole = |octets: u64| octets >= OCTETS_MIN && line.len() as u64 > (octets * 4).div_ceil(3);
    !is_row && uu_line(line, b'`').is_some_and(is_whole)
}

/// The octets a line of uuencode carries, `None` when it is none. Some encoders drop trailing spaces; what stands behind the
/// characters that the first one counts, a check character or anything else, is read by nobody. `last` is the last character that
/// may be data.
fn uu_line(line: &[u8], last: u8) -> Option<u64> {
    let (first, data) = line.split_first()?;
    let octets = usize::from(first.checked_sub(b' ').filter(|_| *first <= last)? & 0x3f);
    let characters = (octets * 4).div_ceil(3);
    let counted = data.get(..characters.min(data.len()))?;
    let short = data.len() < characters && data.len() + 4 < octets.div_ceil(3) * 3;
    let is_data = counted.iter().all(|b| (b' '..=last).contains(b));
    (is_data && !short && (octets > 0 || data.len() <= 2)).then_some(octets as u64)
}

fn base64_line(line: &[u8]) -> Option<u64> {
    let line = line.trim_ascii_end();
    let is_data = !line.is_empty() && line.iter().all(|b| *b == b'=' || decode::base64_digit(*b).is_some());
    is_data.then_some(line.len() as u64 / 4 * 3)
}

/// `=ybegin line=128 size=123 name=x` … `=yend` (yEnc 1.3).
fn yenc(line: &[u8], lines: &mut Lines<'_>) -> Option<Block> {
    let rest = line.strip_prefix(b"=ybegin ")?;
    memchr::memmem::find(rest, b"line=")?;
    let name = memchr::memmem::find(rest, b"name=").and_then(|at| rest.get(at + 5..));
    let mut ahead = lines.clone();
    let mut size_bytes = 0;
    let mut end = ahead.text.len();
    for (range, line) in ahead.by_ref() {
        if line.starts_with(b"=yend") {
            end = range.end;
            break;
        }
        size_bytes += line.len() as u64;
    }
    lines.at = end;
    Some(Block {
        class: Class::EncodedInText,
        name: name.map(|name| decode::raw_text(name.trim_ascii()).into_owned()),
        media_type: "application/octet-stream",
        size_bytes,
    })
}

/// The announcement of BinHex 4.0 and the data between two colons (RFC 1741).
fn binhex(line: &[u8], lines: &mut Lines<'_>) -> Option<Block> {
    let start = b"(This file must be converted with BinHex";
    line.get(..start.len()).filter(|head| head.eq_ignore_ascii_case(start))?;
    let mut ahead = lines.clone();
    let (mut begun, mut size_bytes, mut end) = (false, 0, None);
    for (range, line) in ahead.by_ref() {
        let line = line.trim_ascii();
        if !begun && line.is_empty() {
            continue;
        }
        if !begun && !line.starts_with(b":") {
            return None;
        }
        let is_last = line.ends_with(b":") && (begun || line.len() > 1);
        begun = true;
        if line.is_empty() || line.iter().any(|b| !b.is_ascii_graphic()) {
            break;
        }
        size_bytes += line.len() as u64 * 3 / 4;
        end = Some(range.end);
        if is_last {
            break;
        }
    }
    lines.at = end?;
    Some(Block { class: Class::EncodedInText, name: None, media_type: "application/mac-binhex40", size_bytes })
}

/// `-----BEGIN PGP MESSAGE-----` and its kin (RFC 9580 section 6.2). Signed text and signatures are no attachments.
fn armour(line: &[u8], lines: &mut Lines<'_>) -> Option<Block> {
    let title = line.trim_ascii_end().strip_prefix(b"-----BEGIN PGP ")?.strip_suffix(b"-----")?;
    let (class, media_type) = match title {
        b"PUBLIC KEY BLOCK" | b"PRIVATE KEY BLOCK" | b"SECRET KEY BLOCK" => (Class::PgpKey, "application/pgp-keys"),
        b"ARMORED FILE" => (Class::EncodedInText, "application/octet-stream"),
        _ if title.starts_with(b"MESSAGE") => (Class::Encrypted, "application/pgp-encrypted"),
        _ => return None,
    };
    let end_line = [b"-----END PGP ".as_slice(), title, b"-----"].concat();
    let mut ahead = lines.clone();
    let (mut size_bytes, mut end, mut name) = (0, None, None);
    for (range, line) in ahead.by_ref() {
        let line = line.trim_ascii_end();
        if line == end_line {
            end = Some(range.end);
            break;
        }
        // Armour has header lines, an empty line, and base64; anything else is a quotation of its first line alone.
        let data = base64_line(line.strip_prefix(b"=").unwrap_or(line));
        let is_header = size_bytes == 0 && memchr::memmem::find(line, b": ").is_some();
        if data.is_none() && !is_header && !line.is_empty() {
            break;
        }
        if data.is_some() {
            end = Some(range.end);
        }
        if let Some(file) = line.strip_prefix(b"Filename: ").or_else(|| line.strip_prefix(b"FileName: ")) {
            name = Some(decode::raw_text(file).into_owned());
        }
        size_bytes += data.unwrap_or(0);
    }
    lines.at = end?;
    Some(Block { class, name, media_type, size_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Class, Option<String>, String)> {
        find(text.as_bytes()).into_iter().map(|b| (b.class, b.name, text.get(b.range).unwrap().to_owned())).collect()
    }

    #[test]
    fn uuencoded_files_are_found_with_their_names() {
        let text = "Hello\r\nbegin 644 a b.txt\r\n#0V%T\r\n`\r\nend\r\nBye\r\n";
        assert_eq!(
            found(text),
            [(
                Class::EncodedInText,
                Some("a b.txt".to_owned()),
                "begin 644 a b.txt\r\n#0V%T\r\n`\r\nend\r\n".to_owned()
            )]
        );
    }

    #[test]
    fn uuencode_without_end_stops_at_the_first_other_line() {
        let text = "begin 644 x\n#0V%T\n\nThe rest of the letter\n";
        assert_eq!(found(text)[0].2, "begin 644 x\n#0V%T\n");
    }

    #[test]
    fn small_letters_are_data_behind_the_name_of_a_file() {
        // The last six bits of each character are those of `#0V%T`.
        let text = "begin 644 x.pdf\ncpVeT\nend\nBye\n";
        assert_eq!(found(text)[0].2, "begin 644 x.pdf\ncpVeT\nend\n");
        assert_eq!(found("begin 644 days\ncpVeT\nend\nBye\n"), []);
    }

    #[test]
    fn a_file_may_have_nothing_but_its_first_line() {
        assert_eq!(found("Hello\nbegin 644 x.pdf\nTous ensemble\n")[0].2, "begin 644 x.pdf\n");
        assert_eq!(found("Hello\nbegin 644 de nous\nTous ensemble\n"), []);
    }

    #[test]
    fn data_after_other_lines_is_found_up_to_the_end() {
        let text = "begin 644 x\nnot data\n#0V%T\nnor this\nend\nBye\n";
        assert_eq!(found(text)[0].2, "begin 644 x\nnot data\n#0V%T\nnor this\nend\n");
        // Whatever stands behind the characters that the first one counts, and however short the lines are.
        let line = "M)5!$1BTQ+C0*,2 P(&]B:CP\\+U1Y<&4O0V%T86QO9SX^96YD;V)J\"G1R86EL";
        for data in [format!("not data\n{line}z\n"), format!("{line} and more\n"), "!)0x\n!4 x\n!1 x\n".to_owned()] {
            let text = format!("begin 644 x\n{data}end\n");
            assert_eq!(found(&format!("{text}Bye\n"))[0].2, text);
        }
        let many = "begin 644 x\nnot data\n".repeat(20_000);
        assert_eq!(find(many.as_bytes()).len(), 0);
    }

    #[test]
    fn letters_that_begin_with_begin_are_letters() {
        for text in [
            "begin 2018 with us\n\nThe campaign starts.\n",
            "begin 644 people joined\nand we thank them all for it, dearly\n",
            "begin\n",
            "Begin the beguine\n",
            "begin 644 people\nSIGN HERE\n----------\nand there\nend of the letter\n",
            "begin 644 people\nand write\n------------------------------\n(1) CNRS\n\"OUI\" to all\nend of the letter\n",
            "begin 10 minutes early\nand write\nM)5!$1BTQ+C0*,2 P(&]B:CP\\+U1Y<&4O0V%T86QO9SX^96YD;V)J\"G1R86EL\n",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn yenc_binhex_and_armour_are_found() {
        let yenc = "=ybegin line=128 size=3 name=a.bin\r\n\u{80}\u{81}\r\n=yend size=3\r\nBye";
        assert_eq!(found(yenc)[0].1.as_deref(), Some("a.bin"));
        let binhex = "(This file must be converted with BinHex 4.0)\r\n\r\n:$f*TEQKPH#jdC\r\n3@4#:\r\nBye\r\n";
        assert_eq!(find(binhex.as_bytes())[0].range.end, binhex.len() - 5);
        let pgp = "-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA5==\r\n=abcd\r\n-----END PGP MESSAGE-----\r\n";
        assert_eq!(found(pgp)[0].0, Class::Encrypted);
        let key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQEN\n-----END PGP PUBLIC KEY BLOCK-----\n";
        assert_eq!(found(key)[0].0, Class::PgpKey);
        let signed = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nHi\n-----BEGIN PGP SIGNATURE-----\n\niQ==\n";
        assert_eq!(found(signed), []);
    }

    #[test]
    fn the_work_is_linear_in_the_text() {
        // Every line looks like a start, none is one.
        let text = "-----BEGIN PGP MESSAGE-----\n".repeat(20_000);
        assert_eq!(find(text.as_bytes()).len(), 0);
    }
}
