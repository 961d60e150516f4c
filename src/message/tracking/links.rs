//! Links that carry who was sent them.

use std::cell::RefCell;
use std::ops::Range;

use lol_html::{AsciiCompatibleEncoding, HtmlRewriter, Settings, element};

use super::TrackerKind;

/// Parameters with which mailing services name the recipient, with the service; compared without regard to case.
/// Parameters that name a campaign (`utm_…`, `mc_cid`) are not among them.
const RECIPIENT_PARAMETERS: &[&str] = &[
    "mc_eid",             // Mailchimp
    "_hsenc",             // HubSpot
    "_hsmi",              // HubSpot
    "mkt_tok",            // Marketo
    "vero_id",            // Vero
    "oly_enc_id",         // Omeda
    "oly_anon_id",        // Omeda
    "ml_subscriber",      // MailerLite
    "ml_subscriber_hash", // MailerLite
    "_kx",                // Klaviyo
    "ck_subscriber_id",   // Kit
    "spuserid",           // Acoustic
    "sprecipientid",      // Acoustic
    "elqtrackid",         // Eloqua
    "elqtrack",           // Eloqua
    "dm_i",               // Dotdigital
    "bbeml",              // Blackbaud
    "wickedid",           // Wicked Reports
    "trk_contact",        // Listrak
    "trk_sid",            // Listrak
    "rb_clickid",         // Rakuten
    "at_recipient_id",    // AT Internet (Piano)
    "at_recipient_list",  // AT Internet (Piano)
    "acy_subid",          // AcyMailing
    "subid_acym",         // AcyMailing
    "mautic_contact",     // Mautic
    "nl_subscriber",      // Mailpoet and others
    "et_subscriberkey",   // Salesforce
    "sfmc_sub",           // Salesforce
    "sfmc_id",            // Salesforce
    "sib_contact",        // Brevo
    "actrecipient",       // Actito
    "emv_recipient",      // Emarsys
    "sc_uid",             // Emarsys
];

/// Counters of mailing services that keep the place a link leads to for themselves: the end of the host, and how the path
/// begins.
const OPAQUE_COUNTERS: &[(&str, &str)] = &[
    ("list-manage.com", "/track/click"),
    ("mandrillapp.com", "/track/click"),
    ("sendgrid.net", "/ls/click"),
    ("sendgrid.net", "/wf/click"),
    ("hubspotlinks.com", "/"),
    ("hs-sites.com", "/e2t/"),
    ("mjt.lu", "/lnk/"),
    ("sendibt1.com", "/mk/cl/"),
    ("sendibt2.com", "/mk/cl/"),
    ("sendibt3.com", "/mk/cl/"),
    ("r.mailin.fr", "/"),
    ("mlsend.com", "/link/c/"),
    ("mlsend.com", "/cr/"),
    ("klclick.com", "/ls/click"),
    ("klclick1.com", "/ls/click"),
    ("exct.net", "/"),
    ("cmail19.com", "/t/"),
    ("cmail20.com", "/t/"),
    ("rs6.net", "/tn.jsp"),
    ("awstrack.me", "/l0/"),
];

/// A longer link is not looked at; browsers stop earlier.
const LINK_BYTES_MAX: usize = 8192;

type Places = Vec<(Range<usize>, TrackerKind)>;

/// Trackers in the links of HTML.
pub(super) fn in_html(html: &[u8]) -> Places {
    let found = RefCell::new(Vec::new());
    let settings = Settings::new()
        .append_element_content_handler(element!("a[href], area[href]", |element| {
            let attribute = element.attributes().iter().find(|attribute| attribute.name() == "href");
            let place = attribute.and_then(|attribute| Some(attribute.value_source_location()?.bytes()));
            if let Some(place) = place {
                look_at(html, place, &mut found.borrow_mut());
            }
            Ok(())
        }))
        .with_encoding(AsciiCompatibleEncoding::utf_8())
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    let done = rewriter.write(html).and_then(|()| rewriter.end());
    if done.is_ok() { found.into_inner() } else { Vec::new() }
}

/// Trackers in the links of plain text.
pub(super) fn in_text(text: &[u8]) -> Places {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(colon) = text.get(at..).and_then(|rest| memchr::memmem::find(rest, b"://")).map(|place| at + place) {
        let rest = text.get(colon..).unwrap_or_default();
        let ends = |b: &u8| b.is_ascii_whitespace() || b.is_ascii_control() || b"<>\"".contains(b);
        let end = colon + rest.iter().position(ends).unwrap_or(rest.len());
        let before = text.get(at..colon).unwrap_or_default().to_ascii_lowercase();
        let scheme = if before.ends_with(b"https") { 5 } else { 4 };
        if before.ends_with(b"http") || before.ends_with(b"https") {
            look_at(text, colon - scheme..end, &mut found);
        }
        at = end;
    }
    found
}

/// Looks at one link, given by its place in the source. In HTML `&` may be written `&amp;`.
fn look_at(source: &[u8], place: Range<usize>, found: &mut Places) {
    let Some(link) = source.get(place.clone()).filter(|link| link.len() <= LINK_BYTES_MAX) else { return };
    let text = String::from_utf8_lossy(link).trim().to_ascii_lowercase();
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let is_counter = OPAQUE_COUNTERS.iter().any(|(of, start)| {
        let is_host = host.strip_suffix(of).is_some_and(|before| before.is_empty() || before.ends_with('.'));
        is_host && path.starts_with(start)
    });
    if is_counter {
        return found.push((place, TrackerKind::OpaqueLink));
    }
    let removals = recipient_parameters(link);
    found
        .extend(removals.into_iter().map(|r| (place.start + r.start..place.start + r.end, TrackerKind::LinkParameter)));
}

/// The parameters of a link that name the recipient, each with a separator, so that what remains is a link.
fn recipient_parameters(link: &[u8]) -> Vec<Range<usize>> {
    let end = link.iter().position(|&b| b == b'#').unwrap_or(link.len());
    let Some(query) = link.get(..end).and_then(|link| link.iter().position(|&b| b == b'?')) else { return Vec::new() };
    // Each parameter with the separator before it.
    let mut parameters: Vec<(usize, Range<usize>)> = Vec::new();
    let mut separator = query;
    let mut start = query + 1;
    loop {
        let rest = link.get(start..end).unwrap_or_default();
        let length = rest.iter().position(|&b| b == b'&').unwrap_or(rest.len());
        parameters.push((separator, start..start + length));
        if start + length >= end {
            break;
        }
        separator = start + length;
        let escaped = link.get(separator..separator + 5).is_some_and(|b| b.eq_ignore_ascii_case(b"&amp;"));
        start = separator + if escaped { 5 } else { 1 };
    }
    let names_recipient = |place: &Range<usize>| {
        let name = link.get(place.clone()).and_then(|p| p.split(|&b| b == b'=').next()).unwrap_or_default();
        RECIPIENT_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    };
    let mut removals = Vec::new();
    let kept = parameters.iter().filter(|(_, place)| !names_recipient(place)).count();
    let mut is_first = true;
    for (at, (separator, place)) in parameters.iter().enumerate() {
        if !names_recipient(place) {
            is_first = false;
        } else if kept == 0 || !is_first {
            // With the separator before it; with the question mark when nothing else remains.
            removals.push(*separator..place.end);
        } else {
            // The first parameters keep the question mark and take the separator behind them.
            let end = parameters.get(at + 1).map_or(place.end, |(_, next)| next.start);
            removals.push(place.start..end);
        }
    }
    removals
}
