//! `charter-milter check`, as a postmaster runs it.

use std::process::{Command, Output};

fn check(arguments: &[&str]) -> (Option<i32>, String) {
    let command = Command::new(env!("CARGO_BIN_EXE_charter-milter")).arg("check").args(arguments).output();
    let Output { status, stdout, stderr } = command.unwrap();
    assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    (status.code(), String::from_utf8(stdout).unwrap())
}

#[test]
fn what_people_see_is_kept() {
    let (code, text) = check(&["tests/check/charter.toml"]);
    assert_eq!(code, Some(0), "{text}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write("tests/check/expected.txt", &text).unwrap();
    }
    let expected = std::fs::read_to_string("tests/check/expected.txt").unwrap();
    assert!(text == expected, "differs from tests/check/expected.txt:\n{text}");
}

#[test]
fn programs_learn_who_may_write_who_may_not_and_why() {
    let (code, text) = check(&["--json", "tests/check/charter.toml"]);
    assert_eq!(code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = &json["summary"]["charters"][0]["lists"][0];
    assert_eq!(list["may"][0]["name"], "Liste A");
    assert_eq!(list["may"][0]["now"], "over");
    let why: Vec<_> = list["may_not"].as_array().unwrap().iter().map(|m| m["why"].as_str().unwrap()).collect();
    assert_eq!(
        why,
        [
            "is bound to other lists",
            "has not adhered to the charter",
            "its own period and the list's have no day in common",
        ]
    );
}

#[test]
fn exit_codes_tell_fine_from_found_from_failed() {
    // Warnings alone are fine, unless asked for.
    let over = "conf/charters/cnrs-2018.toml";
    assert_eq!(check(&["-q", over]).0, Some(0));
    assert_eq!(check(&["-q", "--strict", over]).0, Some(1));
    assert_eq!(check(&["tests/config/034-unknown-clause/charter.toml"]).0, Some(1));
    assert_eq!(check(&["--config", "tests/config/no-such-file.toml"]).0, Some(2));
}

#[test]
fn problems_of_programs_have_places_and_codes() {
    let (code, text) = check(&["--json", "tests/config/034-unknown-clause/charter.toml"]);
    assert_eq!(code, Some(1));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(json["summary"].is_null());
    let problem = &json["problems"][0];
    assert_eq!(problem["code"], "E034-unknown-clause");
    assert_eq!(problem["severity"], "error");
    assert_eq!((problem["line"].as_u64(), problem["column"].as_u64()), (Some(25), Some(20)));
}

#[test]
fn a_charter_is_over_the_day_after_its_last() {
    use charter_milter::config::Config;
    let config = Config::load_charters(&["conf/charters/cnrs-2018.toml".into()]).unwrap();
    let at = |instant: &str| config.warnings_at(instant.parse().unwrap()).codes();
    // Midnight in Paris, in summer.
    assert!(at("2018-07-09T21:59:59Z").is_empty());
    assert_eq!(at("2018-07-09T22:00:00Z"), [charter_milter::config::codes::Code::CharterOver]);
}

#[test]
fn a_reader_who_has_seen_enough_changes_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_charter-milter"));
    let status = command.args(["check", "tests/check/charter.toml"]).stdout(writer).status();
    assert_eq!(status.unwrap().code(), Some(0));
}

#[test]
fn who_adheres_on_a_day_to_come_may_not_write_yet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("charter.toml");
    let text = std::fs::read_to_string("tests/check/charter.toml").unwrap();
    let later = text.replacen("adhered   = 2018-02-01", "adhered   = 2999-01-01", 1);
    assert_ne!(text, later);
    std::fs::write(&path, later).unwrap();
    let (_, text) = check(&[path.to_str().unwrap()]);
    assert!(text.contains("adheres to the charter on 2999-01-01 only"), "{text}");
}
