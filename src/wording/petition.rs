//! What a sender reads when a message is taken for an e-petition or a chain letter: the clause, the two strongest reasons,
//! and how to contest. The reasons are the one-line explanations of the rule pack; they never repeat the message.

use super::Language;
use crate::charter::Clause;
use crate::charter::petition::{Report, SignalHit, SignalRule};

/// So many reasons are given; the decision log has them all.
const REASONS_MAX: usize = 2;

/// The strongest reasons for a rule, the strongest first: one line each. Empty when nothing speaks for the rule.
#[must_use]
pub fn reasons(language: Language, report: &Report, rule: SignalRule) -> Vec<&str> {
    let counted = |hit: &&SignalHit| hit.rule == rule.name() && hit.weight > 0.0;
    report.signals.iter().filter(counted).take(REASONS_MAX).map(|hit| hit.help(language)).collect()
}

/// The whole answer: what the message was taken for, under which clause, why, and where to contest it.
#[must_use]
pub fn refusal(
    language: Language,
    clause: &Clause,
    report: &Report,
    rule: SignalRule,
    contest: Option<&str>,
) -> String {
    let reasons = reasons(language, report, rule).join(" ");
    let clause = &clause.0;
    match language {
        Language::French => {
            let what = match rule {
                SignalRule::Petition => "une e-pétition",
                SignalRule::ChainLetter => "une chaîne de messages",
            };
            let contest = contest.map_or_else(
                || " Vous pouvez le contester auprès du responsable de la liste.".to_owned(),
                |place| format!(" Pour contester : {place}."),
            );
            format!("Ce message a été reconnu comme {what} ({clause}). {reasons}{contest}")
        }
        Language::English => {
            let what = match rule {
                SignalRule::Petition => "an e-petition",
                SignalRule::ChainLetter => "a chain letter",
            };
            let contest = contest.map_or_else(
                || " You may contest this with those responsible for the list.".to_owned(),
                |place| format!(" To contest: {place}."),
            );
            format!("This message was recognised as {what} ({clause}). {reasons}{contest}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charter::petition::{Pack, Settings, analyse};
    use crate::message::mime::PartId;
    use crate::message::text::{Kind, Source, read};

    fn report() -> Report {
        let text = "Signez la pétition et faites-la circuler autour de vous : https://www.change.org/p/cantine";
        let reading = read(&[Source { kind: Kind::Plain { flowed: false }, text, part: PartId(0) }]);
        analyse(&Pack::embedded().unwrap(), &reading, &Settings::default())
    }

    #[test]
    fn two_reasons_the_clause_and_the_way_to_contest_are_named_and_the_text_is_not() {
        let clause = Clause("cnrs:III.i".to_owned());
        let french =
            refusal(Language::French, &clause, &report(), SignalRule::Petition, Some("commission@elections.example"));
        assert_eq!(
            french,
            "Ce message a été reconnu comme une e-pétition (cnrs:III.i). Le texte demande à ses lecteurs de signer une \
             pétition. Un lien mène à une page de pétition. Pour contester : commission@elections.example."
        );
        let english = refusal(Language::English, &clause, &report(), SignalRule::Petition, None);
        assert!(
            english.contains("asks its readers to sign a petition. A link leads to a petition page. You may contest"),
            "{english}"
        );
        assert!(!french.contains("cantine"));
    }

    #[test]
    fn nothing_speaks_for_the_other_rule() {
        assert!(reasons(Language::French, &report(), SignalRule::ChainLetter).is_empty());
    }
}
