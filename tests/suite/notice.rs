//! The information notice says what the four shipped charters really do, in their language.

use charter_milter::config::Config;
use charter_milter::wording::information::notice;

#[test]
fn the_notice_of_each_charter_names_its_lists_its_checks_and_its_rights() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/charters");
    for (file, must, must_not) in [
        ("cnrs-2018.toml", ["11/06/2018", "22:00", "désabonnement"], "Aucune statistique"),
        ("drancy.toml", ["drancy:", "Aucune statistique", "365 jours"], "22:00"),
        ("prime-minister.toml", ["n'est lu ni par une personne", "pm:", "journal"], "pétitions électroniques"),
        ("assurance-maladie.toml", ["am:", "journal", "décharge"], "22:00"),
    ] {
        let config = Config::load_charters(&[directory.join(file)]).unwrap();
        let text = notice(&config.charters[0], 365).text();
        for words in must {
            assert!(text.contains(words), "{file} lacks {words}:\n{text}");
        }
        assert!(!text.contains(must_not), "{file} says {must_not}:\n{text}");
    }
}

#[test]
fn the_page_escapes_what_a_charter_says() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/charters/cnrs-2018.toml");
    let mut config = Config::load_charters(&[directory]).unwrap();
    let charter = std::sync::Arc::make_mut(&mut config.charters[0]);
    charter.title = "<script>alert(1)</script>".to_owned();
    let page = notice(charter, 1).html(charter.language);
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
}
