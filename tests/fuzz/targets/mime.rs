//! Any bytes: the scan ends, its ranges lie inside one another in order, and it matters not in what pieces they arrived.
#![no_main]

mod dice;

use charter_milter::message::mime::{Limits, Skim, parse, parse_skimmed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    let tree = parse(raw, &Limits::default());
    let mut skim = Skim::default();
    skim.follow(&raw[..raw.len() / 3]);
    assert_eq!(parse_skimmed(raw, skim, &Limits::default()), tree);
    let mut last_start = 0;
    for part in tree.parts() {
        assert!(part.header.start <= part.header.end && part.header.end <= part.body.start);
        assert!(part.body.start <= part.body.end && part.body.end <= raw.len());
        assert!(part.header.start >= last_start);
        last_start = part.header.start;
        if let Some(parent) = part.parent.and_then(|id| tree.part(id)) {
            assert!(parent.body.start <= part.delimiter.start && part.body.end <= parent.body.end);
            assert!(parent.children.contains(&part.id) && part.depth == parent.depth + 1);
        }
        let _ = tree.decode_text(raw, part.id);
    }
});
