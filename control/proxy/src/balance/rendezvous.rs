//! Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted distributed hash tables"): of all
//! candidates the one whose random time, drawn from the key and its name at a rate of its weight, is first.
//! Only keys of a candidate that goes move, and a weight that changes moves what it must.

/// The candidate's time for this key: the least of all is chosen.
pub(super) fn score(id: u64, key: u64, weight: u32) -> f64 {
    // 53 bits, never 0, so that the logarithm is finite.
    let uniform = ((mix(id ^ mix(key)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -uniform.ln() / f64::from(weight)
}

/// The finalizer of SplitMix64: every bit of the input moves every bit of the output.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
