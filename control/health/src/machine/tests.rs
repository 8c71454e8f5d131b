use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use Outcome::{Failed, Passed, Refused, Silent, Unasked};
use State::{Down, Drain, Up};

const OUTCOMES: [Outcome; 5] = [Passed, Refused, Failed, Silent, Unasked];

fn timing(initial: Initial, rise: u32, fall: u32, fall_mode: FallMode) -> Timing {
    Timing {
        interval: Duration::from_secs(10),
        fast_interval: Duration::from_secs(2),
        retry_delay: Duration::from_secs(1),
        rise: NonZeroU32::new(rise).unwrap(),
        fall: NonZeroU32::new(fall).unwrap(),
        fall_mode,
        initial,
        ..Timing::default()
    }
}

fn cumulative(clear_after: u32) -> FallMode {
    FallMode::Cumulative { clear_after: NonZeroU32::new(clear_after).unwrap() }
}

fn machine(initial: Initial, rise: u32, fall: u32) -> Machine {
    Machine::new(timing(initial, rise, fall, FallMode::Consecutive), Duration::ZERO)
}

fn observe(machine: &mut Machine, outcome: Outcome) -> Option<State> {
    machine.observe(&Report::new(outcome, "because"), Duration::from_secs(1));
    machine.standing().state
}

/// The states after each of these answers.
fn states(machine: &mut Machine, answers: &[Outcome]) -> Vec<State> {
    answers.iter().map(|answer| observe(machine, *answer).unwrap()).collect()
}

/// The same rules as the machine's, said of a history instead of counters: the state after these
/// answers.
fn judged(timing: &Timing, history: &[Outcome]) -> Option<State> {
    let mut state = match timing.initial {
        Initial::FirstCheck => None,
        Initial::Up => Some(Up),
        Initial::Down => Some(Down),
    };
    // What was answered since the state was entered.
    let mut since: Vec<State> = Vec::new();
    for outcome in history {
        let verdict = match outcome {
            Passed => Up,
            Refused => Drain,
            Failed => Down,
            Silent => {
                state = state.or(Some(Up));
                continue;
            }
            Unasked => continue,
        };
        let Some(current) = state else {
            state = Some(verdict);
            // It has agreed once, which counts only for what it takes to forget failures.
            since = vec![verdict];
            continue;
        };
        since.push(verdict);
        let flips = match verdict {
            Up => {
                let row = since.iter().rev().take_while(|v| **v == Up).count();
                current != Up && row >= timing.rise.get() as usize
            }
            Drain | Down => contrary(timing, current, &since) >= timing.fall.get() as usize,
        };
        if flips {
            state = Some(verdict);
            // The pass that took it up, and those before, also count for forgetting.
            since.retain(|v| *v == Up && verdict == Up);
        }
    }
    state
}

/// How many of these speak for a state that is worse than, or as bad as but other than, the current.
fn contrary(timing: &Timing, current: State, since: &[State]) -> usize {
    let clear_after = match timing.fall_mode {
        FallMode::Consecutive => 1,
        FallMode::Cumulative { clear_after } => clear_after.get() as usize,
    };
    let forgotten = (0..=since.len()).rev().find(|end| {
        let before = &since[..*end];
        let agrees = current != Up && before.last() == Some(&current);
        agrees || before.iter().rev().take_while(|v| **v == Up).count() >= clear_after
    });
    since[forgotten.unwrap_or(0)..].iter().filter(|v| **v != Up && **v != current).count()
}

#[test]
fn every_state_counter_and_outcome_goes_where_the_rules_say() {
    let initials = [Initial::FirstCheck, Initial::Up, Initial::Down];
    let modes = [FallMode::Consecutive, cumulative(1), cumulative(2), cumulative(3)];
    for (initial, mode) in initials.iter().flat_map(|i| modes.iter().map(move |m| (*i, *m))) {
        for (rise, fall) in (1..=3).flat_map(|rise| (1..=3).map(move |fall| (rise, fall))) {
            let timing = timing(initial, rise, fall, mode);
            // All histories of six answers, thus of fewer too.
            for number in 0..4usize.pow(6) {
                let history: Vec<Outcome> =
                    (0..6).map(|digit| OUTCOMES[number / 4usize.pow(digit) % 4]).collect();
                let mut machine = Machine::new(timing, Duration::ZERO);
                let last = history.iter().map(|answer| observe(&mut machine, *answer)).last();
                assert_eq!(last, Some(judged(&timing, &history)), "{timing:?} {history:?}");
            }
        }
    }
}

#[test]
fn the_first_conclusive_answer_decides_alone() {
    for (first, state) in [(Passed, Up), (Refused, Drain), (Failed, Down)] {
        let mut machine = machine(Initial::FirstCheck, 3, 3);
        assert_eq!(machine.standing().state, None);
        assert!(machine.observe(&Report::new(first, ""), Duration::from_secs(5)));
        assert_eq!(machine.standing().state, Some(state));
        assert_eq!(machine.standing().since, Duration::from_secs(5));
    }
}

#[test]
fn an_agent_that_never_spoke_does_not_hold_up_the_start() {
    assert_eq!(observe(&mut machine(Initial::FirstCheck, 3, 3), Silent), Some(Up));
    assert_eq!(observe(&mut machine(Initial::Down, 1, 1), Silent), Some(Down));
}

#[test]
fn a_target_that_was_not_asked_stays_what_it_was_for_ever() {
    for initial in [Initial::FirstCheck, Initial::Up, Initial::Down] {
        let mut machine = machine(initial, 1, 1);
        let before = machine.standing().state;
        for _ in 0..9 {
            assert_eq!(observe(&mut machine, Unasked), before);
        }
    }
}

#[test]
fn a_flap_shorter_than_fall_changes_nothing() {
    let mut machine = machine(Initial::Up, 2, 3);
    let answers = [Failed, Failed, Passed, Refused, Failed, Passed, Failed, Failed];
    assert_eq!(states(&mut machine, &answers), [Up; 8]);
}

#[test]
fn the_last_of_a_mixed_row_decides_between_drain_and_down() {
    let mut m = machine(Initial::Up, 2, 3);
    assert_eq!(states(&mut m, &[Refused, Refused, Failed]), [Up, Up, Down]);
    let mut m = machine(Initial::Up, 2, 3);
    assert_eq!(states(&mut m, &[Failed, Failed, Refused]), [Up, Up, Drain]);
}

#[test]
fn a_drained_node_that_dies_is_down_and_one_that_returns_refusing_drains() {
    let mut machine = machine(Initial::FirstCheck, 2, 2);
    assert_eq!(states(&mut machine, &[Refused, Failed, Failed]), [Drain, Drain, Down]);
    // A refusal in between starts the row anew.
    assert_eq!(
        states(&mut machine, &[Refused, Failed, Refused, Refused]),
        [Down, Down, Down, Drain]
    );
    assert_eq!(states(&mut machine, &[Passed, Passed]), [Drain, Up]);
}

#[test]
fn cumulative_failures_are_forgotten_after_passes_enough() {
    let timing = timing(Initial::Up, 1, 3, cumulative(2));
    let mut machine = Machine::new(timing, Duration::ZERO);
    // Every other one fails: down with the third.
    let answers = [Failed, Passed, Failed, Passed, Failed];
    assert_eq!(states(&mut machine, &answers), [Up, Up, Up, Up, Down]);
    let mut machine = Machine::new(timing, Duration::ZERO);
    let answers = [Failed, Failed, Passed, Passed, Failed, Failed, Passed, Failed];
    assert_eq!(states(&mut machine, &answers), [Up, Up, Up, Up, Up, Up, Up, Down]);
}

#[test]
fn a_failure_restarts_the_way_up() {
    let mut machine = machine(Initial::Down, 3, 2);
    let answers = [Passed, Passed, Failed, Passed, Passed, Passed];
    assert_eq!(states(&mut machine, &answers), [Down, Down, Down, Down, Down, Up]);
}

#[test]
fn admin_and_weight_hold_at_once_and_stay() {
    let mut machine = machine(Initial::Up, 2, 2);
    let at = Duration::from_secs;
    let report = Report {
        admin: Some(Admin::Drain),
        weight: Some(30),
        ..Report::new(Refused, "HTTP 503, wants to drain")
    };
    assert!(machine.observe(&report, at(7)));
    let Standing { state, admin, weight, since, .. } = machine.standing().clone();
    assert_eq!((state, admin, weight, since), (Some(Up), Admin::Drain, 30, at(7)));

    // Nobody says otherwise, so they stay, and the same again is no change.
    assert!(!machine.observe(&Report::new(Silent, "nothing new"), at(8)));
    assert!(
        !machine.observe(&Report { admin: Some(Admin::Drain), ..Report::new(Passed, "") }, at(9))
    );
    assert_eq!(machine.standing().since, at(7));
    assert_eq!(machine.standing().weight, 30);

    assert!(machine.observe(&Report { weight: Some(100), ..Report::new(Passed, "") }, at(10)));
    assert_eq!(machine.standing().since, at(10));

    let limit = Report { max_connections: Some(7), ..Report::new(Passed, "") };
    assert!(machine.observe(&limit, at(11)));
    assert!(!machine.observe(&Report::new(Passed, ""), at(12)));
    assert_eq!(machine.standing().max_connections, Some(7));
}

#[test]
fn it_shows_how_far_the_next_change_is_and_why() {
    let mut machine = machine(Initial::FirstCheck, 2, 3);
    let mut shown = |outcome| {
        observe(&mut machine, outcome);
        machine.standing().against
    };
    assert_eq!(shown(Passed), (0, 3));
    assert_eq!(shown(Failed), (1, 3));
    assert_eq!(shown(Silent), (1, 3));
    assert_eq!(shown(Refused), (2, 3));
    assert_eq!(shown(Refused), (0, 2)); // Drain
    assert_eq!(shown(Failed), (1, 3));
    assert_eq!(shown(Passed), (1, 2));
    assert_eq!(shown(Passed), (0, 3)); // Up
    assert_eq!(machine.standing().reason, "because");
}

#[test]
fn it_asks_faster_while_a_change_is_under_way() {
    let (normal, fast, retry) = (10, 2, 1);
    let mut machine = machine(Initial::Up, 2, 3);
    let mut delay = |outcome| {
        observe(&mut machine, outcome);
        machine.next_in().as_secs()
    };
    assert_eq!(delay(Passed), normal);
    assert_eq!(delay(Failed), retry);
    assert_eq!(delay(Failed), fast);
    assert_eq!(delay(Passed), normal);
    assert_eq!(delay(Failed), retry);
    assert_eq!(delay(Refused), fast);
    assert_eq!(delay(Failed), normal); // Down
    assert_eq!(delay(Failed), normal);
    assert_eq!(delay(Passed), fast);
    assert_eq!(delay(Failed), normal);
    assert_eq!(delay(Refused), fast); // on the way to Drain
    assert_eq!(delay(Passed), fast);
    assert_eq!(delay(Passed), normal); // Up
}

#[test]
fn it_goes_on_from_an_earlier_standing_with_new_counts() {
    let mut old = machine(Initial::FirstCheck, 2, 3);
    states(&mut old, &[Failed, Passed]);
    let new = timing(Initial::FirstCheck, 2, 2, FallMode::Consecutive);
    let mut machine = Machine::resume(new, old.standing().clone());
    assert_eq!((machine.standing().state, machine.standing().against), (Some(Down), (0, 2)));
    assert_eq!(states(&mut machine, &[Passed, Passed]), [Down, Up]);
}

fn answers() -> impl Strategy<Value = Vec<Outcome>> {
    prop::collection::vec(prop::sample::select(&OUTCOMES[..]), 0..60)
}

fn modes() -> impl Strategy<Value = FallMode> {
    prop_oneof![Just(FallMode::Consecutive), (1..6u32).prop_map(cumulative)]
}

proptest! {
    #[test]
    fn a_change_takes_as_many_answers_as_it_should(
        answers in answers(), rise in 1..6u32, fall in 1..6u32, mode in modes(),
    ) {
        let mut machine = Machine::new(timing(Initial::Up, rise, fall, mode), Duration::ZERO);
        let (mut state, mut entered) = (Up, 0);
        for (at, answer) in answers.iter().enumerate() {
            let now = observe(&mut machine, *answer).unwrap();
            if now == state {
                continue;
            }
            let told: Vec<_> =
                answers[entered..=at].iter().filter(|answer| !matches!(**answer, Silent | Unasked)).collect();
            let (for_it, last) = match now {
                Up => (told.iter().rev().take_while(|a| ***a == Passed).count() as u32, Passed),
                Drain => (told.iter().filter(|a| ***a != Passed).count() as u32, Refused),
                Down => (told.iter().filter(|a| ***a != Passed).count() as u32, Failed),
            };
            let needed = if now == Up { rise } else { fall };
            prop_assert!(for_it >= needed);
            prop_assert_eq!(*answer, last);
            (state, entered) = (now, at + 1);
        }
    }

    #[test]
    fn as_many_answers_as_it_takes_always_change_it(
        answers in answers(), rise in 1..6u32, fall in 1..6u32, mode in modes(),
    ) {
        let mut machine = Machine::new(timing(Initial::FirstCheck, rise, fall, mode), Duration::ZERO);
        for answer in answers {
            observe(&mut machine, answer);
        }
        for (answer, state, times) in [(Failed, Down, fall), (Refused, Drain, fall), (Passed, Up, rise)] {
            let mut machine = machine.clone();
            for _ in 0..times {
                observe(&mut machine, answer);
            }
            prop_assert_eq!(machine.standing().state, Some(state));
        }
    }

    #[test]
    fn what_is_shown_is_below_what_is_needed(
        answers in answers(), rise in 1..6u32, fall in 1..6u32, mode in modes(),
    ) {
        let mut machine = Machine::new(timing(Initial::FirstCheck, rise, fall, mode), Duration::ZERO);
        for answer in answers {
            let before = machine.standing().clone();
            let changed = machine.observe(&Report::new(answer, ""), Duration::from_secs(1));
            let after = machine.standing();
            prop_assert!(after.against.0 < after.against.1);
            prop_assert_eq!(changed, before.state != after.state);
        }
    }
}
