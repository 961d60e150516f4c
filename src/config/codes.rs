//! Every diagnostic the configuration can draw, in one closed list: a code that never changes, and what to do about it.
//!
//! Codes that begin with `E` keep the daemon from starting (or from taking a new configuration into force); codes that
//! begin with `W` point at something that is allowed and probably not meant.

use crate::closed_list::closed_list;

closed_list! {
    /// A diagnostic code.
    Code {
        /// The file is not there. Check the path; relative paths start at the directory of the main configuration file.
        FileMissing = "E001-file-missing",
        /// The file cannot be read. Check its owner and mode: the daemon reads it as its own user.
        FileUnreadable = "E002-file-unreadable",
        /// The file is larger than any configuration could be. Check that it is the right file.
        FileTooLarge = "E003-file-too-large",
        /// The file is not UTF-8 text. Convert it, for example with `iconv -f latin1 -t utf-8`.
        NotUtf8 = "E004-not-utf-8",
        /// See <https://toml.io> for the notation of TOML.
        Syntax = "E005-syntax",
        /// No such key is known here. `docs/configuration.md` lists all keys.
        UnknownKey = "E006-unknown-key",
        /// Add the key: it has no default. `docs/configuration.md` says what it holds.
        MissingKey = "E007-missing-key",
        /// Write the value as the message says; `docs/configuration.md` has an example of each kind.
        WrongType = "E008-wrong-type",
        /// Take one of the words in the message.
        UnknownValue = "E009-unknown-value",
        /// The number is outside the range in which it means something.
        OutOfRange = "E010-out-of-range",
        /// Write it as `local-part@domain`, without a display name.
        BadAddress = "E011-bad-address",
        /// The text is not a network in CIDR notation, such as `192.0.2.0/24`, or its host bits are set.
        BadNetwork = "E012-bad-network",
        /// The text is not a socket address.
        BadSocket = "E013-bad-socket",
        /// The text is not a size with a unit, such as `"100 kB"` (100 000 octets) or `"100 KiB"` (102 400 octets).
        BadSize = "E014-bad-size",
        /// The text is not a duration with a unit, such as `"30 s"`, `"5 min"`, `"7 days"`.
        BadDuration = "E015-bad-duration",
        /// The value is not a day of the calendar written as a TOML local date, such as `2018-06-11` without quotes.
        BadDate = "E016-bad-date",
        /// The value is not a time of day written as a TOML local time, such as `22:00:00` without quotes.
        BadTime = "E017-bad-time",
        /// The text is not the name of a zone of the IANA time zone database, such as `Europe/Paris`.
        BadTimeZone = "E018-bad-time-zone",
        /// The text is not an `https:` or `mailto:` address of the kind the key asks for.
        BadUrl = "E019-bad-url",
        /// The text is not a host or domain name.
        BadDomain = "E020-bad-domain",
        /// The text is not an identifier: lower-case letters, digits and `-`, starting with a letter.
        BadIdentifier = "E021-bad-identifier",
        /// The text is empty, or holds control characters or line breaks where there may be none.
        BadText = "E022-bad-text",
        /// The text is not an absolute path.
        BadPath = "E023-bad-path",
        /// The text is not a file mode in octal digits, such as `"0660"`.
        BadMode = "E024-bad-mode",
        /// The address can be reached from other machines; metrics are served on the loopback interface only.
        NotLoopback = "E025-not-loopback",
        /// Give each socket an address of its own.
        DuplicateListener = "E026-duplicate-listener",
        /// The pattern matches no charter file, or no charter is named at all.
        NoCharter = "E027-no-charter",
        /// Two charter files carry the same id; records could not tell them apart.
        DuplicateCharter = "E030-duplicate-charter",
        /// Two senders of one charter carry the same name; replies and quotas could not tell them apart.
        DuplicateSender = "E031-duplicate-sender",
        /// A mailbox is named twice, or two senders write from it to the same list: a message could not be put to either's account.
        DuplicateMailbox = "E032-duplicate-mailbox",
        /// Remove one of the two, or give it the id of the clause it means.
        DuplicateClause = "E033-duplicate-clause",
        /// Add the clause to the charter's `[[clause]]` table, so that everybody can look up what it says.
        UnknownClause = "E034-unknown-clause",
        /// Nobody may write to this list. Bind a sender to it, or remove the list.
        ListWithoutSender = "E035-list-without-sender",
        /// The sender may write nowhere. Name its lists, or remove the sender.
        SenderWithoutList = "E036-sender-without-list",
        /// Take the address of a list of this charter, or add the list.
        SenderUnknownList = "E037-sender-unknown-list",
        /// Name the mailboxes it writes from in `addresses`.
        SenderWithoutAddress = "E038-sender-without-address",
        /// The sender has no way to prove that a message is really from it; a From line alone proves nothing.
        SenderWithoutProof = "E039-sender-without-proof",
        /// A proof names exactly one way: `sasl`, `network`, `tls`, `dkim` or `authentication_results`.
        BadProof = "E040-bad-proof",
        /// What everybody has proves nothing, and what nobody has cannot be shown: name the networks that are the sender's own.
        ProofProvesNothing = "E041-proof-proves-nothing",
        /// Add the mailbox to the sender's `addresses`, or take it from the delegate.
        UnknownMailbox = "E042-unknown-mailbox",
        /// Two lists have an address in common. Only a charter with `shared = true` may name another charter's list.
        OverlappingLists = "E043-overlapping-lists",
        /// Exchange the two days, or mend the year.
        PeriodReversed = "E044-period-reversed",
        /// The night window opens and closes at the same time, so it has no length.
        EmptyWindow = "E045-empty-window",
        /// One-click unsubscription (RFC 8058) needs an `https:` target among `unsubscribe`.
        OneClickWithoutHttps = "E046-one-click-without-https",
        /// Move the rule to `[rules]`, or remove it: outside a list it would do nothing.
        RuleWithoutMeaning = "E047-rule-without-meaning",
        /// Take one of the known fields, or write the words without braces.
        UnknownField = "E048-unknown-field",
        /// The charter protects no list and has no general rules, so it would never apply.
        EmptyCharter = "E049-empty-charter",
        /// Something is counted per period, and there is no period.
        SpanWithoutPeriod = "E050-span-without-period",
        /// The rule needs to know what is the organisation's own mail, and no domains are named. Set `domains`.
        DomainsMissing = "E051-domains-missing",
        /// A clause is either organisational, or kept by rules and measures.
        ClauseContradiction = "E052-clause-contradiction",
        /// The clause says that a rule or measure keeps it, and the charter does not set that rule or measure.
        KeeperNotInForce = "E053-keeper-not-in-force",
        /// Failures would be sent to a list, and from there to every member.
        ReturnPathIsList = "E054-return-path-is-list",
        /// Keep the state that holds; a mailbox has one.
        DuplicateRecipient = "E055-duplicate-recipient",
        /// Give the rule a setting, or remove it: as it is, it could never act.
        EmptyRule = "E056-empty-rule",
        /// Take one of the classes that `docs/configuration.md` lists.
        UnknownClass = "E057-unknown-class",
        /// Take an id from the petition pack in force.
        UnknownSignal = "E058-unknown-signal",
        /// Mend the pack, or leave `[petition]` out to use the one that is part of the program.
        BadPack = "E059-bad-pack",
        /// The two settings exclude each other: change one of them.
        Contradiction = "E060-contradiction",
        /// A protected list always asks who writes. Give `[rules]` a `sender` with the clause that reserves the list.
        SenderRuleMissing = "E061-sender-rule-missing",
        /// Mailboxes have size limits of their own, and no rule `size` says under which clause. `size = { clause = "…" }` will do.
        SizeRuleMissing = "E062-size-rule-missing",
        /// The field would be empty: set what fills it in (`contest` in `[charter]`, `unsubscribe` or `help` in `list_headers`).
        EmptyField = "E063-empty-field",
        /// Sockets with the roles `edit` and `hold` work in pairs: without the other half, mail is judged and never held, or never judged.
        HalfAPair = "E064-half-a-pair",
        /// What a list is called cannot be the address of a sender: answers to its mail would go to the list.
        SenderIsList = "E065-sender-is-list",
        /// What readers send there would go to a list, and from there to every member. Give a mailbox that somebody reads.
        AnswersGoToList = "E066-answers-go-to-list",
        /// No rule or measure enforces the clause, and it is not marked `organisational = true`.
        ClauseNotEnforced = "W101-clause-not-enforced",
        /// The charter asks for adherence, and no day is recorded for this sender: all its mail will be refused.
        SenderWithoutAdherence = "W102-sender-without-adherence",
        /// Mail waits for the night, and no period ends the waiting.
        WindowWithoutPeriod = "W103-window-without-period",
        /// Failures and automatic answers go to the sender, which tells him or her who the members are (cnrs:II.c).
        ListWithoutReturnPath = "W104-list-without-return-path",
        /// The last day of the period has passed: all mail to the lists will be refused.
        CharterOver = "W105-charter-over",
        /// The charter lists no clause, so the clauses that its rules quote cannot be checked.
        NoClauses = "W106-no-clauses",
        /// The charter is in `monitor` mode, where nothing is touched: `mode = "enforce"` on a rule has no effect.
        ModeWithoutEffect = "W107-mode-without-effect",
        /// Only the days of both periods count, and the sender's reaches beyond the list's or has no day in common with it.
        SenderPeriodOutside = "W108-sender-period-outside",
        /// The rule looks into content, and `inspection = "structure"` forbids that: it will never run.
        RuleNeverRuns = "W109-rule-never-runs",
        /// `[audit]` names no auditor: nobody outside receives the checkpoints of the decision log, so nobody could tell that it
        /// was rewritten. The same holds where there is no `[audit]`, which is taken as decided and not warned of.
        NoAuditors = "W110-no-auditors",
        /// The list has a return path, and no rule `return_path` that would use it: failures go to the sender.
        ReturnPathUnused = "W111-return-path-unused",
        /// Two senders of one list have a login or a certificate in common, so each can write under the other's name.
        SharedProof = "W112-shared-proof",
        /// Where two charters apply, mail leaves when the night windows of both are open, and these never are at the same time:
        /// all mail to the list is refused.
        WindowsApart = "W113-windows-apart",
        /// Senders and readers tell lists apart by their labels. Give each its own.
        SharedLabel = "W114-shared-label",
        /// A decision can be contested for as long as its record is kept, and the record of an operator's command explains it.
        RecordsShortLived = "W115-records-short-lived",
        /// Mail under a forged name passes while `sender` is in mode `monitor`, and uses up what the real sender may send.
        QuotaWithoutProof = "W116-quota-without-proof",
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot come into force.
    Error,
    /// It can, and somebody should look at this.
    Warning,
}

impl Code {
    /// Errors start with `E`, warnings with `W`.
    #[must_use]
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('E') { Severity::Error } else { Severity::Warning }
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_has_its_own_number_and_a_help_text() {
        let mut numbers: Vec<_> = Code::ALL.iter().map(|c| c.as_str().split('-').next().unwrap()).collect();
        numbers.sort_unstable();
        let count = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
        for code in Code::ALL {
            assert!(code.help().ends_with('.'), "{code}");
        }
    }
}
