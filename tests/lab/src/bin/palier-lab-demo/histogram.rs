use std::time::Duration;

/// Steps between two powers of two: a latency is known to within 6 %.
const STEPS: usize = 16;

/// How often which latency was seen.
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; 64 * STEPS] }
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
        let power = micros.ilog2() as usize;
        let step = (((u128::from(micros) << 4) >> power) & 15) as usize;
        self.counts[power * STEPS + step] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// The latency that `percent` of all do not exceed, in milliseconds; `None` if none was seen.
    pub(crate) fn percentile(&self, percent: u64) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let mut left = (total * percent).div_ceil(100).max(1);
        let index = self.counts.iter().position(|&count| {
            left = left.saturating_sub(count);
            left == 0
        })?;
        let (power, step) = (index / STEPS, index % STEPS);
        let micros = (1.0 + (step + 1) as f64 / STEPS as f64) * 2_f64.powi(power as i32);
        Some(micros / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_step() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(50), None);
        for micros in 1..=10_000 {
            histogram.add(Duration::from_micros(micros));
        }
        for (percent, milliseconds) in [(50, 5.0), (99, 9.9), (100, 10.0)] {
            let found = histogram.percentile(percent).unwrap();
            assert!((milliseconds..milliseconds * 1.07).contains(&found), "{percent}: {found}");
        }
    }
}
