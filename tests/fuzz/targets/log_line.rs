//! Any bytes as a line of the log: reading ends, and what is read is written again as the same record.
#![no_main]

mod dice;

use charter_milter::decision_log::line::{Draft, Line, QuotedReference};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    if let Ok(text) = std::str::from_utf8(raw) {
        let _ = text.parse::<QuotedReference>();
    }
    let Ok(line) = Line::parse(raw) else { return };
    let Line::Record(record) = &line else { return };
    let Ok(event) = record.event() else { return };
    let again = Draft::new(record.at, &event).expect("what was read can be written").line(record.index);
    let Ok(Line::Record(again)) = Line::parse(again.as_bytes()) else { panic!("what was written can be read") };
    assert_eq!((again.index, again.at, again.kind), (record.index, record.at, record.kind));
    assert_eq!(again.event().expect("the same body"), event);
});
