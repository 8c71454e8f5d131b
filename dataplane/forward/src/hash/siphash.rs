use std::array;

/// SipHash-1-3 (Aumasson and Bernstein, INDOCRYPT 2012: one round a word, three at the end) of
/// `L` messages side by side.
///
/// Each step is written as a loop over the lanes, which the compiler turns into vector
/// instructions of whatever the calling function may use; hence `inline(always)`.
#[derive(Clone, Copy)]
pub(super) struct SipHash<const L: usize>([[u64; L]; 4]);

impl<const L: usize> SipHash<L> {
    #[inline(always)]
    pub(super) fn new(key: [u64; 2]) -> Self {
        // "somepseudorandomlygeneratedbytes"
        Self([
            [key[0] ^ 0x736f_6d65_7073_6575; L],
            [key[1] ^ 0x646f_7261_6e64_6f6d; L],
            [key[0] ^ 0x6c79_6765_6e65_7261; L],
            [key[1] ^ 0x7465_6462_7974_6573; L],
        ])
    }

    /// Takes in the next word of each message.
    #[inline(always)]
    pub(super) fn word(&mut self, word: &[u64; L]) {
        for (v3, word) in self.0[3].iter_mut().zip(word) {
            *v3 ^= word;
        }
        self.round();
        for (v0, word) in self.0[0].iter_mut().zip(word) {
            *v0 ^= word;
        }
    }

    /// The hash of each message, once its last word was taken in.
    #[inline(always)]
    pub(super) fn finish(mut self) -> [u64; L] {
        for v2 in &mut self.0[2] {
            *v2 ^= 0xff;
        }
        self.round();
        self.round();
        self.round();
        let [v0, v1, v2, v3] = self.0;
        array::from_fn(|l| v0[l] ^ v1[l] ^ v2[l] ^ v3[l])
    }

    #[inline(always)]
    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.0;
        for l in 0..L {
            v0[l] = v0[l].wrapping_add(v1[l]);
            v2[l] = v2[l].wrapping_add(v3[l]);
            v1[l] = v1[l].rotate_left(13) ^ v0[l];
            v3[l] = v3[l].rotate_left(16) ^ v2[l];
            v0[l] = v0[l].rotate_left(32);

            v2[l] = v2[l].wrapping_add(v1[l]);
            v0[l] = v0[l].wrapping_add(v3[l]);
            v1[l] = v1[l].rotate_left(17) ^ v2[l];
            v3[l] = v3[l].rotate_left(21) ^ v0[l];
            v2[l] = v2[l].rotate_left(32);
        }
    }
}

/// SipHash-1-3 of one message of any length.
pub(super) fn siphash(key: [u64; 2], message: &[u8]) -> u64 {
    let mut state = SipHash::<1>::new(key);
    let (words, rest) = message.as_chunks::<8>();
    for word in words {
        state.word(&[u64::from_le_bytes(*word)]);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = message.len() as u8; // modulo 256, as SipHash says
    state.word(&[u64::from_le_bytes(last)]);
    let [hash] = state.finish();
    hash
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    use super::*;

    proptest! {
        #[test]
        fn it_is_siphash_1_3(key: [u64; 2], message in vec(any::<u8>(), 0..300)) {
            let mut reference = SipHasher13::new_with_keys(key[0], key[1]);
            reference.write(&message);
            prop_assert_eq!(siphash(key, &message), reference.finish());
        }
    }
}
