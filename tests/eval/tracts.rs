//! Long messages of several affairs, as unions write them: short messages of the corpus, one behind the other. Lawful ones stay
//! lawful together, and a request is not lost among them.

use charter_milter::charter::petition::{Pack, Report, Settings, analyse};
use charter_milter::message::mime::PartId;
use charter_milter::message::text::{Kind, Source, read};

use super::corpus;

/// So many tracts are made of each kind.
const TRACTS: usize = 400;
/// The messages of a tract stand so far apart in the files, times its number: two tracts share few of them.
const STEPS: [usize; 4] = [1, 37, 83, 131];

/// Prints how many tracts were taken for what they are.
pub fn evaluate(pack: &Pack) {
    let files = ["development", "everyday", "lawful"].map(|name| {
        let path = format!("{}/tests/corpus/petition/sentences/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).expect("a readable file")
    });
    let messages: Vec<(&str, &str)> = files
        .iter()
        .flat_map(|file| corpus::sentences(file).map(|(label, text, _)| (label, text)))
        .filter(|(_, text)| !text.starts_with('<'))
        .collect();
    let of =
        |wanted: &str| messages.iter().filter(|(label, _)| *label == wanted).map(|(_, text)| *text).collect::<Vec<_>>();
    let (lawful, petitions) = (of("none"), of("petition"));
    let nth = |texts: &[&str], index: usize| texts.get(index % texts.len()).copied().unwrap_or_default().to_owned();
    let tract = |index: usize| STEPS.map(|step| nth(&lawful, index * step + step));

    let accused = (0..TRACTS).filter(|index| report(pack, &tract(*index)).petition.reached).count();
    let found = |index: &usize| {
        let mut texts = tract(*index);
        if let Some(text) = texts.get_mut(index % 4) {
            *text = nth(&petitions, *index);
        }
        report(pack, &texts).petition.reached
    };
    let found = (0..TRACTS).filter(found).count();
    let alone = (0..TRACTS).filter(|index| report(pack, &[nth(&petitions, *index)]).petition.reached).count();
    println!("\n== tracts of four short messages");
    println!("four lawful ones: {accused} of {TRACTS} taken for a petition");
    println!("a petition among three lawful ones: {found} of {TRACTS} found; {alone} when it stands alone");
}

fn report(pack: &Pack, texts: &[String]) -> Report {
    let text = texts.join("\n\n");
    let reading = read(&[Source { kind: Kind::Plain { flowed: false }, text: &text, part: PartId(1) }]);
    analyse(pack, &reading, &Settings::default())
}
