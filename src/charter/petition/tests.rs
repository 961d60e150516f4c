use super::*;
use crate::message::text::{Kind, Source, read};

fn plain(text: &str) -> Report {
    let reading = read(&[Source { kind: Kind::Plain { flowed: false }, text, part: PartId(1) }]);
    analyse(&Pack::embedded().unwrap(), &reading, &Settings::default())
}

#[test]
fn the_embedded_pack_is_valid() {
    Pack::embedded().unwrap();
}

#[test]
fn a_call_with_a_link_is_a_petition_and_a_report_is_none() {
    let call = plain("Signez la pétition : https://www.change.org/p/sauvons-la-cantine");
    assert!(call.petition.reached, "{call:#?}");
    let report =
        plain("La pétition lancée sur https://www.change.org/p/sauvons-la-cantine a recueilli 4 000 signatures.");
    assert!(!report.petition.reached, "{report:#?}");
}
