use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

fn rate(per_second: u32, burst: u32) -> api::Rate {
    api::Rate { per_second, burst }
}

/// How often a limiter lets it happen at one moment.
fn at_once(limiter: &mut Limiter, millis: u64) -> usize {
    (0..1_000_000).take_while(|_| limiter.take(millis)).count()
}

#[test]
fn the_burst_may_come_at_once_and_then_the_rate() {
    let mut limiter = Limiter::new(rate(100, 7), 1);
    assert_eq!(at_once(&mut limiter, 5_000), 7);
    assert_eq!(at_once(&mut limiter, 5_009), 0);
    assert_eq!(at_once(&mut limiter, 5_010), 1);
    assert_eq!(at_once(&mut limiter, 5_060), 5);
    assert_eq!(at_once(&mut limiter, 6_060), 7, "no more than the burst is saved up");
}

#[test]
fn over_a_long_time_no_token_is_lost_to_rounding() {
    for (per_second, workers) in [(7, 1), (1_000, 3), (333, 7), (1, 1), (200_000, 1)] {
        let mut limiter = Limiter::new(rate(per_second, 10_000), workers);
        at_once(&mut limiter, 0);
        let seconds = 60;
        let granted: usize =
            (1..=seconds * 1_000).map(|millis| at_once(&mut limiter, millis)).sum();
        let expected = u64::from(per_second) * seconds / u64::from(workers);
        assert_eq!(granted as u64, expected, "{per_second} per second, {workers} workers");
    }
}

#[test]
fn workers_share_rate_and_burst() {
    let mut limiter = Limiter::new(rate(1_000, 100), 4);
    assert_eq!(at_once(&mut limiter, 0), 25);
    assert_eq!(at_once(&mut limiter, 20), 5);
}

#[test]
fn a_share_of_less_than_one_is_saved_up() {
    let mut limiter = Limiter::new(rate(2, 1), 16);
    assert_eq!(at_once(&mut limiter, 0), 1);
    assert_eq!(at_once(&mut limiter, 7_999), 0);
    assert_eq!(at_once(&mut limiter, 8_000), 1);
}

#[test]
fn a_rate_of_zero_lets_nothing_happen() {
    let mut limiter = Limiter::new(rate(0, 1_000), 1);
    assert_eq!(at_once(&mut limiter, 0), 0);
    assert_eq!(at_once(&mut limiter, u64::MAX), 0);
    let mut sources = SourceLimits::new(rate(0, 1_000), 1);
    assert!(!sources.take(v4(1), u64::MAX).is_granted());
}

#[test]
fn the_longest_gap_and_the_largest_rate_do_not_overflow() {
    let mut limiter = Limiter::new(rate(u32::MAX, u32::MAX), u32::MAX);
    assert_eq!(at_once(&mut limiter, 0), 1);
    assert_eq!(at_once(&mut limiter, u64::MAX), 1);
    let mut limiter = Limiter::new(rate(1 << 16, 3), 1);
    assert_eq!(at_once(&mut limiter, 0), 3);
    assert_eq!(at_once(&mut limiter, 1 << 48), 3, "the product is one bit longer than 64");
    let mut limiter = Limiter::new(rate(u32::MAX, 3), 1);
    assert_eq!(at_once(&mut limiter, u64::MAX), 3);
    assert_eq!(at_once(&mut limiter, u64::MAX), 0);
}

#[test]
fn time_that_goes_back_gives_nothing() {
    let mut limiter = Limiter::new(rate(1_000, 5), 1);
    assert_eq!(at_once(&mut limiter, 10_000), 5);
    assert_eq!(at_once(&mut limiter, 9_000), 0);
    assert_eq!(at_once(&mut limiter, 10_000), 0);
    assert_eq!(at_once(&mut limiter, 10_001), 1);
}

#[test]
fn only_another_rate_fills_the_bucket_again() {
    let mut limiter = Limiter::new(rate(1, 5), 1);
    at_once(&mut limiter, 0);
    limiter.set_rate(rate(1, 5), 1);
    assert_eq!(at_once(&mut limiter, 0), 0);
    limiter.set_rate(rate(1, 6), 1);
    assert_eq!(at_once(&mut limiter, 0), 6);

    let mut sources = SourceLimits::new(rate(1, 1), 1);
    assert!(sources.take(v4(1), 0).is_granted());
    sources.set_rate(rate(1, 1), 1);
    assert!(!sources.take(v4(1), 0).is_granted());
    sources.set_rate(rate(2, 1), 1);
    assert!(sources.take(v4(1), 0).is_granted());
}

/// An address in the `n`th prefix of 24 bits, from 203.0.0.0 on.
fn v4(n: u32) -> IpAddr {
    Ipv4Addr::from_bits((203 << 24) + (n << 8) + n % 251).into()
}

fn v6(text: &str) -> IpAddr {
    text.parse::<Ipv6Addr>().unwrap().into()
}

#[test]
fn sources_of_one_prefix_share_its_bucket_and_others_have_their_own() {
    let mut limits = SourceLimits::new(rate(1, 2), 1);
    let mut take = |source| limits.take(source, 0).is_granted();
    let [a, b, c] = ["192.0.2.1", "192.0.2.255", "192.0.3.1"].map(|a| a.parse().unwrap());
    assert!(take(a) && take(b) && !take(a) && !take(b));
    assert!(take(c));
    let [a, b, c] = ["2001:db8::1", "2001:db8::ffff:0:0:2", "2001:db8:0:1::1"].map(v6);
    assert!(take(a) && take(b) && !take(a) && !take(b));
    assert!(take(c));
}

#[test]
fn sources_without_a_place_share_a_bucket_and_it_is_told() {
    let mut limits = SourceLimits::new(rate(1, 3), 1);
    let taken: Vec<Taken> = (0..20_000).map(|n| limits.take(v4(n), 0)).collect();
    let own = taken.iter().filter(|t| !t.is_shared()).count();
    assert!((3_800..=SETS * WAYS).contains(&own), "{own}");
    assert!(taken.iter().all(|t| t.is_shared() || t.is_granted()));
    let shared = taken.iter().filter(|t| t.is_shared() && t.is_granted()).count();
    assert_eq!(shared, 3);
}

#[test]
fn a_place_is_free_again_once_its_bucket_is_full() {
    let mut limits = SourceLimits::new(rate(1, 3), 1);
    for n in 0..20_000 {
        limits.take(v4(n), 0);
    }
    // A token a second: at 1000 ms all are full again that were asked once.
    let later = (20_000..20_004).map(|n| limits.take(v4(n), 1_000));
    assert!(later.into_iter().all(|t| t.is_granted() && !t.is_shared()));
}

#[test]
fn a_prefix_that_is_above_its_limit_keeps_its_place() {
    let mut limits = SourceLimits::new(rate(1, 3), 1);
    let flood = v4(0);
    for millis in 0..900 {
        limits.take(flood, millis);
        limits.take(v4(1 + millis as u32 * 7), millis);
    }
    let refused = limits.take(flood, 900);
    assert!(!refused.is_granted() && !refused.is_shared());
}
