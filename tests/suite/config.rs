//! Wrong configurations: each folder of `tests/config` is called after the one diagnostic it must draw, and holds the
//! report that people see. `UPDATE_GOLDEN=1` rewrites the reports.
//!
//! A folder with a `charter-milter.toml` is loaded as a daemon would; in any other, every `.toml` is a charter by itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use charter_milter::config::Config;
use charter_milter::config::codes::Code;
use charter_milter::config::report::Report;

/// Codes whose fixture cannot lie in the repository; each names the test that makes it.
const MADE_ELSEWHERE: &[(Code, &str)] = &[
    (Code::FileTooLarge, "a_file_too_large_is_not_read_to_its_end"),
    (Code::CharterOver, "a_charter_is_over_the_day_after_its_last"),
];

fn folders() -> Vec<PathBuf> {
    // Relative to the package, where cargo runs tests, so that the paths in reports are the same everywhere.
    let mut folders: Vec<_> = std::fs::read_dir("tests/config").unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn load(folder: &Path) -> Report {
    let main = folder.join("charter-milter.toml");
    let loaded = if main.exists() {
        Config::load(&main)
    } else {
        let mut charters: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        charters.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        charters.sort();
        Config::load_charters(&charters)
    };
    loaded.map_or_else(|report| report, |config| config.warnings)
}

/// A code without its severity: `034-unknown-clause`.
fn numbered(code: Code) -> &'static str {
    code.as_str().trim_start_matches(['E', 'W'])
}

/// The code that a folder is called after: `034-unknown-clause`.
fn code_of(folder: &Path) -> &str {
    folder.file_name().unwrap().to_str().unwrap()
}

#[test]
fn every_fixture_draws_exactly_the_diagnostic_it_is_called_after() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let report = load(&folder);
        let codes: BTreeSet<&str> = report.codes().into_iter().map(numbered).collect();
        let wanted: String = code_of(&folder).to_owned();
        if codes.iter().any(|code| !wanted.starts_with(code)) || codes.len() != 1 {
            wrong.push(format!("{} drew {codes:?}:\n{report}", folder.display()));
        }
        let expected = folder.join("expected.txt");
        let text = report.render(false);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &text).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != text {
            std::fs::write(folder.join("expected.txt.got"), &text).unwrap();
            wrong.push(format!("{} differs; see expected.txt.got beside it:\n{text}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_diagnostic_has_a_fixture() {
    let folders = folders();
    for code in Code::ALL {
        let elsewhere = MADE_ELSEWHERE.iter().any(|(made, _)| made == code);
        let here = folders.iter().any(|folder| code_of(folder).starts_with(numbered(*code)));
        assert!(here != elsewhere, "{code} needs exactly one kind of test");
    }
}

#[test]
fn all_problems_of_all_files_are_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("charter-milter.toml");
    std::fs::write(&main, "charters = [\"a.toml\", \"b.toml\"]\nnonsense = 1\n").unwrap();
    std::fs::write(folder.path().join("a.toml"), "[charter]\nid = \"A\"\ntitle = 7\n").unwrap();
    std::fs::write(folder.path().join("b.toml"), "[charter\n").unwrap();
    let report = Config::load(&main).unwrap_err();
    let codes = report.codes();
    for code in [Code::UnknownKey, Code::BadIdentifier, Code::WrongType, Code::MissingKey, Code::Syntax] {
        assert!(codes.contains(&code), "{code} is not among {codes:?}");
    }
    let json = report.json();
    let places: Vec<_> = json.as_array().unwrap().iter().map(|problem| problem["line"].as_u64()).collect();
    assert_eq!(places.first(), Some(&Some(2)), "{json}");
}

#[test]
fn a_file_too_large_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("charter.toml");
    // A sparse file of a terabyte: reading it whole would show.
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let report = Config::load_charters(&[path]).unwrap_err();
    assert_eq!(report.codes(), [Code::FileTooLarge]);
}

#[test]
fn a_failed_load_leaves_nothing_behind() {
    // A reload is another call; the outcome must depend on the files alone.
    let main = Path::new("conf/charter-milter.toml");
    let before = Config::load(main).unwrap();
    assert!(Config::load(Path::new("tests/config/005-syntax/charter-milter.toml")).is_err());
    let after = Config::load(main).unwrap();
    assert_eq!(before.files, after.files);
}

#[test]
fn the_reference_names_every_key_there_is() {
    let path = Path::new("docs/configuration.md");
    let before = std::fs::read_to_string(path).unwrap();
    let mut after = before.clone();
    for (part, text) in charter_milter::config::reference::parts() {
        let (begin, end) = (format!("<!-- begin: {part} -->\n"), format!("<!-- end: {part} -->"));
        let (head, rest) = after.split_once(&begin).unwrap();
        let (_, tail) = rest.split_once(&end).unwrap();
        after = format!("{head}{begin}\n{}\n\n{end}{tail}", text.trim_end());
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &after).unwrap();
    } else {
        assert!(before == after, "docs/configuration.md is stale: UPDATE_GOLDEN=1 cargo test --test suite config");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_files_are_reported_and_never_stop_the_program(
        source in proptest::sample::select(vec!["cnrs-2018", "drancy", "prime-minister", "assurance-maladie"]),
        damages in proptest::collection::vec((0_usize..4, proptest::prelude::any::<proptest::sample::Index>(), "[\"\\[\\]{}=#,.\n\r\té\u{0}'0-9a-z-]{0,3}"), 1..6),
    ) {
        let mut text: Vec<char> = std::fs::read_to_string(format!("conf/charters/{source}.toml")).unwrap().chars().collect();
        for (kind, index, replacement) in &damages {
            if text.is_empty() {
                break;
            }
            let at = index.index(text.len());
            let line_end = text.iter().skip(at).position(|c| *c == '\n').map_or(text.len(), |n| at + n + 1);
            match kind {
                0 => drop(text.splice(at..line_end, replacement.chars()).collect::<Vec<_>>()),
                1 => drop(text.splice(at..=at, replacement.chars()).collect::<Vec<_>>()),
                2 => {
                    let again: Vec<_> = text.get(at..line_end).unwrap().to_vec();
                    drop(text.splice(at..at, again).collect::<Vec<_>>());
                }
                _ => text.truncate(at),
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("charter.toml");
        std::fs::write(&path, text.iter().collect::<String>()).unwrap();
        if let Err(report) = Config::load_charters(&[path]) {
            proptest::prop_assert!(report.has_errors());
            proptest::prop_assert!(report.render(true).contains("error"));
            proptest::prop_assert_eq!(report.lines().len(), report.json().as_array().unwrap().len());
        }
    }
}

#[test]
fn a_register_of_thousands_loads_in_a_moment() {
    use std::fmt::Write as _;
    let mut text = std::fs::read_to_string("tests/config/101-clause-not-enforced/charter.toml").unwrap();
    for number in 0..5_000 {
        write!(
            text,
            "\n[[sender]]\nname = \"Candidat {number}\"\naddresses = [\"candidat-{number}@candidats.example\"]\n\
             proofs = [{{ sasl = \"candidat-{number}\" }}]\nlists = [\"membres@listes.example\"]\n"
        )
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("charter.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load_charters(&[path]).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.charters[0].senders.len(), 5_001);
}
