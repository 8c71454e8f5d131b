//! What a misspelt word may have been meant to be.

/// The word of `known` that is nearest to `word`, if it is near.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let most = word.chars().count().div_ceil(3).min(3);
    let near = known.iter().map(|known| (distance(word, known), *known));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}

/// Letters to insert, delete, replace or swap with their neighbor to make one word of the other
/// (optimal string alignment). Words much longer than any key are far from everything.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let a: Vec<char> = a.chars().take(LONGEST + 1).collect();
    let b: Vec<char> = b.chars().collect();
    if a.len() > LONGEST {
        return usize::MAX;
    }
    let width = b.len() + 1;
    let mut cost = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..width {
            let at = |i: usize, j: usize| cost[i * width + j];
            cost[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = at(i - 1, j - 1) + usize::from(a[i - 1] != b[j - 1]);
                let least = replaced.min(at(i - 1, j) + 1).min(at(i, j - 1) + 1);
                let swaps = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swaps { least.min(at(i - 2, j - 2) + 1) } else { least }
            };
        }
    }
    cost[a.len() * width + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_one_step() {
        for (word, other) in
            [("weigth", "weight"), ("intervall", "interval"), ("vip", "vips"), ("porz", "port")]
        {
            assert_eq!(distance(word, other), 1, "{word}");
        }
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_nearest_is_meant_and_nothing_far() {
        let known = ["weight", "weights", "interval", "up"];
        assert_eq!(nearest("wieght", &known), Some("weight"));
        assert_eq!(nearest("weihgts", &known), Some("weights"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &known), None);
        assert_eq!(nearest(&"w".repeat(100_000), &known), None);
    }
}
