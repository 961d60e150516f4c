//! The units: how much of the system they leave open, and that systemd understands them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mta::program;

/// The daemon on a unix socket, and the release that plans as an ordinary user.
const USER_EXPOSURE_MAX: f64 = 0.5;
/// The helper that is root.
const ROOT_EXPOSURE_MAX: f64 = 1.5;

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

/// The overall exposure, as `systemd-analyze` counts it: 0 is best, 10 worst.
fn exposure(unit: &str) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    // A template has no exposure, its instances have.
    let instance = directory.path().join(unit.replace("@.", "@1."));
    std::fs::copy(units().join(unit), &instance).unwrap();
    let output = Command::new(program("systemd-analyze", "systemd"))
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&instance)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| {
        panic!("systemd-analyze security {unit}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    let figure = line.rsplit(": ").next().unwrap().split(' ').next().unwrap();
    figure.parse().unwrap_or_else(|_| panic!("no figure in {line:?}"))
}

#[test]
fn the_daemon_and_the_release_are_hardly_exposed() {
    for unit in ["charter-milter.service", "charter-milter-release.service"] {
        let exposure = exposure(unit);
        assert!(exposure <= USER_EXPOSURE_MAX, "{unit}: {exposure}");
    }
}

#[test]
fn the_helper_that_is_root_is_as_small_as_it_can_be() {
    let exposure = exposure("charter-milter-postsuper@.service");
    assert!(exposure <= ROOT_EXPOSURE_MAX, "{exposure}");
}

#[test]
fn systemd_understands_every_unit() {
    let directory = tempfile::tempdir().unwrap();
    let files = copies(directory.path());
    assert!(files.len() >= 8, "{files:?}");
    assert_eq!(complaints(directory.path(), files), "");
}

#[test]
fn systemd_understands_the_drop_ins_for_a_network_and_for_sendmail() {
    for name in ["network", "sendmail"] {
        let directory = tempfile::tempdir().unwrap();
        let files = copies(directory.path());
        for unit in ["charter-milter.service", "charter-milter.socket"] {
            let example = units().join(format!("{unit}.d/{name}.conf.example"));
            let Ok(text) = std::fs::read_to_string(example) else { continue };
            let drop_ins = directory.path().join(format!("{unit}.d"));
            std::fs::create_dir(&drop_ins).unwrap();
            // A slip in a drop-in is said; this one shows that drop-ins are read at all.
            std::fs::write(drop_ins.join("slip.conf"), "[Unit]\nSlip=yes\n").unwrap();
            assert!(complaints(directory.path(), files.clone()).contains("Slip"), "{unit}");
            std::fs::remove_file(drop_ins.join("slip.conf")).unwrap();
            std::fs::write(drop_ins.join(format!("{name}.conf")), text).unwrap();
        }
        assert_eq!(complaints(directory.path(), files), "", "{name}");
    }
}

/// The units as they can be looked at where neither the program nor its user, nor the manual, are installed.
fn copies(directory: &Path) -> Vec<PathBuf> {
    let program_there = directory.join("charter-milter");
    std::fs::write(&program_there, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&program_there, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(units()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("/usr/bin/charter-milter", program_there.to_str().unwrap());
        let text: String =
            text.lines().filter(|line| !line.starts_with("Documentation=")).flat_map(|line| [line, "\n"]).collect();
        let file = directory.join(path.file_name().unwrap());
        std::fs::write(&file, text).unwrap();
        files.push(file);
    }
    files
}

/// What systemd has to say against the units `files`, which lie in `directory`.
pub fn complaints(directory: &Path, mut files: Vec<PathBuf>) -> String {
    // A template is looked at through one of its instances.
    files.retain(|file| !file.to_str().unwrap().contains("@."));
    files.push(directory.join("charter-milter-postsuper@1.service"));
    let output = Command::new(program("systemd-analyze", "systemd"))
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&files)
        .env("SYSTEMD_UNIT_PATH", format!("{}:", directory.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: String = said.lines().filter(|line| line.contains("charter-milter")).collect();
    assert!(output.status.success() || !ours.is_empty(), "{said}");
    ours
}

#[test]
fn what_the_units_say_is_what_the_program_expects() {
    let text = |name: &str| std::fs::read_to_string(units().join(name)).unwrap();
    let helper = text("charter-milter-postsuper.socket");
    assert!(helper.contains("\nListenStream=/run/charter-milter/release.sock\n"), "the default of `mta.helper_socket`");
    assert!(helper.contains("\nSocketMode=0600\n") && helper.contains("\nSocketUser=charter-milter\n"));
    for (unit, name) in [
        ("charter-milter.socket", "milter"),
        ("charter-milter-edit.socket", "edit"),
        ("charter-milter-hold.socket", "hold"),
    ] {
        let socket = text(unit);
        assert!(socket.contains(&format!("\nFileDescriptorName={name}\n")), "{unit}");
        assert!(socket.contains(&format!("\nListenStream=/var/spool/postfix/charter-milter/{name}.sock\n")), "{unit}");
        assert!(socket.contains("\nSocketUser=postfix\n") && socket.contains("\nSocketMode=0660\n"), "{unit}");
    }
}
