//! What is noticed of a message while it arrives, octet by octet and before anybody knows its structure: whether a control
//! character stands where none may, and in which blocks a boundary can be. What has just been copied is near; to read
//! megabytes once more when all have come takes longer than this.

use std::ops::Range;

use memchr::memmem::Finder;

use super::ambiguity::AmbiguityKind;

/// A megabyte has so few blocks that they are counted in no time, and a boundary is found in its block in less.
const BLOCK_BYTES: usize = 4096;

/// Finds where a line begins with two dashes.
pub(super) fn dashes() -> Finder<'static> {
    Finder::new(b"\n--")
}

/// What was seen so far of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skim {
    /// How many octets were looked at.
    seen: usize,
    /// The blocks in which a line ends before one that begins with two dashes: one bit for each, the first lowest.
    blocks: Vec<u64>,
    /// CR that no LF follows.
    bare_cr: bool,
    /// LF that no CR precedes.
    bare_lf: bool,
    nul: bool,
}

impl Skim {
    /// Looks at what is new in a message that has arrived up to here.
    pub fn follow(&mut self, raw: &[u8]) {
        if self.seen == 0 {
            (self.bare_lf, self.nul) = (raw.first() == Some(&b'\n'), raw.first() == Some(&0));
        }
        let finder = dashes();
        while self.seen < raw.len() {
            // One block at a time, so that the second look finds it near.
            let end = (self.seen / BLOCK_BYTES + 1).saturating_mul(BLOCK_BYTES).min(raw.len());
            // What began before is judged again, with what follows it.
            let start = self.seen.saturating_sub(finder.needle().len() - 1);
            let new = raw.get(start..end).unwrap_or_default();
            self.look_for_stray_controls(new);
            let mut at = 0;
            while let Some(found) = finder.find(new.get(at..).unwrap_or_default()) {
                let block = (start + at + found) / BLOCK_BYTES;
                self.mark(block);
                // The rest of a block that is marked says nothing new.
                at = ((block + 1) * BLOCK_BYTES).saturating_sub(start);
            }
            self.seen = end;
        }
    }

    fn mark(&mut self, block: usize) {
        let (place, bit) = (block / 64, block % 64);
        if self.blocks.len() <= place {
            self.blocks.resize(place + 1, 0);
        }
        if let Some(blocks) = self.blocks.get_mut(place) {
            *blocks |= 1 << bit;
        }
    }

    /// Judges each octet but the first with the one before it. The first pass only asks whether there is anything: without
    /// branches it becomes vector instructions, and is all that ordinary messages need.
    fn look_for_stray_controls(&mut self, octets: &[u8]) {
        let pairs = || octets.iter().zip(octets.get(1..).unwrap_or_default());
        let odd = |byte: u8, next: u8| u8::from(byte == b'\r') ^ u8::from(next == b'\n') | u8::from(next == 0);
        if pairs().fold(0, |any, (byte, next)| any | odd(*byte, *next)) != 0 {
            for (byte, next) in pairs() {
                self.bare_cr |= *byte == b'\r' && *next != b'\n';
                self.bare_lf |= *byte != b'\r' && *next == b'\n';
                self.nul |= *next == 0;
            }
        }
    }

    /// CR and LF that do not stand together (RFC 5322 section 2.3), and NUL, of a message that was looked at to its end.
    pub(super) fn stray_controls(&self, raw: &[u8]) -> impl Iterator<Item = AmbiguityKind> {
        let bare_cr = self.bare_cr || raw.ends_with(b"\r");
        let found =
            [(bare_cr, AmbiguityKind::BareCr), (self.bare_lf, AmbiguityKind::BareLf), (self.nul, AmbiguityKind::Nul)];
        found.into_iter().filter_map(|(found, kind)| found.then_some(kind))
    }

    /// The blocks, from that of an octet on, in which a line ends before one that begins with two dashes.
    pub(super) fn blocks_with_dashes(&self, from: usize) -> impl Iterator<Item = Range<usize>> {
        let first = from / BLOCK_BYTES;
        let numbers = self.blocks.iter().enumerate().skip(first / 64).flat_map(move |(place, blocks)| {
            let hidden = if place == first / 64 { first % 64 } else { 0 };
            let left = blocks >> hidden << hidden;
            let bits = std::iter::successors(Some(left), |left| Some(left & left.wrapping_sub(1)))
                .take_while(|left| *left != 0)
                .map(|left| left.trailing_zeros() as usize);
            bits.map(move |bit| place * 64 + bit)
        });
        numbers.map(|number| number * BLOCK_BYTES..(number + 1) * BLOCK_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use memchr::memmem;
    use proptest::prelude::*;

    use super::*;

    /// Where lines begin with two dashes, by the blocks of a skim.
    fn places(skim: &Skim, raw: &[u8]) -> Vec<usize> {
        let blocks = skim.blocks_with_dashes(0);
        let in_block = |block: Range<usize>| {
            let text = &raw[block.start..(block.end + 2).min(raw.len())];
            memmem::find_iter(text, b"\n--").map(move |at| block.start + at).collect::<Vec<_>>()
        };
        blocks.flat_map(in_block).collect()
    }

    /// Long runs of one octet, with what matters in between: it falls on the edges of blocks and of what arrives.
    fn raw() -> impl Strategy<Value = Vec<u8>> {
        let filling = (4080usize..4100).prop_map(|length| vec![b'x'; length]);
        let few = prop::collection::vec(prop::sample::select(b"\r\n\n---\0x".to_vec()), 0..6);
        let dashes = Just(b"\n--".to_vec());
        prop::collection::vec(prop_oneof![2 => filling, 2 => few, 1 => dashes], 0..12)
            .prop_map(|pieces| pieces.concat())
    }

    /// How much arrives at a time.
    fn pieces() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(prop_oneof![2 => 1usize..5, 1 => 4060usize..4110], 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_arrives_in_pieces_is_seen_as_a_whole(raw in raw(), pieces in pieces()) {
            let (mut skim, mut whole) = (Skim::default(), Skim::default());
            let mut end = 0;
            for piece in pieces {
                end = (end + piece).min(raw.len());
                skim.follow(&raw[..end]);
            }
            skim.follow(&raw);
            whole.follow(&raw);
            prop_assert_eq!(&skim, &whole);
            let expected: Vec<usize> = memmem::find_iter(&raw, b"\n--").collect();
            prop_assert_eq!(places(&skim, &raw), expected);
            let before = |at: usize| at.checked_sub(1).map(|at| raw[at]);
            let octets = || raw.iter().enumerate();
            let stray = [
                (octets().any(|(at, octet)| *octet == b'\r' && raw.get(at + 1) != Some(&b'\n')), AmbiguityKind::BareCr),
                (octets().any(|(at, octet)| *octet == b'\n' && before(at) != Some(b'\r')), AmbiguityKind::BareLf),
                (raw.contains(&0), AmbiguityKind::Nul),
            ];
            let stray: Vec<_> = stray.into_iter().filter_map(|(is, kind)| is.then_some(kind)).collect();
            prop_assert_eq!(skim.stray_controls(&raw).collect::<Vec<_>>(), stray);
        }
    }
}
