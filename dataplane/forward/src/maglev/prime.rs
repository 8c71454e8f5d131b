/// Whether a number is prime, as the number of a Maglev table's rows must be.
pub const fn is_prime(n: u32) -> bool {
    if n < 2 {
        return false;
    }
    let mut divisor = 2;
    while divisor <= n / divisor {
        if n.is_multiple_of(divisor) {
            return false;
        }
        divisor += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_known() {
        let primes: Vec<u32> = (0..60).filter(|&n| is_prime(n)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]);
        for (n, prime) in [(65537, true), (65521, true), (65536, false), (65521 * 65521, false)] {
            assert_eq!(is_prime(n), prime, "{n}");
        }
        assert!(is_prime(4_294_967_291));
        assert!(!is_prime(u32::MAX));
    }
}
