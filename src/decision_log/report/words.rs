//! The words of the report, in each language.

use serde::Serialize;

use crate::wording::Language;
use crate::wording::reasons::meaning;

macro_rules! words {
    ($($(#[doc = $doc:literal])* $name:ident: $french:literal, $english:literal;)+) => {
        /// Every fixed word of the report.
        #[derive(Debug, Clone, Copy, Serialize)]
        #[expect(missing_docs, reason = "each field is the text it holds")]
        pub struct Words { pub lang: &'static str, $(pub $name: &'static str,)+ }

        const FRENCH: Words = Words { lang: "fr", $($name: $french,)+ };
        const ENGLISH: Words = Words { lang: "en", $($name: $english,)+ };
    };
}

words! {
    title: "Rapport sur le journal des décisions", "Report on the decision log";
    colon: " : ", ": ";
    log: "Journal", "Log";
    period: "Période", "Period";
    whole: "tout le journal", "the whole log";
    to: "au", "to";
    time_zone: "Fuseau horaire", "Time zone";
    checkpoint: "Calculé à partir du point de contrôle", "Computed from the checkpoint";
    signed: "Enregistrements signés", "Records signed";
    unsigned: "Enregistrements plus récents, pas encore signés et donc pas comptés, commandes de consultation comprises",
        "Later records, not signed yet and so not counted, commands like this one included";
    key: "clé", "key";
    confirmed: "La clé des auditeurs mène à cette signature.", "The auditors' key leads to this signature.";
    unconfirmed: "La clé des auditeurs n'a pas été fournie : le journal est seulement cohérent avec lui-même.",
        "The auditors' key was not given: the log only agrees with itself.";
    charter: "Charte", "Charter";
    summary: "Ensemble", "Overall";
    total: "Total", "Total";
    figures: "Les mêmes chiffres en tableau", "The same figures as a table";
    judged: "Messages et refus", "Messages and refusals";
    let_go: "Sortie d'attente et quotas", "Release from hold and quotas";
    messages: "Messages", "Messages";
    accepted: "Acceptés aussitôt", "Accepted at once";
    held: "Retenus jusqu'à la nuit", "Held until night";
    refused: "Refusés", "Refused";
    refused_by_others: "Refusés par d'autres règles", "Refused by other rules";
    refused_by_others_how: "« Refusés par d'autres règles » : celles d'ici laissaient passer ces messages ; une autre charte, une autre liste ou des règles générales les ont refusés, et le motif est compté là-bas.",
        "“Refused by other rules”: those shown here let these messages pass; another charter, another list or general rules refused them, and the reason is counted there.";
    deferred: "Différés (451)", "Put off (451)";
    monitored: "Dont seulement observés", "Of which only observed";
    by_day: "Messages par jour", "Messages by day";
    day: "Jour", "Day";
    by_sender: "Messages par expéditeur", "Messages by sender";
    by_list: "Par liste", "By list";
    list: "Liste", "List";
    general: "règles générales", "general rules";
    equality: "Égalité de traitement des expéditeurs", "Equality of treatment of senders";
    no_statistics: "Cette charte interdit les statistiques : aucun chiffre par expéditeur n'est calculé.",
        "This charter forbids statistics: no figure for a single sender is computed.";
    sender: "Expéditeur", "Sender";
    released: "Distribués après attente", "Released after being held";
    released_then: "Distribués", "Released";
    wait: "Attente (min / médiane / max)", "Wait (min / median / max)";
    waited: "Attente", "Wait";
    mean_rank: "Rang moyen dans la nuit", "Mean place in the night";
    quotas: "Quotas (plus forte utilisation)", "Quotas (fullest use)";
    to_one_list: "vers une liste", "to one list";
    to_all_lists: "vers toutes les listes", "to all lists";
    reasons: "Motifs de refus", "Reasons of refusal";
    reason: "Motif", "Reason";
    clause: "Article", "Clause";
    count: "Nombre", "Count";
    nights: "Fenêtres de nuit", "Night windows";
    opens: "Ouverture", "Opens";
    seed: "Graine du tirage", "Seed of the draw";
    left: "Distribués, dans l'ordre", "Released, in order";
    by_order: "Distribués sur ordre, hors fenêtre", "Released by order, outside of a window";
    cancelled: "Retirés ou renvoyés", "Returned or removed";
    gone: "Disparus de la file d'attente", "Vanished from the queue";
    stops: "Suspensions et arrêts d'urgence", "Suspensions and emergency stops";
    when: "Date", "When";
    action: "Acte", "Action";
    target: "Objet", "Target";
    whom: "Qui", "Whom";
    reference: "Référence", "Reference";
    from: "À partir de", "From";
    until: "Jusqu'à", "Until";
    configurations: "Changements de configuration", "Configuration changes";
    digest: "Empreinte", "Digest";
    changed: "Fichiers changés", "Files changed";
    operators: "Commandes des opérateurs", "Operators' commands";
    command: "Commande", "Command";
    clock_jumps: "Sauts d'horloge", "Clock jumps";
    recoveries: "Réparations", "Repairs";
    none: "Néant.", "None.";
    how: "Comment vérifier", "How to verify";
    how_text: "Avec une copie du journal et la clé remise aux auditeurs : charter-milter log verify --dir COPIE --key CLÉ",
        "With a copy of the log and the key the auditors were given: charter-milter log verify --dir COPY --key KEY";
}

/// Names of closed lists in records that people read in a report, and the same in French.
const TERMS: [(&str, &str); 14] = [
    ("hour", "heure"),
    ("day", "jour"),
    ("week", "semaine"),
    ("month", "mois"),
    ("period", "période"),
    ("stop", "arrêt"),
    ("resume", "reprise"),
    ("breaker", "disjoncteur"),
    ("sender", "expéditeur"),
    ("mailbox", "boîte"),
    ("login", "identifiant"),
    ("list", "liste"),
    ("charter", "charte"),
    ("all", "tout"),
];

/// A name of a closed list in the language of the page; one that is not in [`TERMS`] stays as it is.
pub(super) fn term<'n>(lang: &str, name: &'n str) -> &'n str {
    let known = TERMS.iter().find(|(english, _)| lang == FRENCH.lang && *english == name);
    known.map_or(name, |(_, french)| french)
}

/// What a reason code means, in the language of the page; `None` when this program does not know it.
pub(super) fn reason(lang: &str, code: &str) -> Option<&'static str> {
    let language = if lang == FRENCH.lang { Language::French } else { Language::English };
    code.parse().ok().map(|reason| meaning(language, reason))
}

/// The words of a language.
#[must_use]
pub fn words(language: Language) -> &'static Words {
    match language {
        Language::French => &FRENCH,
        Language::English => &ENGLISH,
    }
}
