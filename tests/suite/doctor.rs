//! `doctor` on a real Postfix: what is wrong is found, and once it is mended nothing is.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use charter_milter::hold::ledger::Ledger;
use charter_milter::hold::{Held, Route};
use jiff::SignedDuration;

use crate::home::{Home, now};
use crate::mta::postfix::{Options, Postfix};
use crate::mta::sink::Sink;
use crate::mta::{program, write};

/// The home of a gateway for a Postfix.
fn home(postfix: &Postfix, more: &str) -> Home {
    let main = format!(
        "[[listen]]\naddress = \"unix:{}\"\n[mta]\nkind = \"postfix\"\nconfig_directory = \"{}\"\n{more}",
        socket(postfix).display(),
        postfix.config_directory().display()
    );
    Home::new(&postfix.directory().join("gateway"), &["jour"], &main)
}

fn socket(postfix: &Postfix) -> PathBuf {
    postfix.directory().join("queue/charter-milter/milter.sock")
}

fn doctor(home: &Home) -> Output {
    home.run(&["doctor", "--json"])
}

/// What was looked at and not found fine, as `level check`.
fn found(output: &Output) -> BTreeSet<String> {
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    for finding in findings.iter().filter(|finding| finding["level"] != "fine") {
        assert!(
            !finding["why"].as_str().unwrap().is_empty() && !finding["fix"].as_str().unwrap().is_empty(),
            "{finding}"
        );
    }
    let name = |finding: &serde_json::Value| {
        format!("{} {}", finding["level"].as_str().unwrap(), finding["check"].as_str().unwrap())
    };
    findings.iter().map(name).filter(|name| !name.starts_with("fine")).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_postfix_as_it_comes_is_found_wanting_and_a_mended_one_is_not() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()).set("soft_bounce", "yes"));
    let home = home(&postfix, "");
    let output = doctor(&home);
    assert_eq!(output.status.code(), Some(1));
    let names = found(&output);
    for expected in [
        "fault milter",
        "fault local-mail",
        "fault bare-newline",
        "fault soft-bounce",
        "fault socket",
        "advice queue-ids",
    ] {
        assert!(names.contains(expected), "{expected} is missing in {names:?}");
    }

    std::fs::create_dir(socket(&postfix).parent().unwrap()).unwrap();
    let _listener = UnixListener::bind(socket(&postfix)).unwrap();
    std::fs::set_permissions(socket(&postfix), std::fs::Permissions::from_mode(0o666)).unwrap();
    postfix.reconfigure(&[
        ("smtpd_milters", "unix:charter-milter/milter.sock"),
        ("non_smtpd_milters", "unix:charter-milter/milter.sock"),
        ("milter_default_action", "tempfail"),
        ("enable_long_queue_ids", "yes"),
        ("smtpd_forbid_bare_newline", "yes"),
        ("soft_bounce", "no"),
    ]);
    home.leave_log();
    let output = doctor(&home);
    let allowed = set(&["advice release-rights", "advice clock"]);
    let names = found(&output);
    assert!(names.is_subset(&allowed), "{names:?}");
    assert_eq!(output.status.code(), Some(0));

    // What only shows while it works: a release that does not run, and a clock that was set back.
    let entered = now() - SignedDuration::from_hours(1);
    let held = Held {
        route: Route::Postfix,
        queue_id: "3F2A41C2B".parse().unwrap(),
        arrival: entered,
        entered,
        size_bytes: 1,
        charter: "jour".to_owned(),
        list: "jour@lists.example".to_owned(),
        sender: "p".to_owned(),
        reference: "0-0123456789abcdef".to_owned(),
        registered_as: None,
        return_to: None,
        release_not_before: entered,
        window_ends: now() + SignedDuration::from_hours(1),
        period_ends: None,
        reservation: None,
        beside: Vec::new(),
    };
    Ledger::open(&home.state().join("ledger.sqlite")).unwrap().enter(&[&held]).unwrap();
    assert!(found(&doctor(&home)).contains("fault release-runs"));
    let output = home.run_at(Some("2018-06-25T12:00:00Z"), &["doctor", "--json"]);
    assert!(found(&output).contains("fault clock"), "{:?}", found(&output));
}

#[test]
fn people_read_what_is_wrong_why_it_matters_and_how_to_mend_it() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()));
    let home = home(&postfix, "");
    let output = home.run(&["doctor"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("smtpd_milters does not name this filter"), "{text}");
    assert!(text.contains("why: no message from the network is judged") && text.contains("fix: add unix:"), "{text}");
}

#[test]
fn a_mail_server_that_cannot_be_asked_is_an_error() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()));
    let home = home(&postfix, "postconf = \"/nonexistent/postconf\"\n");
    let output = doctor(&home);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot run /nonexistent/postconf"), "{output:?}");
}

/// The lines for `sendmail.mc` that come with the program, at its end, behind MAILER, in Sendmail's own macros.
#[test]
fn what_the_example_says_to_sendmail_is_what_doctor_wants() {
    let directory = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(source.join("conf/sendmail.m4")).unwrap();
    let judged = |before: &str, example: &str| {
        let cf = crate::mta::sendmail::root().join("usr/share/sendmail/cf");
        let mc = format!(
            "divert(-1)\ninclude(`{}/m4/cf.m4')\nOSTYPE(`linux')\n{before}\nMAILER(`smtp')\n{example}",
            cf.display()
        );
        let macros = write(directory.path(), "sendmail.mc", mc);
        let made = Command::new(program("m4", "m4"))
            .arg(format!("-D_CF_DIR_={}/", cf.display()))
            .arg(macros)
            .output()
            .unwrap();
        write(directory.path(), "sendmail.cf", &made.stdout);
        let main = format!(
            "[[listen]]\naddress = \"systemd:milter\"\n[mta]\nkind = \"sendmail\"\nconfig_directory = \"{}\"\n",
            directory.path().display()
        );
        let home = Home::new(&directory.path().join("gateway"), &["jour"], &main);
        let found = found(&doctor(&home));
        let of_sendmail = ["milter", "default-action", "receipts", "macros", "services", "socket"];
        let cf = String::from_utf8(made.stdout).unwrap();
        let private = cf.lines().find(|line| line.starts_with("O PrivacyOptions=")).unwrap().to_owned();
        (found.into_iter().filter(|name| of_sendmail.iter().any(|check| name.ends_with(check))).collect(), private)
    };
    assert_eq!(judged("", ""), (set(&["fault milter"]), "O PrivacyOptions=authwarnings".to_owned()));
    // The socket is not there where the tests run.
    let strict = "define(`confPRIVACY_FLAGS',dnl\n`needmailhelo,restrictqrun,authwarnings')dnl";
    for (before, private) in [("", "authwarnings"), (strict, "needmailhelo,restrictqrun,authwarnings")] {
        let expected = (set(&["fault socket"]), format!("O PrivacyOptions={private},noreceipts"));
        assert_eq!(judged(before, &example), expected);
    }
}
