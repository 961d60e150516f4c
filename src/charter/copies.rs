//! Copies in number (drancy:IV): a fingerprint that near-identical texts share, and from which no text can be had.
//!
//! **Method.** The author's own sentences (no quoted reply, no greeting or name of less than [`SENTENCE_WORDS_MIN`] words, no
//! link, no address, no word with a digit) are cut into overlapping rows of [`SHINGLE_WORDS`] words; two texts resemble each other as much as their sets of rows overlap (Broder,
//! *On the resemblance and containment of documents*, 1997). [`HASHES`] minima of random orders of the set estimate that
//! overlap without keeping the set (Broder et al., *Min-wise independent permutations*, 2000); of each minimum sixteen bits
//! are kept (Li and König, *b-bit minwise hashing*, 2010). A name, a date, a greeting change a few rows only.
//!
//! **Look-up.** [`Fingerprint::bands`] gives [`BANDS`] keys of eight octets; similar texts very likely share one
//! (Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, section 3.4). A store keeps each fingerprint once, an index
//! from band key to fingerprint, and an expiry; to look one up it fetches the fingerprints that share a key, drops those
//! outside the window and of another scope, and counts those that are [`similar`]. It can stop counting at N + 1.
//!
//! **Privacy.** Every row of words goes through a pseudo-random function (`SipHash-2-4`) under a key derived from the
//! gateways' common secret by HMAC-SHA256. Without the secret a fingerprint says nothing, not even to somebody who has the
//! text; with it, sixteen bits of a minimum are not enough to name a row of words. Texts of fewer than
//! [`WORDS_MIN`] words have no fingerprint, so that no short text can be guessed and confirmed.

use std::hash::Hasher as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use siphasher::sip::SipHasher24;

use crate::message::text::{ADDRESS_WORD, LINK_WORD, Reading};

/// Words in a row: three keep a text apart from others on the same subject and survive a change every few words.
pub const SHINGLE_WORDS: usize = 3;
/// Minima in a fingerprint: the estimate of the overlap is then off by 0.044 (one standard deviation at one half).
pub const HASHES: usize = 128;
/// Octets of a fingerprint.
pub const FINGERPRINT_BYTES: usize = HASHES * 2;
/// Keys for look-up.
pub const BANDS: usize = 16;
/// Minima in a key. With 16 keys of 3, texts that overlap by 0.6 share a key in 98 of 100 cases, by 0.7 in 99.8.
const BAND_HASHES: usize = 3;
/// Texts whose rows overlap by so much are near copies. Issues of one newsletter, two fifths of it template, come to one half;
/// `make eval` prints what other values would do.
pub const SIMILAR_MIN: f64 = 0.6;
/// Shorter texts say too little: "Thank you for your message" is everybody's.
pub const WORDS_MIN: usize = 20;
/// Shorter sentences are greetings, names and closings: what differs between copies.
pub const SENTENCE_WORDS_MIN: usize = 6;
/// So many words of a text are looked at; campaigns are letters, not books.
const WORDS_MAX: usize = 100_000;

/// The fingerprint of a text. Plain octets, to be kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    bytes: [u8; FINGERPRINT_BYTES],
}

impl Fingerprint {
    /// The octets to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; FINGERPRINT_BYTES] {
        &self.bytes
    }

    /// A stored fingerprint; `None` when the length is wrong.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self { bytes: bytes.try_into().ok()? })
    }

    /// The keys under which similar texts are found, [`BANDS`] of them.
    pub fn bands(&self) -> impl Iterator<Item = [u8; 8]> + '_ {
        self.bytes.chunks_exact(BAND_HASHES * 2).take(BANDS).zip(0u16..).map(|(minima, band)| {
            // The number of the band and its minima, as they are: eight octets.
            let mut key = [0; 8];
            for (octet, value) in key.iter_mut().zip(band.to_be_bytes().iter().chain(minima)) {
                *octet = *value;
            }
            key
        })
    }

    /// The share of rows of words that two texts have in common, estimated: 0 to 1.
    #[must_use]
    pub fn resemblance(&self, other: &Self) -> f64 {
        let pairs = self.bytes.chunks_exact(2).zip(other.bytes.chunks_exact(2));
        let same = pairs.filter(|(a, b)| a == b).count();
        f64::from(u32::try_from(same).unwrap_or(0)) / f64::from(u32::try_from(HASHES).unwrap_or(u32::MAX))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not even a fingerprint belongs in a log.
        f.write_str("Fingerprint(..)")
    }
}

/// Whether two texts are near copies: they overlap by [`SIMILAR_MIN`] or more.
#[must_use]
pub fn similar(a: &Fingerprint, b: &Fingerprint) -> bool {
    a.resemblance(b) >= SIMILAR_MIN
}

/// The fingerprint of a message under the gateways' common key; `None` when it has too few words of its author.
#[must_use]
pub fn fingerprint(key: &[u8; 32], reading: &Reading) -> Option<Fingerprint> {
    let view = &reading.own;
    let mut sentences = Vec::new();
    let mut count = 0;
    for sentence in &view.sentences {
        let words = view.words_of(*sentence).iter().map(|word| view.word(word));
        let words: Vec<&str> = words.filter(|word| says_something(word)).take(WORDS_MAX - count).collect();
        if words.len() >= SENTENCE_WORDS_MIN {
            count += words.len();
            sentences.push(words);
        }
    }
    if count < WORDS_MIN {
        return None;
    }
    let keys = Keys::derive(key);
    let mut minima = [u64::MAX; HASHES];
    for row in sentences.iter().flat_map(|words| words.windows(SHINGLE_WORDS)) {
        let hash = keys.row(row);
        for (minimum, (multiplier, offset)) in minima.iter_mut().zip(&keys.orders) {
            // Multiply-shift (Dietzfelbinger et al., 1997); the upper half decides, the lower is kept.
            let value = (hash ^ offset).wrapping_mul(*multiplier);
            *minimum = (*minimum).min(value ^ (value >> 32));
        }
    }
    let mut bytes = [0; FINGERPRINT_BYTES];
    for (octets, minimum) in bytes.chunks_exact_mut(2).zip(minima) {
        let [.., high, low] = minimum.to_be_bytes();
        octets.copy_from_slice(&[high, low]);
    }
    Some(Fingerprint { bytes })
}

/// Numbers, links and addresses change from one copy to the next and say nothing of the text.
fn says_something(word: &str) -> bool {
    word != LINK_WORD && word != ADDRESS_WORD && !word.contains(|c: char| c.is_numeric())
}

/// What the common key becomes.
struct Keys {
    rows: SipHasher24,
    orders: Vec<(u64, u64)>,
}

impl Keys {
    fn derive(key: &[u8; 32]) -> Self {
        // A key shorter than a block is padded with zeros (RFC 2104 section 2).
        let mut block = [0; 64];
        for (octet, value) in block.iter_mut().zip(key) {
            *octet = *value;
        }
        let number = |purpose: &str, index: u64| {
            let mut mac = Hmac::<Sha256>::new(&block.into());
            mac.update(b"charter-milter copies 1 ");
            mac.update(purpose.as_bytes());
            mac.update(&index.to_be_bytes());
            let octets = mac.finalize().into_bytes();
            octets.iter().take(8).fold(0u64, |number, octet| number << 8 | u64::from(*octet))
        };
        let orders = SipHasher24::new_with_keys(number("orders", 0), number("orders", 1));
        let order = |index: u64| {
            let draw = |half: u8| {
                let mut hasher = orders;
                hasher.write_u64(index);
                hasher.write_u8(half);
                hasher.finish()
            };
            (draw(0) | 1, draw(1))
        };
        Self {
            rows: SipHasher24::new_with_keys(number("rows", 0), number("rows", 1)),
            orders: (0..HASHES as u64).map(order).collect(),
        }
    }

    fn row(&self, words: &[&str]) -> u64 {
        let mut hasher = self.rows;
        for word in words {
            hasher.write(word.as_bytes());
            hasher.write_u8(b' ');
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::PartId;
    use crate::message::text::{Kind, Source, read};

    const KEY: [u8; 32] = [7; 32];

    fn of(text: &str) -> Option<Fingerprint> {
        fingerprint(&KEY, &read(&[Source { kind: Kind::Plain { flowed: false }, text, part: PartId(1) }]))
    }

    const LETTER: &str = "Je tiens à dénoncer publiquement la manière dont le chef du service des sports traite ses agents depuis \
        la rentrée. Les plannings changent la veille pour le lendemain, les congés sont refusés sans motif et personne à la \
        direction ne répond aux courriers. Cette situation doit cesser, et je demande que la lumière soit faite.";

    #[test]
    fn a_name_a_date_and_a_greeting_leave_it_a_near_copy() {
        let first =
            of(&format!("Bonjour Camille,\n\n{LETTER}\n\nFait le 3 mars 2026\nDominique, service des espaces verts"))
                .unwrap();
        let second = of(&format!("Chère collègue,\n\n{LETTER}\n\nLe 14 mars\nSacha")).unwrap();
        assert!(similar(&first, &second), "{}", first.resemblance(&second));
        let keys: Vec<_> = second.bands().collect();
        assert!(first.bands().any(|band| keys.contains(&band)));
    }

    #[test]
    fn another_text_on_the_same_subject_is_none() {
        let other = of(
            "Le service des sports change ses plannings à la rentrée : les agents recevront le leur une semaine avant. Les congés \
             demandés avant le 1er juin seront accordés en priorité. La direction répond aux questions chaque mardi matin, et les \
             courriers reçoivent une réponse sous dix jours.",
        );
        assert!(of(LETTER).unwrap().resemblance(&other.unwrap()) < 0.1);
    }

    #[test]
    fn a_short_text_has_no_fingerprint() {
        assert_eq!(of("Merci de votre réponse, bonne journée à tous et à bientôt."), None);
    }

    #[test]
    fn another_key_makes_an_unrelated_fingerprint() {
        let reading = read(&[Source { kind: Kind::Plain { flowed: false }, text: LETTER, part: PartId(1) }]);
        let (a, b) = (fingerprint(&KEY, &reading).unwrap(), fingerprint(&[8; 32], &reading).unwrap());
        assert!(a.resemblance(&b) < 0.05);
        assert!(!a.bands().any(|band| b.bands().any(|other| other == band)));
    }

    #[test]
    fn it_is_stored_and_read_back() {
        let fingerprint = of(LETTER).unwrap();
        assert_eq!(Fingerprint::from_bytes(fingerprint.as_bytes()), Some(fingerprint));
        assert_eq!(Fingerprint::from_bytes(&[0; 3]), None);
        assert_eq!(fingerprint.bands().count(), BANDS);
        assert_eq!(format!("{fingerprint:?}"), "Fingerprint(..)");
    }
}
