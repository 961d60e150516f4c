//! `make install`: what lands on a machine fits together, wherever it lands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::mta::gateway::binary;
use crate::mta::program;
use crate::systemd::complaints;

/// Installs the program these tests run instead of building an optimised one.
fn install(destination: &Path, prefix: &str) {
    let output = Command::new(program("make", "make"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--silent", "install", "--old-file=build"])
        .arg(format!("PROGRAM={}", binary().display()))
        .arg(format!("DESTDIR={}", destination.display()))
        .arg(format!("PREFIX={prefix}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

/// The commands that the program's help shows.
fn commands(program: &Path) -> Vec<String> {
    let help = text(&run(program, &["--help"]).stdout);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

#[test]
fn a_package_is_laid_out_below_its_destination_for_the_prefix_it_will_have() {
    let destination = tempfile::tempdir().unwrap();
    install(destination.path(), "/opt/courrier");
    let prefix = destination.path().join("opt/courrier");
    assert_eq!(names(destination.path()), BTreeSet::from(["opt".to_owned()]), "nothing lands beside it");
    let program = prefix.join("bin/charter-milter");
    assert!(run(&program, &["--version"]).status.success());

    let units = prefix.join("lib/systemd/system");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    assert_eq!(names(&units), names(&ours));
    for unit in names(&units).iter().filter(|name| units.join(name).is_file()) {
        let unit = std::fs::read_to_string(units.join(unit)).unwrap();
        assert!(!unit.contains("/usr/bin/"), "{unit}");
        for line in unit.lines().filter(|line| line.starts_with("ExecStart=")) {
            assert!(line.starts_with("ExecStart=/opt/courrier/bin/charter-milter "), "{line}");
        }
    }

    let commands = commands(&program);
    assert!(commands.len() >= 10, "{commands:?}");
    let manual = names(&prefix.join("share/man/man1"));
    assert!(manual.contains("charter-milter.1"), "what the units name: {manual:?}");
    let completions = prefix.join("share/bash-completion/completions/charter-milter");
    assert!(run(Path::new("/bin/bash"), &["-n", completions.to_str().unwrap()]).status.success());
    let completions = std::fs::read_to_string(completions).unwrap();
    for command in &commands {
        assert!(manual.contains(&format!("charter-milter-{command}.1")), "no page for {command} in {manual:?}");
        assert!(completions.contains(&format!("charter__milter,{command})")), "no completion for {command}");
    }
}

#[test]
fn the_installed_example_is_a_configuration_that_the_installed_program_reads() {
    let destination = tempfile::tempdir().unwrap();
    install(destination.path(), "/usr");
    let documents = destination.path().join("usr/share/doc/charter-milter");
    let example = documents.join("charter-milter.toml");
    let output = run(&destination.path().join("usr/bin/charter-milter"), &["check", example.to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    for page in ["README.md", "audit.md", "configuration.md", "log-format.md"] {
        assert!(documents.join(page).is_file(), "{page}");
    }
    assert_eq!(names(&documents.join("charters")).len(), 4);
}

#[test]
fn systemd_understands_the_installed_units() {
    let root = crate::mta::directory("install-");
    install(Path::new(""), root.to_str().unwrap());
    let units: Vec<PathBuf> = std::fs::read_dir(root.join("lib/systemd/system"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    assert!(units.len() >= 8, "{units:?}");
    assert_eq!(complaints(&root.join("lib/systemd/system"), units), "");
    std::fs::remove_dir_all(root).unwrap();
}
