use std::cmp::Reverse;

/// How many rows each node takes: its exact share rounded down, and one more for those with the
/// largest rests, so that all rows are taken. Of equal rests the first.
///
/// The weights are not 0, and there is one at least.
pub(super) fn quotas(rows: u32, weights: &[u16]) -> Vec<u32> {
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    let exact = |weight: u16| u64::from(rows) * u64::from(weight);
    let mut quotas: Vec<_> = weights.iter().map(|&w| (exact(w) / total) as u32).collect();
    let missing = rows - quotas.iter().sum::<u32>();

    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&i| Reverse(exact(weights[i]) % total));
    for &i in order.iter().take(missing as usize) {
        quotas[i] += 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_rests_get_the_rows_that_are_left() {
        assert_eq!(quotas(7, &[1]), [7]);
        assert_eq!(quotas(7, &[1, 1, 1]), [3, 2, 2]);
        assert_eq!(quotas(11, &[1, 3, 2]), [2, 5, 4]); // 1.83, 5.5, 3.67
        assert_eq!(quotas(2, &[1, 1, 1]), [1, 1, 0]);
        assert_eq!(quotas(3, &[1, u16::MAX, 1]), [0, 3, 0]);
    }
}
