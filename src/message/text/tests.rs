use super::*;

fn plain(text: &str) -> Reading {
    read(&[Source { kind: Kind::Plain { flowed: false }, text, part: PartId(1) }])
}

fn html(text: &str) -> Reading {
    read(&[Source { kind: Kind::Html, text, part: PartId(1) }])
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
        "<div><span hidden>a</div>Signez la pétition",
        "<p>Ѕignеz la рétition", // Cyrillic Ѕ, е, р
        "<p>𝐒𝐢𝐠𝐧𝐞𝐳 la ｐétition",
    ] {
        assert_eq!(html(text).own.text, expected, "{text}");
    }
}
