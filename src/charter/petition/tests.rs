use proptest::prelude::*;

use super::*;
use crate::charter::rules::RefuseOrTag;
use crate::message::text::{Kind, Source, read};

fn pack() -> &'static Pack {
    static PACK: std::sync::LazyLock<Pack> = std::sync::LazyLock::new(|| Pack::embedded().unwrap());
    &PACK
}

fn reading(kind: Kind, text: &str) -> Reading {
    read(&[Source { kind, text, part: PartId::ROOT }])
}

fn plain(text: &str) -> Report {
    analyse(pack(), &reading(Kind::Plain { flowed: false }, text), &Settings::default())
}

fn html(text: &str) -> Report {
    analyse(pack(), &reading(Kind::Html, text), &Settings::default())
}

fn rule(threshold: f64) -> PetitionRule {
    PetitionRule { action: RefuseOrTag::Reject, threshold, silenced: Vec::new(), weights: Vec::new() }
}

fn ids(report: &Report) -> Vec<&str> {
    report.signals.iter().map(|hit| hit.id.as_str()).collect()
}

const CALL: &str = "Signez la pétition : https://www.change.org/p/sauvons-la-cantine";

#[test]
fn a_call_with_a_link_is_a_petition_and_a_report_is_none() {
    assert!(plain(CALL).petition.reached);
    let report =
        plain("La pétition lancée sur https://www.change.org/p/sauvons-la-cantine a recueilli 4 000 signatures.");
    assert!(!report.petition.reached, "{report:#?}");
}

#[test]
fn a_link_alone_is_no_reason() {
    // cnrs:III.j
    let report = plain("https://www.change.org/p/sauvons-la-cantine");
    assert!(!report.petition.reached, "{report:#?}");
}

/// Sentences of another affair, which say nothing to any rule.
fn another_affair(sentences: usize) -> String {
    "Le parking du bâtiment C rouvre lundi.\n\n".repeat(sentences)
}

#[test]
fn what_a_link_shows_is_compared_with_where_it_leads() {
    let text = |href: &str, shown: &str| format!("<p>Signez la pétition : <a href=\"{href}\">{shown}</a></p>");
    let found = |href, shown| {
        let report = html(&text(href, shown));
        let has = |id| report.signals.iter().any(|hit| hit.id == id);
        (has("petition-site"), has("other-address-shown"))
    };
    let (petition, counter) = ("https://www.change.org/p/x", "https://clic.example/r/1");
    assert_eq!(found(counter, petition), (true, true), "the reader sees a petition");
    assert_eq!(found(counter, "👉 change.org/p/x"), (true, true));
    assert_eq!(found(petition, "https://www.section.example/tract"), (true, true), "and goes to one");
    assert_eq!(found(petition, "Change.org/p/x"), (true, false));
    assert_eq!(found("https://clic.example/r?u=https://www.change.org/p/x", petition), (true, false));
    assert_eq!(found(counter, "Lire la suite"), (false, false));
}

/// What 10 MB of hostile text may take; more without optimisation. `cargo bench --bench petition -- --texts` says
/// what it does take, about a second. A step that looked back would take hours.
const TEN_MEGABYTES_SECONDS_MAX: u64 = if cfg!(debug_assertions) { 300 } else { 5 };

#[test]
fn ten_megabytes_are_analysed_within_the_bound() {
    let unit = "signer la convention https://change.org/p/x p e t i t i o n ";
    let text = unit.repeat(10_000_000 / unit.len());
    let started = std::time::Instant::now();
    let report = plain(&text);
    let elapsed = started.elapsed();
    assert!(elapsed.as_secs() < TEN_MEGABYTES_SECONDS_MAX, "{elapsed:?}: {report:?}");
}

#[test]
fn what_stands_far_apart_is_not_added_up() {
    let (link, call) = ("https://www.mesopinions.com/petition/social/x/12", "Merci de signer ici.");
    assert!(plain(&format!("{link}\n\n{call}")).petition.reached);
    for text in [format!("{link}\n\n{}{call}", another_affair(12)), format!("{call}\n\n{}{link}", another_affair(12))] {
        let report = plain(&text);
        assert!(report.petition.value > 0.0 && !report.petition.reached, "{report:#?}");
    }
}

#[test]
fn an_excuse_in_one_affair_excuses_no_request_in_another() {
    let excuse = "La pétition de 2024 a été remise au préfet, avec 4 000 signatures ; la charte interdit d'en faire circuler.\n\n";
    let text = format!("{excuse}{}{CALL}", another_affair(12));
    assert!((plain(&text).petition.value - plain(CALL).petition.value).abs() < 0.001);
    assert!(plain(&format!("{}{excuse}", another_affair(12))).petition.value < 1.0);
}

#[test]
fn a_row_of_links_uses_nothing_up_before_the_request() {
    let links = "Compte rendu : https://section.example/a\n\n".repeat(200);
    assert!(plain(&format!("{links}{CALL}")).petition.reached);
}

#[test]
fn whoever_declines_a_petition_however_strong_asks_for_none() {
    let report = plain(
        "Bonjour, je ne souhaite pas m'associer à cette démarche et vous remercie de ne plus m'écrire.\n\n\
        > NON À LA FERMETURE ! Signez et faites signer la pétition : https://www.change.org/p/non-a-la-fermeture\n\
        > Déjà 12 000 signataires, il manque 3 000 signatures. Partagez massivement autour de vous, chaque signature compte !\n\
        > Nous, soussignés, demandons le retrait du projet.\n",
    );
    assert!(report.petition.value > 0.0 && !report.petition.reached, "{report:#?}");
}

#[test]
fn words_spoken_of_ask_nothing() {
    let report = plain("Le filtre arrête les mots « signez » ou « pétition » : https://filtre.example");
    assert!(!report.petition.reached, "{report:#?}");
}

#[test]
fn the_evidence_points_into_the_text() {
    let report = plain(CALL);
    let hit = report.signals.iter().find(|hit| hit.id == "call-to-sign").unwrap();
    let evidence: String = CALL.chars().skip(hit.start as usize).take((hit.end - hit.start) as usize).collect();
    assert_eq!((hit.part, evidence.as_str()), (Some(PartId::ROOT), "Signez la pétition"));
}

#[test]
fn the_evidence_of_a_button_covers_its_tag_and_its_text() {
    let text = "<p>Non à la badgeuse !</p><a href=\"https://agir.example/petition\">Signer la pétition</a>";
    for hit in html(text).signals {
        assert!(hit.start < hit.end, "{hit:#?}");
    }
}

#[test]
fn a_friendly_negation_asks_and_a_plain_one_does_not() {
    assert!(plain("N'oubliez pas de signer la pétition en ligne : https://agir.example/petition").petition.reached);
    for text in [
        "Ne signez pas la pétition",
        "Nous ne vous invitons pas à signer la pétition",
        "Inutile de signer cette pétition",
    ] {
        let report = plain(&format!("{text} : https://agir.example/petition"));
        assert!(!report.petition.reached, "{text} {report:#?}");
    }
}

#[test]
fn wrapped_links_are_unwrapped() {
    let report = plain("Voir https://eur02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fchng.it%2Fabc&data=1");
    assert_eq!(ids(&report), ["petition-site"]);
}

#[test]
fn internationalised_and_look_alike_hosts_are_compared_in_ascii() {
    assert_eq!(ids(&html("<a href='https://WWW.MESOPINIONS.COM./petition/x'>ici</a>")), ["petition-site"]);
    // Cyrillic о: another domain, and not the site.
    assert!(ids(&html("<a href='https://mesоpinions.com/petition/x'>ici</a>")).is_empty());
}

#[test]
fn a_charter_silences_weighs_and_sets_the_threshold() {
    let reading = reading(Kind::Plain { flowed: false }, CALL);
    let with = |rule: &PetitionRule| analyse(pack(), &reading, &Settings { petition: Some(rule), chain_letter: None });
    assert!(with(&rule(1.7)).petition.reached);
    assert!(!with(&rule(1.8)).petition.reached);
    let silenced = with(&PetitionRule { silenced: vec!["call-to-sign".to_owned()], ..rule(1.0) });
    assert!(!ids(&silenced).contains(&"call-to-sign"));
    let weighed = with(&PetitionRule { weights: vec![("petition-site".to_owned(), 2.5)], ..rule(1.0) });
    assert!((weighed.petition.value - 3.6).abs() < 1e-9, "{weighed:#?}");
}

#[test]
fn spellings_that_hide_a_word_say_so() {
    for text in
        ["S i g n e z  la  p é t i t i o n", "$!gnez la p3t1t10n", "s.i.g.n.e.z la pé-ti-tion", "Ѕіgnеz lа реtіtіοn"]
    {
        let report = plain(&format!("{text} https://agir.example/x"));
        assert!(report.petition.reached, "{text} {report:#?}");
    }
    assert!(ids(&plain("$ignez ici")).contains(&"disguised-spelling"));
    assert!(!ids(&plain("Signez la PETITION, signé : les signataires")).contains(&"disguised-spelling"));
}

#[test]
fn letters_set_apart_are_found_wherever_they_begin_among_others() {
    for before in (0..90).step_by(7) {
        for filler in ["x ", "xy ", "x xy "] {
            let text = format!("{}p é t i t i o n", filler.repeat(before));
            assert!(ids(&plain(&text)).contains(&"disguised-spelling"), "{text}");
        }
    }
    // Words of two letters are words.
    assert!(!ids(&plain("le pé ti ti on de la")).contains(&"disguised-spelling"));
}

#[test]
fn letters_left_out_are_guessed_where_enough_is_left() {
    for text in ["Signez la p*tition", "Sig*ez la pétition", "Signez la pét#tion"] {
        let report = plain(&format!("{text} https://agir.example/x"));
        assert!(ids(&report).contains(&"disguised-spelling"), "{text} {report:#?}");
        assert!(report.petition.reached, "{text} {report:#?}");
    }
    for text in ["Signez la p******n", "Voir note*bas", "La m*tion"] {
        assert!(!ids(&plain(text)).contains(&"disguised-spelling"), "{text}");
    }
}

#[test]
fn a_slip_of_the_pen_is_no_disguise_and_hides_nothing() {
    for text in ["petiton", "pétittion", "pétitoin", "Ptition"] {
        let report = plain(&format!("Merci de signer la {text} : https://agir.example/x"));
        assert!(report.petition.reached, "{text} {report:#?}");
        assert!(!ids(&report).contains(&"disguised-spelling"), "{text} {report:#?}");
    }
    for text in ["répétition", "partition", "compétition", "position"] {
        let report = plain(&format!("Merci de signer la {text} : https://agir.example/x"));
        assert!(!ids(&report).contains(&"petition-named"), "{text} {report:#?}");
    }
}

#[test]
fn what_others_say_counts_less_unless_it_is_handed_on() {
    let quoted =
        format!("Merci de ne plus m'écrire, je ne suis pas concerné par ce sujet.\n\nLe 3 mars, X a écrit :\n> {CALL}");
    assert!(!plain(&quoted).petition.reached);
    let handed_on = format!("À signer.\n\nLe 3 mars, X a écrit :\n> {CALL}");
    assert!(plain(&handed_on).petition.reached);
}

#[test]
fn a_hostile_text_is_analysed_in_bounded_time() {
    // Made to hurt: every sentence is a candidate, no sentence ends, every link leads somewhere. Half a million octets in an
    // unoptimised build; `cargo bench --bench petition` holds ten million to seconds.
    let hostile = "signer la convention https://change.org/p/x p e t i t i o n ".repeat(500_000 / 60);
    let started = std::time::Instant::now();
    assert!(plain(&hostile).signals.len() < 100);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// What asks, what reports, what asks by allusion, and what is lawful.
const TEXTS: [&str; 4] = [
    CALL,
    "La pétition lancée sur https://www.change.org/p/cantine a recueilli 4 000 signatures.",
    "Non à la fermeture de la crèche ! 312 agents ont déjà mis leur nom. Et vous ? https://creche.example",
    "Signez la convention de stage avant vendredi : https://stages.example",
];

/// Writes the words of a text as HTML, with something a reader does not see after each letter. Links stay as they are: an
/// address with other characters in it is another address.
fn disguise(text: &str, how: &[u8]) -> String {
    let mut how = how.iter().cycle();
    let words = text.split(' ').map(|word| {
        if word.starts_with("http") {
            return word.to_owned();
        }
        let letters = word.chars().zip(how.by_ref()).map(|(c, how)| match how {
            0 => format!("{c}\u{200b}"),
            1 => format!("{c}\u{ad}"),
            2 => format!("&#{};", c as u32),
            3 => format!("&#x{:x};", c as u32),
            4 => format!("<b>{c}</b>"),
            5 => format!("{c}<!-- x -->"),
            6 => format!("{c}<span style=\"display:none\">x</span>"),
            _ => c.to_string(),
        });
        letters.collect()
    });
    format!("<p>{}</p>", words.collect::<Vec<_>>().join(" "))
}

proptest! {
    #[test]
    fn what_a_reader_does_not_see_does_not_change_the_outcome(
        text in prop::sample::select(TEXTS.as_slice()),
        how in prop::collection::vec(0u8..9, 24),
    ) {
        prop_assert_eq!(html(&disguise(text, &how)).petition, html(&format!("<p>{text}</p>")).petition);
        prop_assert_eq!(html(&format!("<p>{text}</p>")).petition, plain(text).petition);
    }

    #[test]
    fn invisible_characters_do_not_change_the_outcome(at in prop::collection::vec(0usize..60, 0..12)) {
        let mut letters: Vec<char> = CALL.chars().collect();
        for at in at {
            letters.insert(at.min(18), '\u{200b}');
        }
        let disguised: String = letters.into_iter().collect();
        prop_assert_eq!(plain(&disguised).petition, plain(CALL).petition);
    }
}

mod packs {
    use super::*;

    const HEAD: &str = "[pack]\nid = \"own\"\nversion = 3\nthreshold = 1.0\n";

    /// The messages of a pack's mistakes, each with the text it points at.
    fn mistakes(text: &str) -> Vec<(String, String)> {
        let errors = Pack::parse("own", text).unwrap_err();
        errors.into_iter().map(|e| (text.get(e.span).unwrap_or_default().to_owned(), e.message)).collect()
    }

    fn signal(rest: &str) -> String {
        format!("{HEAD}[[signal]]\nid = \"a\"\nrule = \"petition\"\nweight = 1.0\nfr = \"f\"\nen = \"e\"\n{rest}")
    }

    #[test]
    fn a_pack_of_ones_own_is_read() {
        let pack = Pack::parse("own", &signal("phrases = [\"signez ..2 pétition\"]")).unwrap();
        assert_eq!((pack.id(), pack.version(), pack.ids().collect::<Vec<_>>()), ("own", 3, vec!["a"]));
        let report =
            analyse(&pack, &reading(Kind::Plain { flowed: false }, "Signez notre PETITION"), &Settings::default());
        assert!(report.petition.reached);
    }

    /// A signal of one word.
    fn one(id: &str, word: &str, rest: &str) -> String {
        format!(
            "[[signal]]\nid = \"{id}\"\nrule = \"petition\"\nweight = 1.0\nfr = \"f\"\nen = \"e\"\nphrases = [\"{word}\"]\n{rest}\n"
        )
    }

    /// The signals that a pack of these finds in a text.
    fn found(signals: &[String], text: &str) -> Vec<String> {
        let pack = Pack::parse("own", &[HEAD, &signals.concat()].concat()).unwrap();
        let report = analyse(&pack, &reading(Kind::Plain { flowed: false }, text), &Settings::default());
        report.signals.into_iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn what_yields_supports_nothing_beside_it() {
        let signals = [
            one("paper", "contrat", ""),
            one("sign", "signez", "yields_to = [\"paper\"]"),
            one("hurry", "vite", "near = [\"sign\"]"),
        ];
        assert_eq!(found(&signals, "Signez vite."), ["hurry", "sign"]);
        assert_eq!(found(&signals, "Signez vite le contrat."), ["paper"]);
        // What stands far away is another affair.
        let far = "Signez vite. Un. Deux. Trois. Quatre. Un contrat.";
        assert_eq!(found(&signals, far), ["hurry", "paper", "sign"]);
    }

    #[test]
    fn a_signal_beside_others_needs_one_of_each_list() {
        let signals = [
            one("call", "rejoignez", "near = [\"text\"]\nbeside = [\"place\"]"),
            one("place", "ici", ""),
            one("text", "appel", ""),
        ];
        assert_eq!(found(&signals, "Un appel. Rejoignez ici."), ["call", "place", "text"]);
        assert_eq!(found(&signals, "Rejoignez ici."), ["place"]);
        assert_eq!(found(&signals, "Un appel. Rejoignez."), ["text"]);
    }

    #[test]
    fn the_words_of_an_address_are_compared_whole_and_without_accents() {
        let pack = Pack::parse("own", &signal("link_words = [\"je-signe\", \"petition*\"]")).unwrap();
        let has_words = |text: &str| {
            let report = analyse(&pack, &reading(Kind::Plain { flowed: false }, text), &Settings::default());
            report.petition.reached
        };
        for address in ["https://a.example/je_signe", "https://je-signe.example", "https://a.example/P%C3%A9titions/2"]
        {
            assert!(has_words(address), "{address}");
        }
        for address in ["https://a.example/je-signerai", "https://a.example/signe", "https://a.example/repetition"] {
            assert!(!has_words(address), "{address}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place_all_at_once() {
        let text = signal("phrases = [\"signez ..99 pétition\", \"{none}\"]\nunless = [\"nobody\"]\nnear = [\"a\"]")
            .replace("1.0\nfr", "99.0\nfr");
        let expected = [
            ("99.0", "a weight lies between -10 and 10"),
            ("\"signez ..99 pétition\"", "a gap has 1 to 24 words"),
            ("\"{none}\"", "there is no word class `none`"),
            ("\"nobody\"", "there is no guard `nobody`"),
            ("\"a\"", "there is no other signal `a`"),
        ];
        let found = mistakes(&text);
        assert_eq!(found, expected.map(|(at, message)| (at.to_owned(), message.to_owned())));
    }

    #[test]
    fn each_bad_pack_fails_for_its_own_reason() {
        for (text, reason) in [
            (signal(""), "exactly one of"),
            (signal("phrases = [\"a\"]\nfact = \"any-link\""), "exactly one of"),
            (signal("phrases = [\"a?\"]"), "at least one word that is not optional"),
            (signal("phrases = [\"a $ b\"]"), "nothing can follow `$`"),
            (signal("phrases = [\"*a\"]"), "needs its first letter"),
            (signal("phrases = [\"a_*\"]"), "needs its first letter"),
            (signal("phrases = [\"a*b\"]"), "`*` stands for the ending"),
            (signal("phrases = [\"ééééééééé\"]"), "at most 8 accents"),
            (signal("phrases = [\"nom~\"]"), "at least 7 letters"),
            (signal("phrases = [\"pétition_x~\"]"), "needs one word"),
            (signal("phrases = [\"a+\"]"), "`+` has no meaning"),
            (signal("unless_link_words = [\"actu*\"]\nfact = \"any-link\""), "goes with link_words"),
            (signal("link_words = [\"Je/signe\"]"), "made of lower-case letters, digits and"),
            (signal("links = \"none\""), "no site of the class `none`"),
            (signal("fact = \"any-link\"\ncolour = 1"), "unknown field `colour`"),
            (format!("{HEAD}[[site]]\nclass = \"x\"\nhosts = [\"com\"]"), "not a host name below a public suffix"),
            (
                format!("{HEAD}[[site]]\nclass = \"x\"\nhosts = [\"a.example\"]\npaths = [\"p\"]"),
                "a path begins with `/`",
            ),
            (format!("{HEAD}strong = [\"abc\"]"), "at least 5 letters"),
            (
                format!("{HEAD}[words]\na = [\"{{a}}\"]\n[guard.g]\nscope = \"hit\"\nphrases = [\"{{a}}\"]"),
                "in a circle",
            ),
            (HEAD.replace("1.0", "0.0"), "the threshold lies above 0"),
            (HEAD.replace("own", "Own"), "the id of a pack"),
            ("pack = 1".to_owned(), "invalid type"),
        ] {
            let found = mistakes(&text);
            assert!(found.iter().any(|(_, message)| message.contains(reason)), "{reason}: {found:?}");
        }
    }

    #[test]
    fn every_signal_of_the_default_pack_explains_itself_in_both_languages() {
        for signal in pack().signals() {
            assert!(
                signal.explanation.french.ends_with('.') && signal.explanation.english.ends_with('.'),
                "{}",
                signal.id
            );
        }
    }
}
