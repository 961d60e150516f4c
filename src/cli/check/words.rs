//! Rules in words: what each does, in one English sentence without its subject, for people who check a configuration.

use crate::charter::rules::{
    AttachmentAction, AttachmentsRule, BannerRule, CopiesRule, Direction, DisclaimerRule, FloodRule, FloodSubject,
    IdentityRule, ListHeadersRule, PetitionRule, QuotaReach, QuotaRule, QuotaSubject, ReceiptsRule, RecipientsRule,
    RefuseOrTag, ReplyToRule, Rule, RuleName, Rules, SenderRule, SizeLimit, SizeRule, Span, StructureRule,
    TrackingRule,
};
use crate::charter::{List, Mode, NightWindow, Period, Proof};
use crate::config::quantities::{Bytes, Lasting};
use crate::message::edit::SignedPolicy;

/// A rule in words.
#[derive(Debug, serde::Serialize)]
pub struct RuleWords {
    /// Its name.
    pub rule: RuleName,
    /// What it does.
    pub says: String,
    /// The clause it enforces.
    pub clause: String,
    /// Why it exists, where the clause does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// It only records what it would do.
    pub monitored: bool,
}

/// The rules in words, in the order in which they are asked. Rules that do not exist are left out.
pub fn rules(rules: &Rules, list: Option<&List>) -> Vec<RuleWords> {
    let mut said = Vec::new();
    macro_rules! say {
        ($($name:ident $field:ident $words:expr;)+) => {
            $(said.extend(rules.$field.iter().map(|rule| words(RuleName::$name, rule, $words)));)+
        };
    }
    say! {
        Sender sender sender;
        Identity identity identity;
        Reply reply |()| "answers to list mail that come back to the list are refused".to_owned();
        Stop flood |rule| flood(*rule);
        Recipients recipients |rule| recipients(rule, list.is_some());
        Size size size;
        Quota quotas quota;
        Structure structure structure;
        Attachments attachments attachments;
        Petition petition |rule| petition("e-petitions", rule);
        ChainLetter chain_letter |rule| petition("chain letters", rule);
        Copies copies copies;
        Tracking tracking |rule| tracking(*rule);
        Receipts receipts |rule| receipts(*rule);
        Subject subject |rule| format!("the subject begins with {}", rule.tag);
        ListHeaders list_headers list_headers;
        ReplyTo reply_to reply_to;
        ReturnPath return_path |()| return_path(list);
        Banner banner banner;
        Disclaimer disclaimer disclaimer;
    }
    said
}

fn words<S>(name: RuleName, rule: &Rule<S>, says: impl FnOnce(&S) -> String) -> RuleWords {
    RuleWords {
        rule: name,
        says: says(&rule.settings),
        clause: rule.clause.0.clone(),
        purpose: rule.purpose.clone(),
        monitored: rule.mode == Mode::Monitor,
    }
}

/// Days in words.
pub fn period(period: Period) -> String {
    format!("from {} to {}, both included", period.opens, period.closes)
}

/// A night window in words.
pub fn window(window: &NightWindow) -> String {
    use crate::charter::ReleaseOrder;
    let order = match window.order {
        ReleaseOrder::Draw => "one message of each sender in turn, in an order drawn by lot",
        ReleaseOrder::Arrival => "in the order of arrival",
    };
    let pace = window.pace.map_or_else(String::new, |pace| {
        let per = match pace.per_seconds {
            1 => "second".to_owned(),
            60 => "minute".to_owned(),
            3600 => "hour".to_owned(),
            seconds => format!("{seconds} seconds"),
        };
        format!(", at most {} messages a {per}", pace.messages)
    });
    format!("between {} and {}{pace}, {order}", window.from, window.to)
}

/// A proof in words.
pub fn proof(proof: &Proof) -> String {
    match proof {
        Proof::Sasl(login) => format!("the login `{login}`"),
        Proof::Network(networks) => {
            let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
            format!("a client address in {}", networks.join(" or "))
        }
        Proof::Tls(name) => format!("a TLS client certificate of `{name}`"),
        Proof::Dkim(domain) => format!("a DKIM signature of {domain}"),
        Proof::AuthenticationResults { authserv_id, domain } => {
            format!("a pass for {domain} in Authentication-Results of {authserv_id}")
        }
    }
}

/// A size limit in words.
pub fn limit(limit: SizeLimit) -> String {
    let size = Bytes(limit.bytes_max);
    match limit.direction {
        Direction::Any => format!("at most {size}"),
        Direction::Internal => format!("at most {size} inside the organisation"),
        Direction::Outgoing => format!("at most {size} to other domains"),
    }
}

fn fate(action: RefuseOrTag) -> &'static str {
    match action {
        RefuseOrTag::Reject => "refused",
        RefuseOrTag::Tag => "marked",
    }
}

fn signed(policy: SignedPolicy) -> &'static str {
    match policy {
        SignedPolicy::Reject => "signed mail is refused",
        SignedPolicy::Wrap => "signed mail is wrapped",
        SignedPolicy::Break => "signatures are broken",
        SignedPolicy::Pass => "signed mail passes without",
    }
}

fn span(span: Span) -> &'static str {
    match span {
        Span::Hour => "an hour",
        Span::Day => "a day",
        Span::Week => "a week",
        Span::Month => "a calendar month",
        Span::Period => "in the period",
    }
}

fn sender(rule: &SenderRule) -> String {
    let mut says = "only senders of the register may write, each under a proof".to_owned();
    if rule.adherence {
        says.push_str(", and only once their adherence is recorded");
        says.extend(rule.adherence_clause.iter().map(|clause| format!(" ({})", clause.0)));
    }
    says
}

fn identity(rule: &IdentityRule) -> String {
    let mut names = vec!["From"];
    names.extend(rule.envelope.then_some("envelope sender"));
    names.extend(rule.login.then_some("login"));
    format!("mail is {} when {} disagree", fate(rule.action), names.join(", "))
}

fn recipients(rule: &RecipientsRule, on_list: bool) -> String {
    let mut says = Vec::new();
    says.extend(rule.per_message_max.map(|max| format!("at most {max} in one message")));
    says.extend(rule.per_span.map(|(max, per)| format!("at most {max} {} for each sender", span(per))));
    if on_list {
        says.extend(rule.hidden.then_some("none but the list in To and Cc".to_owned()));
        says.push("nobody else beside the list".to_owned());
    } else {
        says.extend(rule.hidden.then_some("none in To and Cc".to_owned()));
        says.push("senders of the register are not limited".to_owned());
    }
    format!("recipients: {}", says.join(", "))
}

fn size(rule: &SizeRule) -> String {
    if rule.limits.is_empty() {
        return "the limits of each mailbox".to_owned();
    }
    rule.limits.iter().copied().map(limit).collect::<Vec<_>>().join(", ")
}

fn quota(rule: &QuotaRule) -> String {
    let of = match rule.of {
        QuotaSubject::Sender => "each sender",
        QuotaSubject::Mailbox => "each mailbox",
        QuotaSubject::Login => "each login",
    };
    let over = match rule.over {
        QuotaReach::List => "to this list",
        QuotaReach::AllLists => "over all lists",
    };
    let noun = if rule.messages_max == 1 { "message" } else { "messages" };
    format!("at most {} {noun} {} of {of} {over}", rule.messages_max, span(rule.per))
}

fn structure(rule: &StructureRule) -> String {
    let encrypted = if rule.encrypted_allowed { "encrypted mail may pass" } else { "encrypted mail is refused" };
    format!("mail that two programs would read differently is {}; {encrypted}", fate(rule.ambiguous))
}

fn attachments(rule: &AttachmentsRule) -> String {
    let act = |action| match action {
        AttachmentAction::Strip => "replaced by a notice",
        AttachmentAction::Reject => "a reason to refuse",
        AttachmentAction::Tag => "marked",
        AttachmentAction::Allow => "allowed",
    };
    let mut says = vec![format!("attachments are {}", act(rule.action))];
    says.extend(rule.classes.iter().map(|(class, action)| format!("{class}: {}", act(*action))));
    if rule.inline_image_bytes_max > 0 {
        says.push(format!("images that the text shows pass up to {}", Bytes(rule.inline_image_bytes_max)));
    }
    // A signature stands in the way of nothing but the removal of what it covers; signed mail without that passes as any other.
    let mut actions = rule.classes.iter().map(|(_, action)| *action).chain([rule.action]);
    if actions.any(|action| action == AttachmentAction::Strip) {
        says.push(match rule.signed {
            SignedPolicy::Reject => "signed mail with an attachment to replace is refused".to_owned(),
            SignedPolicy::Break => "a signature over an attachment to replace is broken".to_owned(),
            SignedPolicy::Wrap | SignedPolicy::Pass => "files under a signature stay, whoever signed".to_owned(),
        });
    }
    says.join("; ")
}

fn petition(what: &str, rule: &PetitionRule) -> String {
    let mut says = vec![format!("{what} are {} from a score of {:?}", fate(rule.action), rule.threshold)];
    if !rule.silenced.is_empty() {
        says.push(format!("not counted: {}", rule.silenced.join(", ")));
    }
    let weights: Vec<_> = rule.weights.iter().map(|(id, weight)| format!("{id} {weight:?}")).collect();
    if !weights.is_empty() {
        says.push(format!("weights: {}", weights.join(", ")));
    }
    says.join("; ")
}

fn copies(rule: &CopiesRule) -> String {
    let within = Lasting::seconds(rule.within_seconds);
    format!(
        "of near-identical messages within {within}, those after the first {} are {}",
        rule.messages_max,
        fate(rule.action)
    )
}

fn flood(rule: FloodRule) -> String {
    let within = Lasting::seconds(rule.within_seconds);
    let who = match rule.of {
        FloodSubject::Sender => "a sender is",
        FloodSubject::List => "the list is",
    };
    format!("more than {} messages within {within}, and {who} stopped until `resume`", rule.messages_max)
}

fn tracking(rule: TrackingRule) -> String {
    if rule.reject { "mail that tracks its readers is refused" } else { "trackers are removed" }.to_owned()
}

fn receipts(rule: ReceiptsRule) -> String {
    match rule {
        ReceiptsRule::Remove => "requests for receipts are removed",
        ReceiptsRule::Reject => "mail that asks for receipts is refused",
        ReceiptsRule::Pass => "receipts may be asked for",
    }
    .to_owned()
}

fn list_headers(rule: &ListHeadersRule) -> String {
    let mut says = vec!["List-Id".to_owned()];
    says.extend(rule.unsubscribe.iter().map(|target| format!("leave by {target}")));
    says.extend(rule.one_click.then(|| "with one click".to_owned()));
    says.extend(rule.help.iter().map(|target| format!("help at {target}")));
    says.extend(rule.owner.iter().map(|target| format!("owner {target}")));
    says.extend(rule.silence_automatic_answers.then(|| "automatic answers silenced".to_owned()));
    says.join(", ")
}

fn reply_to(rule: &ReplyToRule) -> String {
    match rule {
        ReplyToRule::Sender => "replies go to the sender".to_owned(),
        ReplyToRule::Mailbox(address) => format!("replies go to {address}"),
    }
}

fn return_path(list: Option<&List>) -> String {
    match list.and_then(|list| list.return_path.as_ref()) {
        Some(path) => format!("failures and automatic answers go to {path}"),
        None => "failures would go to the list's return path, which it does not have".to_owned(),
    }
}

fn banner(rule: &BannerRule) -> String {
    let place = match (&rule.header, &rule.footer) {
        (Some(_), Some(_)) => "words before and after the text",
        (Some(_), None) => "words before the text",
        _ => "words after the text",
    };
    format!("{place}; {}", signed(rule.signed))
}

fn disclaimer(rule: &DisclaimerRule) -> String {
    let official: Vec<_> = rule.official_header.iter().chain(&rule.official_subject_tag).map(String::as_str).collect();
    let unless = if official.is_empty() {
        String::new()
    } else {
        format!(", unless marked as official by {}", official.join(" or "))
    };
    format!("mail to other domains carries the disclaimer{unless}; {}", signed(rule.signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_mail_is_spoken_of_where_a_signature_stands_in_the_way() {
        let with = |action, signed| attachments(&AttachmentsRule { action, signed, ..AttachmentsRule::default() });
        let refused = "attachments are replaced by a notice; signed mail with an attachment to replace is refused";
        assert_eq!(with(AttachmentAction::Strip, SignedPolicy::Reject), refused);
        assert_eq!(with(AttachmentAction::Allow, SignedPolicy::Reject), "attachments are allowed");
        assert_eq!(with(AttachmentAction::Tag, SignedPolicy::Break), "attachments are marked");
        assert_eq!(with(AttachmentAction::Reject, SignedPolicy::Wrap), "attachments are a reason to refuse");
        let classes = vec![("calendar".to_owned(), AttachmentAction::Strip)];
        let rule = AttachmentsRule { action: AttachmentAction::Allow, classes, ..AttachmentsRule::default() };
        assert!(attachments(&rule).ends_with("; signed mail with an attachment to replace is refused"));
    }
}
