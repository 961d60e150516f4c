//! Pseudonyms of senders, and seals of Message-IDs: HMAC-SHA-256 under a key for each charter and period.
//!
//! Within the period one address has one pseudonym, so that an auditor can count; when the key is destroyed at the end of
//! retention nobody can tell any more whose it was. A Message-ID is sealed under an opening key that is derived for its
//! record alone: handing the opening key to a judge opens this record and no other.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::civil::Date;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::disk::{Disk, Layout, read_small};
use super::keys::KeyError;
use super::record::Commitment;
use crate::charter::Period;

/// Octets of a pseudonym that are kept: enough that no two senders ever share one.
const PSEUDONYM_BYTES: usize = 10;

/// For which charter, and for which days, a key is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPeriod {
    /// The charter's id.
    pub charter: String,
    /// First local day.
    pub from: Date,
    /// Last local day; the key is destroyed once everything up to this day is purged.
    pub to: Date,
}

impl KeyPeriod {
    /// The charter's electoral period while `today` (local) is inside it, else the calendar year.
    #[must_use]
    pub fn of(charter: &str, period: Option<Period>, today: Date) -> Self {
        let charter = charter.to_owned();
        match period {
            Some(period) if (period.opens..=period.closes).contains(&today) => {
                Self { charter, from: period.opens, to: period.closes }
            }
            _ => {
                let from = today.first_of_year();
                Self { charter, from, to: today.last_of_year() }
            }
        }
    }
}

impl std::fmt::Display for KeyPeriod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}_{}", self.charter, self.from, self.to)
    }
}

impl std::str::FromStr for KeyPeriod {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut fields = name.rsplitn(3, '_');
        let (Some(to), Some(from), Some(charter)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(());
        };
        // Charter ids are file names here: nothing that could leave the directory.
        if charter.is_empty() || !charter.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(());
        }
        Ok(Self { charter: charter.to_owned(), from: from.parse().map_err(|_| ())?, to: to.parse().map_err(|_| ())? })
    }
}

type PeriodKey = [u8; 32];

/// Gives pseudonyms and seals Message-IDs. Keys are drawn when they are first needed.
#[derive(Debug, Clone)]
pub struct Pseudonymizer {
    layout: Layout,
    keys: Arc<Mutex<HashMap<KeyPeriod, PeriodKey>>>,
}

impl Pseudonymizer {
    /// The keys beside the log in this directory, which is created when it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub fn open(dir: impl Into<std::path::PathBuf>) -> Result<Self, KeyError> {
        let layout = Layout::at(dir);
        layout.create().map_err(|error| KeyError::Io(error.to_string()))?;
        Ok(Self { layout, keys: Arc::default() })
    }

    /// The pseudonym of an address (canonical: lower-case domain, no display name) within the period.
    ///
    /// # Errors
    ///
    /// When the period's key cannot be read or drawn; for mail to a protected list, answer 451.
    pub fn pseudonym(&self, period: &KeyPeriod, address: &str) -> Result<String, KeyError> {
        self.key(period).map(|key| pseudonym(&key, &period.charter, address))
    }

    /// Seals a Message-ID for one record.
    ///
    /// # Errors
    ///
    /// When the period's key cannot be read or drawn, or the system gives no random octets.
    pub fn seal(&self, period: &KeyPeriod, message_id: &str) -> Result<Commitment, KeyError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| KeyError::Random)?;
        let nonce = BASE64URL_NOPAD.encode(&nonce);
        let opening = opening_key(&self.key(period)?, &nonce);
        let seal = BASE64URL_NOPAD.encode(&mac(&opening, &[message_id.as_bytes()]));
        Ok(Commitment { nonce, seal, key: period.to_string() })
    }

    /// The opening key of a record's seal; `None` when the period's key is destroyed.
    ///
    /// # Errors
    ///
    /// When the key cannot be read.
    pub fn opening_key(&self, commitment: &Commitment) -> Result<Option<String>, KeyError> {
        let Ok(period) = commitment.key.parse() else { return Ok(None) };
        let key = self.load(&period)?;
        Ok(key.map(|key| BASE64URL_NOPAD.encode(&opening_key(&key, &commitment.nonce))))
    }

    /// The periods whose keys are still there.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn periods(&self) -> Result<Vec<KeyPeriod>, KeyError> {
        let entries = std::fs::read_dir(self.layout.period_keys()).map_err(|error| KeyError::Io(error.to_string()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut periods: Vec<_> = names.filter_map(|name| name.strip_suffix(".key")?.parse().ok()).collect();
        periods.sort_unstable();
        Ok(periods)
    }

    /// Destroys the key of a period: from now on its pseudonyms and seals mean nothing to anybody.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn destroy(&self, period: &KeyPeriod) -> Result<(), KeyError> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(period);
        self.layout.destroy(&Disk, &self.path(period)).map_err(|error| KeyError::Io(error.to_string()))
    }

    fn path(&self, period: &KeyPeriod) -> std::path::PathBuf {
        self.layout.period_keys().join(format!("{period}.key"))
    }

    /// The key of a period; draws it when there is none.
    fn key(&self, period: &KeyPeriod) -> Result<PeriodKey, KeyError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(period) {
            return Ok(*key);
        }
        if period.to_string().parse() != Ok(period.clone()) {
            return Err(KeyError::Malformed);
        }
        // Two processes may need the key at once: the one that locks first draws it.
        let lock = self.layout.open_lock(&self.layout.private().join("period.lock"));
        let lock = lock.map_err(|error| KeyError::Io(error.to_string()))?;
        lock.lock().map_err(|error| KeyError::Io(error.to_string()))?;
        let key = match self.load(period)? {
            Some(key) => key,
            None => self.draw(period)?,
        };
        keys.insert(period.clone(), key);
        Ok(key)
    }

    fn load(&self, period: &KeyPeriod) -> Result<Option<PeriodKey>, KeyError> {
        let text = match read_small(&self.path(period), 128) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KeyError::Io(error.to_string())),
        };
        let bytes = BASE64URL_NOPAD.decode(text.trim_end().as_bytes()).map_err(|_| KeyError::Malformed)?;
        bytes.as_slice().try_into().map(Some).map_err(|_| KeyError::Malformed)
    }

    fn draw(&self, period: &KeyPeriod) -> Result<PeriodKey, KeyError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| KeyError::Random)?;
        let text = BASE64URL_NOPAD.encode(&key);
        self.layout
            .replace(&Disk, &self.path(period), text.as_bytes(), true)
            .map_err(|error| KeyError::Io(error.to_string()))?;
        Ok(key)
    }
}

/// Whether `opening_key` opens the seal with `message_id`.
#[must_use]
pub fn opens(commitment: &Commitment, opening_key: &str, message_id: &str) -> bool {
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    let (Some(opening), Some(seal)) = (decode(opening_key), decode(&commitment.seal)) else { return false };
    let expected = mac(&opening, &[message_id.as_bytes()]);
    opening.len() == 32 && expected.as_slice().ct_eq(&seal).into()
}

fn pseudonym(key: &PeriodKey, charter: &str, address: &str) -> String {
    let tag = mac(key, &[b"pseudonym", charter.as_bytes(), address.as_bytes()]);
    BASE32_NOPAD.encode(tag.get(..PSEUDONYM_BYTES).unwrap_or_default()).to_ascii_lowercase()
}

fn opening_key(key: &PeriodKey, nonce: &str) -> [u8; 32] {
    mac(key, &[b"opening", nonce.as_bytes()])
}

/// HMAC-SHA-256 over the parts, a zero octet between them: no part holds one.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length; the error cannot happen, and an all-zero tag would match nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            mac.update(&[0]);
        }
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn period() -> KeyPeriod {
        let period = Period { opens: date(2018, 6, 11), closes: date(2018, 7, 9) };
        KeyPeriod::of("cnrs-2018", Some(period), date(2018, 6, 30))
    }

    #[test]
    fn one_address_has_one_pseudonym_within_charter_and_period() {
        let dir = tempfile::tempdir().unwrap();
        let one = Pseudonymizer::open(dir.path()).unwrap();
        let other = Pseudonymizer::open(dir.path()).unwrap();
        let name = one.pseudonym(&period(), "liste-a@candidats.example").unwrap();
        assert_eq!(name.len(), 16);
        assert_eq!(other.pseudonym(&period(), "liste-a@candidats.example").unwrap(), name);
        assert_ne!(one.pseudonym(&period(), "liste-b@candidats.example").unwrap(), name);
        let year = KeyPeriod::of("cnrs-2018", None, date(2018, 6, 30));
        assert_ne!(one.pseudonym(&year, "liste-a@candidats.example").unwrap(), name);
        let drancy = KeyPeriod { charter: "drancy".into(), ..period() };
        assert_ne!(one.pseudonym(&drancy, "liste-a@candidats.example").unwrap(), name);
        assert_eq!(one.periods().unwrap().len(), 3);
    }

    #[test]
    fn an_opening_key_opens_its_own_record_alone() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Pseudonymizer::open(dir.path()).unwrap();
        let one = keys.seal(&period(), "<a@x.example>").unwrap();
        let other = keys.seal(&period(), "<a@x.example>").unwrap();
        assert_ne!(one.seal, other.seal);
        let key = keys.opening_key(&one).unwrap().unwrap();
        assert!(opens(&one, &key, "<a@x.example>"));
        assert!(!opens(&one, &key, "<b@x.example>"));
        assert!(!opens(&other, &key, "<a@x.example>"));
        keys.destroy(&period()).unwrap();
        assert_eq!(keys.opening_key(&one).unwrap(), None);
        assert!(opens(&one, &key, "<a@x.example>"), "who was given the opening key keeps it");
    }

    #[test]
    fn the_key_of_a_period_ends_with_it() {
        assert_eq!(period().to_string(), "cnrs-2018_2018-06-11_2018-07-09");
        assert_eq!(period().to_string().parse(), Ok(period()));
        let after = KeyPeriod::of(
            "cnrs-2018",
            Some(Period { opens: date(2018, 6, 11), closes: date(2018, 7, 9) }),
            date(2018, 7, 10),
        );
        assert_eq!(after.to_string(), "cnrs-2018_2018-01-01_2018-12-31");
        assert_eq!("../../etc_2018-01-01_2018-12-31".parse::<KeyPeriod>(), Err(()));
    }
}
