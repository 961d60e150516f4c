//! The rules that change a message's shape: receipts, subject, list header fields, Reply-To, return path, banner, disclaimer.
//!
//! They choose the edits; [`crate::message::edit`] carries them out, and leaves alone what already is as it should be.

use super::answer::{Answer, mark};
use super::case::Case;
use super::facts::Content;
use super::rules::{BannerRule, DisclaimerRule, ListHeadersRule, ReceiptsRule, ReplyToRule, SubjectRule};
use super::verdict::{Effect, Evidence, ReasonCode};
use crate::message::edit::{Banner, BannerPlace, Edit, ListHeaders, SignedPolicy};

/// Rule `receipts` (cnrs:III.e, drancy:III.4.b): header fields, RCPT `NOTIFY=SUCCESS` (RFC 3461), and requests inside an
/// S/MIME signature (RFC 2634).
pub(super) fn receipts(case: &Case<'_>, rule: ReceiptsRule) -> Answer {
    let Some(content) = case.content else { return Answer::miss() };
    let notify = case.envelope.recipients.iter().flat_map(|recipient| &recipient.parameters).any(|parameter| {
        parameter.get(..7).is_some_and(|name| name.eq_ignore_ascii_case("NOTIFY="))
            && parameter.to_ascii_uppercase().contains("SUCCESS")
    });
    let mut fields = content.receipt_fields.clone();
    let signed = content.asks_signed_receipt();
    if fields.is_empty() && !notify && !signed {
        return Answer::miss();
    }
    let mut edits = Vec::new();
    if !fields.is_empty() {
        edits.push(Edit::RemoveReceiptRequests);
    }
    let kept = notify && case.envelope.keeps_notify;
    if notify {
        fields.push("NOTIFY=SUCCESS".to_owned());
    }
    if notify && !kept {
        edits.push(Edit::NeutraliseNotify);
    }
    if signed {
        fields.push("receiptRequest".to_owned());
    }
    if signed || kept {
        // It cannot be taken out, not without breaking the signature or not from this mail server: the message is marked.
        edits.push(mark(ReasonCode::ReceiptRequested));
    }
    let evidence = Evidence::Fields(fields);
    match rule {
        ReceiptsRule::Remove => Answer { edits, ..Answer::hit(ReasonCode::EditDue, Effect::Edit) }.because(evidence),
        ReceiptsRule::Reject => Answer::hit(ReasonCode::ReceiptRequested, Effect::Reject).because(evidence),
        ReceiptsRule::Pass => Answer::miss().because(evidence),
    }
}

/// Rule `subject` (cnrs:III.g; Defence 2014: the union is named in the subject).
pub(super) fn subject(case: &Case<'_>, rule: &SubjectRule) -> Answer {
    if !rule.names_sender() {
        return Answer::edit(Edit::TagSubject(rule.tag.clone()));
    }
    // Without a registered sender there is no name to put there, and the message is refused for that reason.
    match case.registered_sender() {
        Ok(sender) => Answer::edit(Edit::TagSubject(rule.tag_of(&sender.name))),
        Err(_) => Answer::miss(),
    }
}

/// Rule `list-headers` (cnrs:II.b, cnrs:III.d, pm:7).
pub(super) fn list_headers(case: &Case<'_>, rule: &ListHeadersRule) -> Answer {
    let Some(list) = case.list() else { return Answer::miss() };
    let fields = ListHeaders {
        label: list.label.clone(),
        // RFC 2919 section 2: a list-label and the domain it is unique in.
        id: format!("{}.{}", list.address.local(), list.address.domain()),
        unsubscribe: rule.unsubscribe.iter().map(|target| fill(target, &uri_fields(case))).collect(),
        one_click: rule.one_click,
        help: rule.help.as_ref().map(|target| fill(target, &uri_fields(case))),
        owner: rule.owner.as_ref().map(|target| fill(target, &uri_fields(case))),
    };
    let mut answer = Answer::edit(Edit::ListHeaders(fields));
    if rule.silence_automatic_answers {
        answer.edits.push(Edit::SuppressAutomaticAnswers);
    }
    answer
}

/// Rule `reply-to` (cnrs:III.f).
pub(super) fn reply_to(case: &Case<'_>, rule: &ReplyToRule) -> Answer {
    let mailbox = match rule {
        ReplyToRule::Mailbox(address) => Some(address.clone()),
        ReplyToRule::Sender => case.content.and_then(|content| content.names.from.one().cloned()),
    };
    match mailbox {
        Some(mailbox) => Answer::edit(Edit::ReplyTo(vec![mailbox])),
        None => Answer::miss(),
    }
}

/// Rule `return-path` (cnrs:II.c).
pub(super) fn return_path(case: &Case<'_>) -> Answer {
    match case.list().and_then(|list| list.return_path.as_ref()) {
        Some(address) if case.envelope.sender.as_ref() != Some(address) => {
            Answer::edit(Edit::ReturnPath(address.clone()))
        }
        _ => Answer::miss(),
    }
}

/// Rule `banner` (cnrs:III.d, cnrs:III.k, drancy:III.3.b).
pub(super) fn banner(case: &Case<'_>, rule: &BannerRule) -> Answer {
    let fields = banner_fields(case);
    let banners = [(BannerPlace::Header, &rule.header), (BannerPlace::Footer, &rule.footer)]
        .into_iter()
        .filter_map(|(place, text)| text.as_ref().map(|text| words(place, fill(text, &fields), rule.signed)))
        .collect::<Vec<_>>();
    if banners.is_empty() {
        return Answer::miss();
    }
    let signed = case.content.is_some_and(Content::signed);
    if signed && rule.signed == SignedPolicy::Reject {
        return Answer::hit(ReasonCode::SignatureInTheWay, Effect::Reject);
    }
    Answer { edits: banners, ..Answer::hit(ReasonCode::EditDue, Effect::Edit) }
}

/// Rule `disclaimer` (am:3.2.3): on mail that leaves the organisation, unless it is official and says so.
pub(super) fn disclaimer(case: &Case<'_>, rule: &DisclaimerRule) -> Answer {
    let Some(content) = case.content else { return Answer::miss() };
    // Mail from elsewhere that merely passes through carries no disclaimer of ours.
    let from_here =
        content.names.from.one().is_some_and(|from| case.charter.domains.iter().any(|domain| domain == from.domain()));
    let official = rule.official_header.as_ref().is_some_and(|name| content.has_field(name))
        || rule.official_subject_tag.as_ref().is_some_and(|tag| content.subject.contains(tag.as_str()));
    if !from_here || !case.addressed.outgoing || official {
        return Answer::miss();
    }
    if content.signed() && rule.signed == SignedPolicy::Reject {
        return Answer::hit(ReasonCode::SignatureInTheWay, Effect::Reject);
    }
    Answer::edit(words(BannerPlace::Footer, rule.text.clone(), rule.signed))
}

fn words(place: BannerPlace, text: String, signed: SignedPolicy) -> Edit {
    Edit::Banner(Banner { place, text, signed })
}

/// The names a banner may quote in braces, with their values for this message.
fn banner_fields<'a>(case: &Case<'a>) -> Vec<(&'static str, String)> {
    let list_headers = case.rules().list_headers.as_ref().map(|rule| &rule.settings);
    let list = case.list();
    let sender: Option<&'a str> = case.registered_sender().ok().map(|sender| sender.name.as_str());
    let unsubscribe = list_headers.and_then(|rule| {
        rule.unsubscribe.iter().find(|target| target.starts_with("https:")).or_else(|| rule.unsubscribe.first())
    });
    let uri = uri_fields(case);
    vec![
        ("list", list.map(|list| list.address.to_string()).unwrap_or_default()),
        ("label", list.map(|list| list.label.clone()).unwrap_or_default()),
        ("sender", sender.unwrap_or_default().to_owned()),
        ("unsubscribe", unsubscribe.map(|target| fill(target, &uri)).unwrap_or_default()),
        ("contest", case.charter.contest.clone().unwrap_or_default()),
        ("help", list_headers.and_then(|rule| rule.help.as_ref()).map(|target| fill(target, &uri)).unwrap_or_default()),
        ("reference", case.reference.to_owned()),
    ]
}

/// The names a URI may quote in braces, percent-encoded (RFC 3986 section 2.1).
fn uri_fields(case: &Case<'_>) -> Vec<(&'static str, String)> {
    let list = case.list().map(|list| list.address.to_string()).unwrap_or_default();
    vec![("list", percent_encoded(&list))]
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
    encoded
}

/// Fills in `{name}`; a name nobody knows stays as it is (the configuration refuses it long before).
fn fill(template: &str, fields: &[(&'static str, String)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let known = after
            .split_once('}')
            .and_then(|(name, tail)| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (value, tail)));
        let (filled, tail) = known.map_or(("{", after), |(value, tail)| (value.as_str(), tail));
        text.push_str(filled);
        rest = tail;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::{fill, percent_encoded};

    #[test]
    fn fields_are_filled_in_once_and_unknown_braces_stay() {
        let fields = [("list", "a{sender}@b".to_owned()), ("sender", "X".to_owned())];
        assert_eq!(fill("{list} {sender} {} {other} {", &fields), "a{sender}@b X {} {other} {");
    }

    #[test]
    fn an_address_in_a_uri_is_percent_encoded() {
        assert_eq!(percent_encoded("a+b@é.fr"), "a%2Bb%40%C3%A9.fr");
    }
}
