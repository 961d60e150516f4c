use proptest::prelude::*;

use super::*;

fn plain(text: &str) -> Reading {
    read(&[Source { kind: Kind::Plain { flowed: false }, text, part: PartId(1) }])
}

fn html(text: &str) -> Reading {
    read(&[Source { kind: Kind::Html, text, part: PartId(1) }])
}

/// What stands in the source at the place of a word.
fn evidence(reading: &Reading, source: &str, word: &str) -> String {
    let found = reading.own.words.iter().find(|w| reading.own.word(w) == word).unwrap();
    source.chars().skip(found.place.start as usize).take((found.place.end - found.place.start) as usize).collect()
}

#[test]
fn entities_split_tags_and_invisible_characters_do_not_part_a_word() {
    let expected = html("<p>Signez la pétition</p>").own.text;
    assert_eq!(expected, " signez la pétition \n");
    for text in [
        "<p>Si<b>gn</b>ez la p&eacute;ti<i></i>tion</p>",
        "<p>S\u{200b}ignez&nbsp;la pe\u{301}&#116;ition</p>",
        "<div>Signez<!-- x --> la\n p&shy;étition</div>",
        "<p>Signez<span style='display: none'>zz</span> la pétition",
        "<p style=display:none>caché<p>Signez la pétition",
        "<!--[if mso]><p>Signez la pétition</p><![endif]-->",
        "<!--[if gte mso 9]><xml><w:Zoom>0</w:Zoom></xml><![endif]--><p>Signez la pétition</p>",
        "<div><span hidden>a</div>Signez la pétition",
        "<p>Ѕignеz la рétition", // Cyrillic Ѕ, е, р
        "<p>𝐒𝐢𝐠𝐧𝐞𝐳 la ｐétition",
        "<script>var a = '<p>non</p>'</script><title>non</title><style>p { }</style><p>Signez la pétition",
        "<div style='DISPLAY : none !important'><div>non</div>non</div><p>Signez la pétition",
    ] {
        assert_eq!(html(text).own.text, expected, "{text}");
    }
}

#[test]
fn accents_tell_words_apart_and_ligatures_do_not() {
    assert_eq!(plain("SIGNÉ, signe, Œuvre, œuvre").own.text, " signé signe oeuvre oeuvre \n");
}

#[test]
fn inclusive_endings_go_and_pronouns_stay() {
    assert_eq!(plain("Tou·te·s les agent.e.s soussigné(e)s, candidat-e-s : signez-les").own.text, {
        " tou les agent soussigné candidat signez les \n"
    });
}

#[test]
fn blocks_end_sentences_and_single_line_ends_do_not() {
    assert_eq!(html("<td>Signez</td><td>la feuille</td>").own.text, " signez \n la feuille \n");
    assert_eq!(plain("Signez la\npétition. Merci !\n\nÀ M. Martin").own.text, {
        " signez la pétition \n merci \n à m martin \n"
    });
}

#[test]
fn items_of_a_list_and_lines_that_end_in_a_link_end_sentences() {
    let text =
        "À signer ici : https://a.example/x\nChorale : inscription jeudi\n  - le vote,\n  - la\nnotice\n2) le reste";
    assert_eq!(plain(text).own.text, {
        " à signer ici §lien \n chorale inscription jeudi \n le vote \n la notice \n 2 le reste \n"
    });
    // What is wrapped is none, nor is a number at the end of a sentence.
    assert_eq!(plain("Le site www.vote.example\nouvre").own.sentences.len(), 2);
    for text in ["le 12\nmars", "peut\n-être", "en\n2026. Oui", "M.\nA. Martin"] {
        assert!(plain(text).own.sentences.len() <= 1 + usize::from(text.contains("2026")), "{text}");
    }
}

#[test]
fn descriptions_and_titles_are_read() {
    let reading = html("<a href='https://a.example/x' title='Cliquez'><img alt='Signer la pétition' src=cid:1></a>");
    assert_eq!(reading.own.text, " cliquez signer la pétition §lien \n");
}

#[test]
fn what_mail_programs_make_a_link_of_is_one() {
    let pages = |text: &str| {
        let links = plain(text).links;
        links.iter().flat_map(|link| link.target.pages()).map(|page| page.host.clone()).collect::<Vec<_>>()
    };
    assert_eq!(pages("Voir change.org/p/x."), ["change.org"]);
    assert_eq!(pages("Voir sur www.service-public.example."), ["www.service-public.example"]);
    assert_eq!(pages("Voir (WWW.Services.example/x)"), ["www.services.example"]);
    for text in ["et/ou", "agir.example", "le 1.2/3", "www."] {
        assert!(pages(text).is_empty(), "{text}");
    }
}

#[test]
fn places_point_into_the_source() {
    let source = "<p>Bonjour,</p><p>la p&eacute;<b>ti</b>tion & l&rsquo;appel</p>";
    let reading = html(source);
    assert_eq!(evidence(&reading, source, "bonjour"), "Bonjour");
    assert_eq!(evidence(&reading, source, "pétition"), "p&eacute;<b>ti</b>tion");
    // What an attribute says stands for the tag as a whole.
    let source = "<p title='a@candidats.example b'>";
    assert_eq!(evidence(&html(source), source, ADDRESS_WORD), "<");
    let source = "voir a&#64;candidats<i></i>.example.";
    assert_eq!(evidence(&html(source), source, ADDRESS_WORD), "a&#64;candidats<i></i>.example");
    let source = "> cité\n\nÉté à la pe\u{301}tition";
    assert_eq!(evidence(&plain(source), source, "pétition"), "pe\u{301}tition");
}

#[test]
fn replies_are_quoted_and_forwards_are_not() {
    let reply = plain(
        "Non merci.\n\nLe 3 mars 2026 à 10:00, Collectif <c@c.example> a écrit :\n> Signez !\nhttps://a.example/x",
    );
    assert_eq!((reply.own.text.as_str(), reply.quoted.sentences.len()), (" non merci \n", 3));
    assert!(reply.links[0].quoted);
    let forward = plain("Pour info\n\n---------- Message transféré ----------\nDe : x\n> Signez !");
    assert!(forward.quoted.words.is_empty());
    let outlook = "Bonjour.\n\nDe : Collectif\nEnvoyé : lundi\nObjet : Signez";
    assert!(!plain(outlook).quoted.words.is_empty());
    let subject = Source { kind: Kind::Subject, text: "TR : Signez", part: PartId(0) };
    let passed_on = read(&[subject, Source { kind: Kind::Plain { flowed: false }, text: outlook, part: PartId(1) }]);
    assert!(passed_on.quoted.words.is_empty());
    let cite = html("<p>Non.</p><div class=gmail_quote><div>Signez</div></div><p>Voilà</p>");
    assert_eq!((cite.own.text.as_str(), cite.quoted.text.as_str()), (" non \n voilà \n", " signez \n"));
}

#[test]
fn a_tag_of_any_size_is_read_in_linear_time_and_hides_nothing_behind_it() {
    let attributes = (0..200_000).map(|n| format!("a{n}")).collect::<Vec<_>>().join(" ");
    for before in ["<p ", "<p x=\"", "<!-- <p ", "<p x='"] {
        let end = if before.starts_with("<!--") { "-->" } else { "\"'>" };
        let text = format!("{before}{attributes}{end}Signez la pétition");
        assert!(html(&text).own.text.contains(" signez la pétition "), "{before}");
    }
}

/// Ways to write the same text for a reader.
fn disguises() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..10, 24)
}

/// Writes a text as HTML, with something a reader does not see after each letter.
fn disguise(text: &str, how: &[u8]) -> String {
    let letters = text.chars().zip(how.iter().cycle());
    let written = letters.map(|(c, how)| match how {
        0 => format!("{c}\u{200b}"),
        1 => format!("{c}\u{ad}"),
        2 => format!("&#{};", c as u32),
        3 => format!("&#x{:x};", c as u32),
        4 => format!("<b>{c}</b>"),
        5 => format!("{c}<!-- - -->"),
        6 => format!("{c}<span style=\"display:none\">x</span>"),
        7 => format!("<span>{c}</span>\u{2060}"),
        8 => unicode_normalization::UnicodeNormalization::nfd(std::iter::once(c)).collect(),
        _ => c.to_string(),
    });
    format!("<div>{}</div>", written.collect::<String>())
}

proptest! {
    #[test]
    fn what_a_reader_does_not_see_changes_nothing(how in disguises()) {
        let text = "Prenez une minute pour signer la pétition des agents, où qu’ils soient";
        prop_assert_eq!(html(&disguise(text, &how)).own.text, plain(text).own.text);
    }

    #[test]
    fn nothing_makes_it_panic_and_places_stay_inside(text in any::<String>(), markup in "[<>/a-z=\"'& ;!@.-]{0,200}") {
        for source in [text.clone(), markup.clone(), format!("{markup}{text}")] {
            let length = u32::try_from(source.chars().count()).unwrap();
            for reading in [html(&source), plain(&source)] {
                for word in reading.own.words.iter().chain(&reading.quoted.words) {
                    prop_assert!(word.place.start <= word.place.end && word.place.end <= length);
                }
            }
        }
    }
}
