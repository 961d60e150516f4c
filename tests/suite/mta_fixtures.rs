//! The mail servers of the tests by themselves: what the other tests rely on has to hold without a milter, too.

use mail_auth::hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};

use crate::mta::client::SmtpClient;
use crate::mta::dkim::DkimKey;
use crate::mta::dns::Dns;
use crate::mta::letter::{Letter, compose};
use crate::mta::postfix::{Options, Postfix};
use crate::mta::sendmail::Sendmail;
use crate::mta::sink::Sink;

#[test]
fn postfix_delivers_to_the_sink_byte_for_byte() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()));
    let letter = Letter::new("liste-a@candidats.example", &["electeurs@elections.example"])
        .body("Une ligne.\r\n.\r\n..deux points\r\naccents é\r\n");
    let outcome = postfix.send(&letter);
    assert!(outcome.is_accepted(), "{outcome:?}");
    let received = sink.wait_for_id(&letter.id);
    assert_eq!(received.sender, "liste-a@candidats.example");
    assert_eq!(received.recipients, ["electeurs@elections.example"]);
    assert_eq!(received.body_text(), "Une ligne.\r\n.\r\n..deux points\r\naccents é\r\n");
    assert_eq!(received.header_value("Subject"), "Bonjour");
}

#[test]
fn postfix_knows_who_logged_in() {
    let sink = Sink::start();
    let options = Options::new(sink.address()).user("liste-a", "secret").set("smtpd_sasl_authenticated_header", "yes");
    let postfix = Postfix::start(&options);
    let letter = Letter::new("liste-a@candidats.example", &["electeurs@elections.example"]);
    let refused = postfix.send(&letter.clone().login("liste-a", "wrong"));
    assert_eq!(refused.last().code, 535, "{refused:?}\n{}", postfix.log());
    let outcome = postfix.send(&letter.clone().login("liste-a", "secret"));
    assert!(outcome.is_accepted(), "{outcome:?}");
    let received = sink.wait_for_id(&letter.id);
    assert!(received.header().contains("(Authenticated sender: liste-a)"), "{}", received.header());
}

#[test]
fn postfix_sees_another_client_address() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()));
    let letter = Letter::new("a@one.example", &["b@two.example"]).client_address("127.0.0.2");
    assert!(postfix.send(&letter).is_accepted());
    assert!(sink.wait_for_id(&letter.id).header().contains("[127.0.0.2]"));
}

#[test]
fn postfix_without_its_milter_refuses_for_the_moment() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()).milter("unix:/nonexistent/milter.sock"));
    let outcome = postfix.send(&Letter::new("a@one.example", &["b@two.example"]));
    assert_eq!(outcome.last().code, 451, "{outcome:?}");
    assert!(sink.received().is_empty());
    assert!(postfix.queue().is_empty());
}

#[test]
fn postfix_hands_over_mail_submitted_locally() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()));
    let letter = Letter::new("a@one.example", &["b@two.example"]);
    assert_eq!(postfix.submit_locally("a@one.example", &["b@two.example"], &letter.bytes), 0);
    assert_eq!(sink.wait_for_id(&letter.id).recipients, ["b@two.example"]);
}

#[test]
fn postfix_shows_what_is_on_hold() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()).set("smtpd_recipient_restrictions", "static:hold"));
    let letter = Letter::new("a@one.example", &["b@two.example"]);
    assert!(postfix.send(&letter).is_accepted());
    let held = postfix.held();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].recipients[0].address, "b@two.example");
    assert!(postfix.cat(&held[0].queue_id).contains(&letter.id));
    postfix.command("postsuper", &["-H", &held[0].queue_id]);
    postfix.command("postqueue", &["-i", &held[0].queue_id]);
    sink.wait_for_id(&letter.id);
}

#[test]
fn a_client_that_leaves_before_the_final_dot_has_sent_nothing() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()));
    let letter = Letter::new("a@one.example", &["b@two.example"]);
    let mut client = SmtpClient::connect(postfix.address());
    client.ehlo();
    client.mail(&letter);
    client.rcpt(&letter.recipients[0]);
    assert_eq!(client.command("DATA").code, 354);
    client.content(&letter.bytes);
    client.abort();
    postfix.wait_for_log("lost connection after DATA");
    assert!(postfix.queue().is_empty());
    assert!(sink.received().is_empty());
}

#[test]
fn a_postfix_that_is_dropped_is_gone() {
    let sink = Sink::start();
    let postfix = Postfix::start(&Options::new(sink.address()));
    let (address, directory) = (postfix.address(), postfix.directory().to_owned());
    drop(postfix);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
    assert!(!directory.exists());
}

#[test]
fn sendmail_delivers_to_the_sink() {
    let sink = Sink::start();
    let sendmail = Sendmail::start(sink.address(), &[]);
    let letter = Letter::new("a@one.example", &["b@two.example"]);
    let outcome = sendmail.send(&letter);
    assert!(outcome.is_accepted(), "{outcome:?}\n{}", sendmail.transcript());
    let received = sink.wait_for_id(&letter.id);
    assert_eq!(received.recipients, ["b@two.example"]);
    assert_eq!(received.body_text(), "Bonjour à toutes et à tous.\r\n");
}

#[test]
fn sendmail_without_its_milter_refuses_for_the_moment() {
    let sink = Sink::start();
    let sendmail = Sendmail::start(sink.address(), &["unix:/nonexistent/milter.sock"]);
    let mut client = SmtpClient::connect(sendmail.address());
    client.ehlo();
    let reply = client.mail(&Letter::new("a@one.example", &["b@two.example"]));
    assert_eq!(reply.code, 451, "{reply}");
}

#[test]
fn a_signed_message_verifies_against_the_record_served() {
    let key = DkimKey::generate("candidats.example", "juin");
    let (name, text) = key.record();
    let dns = Dns::start(&[(&name, &text)]);
    let signed = key.sign(&compose(&[("From", "a@candidats.example"), ("Subject", "x")], "corps\r\n"));
    assert_eq!(verify(&dns, &signed), [DkimResult::Pass]);
    assert_eq!(dns.questions(), 1);
    let altered = String::from_utf8(signed).unwrap().replace("corps", "autre corps");
    assert!(matches!(verify(&dns, altered.as_bytes())[..], [DkimResult::Neutral(_) | DkimResult::Fail(_)]));
}

fn verify(dns: &Dns, message: &[u8]) -> Vec<DkimResult> {
    let mut connection = ConnectionConfig::udp();
    connection.port = dns.address().port();
    let server = NameServerConfig::new(dns.address().ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let authenticator = MessageAuthenticator::new(config, ResolverOpts::default()).unwrap();
        let message = AuthenticatedMessage::parse(message).unwrap();
        let outputs = authenticator.verify_dkim(&message).await;
        outputs.iter().map(|output| output.result().clone()).collect()
    })
}

#[test]
fn postfix_knows_the_certificate_of_a_client() {
    let sink = Sink::start();
    let options = Options { tls: true, ..Options::new(sink.address()).set("smtpd_tls_received_header", "yes") };
    let postfix = Postfix::start(&options);
    let certificate = postfix.client_ca().issue("liste-a", "liste-a.candidats.example");
    let letter = Letter::new("a@one.example", &["b@two.example"]);
    let outcome = postfix.send_over_tls(&letter, &certificate);
    assert!(outcome.is_accepted(), "{outcome:?}");
    let header = sink.wait_for_id(&letter.id).header();
    assert!(header.contains("Client CN \"liste-a.candidats.example\""), "{header}");
    assert!(header.contains("(verified OK)"), "{header}");
}
