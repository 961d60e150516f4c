//! Why a message was taken for an e-petition or a chain letter, for the reply to its sender: the two strongest reasons. They are
//! the one-line explanations of the rule pack, and never repeat the message.

use super::Language;
use crate::charter::petition::{Report, SignalHit, SignalRule};

/// So many reasons are given; the decision log has them all.
const REASONS_MAX: usize = 2;

/// The strongest reasons for a rule, the strongest first: one line each. Empty when nothing speaks for the rule.
#[must_use]
pub fn reasons(language: Language, report: &Report, rule: SignalRule) -> Vec<&str> {
    let counted = |hit: &&SignalHit| hit.rule == rule.name() && hit.weight > 0.0;
    report.signals.iter().filter(counted).take(REASONS_MAX).map(|hit| hit.help(language)).collect()
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
    fn the_two_strongest_reasons_are_told_in_either_language() {
        let told = |language| reasons(language, &report(), SignalRule::Petition).join(" ");
        assert_eq!(
            told(Language::French),
            "Le texte demande à ses lecteurs de signer une pétition. Un lien mène à une page de pétition."
        );
        assert_eq!(
            told(Language::English),
            "The text asks its readers to sign a petition. A link leads to a petition page."
        );
    }

    #[test]
    fn nothing_speaks_for_the_other_rule() {
        assert!(reasons(Language::French, &report(), SignalRule::ChainLetter).is_empty());
    }
}
