use super::super::mime::{Limits, parse};
use super::*;

const FOOTER: &str = "Message électoral.\nDésinscription : https://e.example/u?a=1&b=2";

fn words(before: &[&str], after: &[&str]) -> Words {
    let own = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect();
    Words { before: own(before), after: own(after), declaration: None }
}

/// Adds words to a message given with LF; a second run must find nothing to do.
fn added(raw: &[u8], words: &Words, signed: SignedPolicy) -> Vec<u8> {
    let done = add(raw, &parse(raw, &Limits::default()), words, signed).unwrap();
    let again = add(&done, &parse(&done, &Limits::default()), words, signed);
    assert_eq!(again, Err(NotAdded::Present), "{}", String::from_utf8_lossy(&done));
    done
}

fn footed(message: &str) -> String {
    let raw = message.replace('\n', "\r\n");
    let done = added(raw.as_bytes(), &words(&[], &[FOOTER]), SignedPolicy::Wrap);
    String::from_utf8(done).unwrap().replace("\r\n", "\n")
}

const PLAIN: &str =
    "\n________________________________________\nMessage électoral.\nDésinscription : https://e.example/u?a=1&b=2\n";
const QUOTED: &str = "\n________________________________________\nMessage =C3=A9lectoral.\nD=C3=A9sinscription : https://e.example/u?a=3D1&b=3D2\n";

/// What the mail-parser crate reads as the texts of a message.
fn texts(raw: &[u8]) -> Vec<String> {
    let message = mail_parser::MessageParser::new().parse(raw).unwrap();
    message.text_bodies().map(|part| part.text_contents().unwrap().replace("\r\n", "\n")).collect()
}

#[test]
fn plain_text_in_utf_8() {
    let message = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nDéjà.\n";
    assert_eq!(footed(message), format!("{message}{PLAIN}"));
    let message = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nD=c3=a9j=\n=C3=A0=2E\n";
    assert_eq!(footed(message), format!("{message}{QUOTED}"));
}

#[test]
fn plain_ascii_text_becomes_utf_8_and_says_so() {
    let done = footed("Subject: x\n\nBonjour = oui\n");
    assert_eq!(
        done,
        format!(
            "Subject: x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\n\nBonjour =3D oui\n{QUOTED}"
        )
    );
    let ascii = added(b"Subject: x\r\n\r\nBonjour\r\n", &words(&[], &["Elections"]), SignedPolicy::Reject);
    assert_eq!(
        String::from_utf8(ascii).unwrap(),
        format!("Subject: x\r\n\r\nBonjour\r\n\r\n{}\r\nElections\r\n", "_".repeat(40))
    );
}

#[test]
fn parameters_of_the_type_are_kept_when_the_charset_changes() {
    let done = footed("Content-type: text/plain;\n charset=us-ascii; format=flowed; delsp=yes\n\nBonjour \n");
    assert!(
        done.starts_with(
            "Content-Type: text/plain; charset=utf-8;\n format=\"flowed\";\n delsp=\"yes\"\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\n\nBonjour=20\n\n\n____"
        ),
        "{done}"
    );
}

#[test]
fn other_charsets_are_kept_when_they_have_the_words() {
    for (label, bytes) in
        [("iso-8859-1", &b"D\xe9j\xe0"[..]), ("ISO-8859-15", b"D\xe9j\xe0 \xa4"), ("windows-1252", b"D\xe9j\xe0 \x80")]
    {
        let head = format!("Content-Type: text/plain; charset={label}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        let raw = [head.as_bytes(), bytes, b"\r\n"].concat();
        let done = added(&raw, &words(&[], &[FOOTER]), SignedPolicy::Reject);
        assert!(done.starts_with(&raw), "{label}");
        assert!(
            texts(&done)[0].ends_with("Message électoral.\nDésinscription : https://e.example/u?a=1&b=2\n"),
            "{label}"
        );
    }
}

#[test]
fn a_charset_that_lacks_a_character_gives_way_to_utf_8() {
    for (encoding, body) in
        [("8bit", &b"D\xe9j\xe0\r\n"[..]), ("quoted-printable", b"D=E9j=\r\n=E0\r\n"), ("base64", b"ROlq4A==\r\n")]
    {
        let head =
            format!("Content-Transfer-Encoding: {encoding}\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n");
        let done = added(&[head.as_bytes(), body].concat(), &words(&[], &["L’œuvre – 5 €"]), SignedPolicy::Reject);
        let text = &texts(&done)[0];
        assert!(text.starts_with("Déjà") && text.trim_end().ends_with("L’œuvre – 5 €"), "{text}");
        assert!(String::from_utf8_lossy(&done).contains("charset=utf-8"));
    }
}

#[test]
fn undeclared_eight_bit_text() {
    let done = added("A: b\r\n\r\nDéjà\r\n".as_bytes(), &words(&[], &[FOOTER]), SignedPolicy::Reject);
    assert!(String::from_utf8(done.clone()).unwrap().contains("charset=utf-8"));
    assert!(texts(&done)[0].starts_with("Déjà\n"));
    let done = added(b"A: b\r\n\r\nD\xe9j\xe0\r\n", &words(&[], &[FOOTER]), SignedPolicy::Reject);
    assert!(done.starts_with(b"A: b\r\n\r\nD\xe9j\xe0\r\n\r\n____"));
    assert!(done.windows(4).any(|w| w == b"D\xe9si"));
}

#[test]
fn utf_16_in_base64_and_quoted_printable() {
    for (label, little, mark) in
        [("utf-16", true, true), ("utf-16", false, false), ("utf-16le", true, false), ("utf-16", false, true)]
    {
        let units = |text: &str| -> Vec<u8> {
            text.encode_utf16().flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect()
        };
        let mut octets = if mark { units("\u{feff}") } else { Vec::new() };
        octets.extend(units("Déjà 🗳\r\n"));
        let escaped = octets.iter().fold(String::new(), |text, octet| text + &format!("={octet:02X}"));
        let bodies = [("base64", splice::base64(&octets, "\r\n")), ("quoted-printable", escaped.into_bytes())];
        for (kind, (encoding, body)) in
            ["plain", "html"].into_iter().flat_map(|kind| bodies.iter().map(move |b| (kind, b)))
        {
            let head =
                format!("Content-Type: text/{kind}; charset={label}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
            let raw = [head.as_bytes(), body].concat();
            let done = added(&raw, &words(&["Tête é"], &[FOOTER]), SignedPolicy::Reject);
            let tree = parse(&done, &Limits::default());
            let root = tree.root().unwrap();
            let body = decode::transfer(root.encoding, &done[root.body.clone()]);
            let body = if mark {
                assert_eq!(&body[..2], &units("\u{feff}")[..]);
                &body[2..]
            } else {
                &body[..]
            };
            let units: Vec<u16> = body
                .chunks(2)
                .map(|c| if little { u16::from_le_bytes([c[0], c[1]]) } else { u16::from_be_bytes([c[0], c[1]]) })
                .collect();
            let text = String::from_utf16(&units).unwrap();
            assert!(text.contains("Déjà 🗳\r\n"), "{text}");
            assert_eq!(text.contains("Tête é") && text.contains("Message électoral"), kind == "plain", "{text}");
            assert_eq!(text.contains("T&#234;te") && text.contains("Message &#233;lectoral"), kind == "html", "{text}");
        }
    }
}

#[test]
fn html_takes_the_words_before_the_end_of_its_body() {
    let message = "Content-Type: text/html; charset=iso-8859-1\n\n<!doctype html><html><body class=x><p>a</p><!-- </body> --></body></html>\n";
    let done = footed(message);
    let (head, tail) = message.split_once("</body></html>").unwrap();
    assert!(
        done.starts_with(head) && done.ends_with(&format!("</body>{}", &tail))
            || done.ends_with("</div>\n</body></html>\n"),
        "{done}"
    );
    assert!(
        done.contains(
            "D&#233;sinscription : <a href=\"https://e.example/u?a=1&amp;b=2\" style=\"display:inline!important;"
        ),
        "{done}"
    );
    let raw = message.replace('\n', "\r\n");
    let done = added(raw.as_bytes(), &words(&["Tête <b> x@y.example"], &[]), SignedPolicy::Reject);
    let done = String::from_utf8(done).unwrap();
    assert!(done.contains("<body class=x>\r\n<div data-charter"), "{done}");
    assert!(done.contains("T&#234;te &lt;b&gt; <a href=\"mailto:x@y.example\" style="), "{done}");
    assert!(done.contains(">x@y.example</a>\r\n</div>\r\n<p>a</p>"), "{done}");
}

#[test]
fn html_without_body_tags() {
    for (html, end) in [
        ("<p>a</p>\n", "</div>\n"),
        ("<p>a</p></BODY></html>\n", "</div>\n</BODY></html>\n"),
        ("<html><head></head>a</html>", "</div>\n</html>"),
    ] {
        let done = footed(&format!("Content-Type: text/html\n\n{html}"));
        assert!(done.ends_with(end), "{done}");
    }
}

#[test]
fn html_that_would_hide_the_words_is_put_beside_them() {
    for html in [
        "<p>a</p><!-- ",
        "<p>a</p><div style='display: none'>",
        "<p>a<script>",
        "<textarea>",
        "<div hidden>",
        "<select>",
        "<p>a</p><div style=\"display:NONE\"><div data-charter=''></div></body>",
        "<details>",
        "<div style='height:0;overflow:hidden'>",
        "<div style='d\\69splay:none'>",
        "<style>.h{display:none}</style><div class=h>",
        "<style>center{display:none}</style><center>",
        "<section><span id=h><b>a</b>",
        "<frameset><frame src=x></frameset>",
        &"<b>".repeat(10_000),
    ] {
        let done = footed(&format!("Content-Type: text/html\n\n<html><body>{html}\n"));
        assert!(done.starts_with("Content-Type: multipart/mixed"), "{done}");
        assert!(done.contains("Message =C3=A9lectoral"), "{done}");
    }
    for html in [
        "<div style='display:none'>preheader</div><p>a</p>",
        "<div class=m><div style='display:none'>preheader<span class=x>a</div>b</div>",
        "<style>p{color:red}</style><p class=x>a<p style='display:none'>b",
        "<center><font size=2>a",
        "<body class=x style='margin:0'><table class=y><tr><td class=z>a</table>",
        "<ul class=x><li class=y>a<li class=y>b</ul>",
    ] {
        let done = footed(&format!("Content-Type: text/html\n\n{html}\n"));
        assert!(done.starts_with("Content-Type: text/html"), "{html}: {done}");
    }
}

#[test]
fn every_alternative_has_the_words_and_attachments_have_none() {
    let message = "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\none\n--b\nContent-Type: multipart/related; boundary=c\n\n--c\nContent-Type: text/html\n\n<p>one\n--c\nContent-Type: image/png\nContent-ID: <x>\nContent-Transfer-Encoding: base64\n\niVBO\n--c--\n--b--\n--a\nContent-Type: text/plain; name=x.txt\n\nfile\n--a\nContent-Type: message/rfc822\n\nSubject: y\n\ninner\n--a--\n";
    let done = footed(message);
    assert_eq!(done.matches("lectoral.").count(), 2, "{done}");
    assert!(
        done.contains(&format!("one\n{}--b\n", PLAIN.trim_end().to_owned() + "\n").replacen("one\n", "one\n", 1)),
        "{done}"
    );
    assert!(done.ends_with(message.split_once("<p>one").unwrap().1), "{done}");
}

#[test]
fn signed_mail_follows_the_policy() {
    let message = "Content-Type: multipart/signed; boundary=a; protocol=\"application/pgp-signature\"\n\n--a\n\nsigned\n--a\nContent-Type: application/pgp-signature\n\nsig\n--a--\n".replace('\n', "\r\n");
    let tree = parse(message.as_bytes(), &Limits::default());
    let footer = words(&[], &[FOOTER]);
    assert_eq!(add(message.as_bytes(), &tree, &footer, SignedPolicy::Reject), Err(NotAdded::Signed));
    assert_eq!(add(message.as_bytes(), &tree, &footer, SignedPolicy::Pass), Err(NotAdded::SignedKept));
    let wrapped = String::from_utf8(added(message.as_bytes(), &footer, SignedPolicy::Wrap)).unwrap();
    assert!(wrapped.starts_with("Content-Type: multipart/mixed"), "{wrapped}");
    assert!(wrapped.contains(message.trim_end()), "{wrapped}");
    let broken = String::from_utf8(added(message.as_bytes(), &footer, SignedPolicy::Break)).unwrap();
    assert!(broken.starts_with("Content-Type: multipart/signed"), "{broken}");
    assert!(broken.contains("signed\r\n\r\n____"), "{broken}");
}

#[test]
fn a_message_without_text_gets_a_part_for_the_words() {
    for body in [
        "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBO\n",
        "Content-Type: text/plain; charset=x-nobody\n\nabc\n",
        "Content-Type: text/plain; charset=utf-7\n\n+AOk-\n",
        "Content-Transfer-Encoding: x-y\n\nabc\n",
    ] {
        let done = footed(body);
        assert!(done.starts_with("Content-Type: multipart/mixed"), "{done}");
        assert!(done.contains(body.trim_end()), "{done}");
    }
}

#[test]
fn several_words_and_the_declaration() {
    let all = Words { declaration: Some("Modifications : une.".to_owned()), ..words(&["T1"], &["A", "B"]) };
    let raw = b"A: b\r\n\r\nx\r\n";
    let done = String::from_utf8(added(raw, &all, SignedPolicy::Reject)).unwrap();
    let rule = "_".repeat(40);
    assert_eq!(
        done,
        format!("A: b\r\n\r\nT1\r\n{rule}\r\n\r\nx\r\n\r\n{rule}\r\nModifications : une.\r\n\r\nA\r\n\r\nB\r\n")
    );
    // Only what is missing is added.
    let tree = parse(done.as_bytes(), &Limits::default());
    assert_eq!(add(done.as_bytes(), &tree, &words(&["T1"], &["B"]), SignedPolicy::Reject), Err(NotAdded::Present));
    let more = added(done.as_bytes(), &words(&["T1"], &["B", "C"]), SignedPolicy::Reject);
    assert_eq!(String::from_utf8(more).unwrap(), format!("{done}\r\n{rule}\r\nC\r\n"));
}

#[test]
fn words_quoted_in_an_answer_are_not_ours() {
    let raw = "A: b\r\n\r\nOui.\r\n> Message =\r\n> Elections\r\n";
    let done = added(raw.as_bytes(), &words(&[], &["Elections"]), SignedPolicy::Reject);
    assert!(done.starts_with(raw.as_bytes()) && done.len() > raw.len());
}

#[test]
fn fields_are_not_added_behind_a_line_of_blanks() {
    let message = "Content-Type: multipart/mixed; boundary=b\n\n--b\nX-A: c\n \n\nText.\n--b--\n";
    let done = footed(message);
    assert!(done.contains("--b\nX-A: c\nContent-Type: text/plain; charset=utf-8\n"), "{done}");
    let raw = done.replace('\n', "\r\n");
    assert_eq!(parse(raw.as_bytes(), &Limits::default()).ambiguities(), []);
}

#[test]
fn words_stand_under_no_condition() {
    let head = "Content-Type: text/html; charset=utf-8\n\n";
    for (before, after) in [
        ("<body><p>a</p>", "<!--[if !mso]><!--></body></html><!--<![endif]-->\n"),
        ("<body><p>a</p>", "<![if !mso]></body></html><![endif]>\n"),
        (
            "<body><!--[if mso]><table><tr><td><![endif]--><p>a</p><!--[if mso]></td></tr></table><![endif]-->",
            "</body>\n",
        ),
    ] {
        let done = footed(&format!("{head}{before}{after}"));
        assert!(done.starts_with(&format!("{head}{before}\n<div data-charter")), "{done}");
        assert!(done.ends_with(&format!("</div>\n{after}")), "{done}");
    }
    let raw = format!("{head}<!--[if !mso]><!--><body><!--<![endif]--><p>a</p></body>").replace('\n', "\r\n");
    let done = added(raw.as_bytes(), &words(&["Campagne"], &[]), SignedPolicy::Wrap);
    let done = String::from_utf8(done).unwrap();
    assert!(done.contains("<!--<![endif]-->\r\n<div data-charter"), "{done}");
}
