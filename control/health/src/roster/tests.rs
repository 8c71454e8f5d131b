use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::{Admin, Check, Content, File, Kind, Source, State, Target, Tcp, Timing};
use Outcome::{Failed, Passed};

/// A roster, and the time that it is told.
struct Sim {
    roster: Roster,
    start: Instant,
    elapsed: Duration,
}

impl Sim {
    fn new(limit: usize) -> Self {
        let roster = Roster::new(limit, fastrand::Rng::with_seed(7));
        Self { roster, start: Instant::now(), elapsed: Duration::ZERO }
    }

    fn now(&self) -> Instant {
        self.start + self.elapsed
    }

    fn pass(&mut self, time: Duration) {
        self.elapsed += time;
    }

    fn set(&mut self, probes: &[Probe]) -> Vec<ProbeId> {
        self.roster.set(probes.to_vec(), |_| None, self.now(), self.elapsed)
    }

    /// Starts what is due.
    fn start(&mut self) -> Vec<ProbeId> {
        let now = self.now();
        std::iter::from_fn(|| self.roster.take_due(now)).map(|(id, _)| id).collect()
    }

    fn land(&mut self, id: ProbeId, landing: Landing) -> bool {
        self.roster.land(id, landing, self.now(), self.elapsed)
    }

    fn report(&mut self, id: ProbeId, outcome: Outcome) -> bool {
        self.land(id, Landing::Reported(Report::new(outcome, "said")))
    }

    /// Starts the only probe that is due, which reports so.
    #[track_caller]
    fn run_one(&mut self, id: ProbeId, outcome: Outcome) -> bool {
        assert_eq!(self.start(), [id]);
        self.report(id, outcome)
    }

    fn state(&self, id: ProbeId) -> Option<State> {
        self.roster.standing(id).unwrap().state
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn probe(port: u16) -> Probe {
    let check = Check { kind: Kind::Tcp(Tcp::default()), timing: Timing::default() };
    let target = Target {
        node: "l7-1".into(),
        address: Ipv4Addr::LOCALHOST.into(),
        port,
        source: None,
        preamble: None,
    };
    Probe { check: Arc::new(check), target }
}

/// Of a file: it does not leave this host.
fn local(port: u16) -> Probe {
    let mut probe = probe(port);
    let file = File { path: "/file".into(), content: Content::Exists };
    probe.check = Arc::new(Check { kind: Kind::File(file), timing: Timing::default() });
    probe
}

fn tunnelled(port: u16) -> Probe {
    let address = Ipv4Addr::LOCALHOST.into();
    let mut probe = probe(port);
    probe.target.source = Some(Source { address, first_port: 61_000, last_port: 61_007 });
    probe
}

fn retimed(probe: &Probe, change: impl FnOnce(&mut Timing)) -> Probe {
    let mut check = Check::clone(&probe.check);
    change(&mut check.timing);
    Probe { check: Arc::new(check), ..probe.clone() }
}

#[test]
fn equal_probes_are_one() {
    let mut sim = Sim::new(10);
    let ids = sim.set(&[probe(1), probe(2), probe(1)]);
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[1]);
    sim.pass(SECOND);
    assert_eq!(sim.start().len(), 2);
    assert_eq!(sim.roster.counters().probes, 2);
}

#[test]
fn known_probes_keep_number_standing_and_schedule() {
    let mut sim = Sim::new(10);
    let one = sim.set(&[probe(1)])[0];
    sim.pass(SECOND / 10);
    sim.run_one(one, Passed);
    let due = sim.roster.next_due();
    sim.pass(SECOND);
    assert_eq!(sim.set(&[probe(2), probe(1)])[1], one);
    assert_eq!(sim.state(one), Some(State::Up));
    let two = sim.roster.ids[&probe(2)];
    // The new one comes first, the old one when it always would have.
    sim.pass(SECOND / 10);
    sim.run_one(two, Passed);
    assert_eq!(sim.roster.next_due(), due);
}

#[test]
fn a_gone_probe_stops_and_its_number_never_returns() {
    let mut sim = Sim::new(10);
    let old = sim.set(&[probe(1)])[0];
    sim.set(&[]);
    assert_eq!(sim.roster.next_due(), None);
    assert_eq!(sim.roster.standing(old), None);
    let new = sim.set(&[probe(1)])[0];
    assert_ne!(old, new);
    assert_eq!(sim.roster.standing(old), None);
    assert_eq!(sim.state(new), None);
}

#[test]
fn a_probe_that_is_gone_on_its_way_is_given_up_and_its_report_is_nobodys() {
    let mut sim = Sim::new(10);
    let old = sim.set(&[probe(1)])[0];
    sim.pass(SECOND);
    assert_eq!(sim.start(), [old]);
    let new = sim.set(&[probe(2)])[0];
    assert_eq!(sim.roster.take_cancelled(), HashSet::from([old]));
    assert!(!sim.report(old, Failed));
    assert_eq!(sim.state(new), None);
    assert_eq!(sim.roster.take_changed(), []);
    let counters = sim.roster.counters();
    assert_eq!((counters.run, counters.discarded, counters.in_flight), (0, 1, 0));
}

#[test]
fn changes_are_told_once_and_only_of_those_that_there_are() {
    let mut sim = Sim::new(10);
    let ids = sim.set(&[probe(1), probe(2)]);
    sim.pass(SECOND);
    assert_eq!(sim.start().len(), 2);
    assert!(sim.report(ids[0], Passed));
    assert!(sim.report(ids[1], Passed));
    // Another change before anyone asked.
    sim.pass(SECOND * 3);
    sim.start();
    let report = Report { admin: Some(Admin::Drain), ..Report::new(Passed, "") };
    assert!(sim.land(ids[0], Landing::Reported(report)));
    assert!(!sim.report(ids[1], Passed));
    assert_eq!(sim.roster.take_changed(), ids);
    assert_eq!(sim.roster.take_changed(), []);

    sim.pass(SECOND * 3);
    sim.start();
    let report = Report { weight: Some(1), ..Report::new(Passed, "") };
    assert!(sim.land(ids[0], Landing::Reported(report)));
    sim.set(&[probe(2)]);
    assert_eq!(sim.roster.take_changed(), []);
}

#[test]
fn no_more_run_at_once_than_may_and_the_longest_overdue_are_next() {
    let mut sim = Sim::new(2);
    let ids = sim.set(&[probe(1), probe(2), probe(3), probe(4), probe(5)]);
    sim.pass(SECOND * 60);
    let first = sim.start();
    assert_eq!(first.len(), 2);
    // Only an end makes room: there is no time to wait for.
    assert_eq!(sim.roster.next_due(), None);
    let mut order = first.clone();
    // One is due again each time it ends, and still lets go first who waited longer.
    let (held, mut current) = (first[0], first[1]);
    for _ in 0..3 {
        sim.report(current, Passed);
        sim.roster.hasten(sim.now());
        let started = sim.start();
        assert_eq!(started.len(), 1);
        current = started[0];
        order.push(current);
    }
    assert_eq!(order.iter().collect::<HashSet<_>>(), ids.iter().collect());
    sim.report(held, Passed);
    sim.report(current, Passed);
    assert_eq!(sim.roster.counters().in_flight, 0);
}

#[test]
fn a_start_long_after_its_time_counts_as_late() {
    let mut sim = Sim::new(1);
    let ids = sim.set(&[probe(1), probe(2)]);
    sim.pass(Duration::from_millis(50));
    let first = sim.start()[0];
    assert_eq!(sim.roster.counters().late, 0);
    sim.pass(SECOND);
    sim.report(first, Passed);
    let second = sim.start()[0];
    assert_eq!(sim.roster.counters().late, 1);
    assert_eq!(HashSet::from([first, second]), ids.into_iter().collect());
}

#[test]
fn a_panic_is_a_failure_of_the_check() {
    let mut sim = Sim::new(10);
    let id = sim.set(&[probe(1)])[0];
    sim.pass(SECOND);
    sim.start();
    assert!(sim.land(id, Landing::Panicked("index out of bounds".to_owned())));
    let standing = sim.roster.standing(id).unwrap();
    assert_eq!(standing.state, Some(State::Down));
    assert_eq!(standing.reason, "the check itself failed: index out of bounds");
    let counters = sim.roster.counters();
    assert_eq!((counters.run, counters.failed, counters.panicked), (1, 1, 1));
    // It goes on.
    sim.pass(SECOND * 3);
    sim.run_one(id, Passed);
}

#[test]
fn the_freeze_stops_what_leaves_this_host_and_nothing_else() {
    let mut sim = Sim::new(10);
    let ids = sim.set(&[tunnelled(1), probe(2), local(3)]);
    sim.pass(SECOND);
    assert_eq!(sim.start().len(), 3);
    sim.report(ids[0], Passed);
    sim.report(ids[2], Passed);
    sim.roster.take_changed();

    // One waits, one is on its way.
    sim.roster.hold(Held::all_that_leave(), sim.now());
    assert_eq!(sim.roster.take_cancelled(), HashSet::from([ids[1]]));
    assert!(!sim.report(ids[1], Failed));
    assert_eq!((sim.state(ids[0]), sim.state(ids[1])), (Some(State::Up), None));
    sim.pass(SECOND * 60);
    sim.run_one(ids[2], Passed);
    // A new one has to wait as well.
    let ids = sim.set(&[tunnelled(1), probe(2), local(3), probe(4)]);
    sim.pass(SECOND / 10);
    assert_eq!(sim.start(), []);

    sim.roster.hold(Held::none(), sim.now());
    sim.pass(SECOND / 10);
    let started: HashSet<ProbeId> = sim.start().into_iter().collect();
    assert_eq!(started, HashSet::from([ids[0], ids[1], ids[3]]));
}

#[test]
fn a_probe_does_not_run_twice_at_once_because_of_a_short_freeze() {
    let mut sim = Sim::new(10);
    let id = sim.set(&[tunnelled(1)])[0];
    sim.pass(SECOND);
    assert_eq!(sim.start(), [id]);
    sim.roster.hold(Held::all_that_leave(), sim.now());
    sim.roster.hold(Held::none(), sim.now());
    sim.roster.hasten(sim.now());
    sim.pass(SECOND * 10);
    assert_eq!(sim.start(), []);
    // What it reports now may be about the time in between.
    assert!(!sim.report(id, Failed));
    sim.pass(SECOND);
    assert!(sim.run_one(id, Passed));
}

#[test]
fn while_it_forgives_failures_on_the_way_count_for_nothing() {
    let mut sim = Sim::new(10);
    let (away, here) = (probe(1), local(2));
    let ids = sim.set(&[away.clone(), here]);
    sim.pass(SECOND);
    for id in sim.start() {
        assert!(sim.report(id, Passed));
    }
    sim.roster.forgive(true);
    for _ in 0..10 {
        sim.pass(away.check.timing.interval * 2);
        for id in sim.start() {
            sim.report(id, Failed);
        }
    }
    assert_eq!(sim.state(ids[0]), Some(State::Up));
    assert_eq!(sim.state(ids[1]), Some(State::Down), "it never left this host");
    let Counters { forgiven, heard, .. } = sim.roster.counters();
    assert_eq!((forgiven, heard), (10, 1));
    // It asks again soon.
    sim.pass(away.check.timing.retry_delay * 2);
    assert!(sim.start().contains(&ids[0]));
    sim.report(ids[0], Passed);
    assert_eq!(sim.roster.counters().heard, 2);
    sim.roster.forgive(false);
    for _ in 0..10 {
        sim.pass(away.check.timing.interval * 2);
        for id in sim.start() {
            sim.report(id, Failed);
        }
    }
    assert_eq!(sim.state(ids[0]), Some(State::Down));
}

#[test]
fn all_can_be_made_due_at_once_but_not_twice() {
    let mut sim = Sim::new(10);
    let slow = |port| retimed(&probe(port), |timing| timing.interval = SECOND * 600);
    let ids = sim.set(&[slow(1), slow(2)]);
    sim.pass(SECOND);
    assert_eq!(sim.start().len(), 2);
    sim.report(ids[0], Passed);
    sim.roster.hasten(sim.now());
    sim.roster.hasten(sim.now());
    sim.pass(SECOND);
    sim.run_one(ids[0], Passed);
    assert_eq!(sim.start(), []);
}

#[test]
fn a_check_that_only_counts_or_paces_otherwise_starts_from_what_was_known() {
    let mut sim = Sim::new(10);
    let old = sim.set(&[probe(1)])[0];
    sim.pass(SECOND);
    sim.run_one(old, Failed);
    let since = sim.roster.standing(old).unwrap().since;

    let slower = retimed(&probe(1), |timing| timing.interval = SECOND * 5);
    let mut elsewhere = tunnelled(1);
    elsewhere.check = Arc::clone(&slower.check);
    for probe in [slower, elsewhere] {
        sim.pass(SECOND);
        let new = sim.set(&[probe])[0];
        assert_ne!(new, old);
        let standing = sim.roster.standing(new).unwrap();
        assert_eq!((standing.state, standing.since), (Some(State::Down), since));
    }

    // Another question, or another target, has another answer.
    let mut other = probe(1);
    other.check = Arc::new(Check {
        kind: Kind::Tcp(Tcp { send: Some(b"x".to_vec()), expect: None }),
        timing: Timing::default(),
    });
    let id = sim.set(&[other])[0];
    assert_eq!(sim.state(id), None);
}

#[test]
fn thousands_do_not_start_in_one_moment() {
    let mut sim = Sim::new(100_000);
    let probes: Vec<Probe> = (1..=10_000).map(probe).collect();
    sim.set(&probes);
    let mut most = 0;
    for _ in 0..=1000 {
        most = most.max(sim.start().len());
        sim.pass(Duration::from_millis(1));
    }
    assert!(most < 50, "{most} started within a millisecond");
    assert_eq!(sim.roster.counters().in_flight, 10_000);
}

/// What may happen to a roster.
#[derive(Clone, Debug)]
enum Event {
    Set(Vec<u16>),
    Freeze(bool),
    Hasten,
    Pass(u64),
    Land(prop::sample::Index, bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        prop::collection::vec(0..12u16, 0..12).prop_map(Event::Set),
        any::<bool>().prop_map(Event::Freeze),
        Just(Event::Hasten),
        (0..3000u64).prop_map(Event::Pass),
        (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(i, well)| Event::Land(i, well)),
        (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(i, well)| Event::Land(i, well)),
    ];
    prop::collection::vec(event, 0..80)
}

proptest! {
    #[test]
    fn whatever_happens_none_runs_twice_too_many_or_never(events in events()) {
        const LIMIT: usize = 4;
        let mut sim = Sim::new(LIMIT);
        let mut ids = Vec::new();
        let mut running: Vec<ProbeId> = Vec::new();
        let mut frozen = false;
        for event in events {
            match event {
                Event::Set(ports) => {
                    // Every third one looks at this host alone.
                    let of = |port: &u16| match port % 3 {
                        0 => tunnelled(*port),
                        1 => probe(*port),
                        _ => local(*port),
                    };
                    let probes: Vec<Probe> = ports.iter().map(of).collect();
                    ids = sim.set(&probes);
                }
                Event::Freeze(freeze) => {
                    frozen = freeze;
                    let held = if freeze { Held::all_that_leave() } else { Held::none() };
                    sim.roster.hold(held, sim.now());
                }
                Event::Hasten => sim.roster.hasten(sim.now()),
                Event::Pass(ms) => sim.pass(Duration::from_millis(ms)),
                Event::Land(which, well) => {
                    if !running.is_empty() {
                        let id = running.swap_remove(which.index(running.len()));
                        sim.report(id, if well { Passed } else { Failed });
                    }
                }
            }
            let now = sim.now();
            while let Some((id, probe)) = sim.roster.take_due(now) {
                prop_assert!(!running.contains(&id));
                prop_assert!(ids.contains(&id));
                prop_assert!(!frozen || matches!(probe.check.kind, Kind::File(_)));
                running.push(id);
            }
            prop_assert!(running.len() <= LIMIT);
            prop_assert_eq!(sim.roster.counters().in_flight, running.len());
        }

        // Left alone, everyone has a turn.
        sim.roster.hold(Held::none(), sim.now());
        let mut waiting: HashSet<ProbeId> = ids.iter().copied().collect();
        for _ in 0..1000 {
            for id in std::mem::take(&mut running) {
                sim.report(id, Passed);
            }
            running = sim.start();
            for id in &running {
                waiting.remove(id);
            }
            sim.pass(Duration::from_millis(10));
        }
        prop_assert!(waiting.is_empty());
    }
}
