use super::super::Level;
use super::*;

fn listener(path: &str, role: Role) -> Listener {
    Listener { address: ListenAddress::Unix(path.into()), role, mode: 0o660, group: None }
}

fn full() -> Vec<Listener> {
    vec![listener("/var/spool/postfix/charter-milter/milter.sock", Role::Full)]
}

fn two() -> Vec<Listener> {
    ["edit", "hold"]
        .into_iter()
        .zip([Role::Edit, Role::Hold])
        .map(|(name, role)| listener(&format!("/var/spool/postfix/charter-milter/{name}.sock"), role))
        .collect()
}

const SOUND: &str = "smtpd_milters = inet:127.0.0.1:8891, unix:charter-milter/milter.sock
non_smtpd_milters = unix:charter-milter/milter.sock
milter_default_action = tempfail
milter_protocol = 6
milter_connect_macros = j {daemon_name} {daemon_addr} v _
milter_mail_macros = i {auth_type} {auth_authen} {auth_author}
milter_rcpt_macros = i {rcpt_addr}
enable_long_queue_ids = yes
smtpd_forbid_bare_newline = normalize
soft_bounce = no
queue_directory = /var/spool/postfix
mail_owner = postfix
";
const SERVICES: &str = "smtp       inet  n       -       y       -       -       smtpd\npickup     unix  n       -       y       60      1       pickup\n";

fn found(parameters: &str, overrides: &str, listeners: &[Listener]) -> Vec<(Check, Level)> {
    let view = View::read(parameters, SERVICES, overrides);
    let findings = judge(&view, listeners);
    findings.iter().filter(|f| f.level != Level::Fine).map(|f| (f.check, f.level)).collect()
}

fn with(name: &str, value: &str) -> String {
    let line = |line: &str| {
        if line.starts_with(&format!("{name} =")) { format!("{name} = {value}\n") } else { format!("{line}\n") }
    };
    SOUND.lines().map(line).collect()
}

#[test]
fn a_sound_configuration_is_fine() {
    assert_eq!(found(SOUND, "", &full()), []);
}

#[test]
fn each_fault_is_found_for_its_own_reason() {
    use Check as C;
    use Level::{Advice, Fault};
    for (name, value, expected) in [
        ("smtpd_milters", "inet:127.0.0.1:8891", (C::Milter, Fault)),
        ("smtpd_milters", "unix:charter-milter/other.sock", (C::Milter, Fault)),
        ("non_smtpd_milters", "", (C::LocalMail, Fault)),
        ("smtpd_milters", "unix:charter-milter/milter.sock, inet:127.0.0.1:8891", (C::MilterOrder, Fault)),
        (
            "smtpd_milters",
            "{ unix:charter-milter/milter.sock, connect_timeout=10s, default_action=accept }",
            (C::DefaultAction, Fault),
        ),
        ("milter_protocol", "2", (C::Protocol, Fault)),
        ("milter_mail_macros", "i {mail_addr}", (C::Macros, Advice)),
        ("enable_long_queue_ids", "no", (C::QueueIds, Advice)),
        ("smtpd_forbid_bare_newline", "no", (C::BareNewline, Fault)),
        ("soft_bounce", "yes", (C::SoftBounce, Fault)),
    ] {
        assert_eq!(found(&with(name, value), "", &full()), [expected], "{name} = {value}");
    }
    let both = [(C::DefaultAction, Fault); 2];
    assert_eq!(found(&with("milter_default_action", "accept"), "", &full()), both, "for each list");
    let without: String = SOUND.lines().filter(|l| !l.starts_with("smtpd_forbid")).flat_map(|l| [l, "\n"]).collect();
    assert_eq!(found(&without, "", &full()), [(C::BareNewline, Fault)], "a Postfix that does not know it");
}

#[test]
fn absolute_paths_are_read_inside_the_chroot() {
    let absolute = with("smtpd_milters", "unix:/charter-milter/milter.sock");
    assert_eq!(found(&absolute, "", &full()), []);
    let outside = with("smtpd_milters", "unix:/var/spool/postfix/charter-milter/milter.sock");
    assert_eq!(
        found(&outside, "", &full()),
        [(Check::Milter, Level::Fault)],
        "smtpd would look for it below its chroot"
    );
    let view = View::read(&outside, &SERVICES.replace(" y ", " n "), "");
    assert!(judge(&view, &full()).iter().all(|finding| finding.level == Level::Fine));
}

#[test]
fn two_sockets_have_an_order() {
    let chain = |list: &str| {
        let text = with("smtpd_milters", list)
            .replace("non_smtpd_milters = unix:charter-milter/milter.sock", &format!("non_smtpd_milters = {list}"));
        found(&text, "", &two())
    };
    assert_eq!(chain("unix:charter-milter/edit.sock, inet:127.0.0.1:8891, unix:charter-milter/hold.sock"), []);
    let fault = [(Check::MilterOrder, Level::Fault); 2];
    assert_eq!(chain("unix:charter-milter/hold.sock, inet:127.0.0.1:8891, unix:charter-milter/edit.sock"), fault);
    assert_eq!(chain("unix:charter-milter/edit.sock, unix:charter-milter/hold.sock, inet:127.0.0.1:8891"), fault);
    assert_eq!(chain("unix:charter-milter/edit.sock, inet:127.0.0.1:8891"), fault);
}

#[test]
fn services_that_go_round_the_filter_are_shown() {
    let overrides = "127.0.0.1:10025/inet/smtpd_milters =\n127.0.0.1:10025/inet/receive_override_options = no_header_body_checks,no_milters\n\
                     submission/inet/smtpd_sasl_auth_enable = yes\nsubmission/inet/milter_default_action = accept\n";
    assert_eq!(found(SOUND, overrides, &full()), [(Check::Services, Level::Advice); 3]);
}

#[test]
fn milter_lists_are_read_as_postfix_reads_them() {
    let addresses = |list: &str| milters(list).into_iter().map(|milter| milter.address).collect::<Vec<_>>();
    assert_eq!(
        addresses("unix:a unix:b,unix:c , { inet:h:1, default_action = accept }"),
        ["unix:a", "unix:b", "unix:c", "inet:h:1"]
    );
    assert_eq!(addresses(" "), [""; 0]);
}

#[test]
fn access_lists_are_read() {
    assert!(may_use("static:anyone", "charter-milter"));
    assert!(may_use("root, charter-milter", "charter-milter"));
    assert!(!may_use("root", "charter-milter"));
    assert!(!may_use("", "charter-milter"));
}

#[test]
fn a_socket_outside_of_the_chroot_is_a_fault() {
    let view = View::read(SOUND, SERVICES, "");
    let finding = &sockets(&view, &[listener("/run/charter-milter/milter.sock", Role::Full)])[0];
    assert_eq!((finding.check, finding.level), (Check::Socket, Level::Fault));
    assert!(finding.what.contains("lies outside"), "{}", finding.what);
}
