//! The edits of header fields: receipts, replies, list fields, automatic answers, marks. Each says how many fields it
//! changed; none changes anything when run again.

use super::ListHeaders;
use crate::message::address::Address;
use crate::message::headers::{Draft, Field, Header, receipt_request, words};

/// Fields that lead answers somewhere else than Reply-To: to the list, or to others (cnrs:III.f).
const REPLY_FIELDS: &[&str] = &["Mail-Followup-To", "Mail-Reply-To", "Resent-Reply-To", "Followup-To", "List-Post"];

/// Fields that another list left behind and that would speak for ours. `List-` and `X-List-` fields go by their prefix.
/// What list managers use against loops (X-Loop, X-BeenThere) stays.
const LIST_FIELDS: &[&str] =
    &["Mailing-List", "X-Mailing-List", "Archived-At", "X-Archived-At", "Errors-To", "X-Unsubscribe-Web"];

/// What automatic responders of Exchange must not send (MS-OXCMAIL section 2.2.3.2.14): everything but
/// non-delivery reports, which the list's own return path is there for.
const SUPPRESSED_RESPONSES: &str = "DR, RN, NRN, OOF, AutoReply";

/// Deletes every request for a receipt.
pub(super) fn remove_receipt_requests(draft: &mut Draft) -> usize {
    draft.delete(|_, field| receipt_request(field).is_some())
}

/// Directs answers to these mailboxes and nowhere else; with none of them, to the author as From has it.
pub(super) fn direct_replies(draft: &mut Draft, mailboxes: &[Address]) -> usize {
    let mut changed = draft.delete(|_, field| REPLY_FIELDS.iter().any(|name| field.is(name)));
    // What one program cannot read leads another somewhere.
    let is_right = |field: &Field| {
        let said = field.mailboxes();
        !said.unreadable && !said.group && said.list.iter().map(|mailbox| &mailbox.address).eq(mailboxes)
    };
    if draft.header().count("Reply-To") == 1 && draft.header().first("Reply-To").is_some_and(is_right) {
        return changed;
    }
    // The first field is given another value, those after it would be read by some programs.
    let first = draft.header().fields().iter().position(|field| field.is("Reply-To"));
    let keep_first = !mailboxes.is_empty();
    changed += draft.delete(|place, field| field.is("Reply-To") && !(keep_first && first == Some(place)));
    if keep_first {
        // The author's own mailbox is written as the author does.
        let author = draft.header().from().ok();
        let written = |mailbox: &Address| match &author {
            Some(author) if author.address == *mailbox && author.written.is_ascii() => author.written.clone(),
            _ => mailbox.to_string(),
        };
        let list: Vec<String> = mailboxes.iter().map(written).collect();
        draft.set("Reply-To", folded_list(&list, "Reply-To: ".len()));
        changed += 1;
    }
    changed
}

/// Why list fields could not be written as wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoHttpsTarget;

/// Puts the list's own fields in the place of inherited ones.
///
/// # Errors
/// One-click unsubscription was wished for, and there is no https target (RFC 8058 section 3.1); everything else is done.
pub(super) fn set_list_fields(draft: &mut Draft, list: &ListHeaders) -> Result<usize, NoHttpsTarget> {
    let wanted = list_fields(list);
    let is_right = {
        let present: Vec<&Field> = draft.header().fields().iter().filter(|field| is_list_field(field)).collect();
        present.len() == wanted.len()
            && present.iter().all(|field| wanted.iter().any(|(name, value)| field.is(name) && says(field, value)))
    };
    let mut changed = 0;
    if !is_right {
        changed = draft.delete(|_, field| is_list_field(field)) + wanted.len();
        for (name, value) in wanted {
            draft.append(name, value);
        }
    }
    if list.one_click && !list.unsubscribe.iter().any(|uri| is_https(uri)) { Err(NoHttpsTarget) } else { Ok(changed) }
}

/// The fields of RFC 2369, 2919 and 8058, in their customary order, values raw. There is no List-Post: answers do not
/// go to the list (cnrs:III.f).
fn list_fields(list: &ListHeaders) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = Vec::new();
    if !list.id.is_empty() {
        let phrase = words::encode_phrase(&list.label, "List-Id: ".len());
        let last_line = phrase.rsplit('\n').next().map_or(0, str::len);
        let column = if phrase.contains('\n') { last_line } else { last_line + "List-Id: ".len() };
        let id = format!("<{}>", list.id);
        let gap = if column + 1 + id.len() > words::LINE_BYTES_PREFERRED { "\n " } else { " " };
        let phrase = if phrase.is_empty() { phrase } else { format!("{phrase}{gap}") };
        fields.push(("List-Id", format!(" {phrase}{id}").into_bytes()));
    }
    let bracketed = |uri: &String| format!("<{}>", safe_uri(uri));
    if !list.unsubscribe.is_empty() {
        let uris: Vec<String> = list.unsubscribe.iter().map(bracketed).collect();
        fields.push(("List-Unsubscribe", folded_list(&uris, "List-Unsubscribe: ".len())));
        if list.one_click && list.unsubscribe.iter().any(|uri| is_https(uri)) {
            // RFC 8058 section 3.1; counts only under a DKIM signature of both fields, made after this.
            fields.push(("List-Unsubscribe-Post", b" List-Unsubscribe=One-Click".to_vec()));
        }
    }
    fields.extend(list.help.iter().map(|uri| ("List-Help", format!(" {}", bracketed(uri)).into_bytes())));
    fields.extend(list.owner.iter().map(|uri| ("List-Owner", format!(" {}", bracketed(uri)).into_bytes())));
    fields
}

fn is_list_field(field: &Field) -> bool {
    let has_prefix = |prefix: &str| {
        field.name().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    has_prefix("List-") || has_prefix("X-List-") || LIST_FIELDS.iter().any(|name| field.is(name))
}

fn is_https(uri: &str) -> bool {
    uri.trim_start().get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
}

/// A URI as it may stand between angle brackets: what has no place there is percent-encoded (RFC 3986 section 2.1).
fn safe_uri(uri: &str) -> String {
    use std::fmt::Write as _;
    let mut safe = String::with_capacity(uri.len());
    for byte in uri.trim().bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}') {
            safe.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    safe
}

/// Asks automatic responders to stay silent; people's mail to a list, so:
///
/// * `Precedence: list`, which responders have heeded since before RFC 3834 (section 2 counts it among the signs they
///   should know), and which is true;
/// * `X-Auto-Response-Suppress`, for Exchange;
/// * not `Auto-Submitted`: RFC 3834 section 5 keeps it for messages that no person wrote, and these were written by one.
pub(super) fn suppress_automatic_answers(draft: &mut Draft) -> usize {
    set_single(draft, "Precedence", "list") + set_single(draft, "X-Auto-Response-Suppress", SUPPRESSED_RESPONSES)
}

/// Makes this the one value of a field.
fn set_single(draft: &mut Draft, name: &str, value: &str) -> usize {
    let first = draft.header().fields().iter().position(|field| field.is(name));
    let mut changed = draft.delete(|place, field| field.is(name) && first != Some(place));
    let value = format!(" {value}").into_bytes();
    if !draft.header().first(name).is_some_and(|field| says(field, &value)) {
        draft.set(name, value);
        changed += 1;
    }
    changed
}

/// Adds a mark, unless the very same is there.
pub(super) fn mark(draft: &mut Draft, name: &str, value: &str) -> usize {
    let value = format!(" {}", words::encode_text(value, name.len() + 2)).into_bytes();
    if draft.header().all(name).any(|field| says(field, &value)) {
        return 0;
    }
    draft.append(name, value);
    1
}

/// Does the field say the same, folding and surrounding space aside?
fn says(field: &Field, value: &[u8]) -> bool {
    let mut wanted = Header::default();
    wanted.push("x", value);
    wanted.first("x").is_some_and(|wanted| wanted.unfolded() == field.unfolded())
}

/// `a, b, c`, folded between items.
fn folded_list(items: &[String], column: usize) -> Vec<u8> {
    let mut value = String::from(" ");
    let mut column = column;
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            let breaks = column + 2 + item.len() > words::LINE_BYTES_PREFERRED;
            value.push_str(if breaks { ",\n " } else { ", " });
            column = if breaks { 1 } else { column + 2 };
        }
        value.push_str(item);
        column += item.len();
    }
    value.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::headers::apply;

    fn done(block: &str, edit: impl Fn(&mut Draft) -> usize) -> (String, usize) {
        let mut draft = Draft::new(&Header::parse(block.as_bytes()));
        let changed = edit(&mut draft);
        let made = apply(block.as_bytes(), &draft.into_edits());
        let mut again = Draft::new(&Header::parse(&made));
        assert_eq!(edit(&mut again), 0, "a second run changes nothing");
        assert_eq!(again.into_edits(), []);
        (String::from_utf8(made).unwrap(), changed)
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn every_receipt_request_goes_and_nothing_else() {
        let block = "Disposition-Notification-To: a@b\nSubject: x\nDISPOSITION-notification-to: c@d\nX-Confirm-Reading-To: a@b\nReturn-Path: <a@b>\n";
        let (made, changed) = done(block, remove_receipt_requests);
        assert_eq!((made.as_str(), changed), ("Subject: x\nReturn-Path: <a@b>\n", 3));
    }

    #[test]
    fn answers_go_to_the_given_mailboxes_only() {
        let to = [address("liste-a@c.example")];
        let block = "Reply-To: electeurs@l.example\nMail-Followup-To: x@y.example\nList-Post: <mailto:x@y.example>\nreply-to: z@y.example\nSubject: x\n";
        let (made, changed) = done(block, |draft| direct_replies(draft, &to));
        assert_eq!((made.as_str(), changed), ("Reply-To: liste-a@c.example\nSubject: x\n", 4));
        let (made, _) = done("Subject: x\n", |draft| direct_replies(draft, &to));
        assert_eq!(made, "Subject: x\nReply-To: liste-a@c.example\n");
        let (made, _) = done("From: A <LISTE-A@C.example>\n", |draft| direct_replies(draft, &to));
        assert_eq!(made, "From: A <LISTE-A@C.example>\nReply-To: LISTE-A@C.example\n");
        // The author's own spelling stays when it says the same.
        let own = "Reply-To: Liste A <LISTE-A@C.example>\n";
        assert_eq!(done(own, |draft| direct_replies(draft, &to)).0, own);
        assert_eq!(done("Reply-To: a@b.example\n\n", |draft| direct_replies(draft, &[])).0, "\n");
        // What we cannot read, others can.
        for value in [
            "liste-a@c.example, <electeurs@l.example> x",
            "liste-a@c.example, <electeurs@l.example",
            "<electeurs@l.example> x, liste-a@c.example",
            "electeurs@l.example: liste-a@c.example;",
            "liste-a@c.example (\\) <electeurs@l.example>)",
        ] {
            let (made, _) = done(&format!("Reply-To: {value}\n"), |draft| direct_replies(draft, &to));
            assert_eq!(made, "Reply-To: liste-a@c.example\n", "{value}");
        }
    }

    fn list() -> ListHeaders {
        ListHeaders {
            label: "Élections CNRS 2018 – collège C".to_owned(),
            id: "electeurs-c.elections.example".to_owned(),
            unsubscribe: vec![
                "https://elections.example/u/electeurs-c?x=é y".to_owned(),
                "mailto:electeurs-c-leave@elections.example".to_owned(),
            ],
            one_click: true,
            help: Some("https://elections.example/aide".to_owned()),
            owner: None,
        }
    }

    #[test]
    fn list_fields_take_the_place_of_inherited_ones() {
        let block = "List-Id: <autre.example>\nlist-post: <mailto:a@b.example>\nX-BeenThere: a@b.example\nX-List-Foo: 1\nMailing-List: x\nSubject: x\n";
        let (made, changed) = done(block, |draft| set_list_fields(draft, &list()).unwrap());
        assert_eq!(
            made,
            "X-BeenThere: a@b.example\nSubject: x\n\
             List-Id: =?UTF-8?Q?=C3=89lections_CNRS_2018_=E2=80=93_coll=C3=A8ge_C?=\n <electeurs-c.elections.example>\n\
             List-Unsubscribe: <https://elections.example/u/electeurs-c?x=%C3%A9%20y>,\n <mailto:electeurs-c-leave@elections.example>\n\
             List-Unsubscribe-Post: List-Unsubscribe=One-Click\n\
             List-Help: <https://elections.example/aide>\n"
        );
        assert_eq!(changed, 8);
        let header = Header::parse(made.as_bytes());
        assert_eq!(
            header.first("List-Id").unwrap().decoded(),
            "Élections CNRS 2018 – collège C <electeurs-c.elections.example>"
        );
    }

    #[test]
    fn one_click_without_https_says_so() {
        let list = ListHeaders { unsubscribe: vec!["mailto:a@b.example".to_owned()], ..list() };
        let mut draft = Draft::new(&Header::default());
        assert_eq!(set_list_fields(&mut draft, &list), Err(NoHttpsTarget));
        assert!(draft.header().first("List-Unsubscribe").is_some());
        assert!(draft.header().first("List-Unsubscribe-Post").is_none());
    }

    #[test]
    fn automatic_answers_are_suppressed_once() {
        let (made, changed) = done("Precedence: bulk\nprecedence: x\n", suppress_automatic_answers);
        assert_eq!(made, "Precedence: list\nX-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply\n");
        assert_eq!(changed, 3);
    }

    #[test]
    fn a_mark_cannot_break_out_of_its_field() {
        let (made, _) = done("A: b\n", |draft| mark(draft, "X-Charter-Finding", "petition\nBcc: a@b.example"));
        assert_eq!(made, "A: b\nX-Charter-Finding: petition Bcc: a@b.example\n");
    }
}
