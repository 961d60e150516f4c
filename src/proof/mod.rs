//! Proofs of a sender's identity that need work: DKIM verification and the reading of our own Authentication-Results.
//!
//! Which proofs a sender may use and whether one of them holds is decided in [`crate::charter`]; here is what the content
//! of a message proves. Login, network and client certificate are facts of the envelope and need nothing.

pub mod authentication_results;
pub mod dkim;

use crate::message::address::Address;

/// Whether what `domain` vouches for also speaks for the mailbox `from`: both belong to one organisation, that is, their
/// domains are the same or have the same registrable domain on the Public Suffix List (as DMARC's relaxed alignment,
/// RFC 7489 section 3.1).
///
/// Relaxed alignment is safe here, because the postmaster names the domain that vouches for a sender: a stranger's domain
/// below the same organisation is not named, and a domain that is named speaks for its own organisation alone. A
/// public suffix (`gouv.fr`) has no organisation and speaks for itself only.
#[must_use]
pub fn aligned(domain: &str, from: &Address) -> bool {
    let (domain, from) = (domain.trim_end_matches('.').to_ascii_lowercase(), from.domain());
    if domain == from {
        return true;
    }
    let organisation = psl::domain_str(&domain);
    organisation.is_some() && organisation == psl::domain_str(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_of_one_organisation_are_aligned_and_no_others() {
        let cases = [
            ("cnrs.example", "cnrs.example", true),
            ("CNRS.example.", "cnrs.example", true),
            ("candidats.cnrs.example", "cnrs.example", true),
            ("cnrs.example", "candidats.cnrs.example", true),
            ("a.cnrs.example", "b.cnrs.example", true),
            ("cnrs.example", "cnrs.example.evil.example", false),
            ("evilcnrs.example", "cnrs.example", false),
            ("gouv.fr", "interieur.gouv.fr", false),
            ("interieur.gouv.fr", "defense.gouv.fr", false),
            ("mail.interieur.gouv.fr", "interieur.gouv.fr", true),
            ("example", "cnrs.example", false),
            ("", "cnrs.example", false),
        ];
        for (domain, from, expected) in cases {
            let from = Address::parse(&format!("a@{from}")).unwrap();
            assert_eq!(aligned(domain, &from), expected, "{domain} {from}");
        }
    }
}
