//! What a charter does with each attachment (cnrs:III.h): a pure function of the findings and of the rule's settings.

use super::rules::{AttachmentAction, AttachmentsRule};
use crate::message::attachments::{Attachment, Class};
use crate::message::edit::SignedPolicy;

/// What becomes of one attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It stays.
    Allow,
    /// A notice takes its place.
    Strip,
    /// The whole message is refused because of it.
    Reject,
    /// It stays, and a header field says so.
    Tag,
    /// It stays because removing it would break a signature, and words beside the message say so.
    Wrap,
    /// It goes with the message inside the message that contains it.
    WithContainer,
}

impl Fate {
    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Strip => "strip",
            Self::Reject => "reject",
            Self::Tag => "tag",
            Self::Wrap => "keep-signed",
            Self::WithContainer => "with-container",
        }
    }
}

/// The fate of each attachment, in the order of `found`. `encrypted_allowed` is the setting of the rule `structure`.
#[must_use]
pub fn fates(rule: &AttachmentsRule, encrypted_allowed: bool, found: &[Attachment]) -> Vec<Fate> {
    let mut fates: Vec<Fate> = Vec::with_capacity(found.len());
    let mut gone = Vec::new();
    for attachment in found {
        let fate = if attachment.inside.is_some_and(|container| gone.contains(&container)) {
            Fate::WithContainer
        } else {
            fate(rule, encrypted_allowed, attachment)
        };
        // What leaves with its container takes along what it contains itself.
        if attachment.class == Class::EmbeddedMessage && matches!(fate, Fate::Strip | Fate::WithContainer) {
            gone.push(attachment.part);
        }
        fates.push(fate);
    }
    fates
}

fn fate(rule: &AttachmentsRule, encrypted_allowed: bool, attachment: &Attachment) -> Fate {
    match action(rule, encrypted_allowed, attachment) {
        AttachmentAction::Allow => Fate::Allow,
        AttachmentAction::Tag => Fate::Tag,
        AttachmentAction::Reject => Fate::Reject,
        AttachmentAction::Strip if attachment.is_signed => match rule.signed {
            SignedPolicy::Reject => Fate::Reject,
            SignedPolicy::Wrap => Fate::Wrap,
            SignedPolicy::Break => Fate::Strip,
            SignedPolicy::Pass => Fate::Allow,
        },
        AttachmentAction::Strip => Fate::Strip,
    }
}

/// What the charter wants for this class. A class it does not name is treated as `action` says, with three exceptions.
fn action(rule: &AttachmentsRule, encrypted_allowed: bool, attachment: &Attachment) -> AttachmentAction {
    let named = rule.classes.iter().find(|(name, _)| name == attachment.class.as_str()).map(|(_, action)| *action);
    let fits = attachment.decoded_size_bytes <= rule.inline_image_bytes_max;
    match (attachment.class, named) {
        // The size limit holds whether the class is allowed by name or by default.
        (Class::InlineImage, None | Some(AttachmentAction::Allow)) if fits => AttachmentAction::Allow,
        (Class::InlineImage, Some(AttachmentAction::Allow)) => rule.action,
        (_, Some(action)) => action,
        (Class::Encrypted, None) if encrypted_allowed => AttachmentAction::Allow,
        // Stripping these would leave no message: its text is inside, where nobody can look.
        (Class::Encrypted | Class::OpaqueSigned | Class::Unreadable, None)
            if rule.action == AttachmentAction::Strip =>
        {
            AttachmentAction::Reject
        }
        (_, None) => rule.action,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::attachments::Place;
    use crate::message::mime::PartId;

    fn attachment(part: u32, class: Class) -> Attachment {
        Attachment {
            part: PartId(part),
            class,
            name: None,
            media_type: "application/pdf".to_owned(),
            decoded_size_bytes: 10_000,
            place: Place::Part,
            inside: None,
            is_signed: false,
        }
    }

    fn of(rule: &AttachmentsRule, found: &[Attachment]) -> Vec<Fate> {
        fates(rule, false, found)
    }

    #[test]
    fn what_the_charter_does_not_name_is_treated_as_the_rule_says() {
        let mut rule =
            AttachmentsRule { classes: vec![("calendar".into(), AttachmentAction::Allow)], ..Default::default() };
        let found = [attachment(1, Class::File), attachment(2, Class::Calendar)];
        assert_eq!(of(&rule, &found), [Fate::Strip, Fate::Allow]);
        rule.action = AttachmentAction::Reject;
        assert_eq!(of(&rule, &found), [Fate::Reject, Fate::Allow]);
    }

    #[test]
    fn shown_images_pass_up_to_their_size() {
        let mut rule = AttachmentsRule { inline_image_bytes_max: 10_000, ..Default::default() };
        let image = [attachment(1, Class::InlineImage)];
        assert_eq!(of(&rule, &image), [Fate::Allow]);
        rule.inline_image_bytes_max = 9_999;
        assert_eq!(of(&rule, &image), [Fate::Strip]);
        rule.classes = vec![("inline-image".into(), AttachmentAction::Reject)];
        rule.inline_image_bytes_max = 10_000;
        assert_eq!(of(&rule, &image), [Fate::Reject]);
    }

    #[test]
    fn what_nobody_can_look_into_is_refused_rather_than_emptied() {
        let rule = AttachmentsRule::default();
        let found = [attachment(0, Class::Encrypted), attachment(0, Class::OpaqueSigned)];
        assert_eq!(of(&rule, &found), [Fate::Reject, Fate::Reject]);
        assert_eq!(fates(&rule, true, &found), [Fate::Allow, Fate::Reject]);
    }

    #[test]
    fn a_signature_is_treated_as_the_charter_says() {
        let mut signed = attachment(2, Class::File);
        signed.is_signed = true;
        let expected = [
            (SignedPolicy::Reject, Fate::Reject),
            (SignedPolicy::Wrap, Fate::Wrap),
            (SignedPolicy::Break, Fate::Strip),
            (SignedPolicy::Pass, Fate::Allow),
        ];
        for (policy, fate) in expected {
            let rule = AttachmentsRule { signed: policy, ..Default::default() };
            assert_eq!(of(&rule, std::slice::from_ref(&signed)), [fate]);
        }
    }

    #[test]
    fn what_a_removed_message_contains_goes_with_it() {
        let mut rule = AttachmentsRule::default();
        let mut inner = attachment(3, Class::EmbeddedMessage);
        inner.inside = Some(PartId(1));
        let mut innermost = attachment(5, Class::File);
        innermost.inside = Some(PartId(3));
        let found = [attachment(1, Class::EmbeddedMessage), inner, innermost];
        assert_eq!(of(&rule, &found), [Fate::Strip, Fate::WithContainer, Fate::WithContainer]);
        rule.classes = vec![("embedded-message".into(), AttachmentAction::Allow)];
        assert_eq!(of(&rule, &found), [Fate::Allow, Fate::Allow, Fate::Strip]);
    }
}
