//! The Merkle tree of RFC 6962 §2.1 over the lines of the log.
//!
//! Appending and verifying only need the [`Frontier`]: the roots of the complete subtrees, at most 64 hashes whatever
//! the size of the log. Proofs are made and checked by `tlog_tiles`; the tests hold both against `ct-merkle`.

use sha2::{Digest as _, Sha256};
use tlog_tiles::tlog;

/// A SHA-256 hash of the tree.
pub type Hash = [u8; 32];

/// The hash of a leaf: SHA-256 over `0x00` and the exact bytes of the line, without its line feed (RFC 6962 §2.1).
#[must_use]
pub fn leaf_hash(line: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(line);
    hasher.finalize().into()
}

/// The hash of an inner node: SHA-256 over `0x01` and its two children (RFC 6962 §2.1).
fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0x01; 65];
    let (head, tail) = bytes.split_at_mut(33);
    if let Some(place) = head.get_mut(1..) {
        place.copy_from_slice(left);
    }
    tail.copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// The right edge of the tree: all that is needed to append leaves and to know the root.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Frontier {
    /// Number of leaves.
    size: u64,
    /// The roots of the complete subtrees, from the largest (left) to the smallest: one for each bit set in `size`.
    #[serde(with = "hash_list")]
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A frontier from its parts, when there is one peak for each bit set in the size.
    #[must_use]
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (u64::from(size.count_ones()) == peaks.len() as u64).then_some(Self { size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing one bit of the old size is a complete subtree that the new leaf completes further.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the tree; of the empty tree, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Whether the number of peaks fits the size; a frontier read from a file may lie.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        u64::from(self.size.count_ones()) == self.peaks.len() as u64
    }
}

/// Every inner hash of a tree, for making proofs. 64 octets a leaf.
#[derive(Debug, Default)]
pub struct FullTree {
    size: u64,
    stored: Vec<tlog::Hash>,
}

impl tlog::HashReader for FullTree {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        indexes
            .iter()
            .map(|index| {
                usize::try_from(*index)
                    .ok()
                    .and_then(|index| self.stored.get(index).copied())
                    .ok_or_else(|| tlog::Error::InvalidInput("hash outside the tree".into()))
            })
            .collect()
    }
}

impl FullTree {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    ///
    /// # Errors
    ///
    /// When the stored hashes do not fit the size, which a tree built by this function alone never shows.
    pub fn push(&mut self, leaf: Hash) -> Result<(), ProofError> {
        let hashes = tlog::stored_hashes_for_record_hash(self.size, tlog::Hash(leaf), self).map_err(|_| ProofError)?;
        self.stored.extend(hashes);
        self.size += 1;
        Ok(())
    }

    /// The root of the first `size` leaves.
    ///
    /// # Errors
    ///
    /// When the tree has fewer leaves.
    pub fn root(&self, size: u64) -> Result<Hash, ProofError> {
        if size > self.size {
            return Err(ProofError);
        }
        tlog::tree_hash(size, self).map(|hash| hash.0).map_err(|_| ProofError)
    }

    /// The audit path of leaf `index` in the tree of the first `size` leaves (RFC 6962 §2.1.1).
    ///
    /// # Errors
    ///
    /// When `index < size <= self.size()` does not hold.
    pub fn inclusion(&self, size: u64, index: u64) -> Result<Vec<Hash>, ProofError> {
        if size > self.size || index >= size {
            return Err(ProofError);
        }
        let path = tlog::prove_record(size, index, self).map_err(|_| ProofError)?;
        Ok(path.into_iter().map(|hash| hash.0).collect())
    }

    /// The proof that the tree of `old` leaves is the beginning of the tree of `new` leaves (RFC 6962 §2.1.2).
    ///
    /// # Errors
    ///
    /// When `1 <= old <= new <= self.size()` does not hold.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
        if old == 0 || old > new || new > self.size {
            return Err(ProofError);
        }
        let path = tlog::prove_tree(new, old, self).map_err(|_| ProofError)?;
        Ok(path.into_iter().map(|hash| hash.0).collect())
    }
}

/// Checks that `leaf` stands at `index` of the tree of `size` leaves with this `root`.
#[must_use]
pub fn inclusion_holds(path: &[Hash], size: u64, root: Hash, index: u64, leaf: Hash) -> bool {
    if index >= size || path.len() > 64 {
        return false;
    }
    let path = path.iter().map(|hash| tlog::Hash(*hash)).collect();
    tlog::check_record(&path, size, tlog::Hash(root), index, tlog::Hash(leaf)).is_ok()
}

/// Checks that the tree `(old, old_root)` is the beginning of the tree `(new, new_root)`.
#[must_use]
pub fn consistency_holds(path: &[Hash], new: u64, new_root: Hash, old: u64, old_root: Hash) -> bool {
    if old == 0 || old > new || path.len() > 128 {
        return false;
    }
    let path = path.iter().map(|hash| tlog::Hash(*hash)).collect();
    tlog::check_tree(&path, new, tlog::Hash(new_root), old, tlog::Hash(old_root)).is_ok()
}

/// A proof was asked for that the tree cannot give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tree has no such leaf or size")]
pub struct ProofError;

/// Hashes as standard base64 in JSON.
mod hash_list {
    use data_encoding::BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Hash;

    pub fn serialize<S: Serializer>(hashes: &[Hash], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(hashes.iter().map(|hash| BASE64.encode(hash)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hash>, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|text| {
                let bytes = BASE64.decode(text.as_bytes()).map_err(D::Error::custom)?;
                Hash::try_from(bytes.as_slice()).map_err(D::Error::custom)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use sha2::Sha256;

    use super::*;

    /// The oracle's idea of the root after `lines`.
    fn oracle(lines: &[Vec<u8>]) -> Hash {
        let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for line in lines {
            tree.push(line.clone());
        }
        (*tree.root().as_bytes()).into()
    }

    fn lines(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|i| format!("line {i}").into_bytes()).collect()
    }

    #[test]
    fn every_size_has_the_root_of_the_oracle() {
        let lines = lines(130);
        let mut frontier = Frontier::new();
        let mut full = FullTree::new();
        assert_eq!(frontier.root(), oracle(&[]));
        for (i, line) in lines.iter().enumerate() {
            frontier.push(leaf_hash(line));
            full.push(leaf_hash(line)).unwrap();
            let expected = oracle(&lines[..=i]);
            assert_eq!(frontier.root(), expected);
            assert_eq!(full.root(full.size()).unwrap(), expected);
            assert!(frontier.is_sound());
        }
    }

    #[test]
    fn proofs_hold_for_their_own_leaf_and_tree_alone() {
        let lines = lines(37);
        let mut full = FullTree::new();
        for line in &lines {
            full.push(leaf_hash(line)).unwrap();
        }
        for size in 1..=37_u64 {
            let root = full.root(size).unwrap();
            for index in 0..size {
                let path = full.inclusion(size, index).unwrap();
                let leaf = leaf_hash(&lines[usize::try_from(index).unwrap()]);
                assert!(inclusion_holds(&path, size, root, index, leaf));
                assert!(!inclusion_holds(&path, size, root, index, leaf_hash(b"another")));
                assert!(size == 1 || !inclusion_holds(&path, size, root, (index + 1) % size, leaf));
            }
            for old in 1..=size {
                let path = full.consistency(old, size).unwrap();
                let old_root = full.root(old).unwrap();
                assert!(consistency_holds(&path, size, root, old, old_root));
                assert!(!consistency_holds(&path, size, root, old, [7; 32]));
            }
        }
        assert_eq!(full.inclusion(38, 0), Err(ProofError));
        assert_eq!(full.inclusion(5, 5), Err(ProofError));
    }

    #[test]
    fn an_oracle_proof_is_accepted() {
        let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for line in lines(21) {
            tree.push(line);
        }
        let root = (*tree.root().as_bytes()).into();
        let proof = tree.prove_inclusion(13);
        let path: Vec<Hash> = proof.as_bytes().chunks(32).map(|chunk| chunk.try_into().unwrap()).collect();
        assert!(inclusion_holds(&path, 21, root, 13, leaf_hash(b"line 13")));
    }

    #[test]
    fn a_frontier_with_the_wrong_number_of_peaks_is_not_sound() {
        assert!(Frontier::from_parts(3, vec![[0; 32]]).is_none());
        let lie: Frontier = serde_json::from_str(r#"{"size":3,"peaks":[]}"#).unwrap();
        assert!(!lie.is_sound());
    }
}
