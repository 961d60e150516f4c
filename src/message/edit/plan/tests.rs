use super::*;
use crate::message::attachments;
use crate::message::edit::ListHeaders;

fn planned(raw: &[u8], edits: &[Edit]) -> (Edited, Vec<u8>) {
    let (header, tree) = (Header::parse(raw), parse(raw, &Limits::default()));
    let edited = plan(raw, &header, &tree, edits, &Context::default());
    let message = edited.message(raw, &tree);
    (edited, message)
}

/// Plans edits; a second run must change nothing.
fn edited(message: &str, edits: &[Edit]) -> (Vec<String>, String) {
    let raw = message.replace('\n', "\r\n");
    let (first, made) = planned(raw.as_bytes(), edits);
    let (second, _) = planned(&made, &without_removals(edits));
    assert_eq!(second.header_edits, [], "{}", String::from_utf8_lossy(&made));
    assert_eq!(second.body, None, "{}", String::from_utf8_lossy(&made));
    (first.made(), String::from_utf8(made).unwrap().replace("\r\n", "\n"))
}

/// Removals name parts of one message and are found anew for another.
fn without_removals(edits: &[Edit]) -> Vec<Edit> {
    edits.iter().filter(|edit| !matches!(edit, Edit::RemoveParts { .. })).cloned().collect()
}

fn removal(message: &str, signed: SignedPolicy) -> Edit {
    let raw = message.replace('\n', "\r\n").into_bytes();
    let tree = parse(&raw, &Limits::default());
    let removals = attachments::find(&tree, &raw).into_iter().map(|a| PartRemoval {
        part: a.part,
        place: a.place,
        notice: "[Pièce jointe retirée]".to_owned(),
    });
    Edit::RemoveParts { parts: removals.collect(), signed }
}

fn footer(signed: SignedPolicy) -> Edit {
    Edit::Banner(Banner { place: BannerPlace::Footer, text: "Message électoral.".to_owned(), signed })
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

const MIXED: &str = "From: a@b.example\nDisposition-Notification-To: a@b.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nSubject: Bonjour\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nUn été.\n--b\nContent-Type: application/pdf; name=x.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0=\n--b--\n";

#[test]
fn all_edits_of_a_list_together() {
    let list = ListHeaders {
        label: "Élections".to_owned(),
        id: "e.example".to_owned(),
        unsubscribe: vec!["https://e.example/u".to_owned()],
        one_click: true,
        ..ListHeaders::default()
    };
    let edits = [
        footer(SignedPolicy::Reject),
        Edit::ListHeaders(list),
        Edit::ReplyTo(vec![address("a@b.example")]),
        Edit::RemoveReceiptRequests,
        Edit::TagSubject("[Élections]".to_owned()),
        Edit::SuppressAutomaticAnswers,
        Edit::MarkHeader { name: "X-Charter-Finding".to_owned(), value: "petition".to_owned() },
        removal(MIXED, SignedPolicy::Reject),
    ];
    let (made, message) = edited(MIXED, &edits);
    assert_eq!(
        made,
        [
            "attachments-removed=1",
            "subject-tagged",
            "receipts-removed=1",
            "replies-directed",
            "list-headers-set",
            "answers-suppressed",
            "marked",
            "words-added"
        ]
    );
    assert_eq!(
        message,
        "From: a@b.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nSubject: =?UTF-8?Q?=5B=C3=89lections=5D?= Bonjour\n\
         Reply-To: a@b.example\nList-Id: =?UTF-8?Q?=C3=89lections?= <e.example>\nList-Unsubscribe: <https://e.example/u>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n\
         Precedence: list\nX-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply\nX-Charter-Finding: petition\n\
         X-Charter-Edits: attachments-removed=1; subject-tagged; receipts-removed=1;\n replies-directed; list-headers-set; answers-suppressed; marked; words-added\n\
         \n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nUn été.\n\n________________________________________\n\
         Modifications faites par la passerelle de messagerie : 1 pièce jointe\nretirée ; mention ajoutée à l'objet ; 1 demande d'accusé retirée ; adresse\nde réponse fixée ; en-têtes de liste mis en place ; réponses automatiques\ndéconseillées ; en-tête d'information ajouté ; texte complété par la\nprésente mention.\n\nMessage électoral.\n\
         --b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nContent-Disposition: inline\nX-Charter-Part: notice\n\n[Pi=C3=A8ce jointe retir=C3=A9e]\n--b--\n"
    );
}

#[test]
fn edits_of_the_header_alone_leave_the_body_and_are_declared_in_words_in_a_field() {
    let raw = b"From: a@b.example\r\nX-Ack: 1\r\n\r\nx\r\n";
    let (first, message) = planned(raw, &[Edit::RemoveReceiptRequests]);
    assert_eq!(first.body, None);
    let header = Header::parse(&message);
    assert_eq!(header.first("X-Charter-Edits").unwrap().text(), "receipts-removed=1");
    assert_eq!(
        header.first("X-Charter-Notice").unwrap().decoded(),
        "Modifications faites par la passerelle de messagerie : 1 demande d'accusé retirée."
    );
    assert_eq!(planned(&message, &[Edit::RemoveReceiptRequests]).0.header_edits, []);
}

#[test]
fn nothing_to_do_changes_and_declares_nothing() {
    let (edited, message) = planned(b"From: a@b.example\r\n\r\nx\r\n", &[Edit::RemoveReceiptRequests]);
    assert_eq!((edited.header_edits, edited.body), (vec![], None));
    assert_eq!(message, b"From: a@b.example\r\n\r\nx\r\n");
}

#[test]
fn the_envelope_is_edited_and_declared() {
    let (edited, message) =
        planned(b"From: a@b.example\r\n\r\nx\r\n", &[Edit::NeutraliseNotify, Edit::ReturnPath(address("r@b.example"))]);
    let (again, _) = planned(&message, &[Edit::NeutraliseNotify, Edit::ReturnPath(address("r@b.example"))]);
    assert_eq!(again.header_edits, []);
    assert_eq!(edited.envelope, EnvelopeEdits { return_path: Some(address("r@b.example")), neutralise_notify: true });
    assert_eq!(edited.made(), ["notify-neutralised", "return-path-set"]);
}

const SIGNED: &str = "MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=a; protocol=\"application/pkcs7-signature\"\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsigned\n--b\nContent-Type: application/pdf\n\nPDF\n--b--\n\n--a\nContent-Type: application/pkcs7-signature\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHAqCA\n--a--\n";

#[test]
fn signed_mail_follows_the_policy_and_says_so() {
    for (policy, made) in [
        (SignedPolicy::Reject, &["attachments-removed=signed", "words-added=signed"][..]),
        (SignedPolicy::Pass, &["attachments-removed=signed-kept", "words-added=signed-kept"]),
        (SignedPolicy::Wrap, &["attachments-removed=signed-kept", "words-added"]),
        (SignedPolicy::Break, &["attachments-removed=1", "words-added"]),
    ] {
        let (outcome, message) = edited(SIGNED, &[removal(SIGNED, policy), footer(policy)]);
        assert_eq!(outcome, made);
        let whole = SIGNED.split_once("--a\n").unwrap().1.trim_end();
        assert_eq!(message.contains(whole), policy != SignedPolicy::Break, "{message}");
        assert_eq!(
            message.contains("Content-Type: multipart/mixed; boundary=\"=_charter"),
            policy == SignedPolicy::Wrap
        );
    }
    let (_, message) = edited(SIGNED, &[footer(SignedPolicy::Pass)]);
    assert!(message.contains("X-Charter-Edits: words-added=signed-kept\n"), "{message}");
    let raw = SIGNED.replace('\n', "\r\n");
    let (edited, _) = planned(raw.as_bytes(), &[footer(SignedPolicy::Reject)]);
    assert_eq!(edited.refusal().unwrap().edit, EditName::WordsAdded);
}

#[test]
fn fields_that_describe_the_content_follow_the_body() {
    let (_, message) = edited("Subject: x\n\nDéjà\n", &[footer(SignedPolicy::Reject)]);
    assert!(message.contains("\nContent-Type: text/plain; charset=utf-8\n"), "{message}");
    let (_, message) = edited(
        "Content-Type: image/png\nSubject: x\nContent-Transfer-Encoding: base64\n\niVBO\n",
        &[footer(SignedPolicy::Reject)],
    );
    assert!(message.starts_with("Content-Type: multipart/mixed"), "{message}");
    assert_eq!(Header::parse(message.as_bytes()).count("Content-Transfer-Encoding"), 0, "{message}");
}
