//! Whether what stands is enough for a service, as Keepalived counts it.

/// Weight that a service needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quorum {
    /// Sum of the weights of nodes that are up.
    pub need: u32,
    /// Lost below `need - hysteresis`, back from `need + hysteresis` on: so that a node that comes
    /// and goes does not take the service along each time.
    pub hysteresis: u32,
}

impl Quorum {
    /// Whether it holds with this weight, given whether it held before. Without any weight it never
    /// does, whatever is needed.
    pub const fn holds(self, weight: u32, before: bool) -> bool {
        let threshold = if before {
            self.need.saturating_sub(self.hysteresis)
        } else {
            self.need.saturating_add(self.hysteresis)
        };
        weight > 0 && weight >= threshold
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Quorum;

    #[test]
    fn it_is_lost_below_need_less_hysteresis_and_back_from_need_and_hysteresis_on() {
        // (need, hysteresis, weight) -> (holds if it did, holds if it did not)
        let table = [
            ((1, 0, 0), (false, false)),
            ((1, 0, 1), (true, true)),
            ((3, 0, 2), (false, false)),
            ((3, 0, 3), (true, true)),
            ((5, 2, 2), (false, false)),
            ((5, 2, 3), (true, false)),
            ((5, 2, 6), (true, false)),
            ((5, 2, 7), (true, true)),
            // Nothing left is nothing, even where the threshold is zero or less.
            ((1, 1, 0), (false, false)),
            ((1, 1, 1), (true, false)),
            ((1, 1, 2), (true, true)),
            ((1, 9, 0), (false, false)),
            ((1, 9, 1), (true, false)),
            ((0, 0, 0), (false, false)),
            ((0, 0, 1), (true, true)),
            // A sum beyond the type is not small.
            ((u32::MAX, 1, u32::MAX - 1), (true, false)),
            ((u32::MAX, 1, u32::MAX), (true, true)),
        ];
        for ((need, hysteresis, weight), (up, down)) in table {
            let quorum = Quorum { need, hysteresis };
            assert_eq!(quorum.holds(weight, true), up, "{quorum:?} up, {weight}");
            assert_eq!(quorum.holds(weight, false), down, "{quorum:?} down, {weight}");
        }
    }

    proptest! {
        #[test]
        fn one_weight_never_makes_it_flap(need: u32, hysteresis: u32, weight: u32, before: bool) {
            let quorum = Quorum { need, hysteresis };
            let after = quorum.holds(weight, before);
            prop_assert_eq!(quorum.holds(weight, after), after);
        }

        #[test]
        fn more_weight_never_hurts(need in 0..50u32, hysteresis in 0..60u32, weight in 0..120u32, before: bool) {
            let quorum = Quorum { need, hysteresis };
            prop_assert!(!quorum.holds(weight, before) || quorum.holds(weight + 1, before));
            // What is enough to come back is enough to stay.
            prop_assert!(!quorum.holds(weight, false) || quorum.holds(weight, true));
        }
    }
}
