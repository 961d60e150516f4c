//! The charset of a text body: reading it, writing words in it when it has them, and which octet a character is.

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_2022_JP, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Which characters a charset has, where its name promises less than its decoder reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// ASCII alone.
    Ascii,
    /// ASCII and U+00A0 to U+00FF: mail programs read ISO 8859-1 as windows-1252, but must not be asked to.
    Latin1,
    /// Whatever the encoder can write.
    Encoder,
}

/// A decoded text body with what is needed to write words into it.
pub(super) struct Decoded<'a> {
    /// The octets, transfer encoding undone.
    pub(super) octets: &'a [u8],
    /// The same as text, without byte order mark.
    pub(super) text: Cow<'a, str>,
    encoding: &'static Encoding,
    reach: Reach,
    /// The octets of the byte order mark.
    pub(super) mark_bytes: usize,
    /// Some octets have no meaning in the charset: the text cannot be written in another one without loss.
    is_damaged: bool,
    /// The label says ASCII or nothing, and the octets are UTF-8.
    is_undeclared_utf8: bool,
}

impl<'a> Decoded<'a> {
    /// Reads the octets; `None` when the charset is unknown or hides ASCII in ways that cannot be written back.
    pub(super) fn read(octets: &'a [u8], label: Option<&str>) -> Option<Self> {
        let label = label.unwrap_or("us-ascii").trim().to_ascii_lowercase();
        let mut encoding = Encoding::for_label(label.as_bytes()).filter(|e| *e != REPLACEMENT)?;
        let mut reach = match label.as_str() {
            "us-ascii" | "ascii" | "ansi_x3.4-1968" | "iso646-us" | "ansi_x3.4-1986" => Reach::Ascii,
            "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "l1" | "iso_8859-1:1987" | "cp819" => Reach::Latin1,
            _ => Reach::Encoder,
        };
        let mut is_undeclared_utf8 = false;
        if reach == Reach::Ascii && !octets.is_ascii() {
            is_undeclared_utf8 = std::str::from_utf8(octets).is_ok();
            encoding = if is_undeclared_utf8 { UTF_8 } else { WINDOWS_1252 };
            reach = Reach::Encoder;
        }
        let mark_bytes = match octets {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] if is_utf16(encoding) => 2,
            [0xef, 0xbb, 0xbf, ..] if encoding == UTF_8 => 3,
            _ => 0,
        };
        if is_utf16(encoding) {
            encoding = match octets {
                [0xff, 0xfe, ..] => UTF_16LE,
                [0xfe, 0xff, ..] => UTF_16BE,
                // RFC 2781 section 4.3: without a mark, `utf-16` is big-endian.
                _ if label == "utf-16" => UTF_16BE,
                _ => encoding,
            };
        }
        let (text, is_damaged) = encoding.decode_without_bom_handling(octets.get(mark_bytes..)?);
        Some(Self { octets, text, encoding, reach, mark_bytes, is_damaged, is_undeclared_utf8 })
    }

    /// Two octets a character: ASCII is not ASCII in it.
    pub(super) fn is_wide(&self) -> bool {
        is_utf16(self.encoding)
    }

    /// Octets below 0x80 are not always ASCII (the escapes of ISO-2022-JP).
    pub(super) fn hides_ascii(&self) -> bool {
        self.encoding == ISO_2022_JP
    }

    /// The part must say that it is UTF-8, as it silently was.
    pub(super) fn undeclared_utf8(&self) -> bool {
        self.is_undeclared_utf8
    }

    /// Every octet has a meaning in the charset: the text could be written in UTF-8 without loss.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_damaged
    }

    /// Words in the charset of the text; `None` when it lacks one of their characters.
    pub(super) fn encode(&self, words: &str) -> Option<Vec<u8>> {
        if self.is_wide() {
            let little = self.encoding == UTF_16LE;
            let unit = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
            return Some(words.encode_utf16().flat_map(unit).collect());
        }
        let fits = match self.reach {
            Reach::Ascii => words.is_ascii(),
            Reach::Latin1 => words.chars().all(|c| c.is_ascii() || ('\u{a0}'..='\u{ff}').contains(&c)),
            Reach::Encoder => true,
        };
        if !fits {
            return None;
        }
        let (octets, _, lacks_some) = self.encoding.encode(words);
        (!lacks_some).then(|| octets.into_owned())
    }

    /// Where places in the text, in ascending order, are among the octets; for wide texts only, elsewhere places are octets
    /// already. One pass, however many places.
    pub(super) fn octets_of(&self, places: &[usize]) -> Vec<usize> {
        let (mut at, mut octets) = (0, self.mark_bytes);
        let walk = |place: &usize| {
            octets += 2 * self.text.get(at..*place).unwrap_or_default().encode_utf16().count();
            at = (*place).max(at);
            octets
        };
        places.iter().map(walk).collect()
    }

    /// The line end the text uses.
    pub(super) fn line_end(&self) -> &'static str {
        if self.text.contains("\r\n") || !self.text.contains('\n') { "\r\n" } else { "\n" }
    }
}

fn is_utf16(encoding: &'static Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}
