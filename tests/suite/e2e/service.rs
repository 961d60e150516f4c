//! The daemon as a service: sockets from systemd, its metrics, what it does without descriptors or without an answer, and how
//! long it takes to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use charter_milter::milter::meters;

use super::world::{NOON, World, charter, from_a, is_later};
use crate::mta::client::SmtpClient;
use crate::mta::gateway::{Gateway, Setup, binary};
use crate::mta::{free_address, program, wait_for};

fn scrape(address: SocketAddr) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The help text of each metric, and the value of each series.
fn read(page: &str) -> (BTreeMap<String, String>, BTreeMap<String, f64>) {
    let help = page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let series = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let value =
        |line: &str| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap();
    (help.map(|(name, text)| (name.to_owned(), text.to_owned())).collect(), series.map(value).collect())
}

#[test]
fn every_metric_is_there_at_zero_with_a_help_text_before_anything_happens() {
    let address = free_address();
    let metrics = format!("[metrics]\naddress = \"{address}\"\n");
    let world = World::start(&Setup::new(&charter()).main(&metrics).clock(NOON));
    let (help, series) = read(&scrape(address));
    let known: BTreeSet<_> = meters::ALL.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(help.keys().cloned().collect::<BTreeSet<_>>(), known);
    assert!(help.values().all(|text| text.ends_with('.') && text.len() > 20), "{help:?}");
    for name in &known {
        assert!(series.keys().any(|series| series.starts_with(name.as_str())), "{name} has no value yet");
    }
    for (name, value) in &series {
        // Looking whether the socket listens is a connection.
        let may_differ = name == meters::CONNECTIONS || name == meters::CONFIG_LOADED;
        assert!(may_differ || *value == 0.0, "{name} is {value}");
    }
    assert!(series[meters::CONFIG_LOADED] > 1.5e9);

    world.delivered(&from_a("libre@listes.example"));
    world.refused(&from_a("close@listes.example"), 550, "period-closed", "t:period");
    let (_, series) = read(&scrape(address));
    let counted = |label: &str| series.iter().find(|(name, _)| name.contains(label)).map(|(_, value)| *value);
    assert_eq!(counted("verdict=\"accept\""), Some(1.0), "{series:?}");
    assert_eq!(counted("verdict=\"reject\""), Some(1.0));
    assert_eq!(counted("reason=\"period-closed\""), Some(1.0));
    assert!(series.keys().all(|name| !name.contains('@')), "nobody becomes a label: {series:?}");
}

#[test]
fn a_stop_waits_for_its_deadline_and_no_longer() {
    let limits = "[limits]\nshutdown_deadline = \"2 s\"\n";
    let mut world = World::start(&Setup::new(&charter()).main(limits).clock(NOON));
    let letter = from_a("libre@listes.example");
    let mut client = SmtpClient::connect(world.postfix.address());
    client.ehlo();
    assert!(client.auth("liste-a", "secret").is_positive());
    client.mail(&letter);
    client.rcpt("libre@listes.example");
    assert_eq!(client.command("DATA").code, 354);
    client.content(&letter.bytes);
    let start = Instant::now();
    world.gateway.signal(rustix::process::Signal::TERM);
    // The client never says that its message ends.
    let status = wait_for("the daemon to end", || world.gateway.has_ended().then(|| world.gateway.wait()));
    let took = start.elapsed();
    assert!(status.success(), "{}", world.gateway.daemon_log());
    assert!(took >= Duration::from_secs(2), "the message was given its time: {took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(world.gateway.daemon_log().contains("still under way"), "{}", world.gateway.daemon_log());
    // Nothing was promised, and nothing is lost: the client is told to come back.
    let reply = client.finish();
    assert_eq!(reply.code / 100, 4, "{reply}");
}

#[test]
fn a_stop_with_nothing_under_way_is_quick() {
    let mut gateway = Gateway::start(&Setup::new(&charter()).clock(NOON));
    let start = Instant::now();
    assert!(gateway.stop().success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Negotiates as a mail server does, and gives back what the filter answers.
fn negotiate(mut connection: UnixStream) -> u8 {
    // The length, SMFIC_OPTNEG, protocol version 6, all actions, all protocol steps.
    connection.write_all(&[0, 0, 0, 13, b'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff]).unwrap();
    connection.set_read_timeout(Some(crate::mta::PATIENCE)).unwrap();
    let mut answer = [0; 5];
    connection.read_exact(&mut answer).unwrap();
    answer[4]
}

#[test]
fn a_socket_from_systemd_is_served_and_systemd_is_told_when() {
    let listen = "[[listen]]\naddress = \"systemd:milter\"\nrole = \"full\"\n";
    let gateway = Gateway::prepare(&Setup::new(&charter()).main(listen));
    let (socket, notify) = (gateway.directory().join("inherited.sock"), gateway.directory().join("notify.sock"));
    let told = UnixDatagram::bind(&notify).unwrap();
    told.set_read_timeout(Some(crate::mta::PATIENCE)).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    // Somebody knocks before the daemon runs: the connection waits.
    let early = UnixStream::connect(&socket).unwrap();
    let as_systemd = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=milter exec \"$@\"";
    let mut daemon = Command::new("/bin/sh")
        .args(["-c", as_systemd, "sh"])
        .arg(binary())
        .args(["serve", "--config"])
        .arg(gateway.config_file())
        .env("NOTIFY_SOCKET", &notify)
        .stdin(OwnedFd::from(listener))
        .spawn()
        .unwrap();
    let heard = || {
        let mut text = [0; 256];
        let length = told.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    assert!(heard().contains("READY=1"));
    assert_eq!(negotiate(early), b'O');
    rustix::process::kill_process(rustix::process::Pid::from_child(&daemon), rustix::process::Signal::TERM).unwrap();
    assert!(heard().contains("STOPPING=1"));
    let status = wait_for("the daemon to end", || daemon.try_wait().unwrap());
    assert!(status.success());
    assert!(socket.exists(), "it is not ours to remove");
}

#[test]
fn without_descriptors_the_daemon_waits_and_goes_on() {
    program("prlimit", "util-linux");
    let gateway = Gateway::start(&Setup::new(&charter()).clock(NOON).through(&["prlimit", "--nofile=64:64"]));
    let socket = gateway.directory().join("milter.sock");
    let connect = |socket: &Path| UnixStream::connect(socket).unwrap();
    let crowd: Vec<UnixStream> = (0..90).map(|_| connect(&socket)).collect();
    wait_for("the end of the descriptors", || {
        gateway.daemon_log().contains("cannot accept a connection").then_some(())
    });
    drop(crowd);
    assert_eq!(negotiate(connect(&socket)), b'O');
}

#[test]
fn a_step_that_takes_too_long_ends_in_try_again_later() {
    let limits = "[limits]\ncallback_deadline = \"2 s\"\n[dns]\ntimeout = \"1 s\"\n";
    let world = World::start(&Setup::new(&charter()).main(limits).clock(NOON));
    let list = "comptee@listes.example";
    // Somebody else holds the store, for as long as they like.
    let store = rusqlite::Connection::open(world.gateway.state().join("store.sqlite")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let outcome = world.postfix.send(&from_a(list));
    assert!(is_later(&outcome), "{outcome:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    store.execute_batch("ROLLBACK").unwrap();
    wait_for("the store to work again", || world.postfix.send(&from_a(list)).is_accepted().then_some(()));
}
