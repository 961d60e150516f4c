//! Outlook's container (winmail.dat, MS-OXTNEF): recognising one, and naming what is in it.

use super::files;
use crate::message::mime::{Part, decode};

/// The signature 0x223E9F78, little-endian (MS-OXTNEF section 2.1.3.1).
pub(super) const SIGNATURE: [u8; 4] = [0x78, 0x9f, 0x3e, 0x22];

/// What is read of a container, encoded octets: enough for the names of the files of an ordinary message.
const ENCODED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// So many names are told.
const NAMES_MAX: usize = 50;

/// `attAttachRenddata`: a new attachment begins (MS-OXTNEF section 2.1.3.3.15).
const ATTACH_REND_DATA: u32 = 0x0006_9002;
/// `attAttachTitle`: its name, in the sender's code page.
const ATTACH_TITLE: u32 = 0x0001_8010;
/// `attAttachment`: its MAPI properties, the long name among them.
const ATTACHMENT: u32 = 0x0006_9005;

/// By type, by name, or by its first octets.
pub(super) fn is_tnef(part: &Part, raw: &[u8]) -> bool {
    if matches!(part.media_type.name.as_str(), "application/ms-tnef" | "application/vnd.ms-tnef") {
        return true;
    }
    if part.file_name().is_some_and(|name| name.eq_ignore_ascii_case("winmail.dat")) {
        return true;
    }
    has_signature(part, raw)
}

/// Whether it begins as such a container does.
fn has_signature(part: &Part, raw: &[u8]) -> bool {
    files::head(part, raw).starts_with(&SIGNATURE)
}

/// The names of the files inside, as far as they can be read.
pub(super) fn names(part: &Part, raw: &[u8]) -> Vec<String> {
    if !has_signature(part, raw) {
        return Vec::new();
    }
    let body = raw.get(part.body.clone()).unwrap_or_default();
    let body = body.get(..body.len().min(ENCODED_BYTES_MAX)).unwrap_or_default();
    let container = decode::transfer(part.encoding, body);
    let Some(attributes) = container.strip_prefix(&SIGNATURE).and_then(|rest| rest.get(2..)) else {
        return Vec::new();
    };
    let mut reader = Reader { rest: attributes };
    let mut names: Vec<Option<String>> = Vec::new();
    while let Some((tag, data)) = reader.attribute() {
        match tag {
            ATTACH_REND_DATA if names.len() < NAMES_MAX => names.push(None),
            ATTACH_REND_DATA => break,
            ATTACH_TITLE => {
                let end = data.iter().position(|b| *b == 0).unwrap_or(data.len());
                let title = decode::raw_text(data.get(..end).unwrap_or_default()).into_owned();
                if let Some(slot) = names.last_mut().filter(|slot| slot.is_none()) {
                    *slot = Some(title);
                }
            }
            ATTACHMENT => {
                if let (Some(slot), Some(long)) = (names.last_mut(), long_name(data)) {
                    *slot = Some(long);
                }
            }
            _ => {}
        }
    }
    names.into_iter().flatten().filter(|name| !name.trim().is_empty()).collect()
}

/// Little-endian numbers and counted data.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Level, tag, length, data, checksum (MS-OXTNEF section 2.1.3.2).
    fn attribute(&mut self) -> Option<(u32, &'a [u8])> {
        let _level = self.take(1)?;
        let tag = self.number()?;
        let length = usize::try_from(self.number()?).ok()?;
        let data = self.take(length)?;
        let _checksum = self.take(2)?;
        Some((tag, data))
    }
}

/// `PidTagAttachLongFilename` among MAPI properties (MS-OXTNEF section 2.1.3.4). Properties before it are stepped over;
/// one that cannot be stepped over ends the search.
fn long_name(properties: &[u8]) -> Option<String> {
    let mut reader = Reader { rest: properties };
    let count = reader.number()?;
    for _ in 0..count.min(1000) {
        let kind = reader.short()?;
        let id = reader.short()?;
        if id >= 0x8000 {
            return None; // a named property: its length depends on its name, and the long name comes before those
        }
        match kind & 0x0fff {
            0x0002 | 0x0003 | 0x0004 | 0x000a | 0x000b => drop(reader.take(4)?),
            0x0005 | 0x0006 | 0x0007 | 0x0014 | 0x0040 => drop(reader.take(8)?),
            0x0048 => drop(reader.take(16)?),
            0x000d | 0x001e | 0x001f | 0x0102 => {
                let values = reader.number()?;
                for _ in 0..values.min(1000) {
                    let length = usize::try_from(reader.number()?).ok()?;
                    let data = reader.take(length)?;
                    reader.take(length.next_multiple_of(4) - length)?;
                    if id == 0x3707 {
                        return Some(property_text(kind, data));
                    }
                }
            }
            _ => return None,
        }
    }
    None
}

fn property_text(kind: u16, data: &[u8]) -> String {
    let text = if kind & 0x0fff == 0x001f {
        encoding_rs::UTF_16LE.decode_without_bom_handling(data).0
    } else {
        decode::raw_text(data)
    };
    text.trim_end_matches('\0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::{Limits, parse};

    fn attribute(tag: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2];
        bytes.extend(tag.to_le_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        bytes.extend(data);
        bytes.extend([0, 0]);
        bytes
    }

    fn container() -> Vec<u8> {
        let long: Vec<u8> = "Bilan financier.xlsx\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut properties = 2u32.to_le_bytes().to_vec();
        properties.extend([0x03, 0x00, 0x05, 0x37, 1, 0, 0, 0]); // PidTagAttachMethod
        properties.extend([0x1f, 0x00, 0x07, 0x37]);
        properties.extend(1u32.to_le_bytes());
        properties.extend(u32::try_from(long.len()).unwrap().to_le_bytes());
        properties.extend(&long);
        properties.extend(vec![0; long.len().next_multiple_of(4) - long.len()]);
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([1, 0]);
        bytes.extend(attribute(ATTACH_REND_DATA, &[0; 14]));
        bytes.extend(attribute(ATTACH_TITLE, b"a.txt\0"));
        bytes.extend(attribute(ATTACH_REND_DATA, &[0; 14]));
        bytes.extend(attribute(ATTACH_TITLE, b"BILANF~1.XLS\0"));
        bytes.extend(attribute(ATTACHMENT, &properties));
        bytes
    }

    fn names_in(container: &[u8]) -> Vec<String> {
        let encoded = data_encoding::BASE64.encode(container);
        let raw =
            format!("Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n");
        let tree = parse(raw.as_bytes(), &Limits::default());
        assert!(is_tnef(tree.root().unwrap(), raw.as_bytes()));
        names(tree.root().unwrap(), raw.as_bytes())
    }

    #[test]
    fn the_names_inside_are_read_long_ones_first() {
        assert_eq!(names_in(&container()), ["a.txt", "Bilan financier.xlsx"]);
    }

    #[test]
    fn broken_containers_give_what_could_be_read() {
        let whole = container();
        for end in 0..whole.len() {
            let names = names_in(&whole[..end]);
            assert!(names.len() <= 2);
        }
        assert_eq!(names_in(b"nothing of the kind"), [] as [&str; 0]);
    }
}
