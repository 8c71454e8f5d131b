//! Names of nodes and services, by index: 64 bytes each, a length and the text.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Bytes of a name with its length.
pub(super) const NAME_LEN: usize = 64;
const WORDS: usize = NAME_LEN / 8;

/// The name in place `index`: `None` if there is none.
pub(super) fn name(places: &[AtomicU64], index: usize) -> Option<String> {
    let words = places.as_chunks::<WORDS>().0.get(index)?;
    let mut bytes = [0; NAME_LEN];
    for (word, bytes) in words.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = word.load(Acquire).to_le_bytes();
    }
    let [length, text @ ..] = &bytes;
    let text = text.get(..usize::from(*length)).filter(|text| !text.is_empty())?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Puts a name of at most 63 bytes into a place.
pub(super) fn set_name(places: &[AtomicU64], index: usize, name: &str) {
    let words = &places.as_chunks::<WORDS>().0[index];
    for (word, value) in stores(name) {
        words[word].store(value, Release);
    }
}

/// What is stored, in this order, to write a name. Its first word, which has its length, goes first and
/// comes last, so that half a name is never read, whenever the process is killed.
fn stores(name: &str) -> impl Iterator<Item = (usize, u64)> {
    let mut bytes = [0; NAME_LEN];
    bytes[0] = name.len() as u8;
    bytes[1..=name.len()].copy_from_slice(name.as_bytes());
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    [(0, 0)].into_iter().chain(words.into_iter().enumerate().rev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_written_up_to_63_bytes() {
        let places: Vec<AtomicU64> = (0..16).map(|_| AtomicU64::new(0)).collect();
        assert_eq!(name(&places, 1), None);
        for text in ["web", "a", &"x".repeat(63), "h\u{f4}te"] {
            set_name(&places, 1, text);
            assert_eq!(name(&places, 1).as_deref(), Some(text));
            assert_eq!(name(&places, 0), None);
        }
        assert_eq!(name(&places, 2), None, "out of range");
    }

    #[test]
    fn a_name_with_a_lying_length_is_none() {
        let places: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(u64::MAX)).collect();
        assert_eq!(name(&places, 0), None);
    }

    #[test]
    fn at_every_instruction_a_name_is_the_old_one_none_or_the_new_one() {
        let (old, new) =
            ("the-service-that-was-here-before", "its-successor-with-a-longer-name-than-that");
        let count = stores(new).count();
        for killed_after in 0..=count {
            let places: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
            set_name(&places, 0, old);
            for (word, value) in stores(new).take(killed_after) {
                places[word].store(value, Release);
            }
            let expected = match killed_after {
                0 => Some(old),
                _ if killed_after == count => Some(new),
                _ => None,
            };
            assert_eq!(name(&places, 0).as_deref(), expected, "after {killed_after} stores");
        }
    }
}
