//! The daemon as a service: its metrics, and how long it takes to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use charter_milter::milter::meters;

use super::world::{NOON, World, charter, from_a};
use crate::mta::client::SmtpClient;
use crate::mta::gateway::{Gateway, Setup};
use crate::mta::{free_address, wait_for};

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
