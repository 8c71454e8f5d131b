//! SipHash over a burst with the widest vectors that the CPU has. One source, compiled once for
//! each instruction set; the values are the same.
#![expect(unsafe_code, reason = "calls functions compiled for instruction sets not every CPU has")]

use super::siphash::SipHash;
use crate::BURST;

/// An instruction set that this CPU has. [`Lanes::detect`] and, for tests, [`Lanes::available`]
/// are the only ways to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes(Isa);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isa {
    /// AVX-512: eight lanes, and a rotation is one instruction.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2: four lanes.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the target always has: lane by lane.
    Scalar,
}

impl Lanes {
    /// The widest that this CPU has.
    pub(super) fn detect() -> Self {
        Self::available().next().expect("there is always the scalar one")
    }

    /// All that this CPU has, widest first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = {
            let avx512 =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
            let avx2 = is_x86_feature_detected!("avx2");
            [avx512.then_some(Isa::Avx512), avx2.then_some(Isa::Avx2)].into_iter().flatten()
        };
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = std::iter::empty();
        vectors.chain([Isa::Scalar]).map(Self)
    }

    /// Hashes the first `n` lanes, at most [`BURST`]. Those of `out` behind them are left in no
    /// particular state.
    #[inline]
    pub(super) fn hash<const W: usize>(
        self,
        key: [u64; 2],
        words: &[[u64; BURST]; W],
        n: usize,
        out: &mut [u64; BURST],
    ) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                // SAFETY: `available` makes an `Avx512` only where the CPU has these features.
                unsafe { avx512(key, words, n, out) }
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                // SAFETY: `available` makes an `Avx2` only where the CPU has this feature.
                unsafe { avx2(key, words, n, out) }
            }
            Isa::Scalar => hash::<1, W>(key, words, n, out),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl")]
fn avx512<const W: usize>(
    key: [u64; 2],
    words: &[[u64; BURST]; W],
    n: usize,
    out: &mut [u64; BURST],
) {
    hash::<8, W>(key, words, n, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<const W: usize>(
    key: [u64; 2],
    words: &[[u64; BURST]; W],
    n: usize,
    out: &mut [u64; BURST],
) {
    hash::<4, W>(key, words, n, out);
}

/// `L` lanes at a time. Inlined into its callers, whose features it is compiled with.
#[inline(always)]
fn hash<const L: usize, const W: usize>(
    key: [u64; 2],
    words: &[[u64; BURST]; W],
    n: usize,
    out: &mut [u64; BURST],
) {
    const { assert!(BURST.is_multiple_of(L), "the lanes divide a burst: no rest is left") };
    let words = words.each_ref().map(|lanes| lanes.as_chunks::<L>().0);
    let (out, _) = out.as_chunks_mut::<L>();
    for (i, out) in out.iter_mut().enumerate().take(n.div_ceil(L)) {
        let mut state = SipHash::new(key);
        for lanes in words {
            state.word(&lanes[i]);
        }
        *out = state.finish();
    }
}
