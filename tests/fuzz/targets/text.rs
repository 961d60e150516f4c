//! Any text as subject, plain text or HTML: it is read and weighed to the end, every word found has its place inside of it, and
//! what comes out is bounded by what went in. libFuzzer's own clock (`-timeout`) bounds the time.
#![no_main]

mod dice;

use std::sync::LazyLock;

use charter_milter::charter::petition::{Pack, Settings, analyse};
use charter_milter::message::links::LINKS_MAX;
use charter_milter::message::mime::PartId;
use charter_milter::message::text::{Kind, Source, View, plain_letters, read};
use libfuzzer_sys::fuzz_target;

static PACK: LazyLock<Pack> = LazyLock::new(|| Pack::embedded().expect("the pack that is built in"));

/// Everything the rules ask a view for. `texts` are those that were read, by their part.
fn check(view: &View, texts: [&str; 2]) {
    let characters = texts.map(|text| text.chars().count());
    // Folding may make three letters of one sign (`ﬃ`), never more.
    assert!(view.words.len() <= 3 * (characters[0] + characters[1]) + 8, "more words than the text can have");
    for word in &view.words {
        assert!(!view.word(word).is_empty(), "a word outside of its view");
        let place = word.place;
        let characters = if place.part.is_none() { characters[0] } else { characters[1] };
        assert!(place.start <= place.end && place.end as usize <= characters, "{place:?} of {characters}");
    }
    for sentence in &view.sentences {
        assert!(!view.words_of(*sentence).is_empty() && !view.text_of(*sentence).is_empty(), "an empty sentence");
    }
}

// Building the pack takes its time, which no input shall be blamed for.
fuzz_target!(init: { LazyLock::force(&PACK); }, |raw: &[u8]| {
    let Some((kind, text)) = raw.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    // A NUL parts the subject from the text.
    let (subject, text) = text.split_once('\0').unwrap_or(("", &text));
    let kind = match kind % 3 {
        0 => Kind::Html,
        1 => Kind::Plain { flowed: false },
        _ => Kind::Plain { flowed: true },
    };
    let sources =
        [Source { kind: Kind::Subject, text: subject, part: PartId(0) }, Source { kind, text, part: PartId(1) }];
    let reading = read(&sources);
    check(&reading.own, [subject, text]);
    check(&reading.quoted, [subject, text]);
    assert!(reading.links.len() <= LINKS_MAX);
    let _ = plain_letters(text);
    let report = analyse(&PACK, &reading, &Settings::default());
    drop(report);
});
