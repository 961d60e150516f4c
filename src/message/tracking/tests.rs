use super::super::mime::{Limits, parse};
use super::*;

/// The message without its trackers, and what was found.
fn cleaned(raw: &[u8]) -> (Vec<u8>, Vec<TrackerKind>) {
    let tree = parse(raw, &Limits::default());
    let found = find(raw, &tree);
    let kinds = found.iter().map(|tracker| tracker.kind).collect();
    let Some((made, count)) = remove(raw, &tree, &found) else { return (raw.to_vec(), kinds) };
    assert_eq!(count, found.iter().filter(|t| t.kind.is_removable()).count());
    let tree = parse(&made, &Limits::default());
    assert_eq!(remove(&made, &tree, &find(&made, &tree)), None, "a second run changes nothing");
    (made, kinds)
}

fn html(body: &str) -> (String, Vec<TrackerKind>) {
    let head = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    let (made, kinds) = cleaned(format!("{head}{body}").as_bytes());
    (String::from_utf8(made).unwrap().strip_prefix(head).unwrap().to_owned(), kinds)
}

#[test]
fn invisible_remote_pictures_go() {
    for pixel in [
        "<img src=\"https://t.example/o.gif\" width=\"1\" height=\"1\">",
        "<IMG SRC='http://t.example/o?u=1' HEIGHT=1 WIDTH=1 alt=''/>",
        "<img src=//t.example/o style=\"width:1px; height: 1px !important\">",
        "<img src=\"https://t.example/o\" style=\"display : none\">",
        "<img src=\"https://t.example/o\" style=\"max-height:0;overflow:hidden\">",
        "<img hidden src=\"https://t.example/o\">",
        "<img src=\"https://t.example/o\" width=0>",
        "<img src=\"https://x.us1.list-manage.com/track/open.php?u=1&amp;id=2&amp;e=3\">",
        "<img src=\"https://u1.ct.sendgrid.net/wf/open?upn=x\" alt=\"\">",
        "<image src=\"https://t.example/o.gif\" width=1 height=1>",
        "<input type=image src=\"https://t.example/o.gif\" style=\"display:none\">",
        "<img srcset=\"https://t.example/o.gif 1x\" width=1 height=1>",
        "<img src=\"cid:a\" srcset=\"https://t.example/o.gif 1x\" width=1 height=1>",
    ] {
        assert_eq!(
            html(&format!("<p>é</p>{pixel}<p>b</p>")),
            ("<p>é</p><p>b</p>".to_owned(), vec![TrackerKind::Pixel]),
            "{pixel}"
        );
    }
    let (made, kinds) = html("<div style='display:none'>pre <img src='https://t.example/o.gif'></div>b");
    assert_eq!((made.as_str(), kinds.len()), ("<div style='display:none'>pre </div>b", 1));
    let (made, kinds) = html("<td width=1 height=1 background='https://t.example/o.gif'>");
    assert_eq!((made.as_str(), kinds.len()), ("<td width=1 height=1 background=''>", 1));
}

#[test]
fn pictures_that_are_seen_or_not_remote_stay() {
    for picture in [
        "<img src=\"https://t.example/logo.png\" width=\"100\" height=\"1\">",
        "<img src=\"https://t.example/logo.png\">",
        "<img src=\"https://t.example/logo.png?u=1234\" style=\"max-width:100%;border:0\">",
        "<img src=\"cid:logo\" width=1 height=1>",
        "<img src=\"data:image/gif;base64,R0lGOD\" width=1 height=1>",
        "<img width=1 height=1>",
        "<p style='display:none'>never closed<img src='https://t.example/logo.png'>",
        "<!-- <img src=\"https://t.example/o.gif\" width=1 height=1> -->",
        "<table width=600 background=\"https://t.example/paper.png\">",
        "<input type=text src=\"https://t.example/o.gif\" width=1 height=1>",
        "<noscript><img src=\"https://t.example/logo.png\"></noscript>",
        "<img src=\"https://t.example/open/day.png\" width=\"50%\" height=\"10em\">",
    ] {
        assert_eq!(html(picture), (picture.to_owned(), vec![]), "{picture}");
    }
}

#[test]
fn parameters_that_name_the_recipient_go_from_links() {
    for (link, without) in [
        ("https://a.example/?mc_eid=1", "https://a.example/"),
        ("https://a.example/p?x=1&amp;mc_eid=2&amp;y=3#z", "https://a.example/p?x=1&amp;y=3#z"),
        ("https://a.example/p?mc_eid=2&y=3", "https://a.example/p?y=3"),
        ("https://a.example/p?mc_eid=2&_hsenc=4&y=3&MKT_TOK=5", "https://a.example/p?y=3"),
        ("https://a.example/p?mc_eid=2&_hsenc=4#mc_eid=1", "https://a.example/p#mc_eid=1"),
    ] {
        let (made, kinds) = html(&format!("<a class=x href=\"{link}\">é</a>"));
        assert_eq!(made, format!("<a class=x href=\"{without}\">é</a>"), "{link}");
        assert!(kinds.iter().all(|kind| *kind == TrackerKind::LinkParameter) && !kinds.is_empty());
    }
    for link in [
        "https://a.example/?utm_source=x&mc_cid=3",
        "https://a.example/mc_eid=1",
        "mailto:a@b.example?subject=mc_eid=1",
        "https://a.example/?q=mc_eid",
    ] {
        let whole = format!("<a href=\"{link}\">a</a>");
        assert_eq!(html(&whole), (whole, vec![]), "{link}");
    }
}

#[test]
fn what_only_outlook_shows_reports_on_readers_too() {
    let pixel = "<img src=\"https://t.example/o.gif\" width=1 height=1>";
    assert_eq!(html(&format!("a<!--[if mso]><p>b</p>{pixel}<![endif]-->")).0, "a<!--[if mso]><p>b</p><![endif]-->");
}

#[test]
fn what_stands_in_noscript_is_shown_where_no_scripts_run() {
    let pixel = "<img src=\"https://t.example/o.gif\" width=1 height=1>";
    assert_eq!(html(&format!("a<noscript><p>b</p>{pixel}</noscript>")).0, "a<noscript><p>b</p></noscript>");
    assert_eq!(
        html(&format!("<NOSCRIPT>a</noscript>{pixel}b")),
        ("<NOSCRIPT>a</noscript>b".to_owned(), vec![TrackerKind::Pixel])
    );
    let link = html("<noscript><a href=\"https://a.example/?mc_eid=1\">é</a></noscript>");
    assert_eq!(link.0, "<noscript><a href=\"https://a.example/\">é</a></noscript>");
}

#[test]
fn links_in_plain_text_too() {
    let text = "Voir https://a.example/p?mc_eid=1&x=2, <http://a.example/?mc_eid=2> et http:// fin";
    let head = "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
    let (made, _) = cleaned(format!("{head}{}", text.replace('=', "=3D")).as_bytes());
    let expected = "Voir https://a.example/p?x=3D2, <http://a.example/> et http:// fin";
    assert_eq!(String::from_utf8(made).unwrap(), format!("{head}{expected}"));
}

#[test]
fn a_link_that_says_not_where_it_leads_is_found_and_stays() {
    let link = "<a href=\"https://x.us1.list-manage.com/track/click?u=1&amp;id=2&amp;e=3\">a</a>";
    assert_eq!(html(link), (link.to_owned(), vec![TrackerKind::OpaqueLink]));
    let other = "<a href=\"https://list-manage.com.example/track/click?u=1\">a</a>";
    assert_eq!(html(other), (other.to_owned(), vec![]));
}

#[test]
fn signed_and_wide_texts() {
    let pixel = "<img src=\"https://t.example/o.gif\" width=1 height=1>";
    let signed = format!(
        "Content-Type: multipart/signed; boundary=a\r\n\r\n--a\r\nContent-Type: text/html\r\n\r\n{pixel}\r\n--a\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--a--\r\n"
    );
    let tree = parse(signed.as_bytes(), &Limits::default());
    let found = find(signed.as_bytes(), &tree);
    assert!(found.len() == 1 && found[0].is_signed);
    assert_eq!(remove(signed.as_bytes(), &tree, &found), None);
    let units = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let message = |text: &str| {
        let head = "Content-Type: text/html; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n";
        [head.as_bytes(), &splice::base64(&units(text), "\r\n")].concat()
    };
    let (made, _) = cleaned(&message(&format!("é🗳{pixel}à")));
    assert_eq!(made, message("é🗳à"));
}
