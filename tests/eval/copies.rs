//! Near copies: campaigns with light personalisation against newsletters of one template and unrelated letters.

use charter_milter::charter::copies::{Fingerprint, SIMILAR_MIN, fingerprint};
use charter_milter::message::mime::PartId;
use charter_milter::message::text::{Kind, Source, read};

type Pair = (Fingerprint, Fingerprint);

const KEY: [u8; 32] = *b"a key of the evaluation, no more";

/// The texts, in `tests/eval/copies/`: `campaign-*.txt` are letters sent in number, `newsletter-*.txt` are issues whose first
/// and last paragraphs are the template.
fn texts(prefix: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/eval/copies");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("the texts are there").map(|e| e.expect("a readable folder").path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("a readable text")).collect()
}

fn of(text: &str) -> Option<Fingerprint> {
    fingerprint(&KEY, &read(&[Source { kind: Kind::Plain { flowed: false }, text, part: PartId(1) }]))
}

/// One letter as different people would send it: name, greeting, a sentence of their own, date, signature, quoted reply, a
/// corrected word.
fn personalised(letter: &str) -> Vec<String> {
    let greetings =
        ["Bonjour,", "Madame, Monsieur,", "Chère Dominique,", "Bonjour à toutes et à tous,", "Salut Claude !", ""];
    let own = [
        "",
        "Je travaille au service technique depuis onze ans et je n'avais jamais vu cela.",
        "Je vous transmets ce courrier auquel je souscris entièrement.",
        "",
        "Comme beaucoup de mes collègues de l'accueil, je suis choquée.",
        "Merci de lire ce qui suit.",
    ];
    let closings = [
        "Alix Tessier\nService technique\n01 23 45 67 89",
        "Cordialement,\nC. Riou",
        "Bien à vous,\nDominique Marchal, direction des sports, bâtiment B",
        "Fait à Valmont, le 12 mars 2026.\nUn agent",
        "Sacha\n\nEnvoyé depuis mon téléphone",
        "Bonne réception\n\nLe 3 mars 2026 à 10:12, Claude <claude@ville.example> a écrit :\n> Tu as vu le texte qui circule ?\n> Fais-le suivre.",
    ];
    let all = greetings.iter().zip(own).zip(closings).enumerate();
    all.map(|(n, ((greeting, own), closing))| {
        // One in three puts a word of the letter differently.
        let letter = if n % 3 == 2 {
            letter.replacen(" nous ", " on nous ", 1).replacen(" très ", " vraiment ", 1)
        } else {
            letter.to_owned()
        };
        format!("{greeting}\n\n{own}\n\n{letter}\n\n{closing}\n")
    })
    .collect()
}

/// The pairs held out, in `tests/eval/copies/held-out/`: `NN-copy.txt` are two letters of one campaign, `NN-other.txt` two
/// texts that are alike and no copies; a line `-----` parts them.
fn held_out() -> (Vec<f64>, Vec<f64>) {
    let (mut copies, mut others) = (Vec::new(), Vec::new());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/eval/copies/held-out");
    for entry in std::fs::read_dir(folder).expect("the pairs are there") {
        let path = entry.expect("a readable folder").path();
        let text = std::fs::read_to_string(&path).expect("a readable pair");
        let (one, other) = text.split_once("\n-----\n").expect("two texts");
        // A text without a fingerprint is like no other.
        let resemblance = of(one).zip(of(other)).map_or(0.0, |(one, other)| one.resemblance(&other));
        let name = path.file_stem().expect("a name").to_string_lossy();
        if name.ends_with("copy") {
            copies.push(resemblance);
        } else {
            others.push(resemblance);
        }
        if name.ends_with("copy") != (resemblance >= SIMILAR_MIN) {
            println!("  {name}: {resemblance:.2}");
        }
    }
    (copies, others)
}

/// Prints precision and recall of near-copy pairs at several thresholds, and how often a look-up by bands finds a pair.
pub fn evaluate() {
    let campaigns: Vec<Vec<Fingerprint>> = texts("campaign-")
        .iter()
        .map(|letter| personalised(letter).iter().filter_map(|text| of(text)).collect())
        .collect();
    let newsletters: Vec<Fingerprint> = texts("newsletter-").iter().filter_map(|text| of(text)).collect();
    let mut copies = Vec::new();
    let mut others = Vec::new();
    for (index, campaign) in campaigns.iter().enumerate() {
        pairs(campaign, &mut copies);
        for other in campaigns.iter().skip(index + 1).chain(std::iter::once(&newsletters)) {
            others.extend(campaign.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))));
        }
    }
    let before = others.len();
    pairs(&newsletters, &mut others);
    println!(
        "\n== near copies: {} pairs of one campaign; {} pairs of others, {} of them issues of one newsletter",
        copies.len(),
        others.len(),
        others.len() - before
    );
    curve(&resemblances(&copies), &resemblances(&others));
    let shares_band = |a: &Fingerprint, b: &Fingerprint| {
        let keys: Vec<_> = a.bands().collect();
        b.bands().any(|band| keys.contains(&band))
    };
    let similar: Vec<_> = copies.iter().filter(|(a, b)| a.resemblance(b) >= SIMILAR_MIN).copied().collect();
    println!(
        "  look-up by bands finds {:.3} of the near copies and fetches {:.3} of the other pairs",
        count(&similar, shares_band) / count(&similar, |_, _| true),
        count(&others, shares_band) / count(&others, |_, _| true)
    );
    let (copies, others) = held_out();
    println!("\n== near copies held out: {} pairs of one campaign; {} pairs of others", copies.len(), others.len());
    curve(&copies, &others);
}

fn resemblances(pairs: &[Pair]) -> Vec<f64> {
    pairs.iter().map(|(a, b)| a.resemblance(b)).collect()
}

/// Prints precision and recall at each threshold, and the pairs next to it.
fn curve(copies: &[f64], others: &[f64]) {
    println!("  threshold  precision  recall   (in force: {SIMILAR_MIN})");
    for step in 2..=9u8 {
        let threshold = f64::from(step) / 10.0;
        let above = |of: &[f64]| {
            let found = of.iter().filter(|resemblance| **resemblance >= threshold).count();
            f64::from(u32::try_from(found).unwrap_or(u32::MAX))
        };
        let (found, false_alarms) = (above(copies), above(others));
        let precision = if found + false_alarms == 0.0 { 1.0 } else { found / (found + false_alarms) };
        let all = f64::from(u32::try_from(copies.len()).unwrap_or(u32::MAX));
        println!("  {threshold:>9.1}  {precision:>9.3}  {:>6.3}", found / all);
    }
    println!(
        "  least alike copies {:.2}, most alike others {:.2}",
        copies.iter().copied().fold(1.0, f64::min),
        others.iter().copied().fold(0.0, f64::max)
    );
}

/// All pairs of different members.
fn pairs(of: &[Fingerprint], into: &mut Vec<Pair>) {
    for (index, a) in of.iter().enumerate() {
        into.extend(of.iter().skip(index + 1).map(|b| (*a, *b)));
    }
}

fn count(pairs: &[Pair], test: impl Fn(&Fingerprint, &Fingerprint) -> bool) -> f64 {
    f64::from(u32::try_from(pairs.iter().filter(|(a, b)| test(a, b)).count()).unwrap_or(u32::MAX))
}
