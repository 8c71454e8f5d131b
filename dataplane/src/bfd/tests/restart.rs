//! Sessions that outlive the process.

use super::*;

/// Longer than the detection time.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks the router for a pause, and waits until it has agreed.
fn prepare(node: &Node, router: &mut Router) {
    node.bfd.ask_for_pause(PAUSE);
    router.run_until(|_| node.bfd.readiness().unwrap() == Readiness::Ready(1));
}

#[test]
fn the_next_process_goes_on_and_the_router_notices_nothing() {
    let (node, mut router, addresses) = Node::up();
    let (before, polls) = (node.status(), router.polls());
    prepare(&node, &mut router);
    assert!(router.polls() > polls);
    let folder = node.end();
    router.run_for(PAUSE);
    assert_eq!(router.session.state(), bfd::State::Up);

    let node = Node::start_in(folder, &[wanted(addresses, INTERVAL, MULTIPLIER)]);
    // It is Up from the start, and the timers are the short ones again in a moment.
    let short = Some(INTERVAL * u32::from(MULTIPLIER) * MS);
    router.run_until(|router| {
        let status = node.bfd.status();
        assert!(status.iter().all(|status| status.state == BfdState::Up), "{status:?}");
        status.first().is_some_and(|status| status.interval_ms == u64::from(INTERVAL))
            && router.session.detection_time() == short
    });
    assert_eq!(router.session.state(), bfd::State::Up);
    let status = node.status();
    assert_eq!((status.since_ms, status.losses), (before.since_ms, 0));
    // Such as a router that knew nothing of the session would tell.
    assert_eq!(node.count(Counter::Discriminator), 0);
    // The next one, which comes unplanned, finds nothing.
    let node = Node::start_in(node.end(), &[wanted(addresses, INTERVAL, MULTIPLIER)]);
    router.run_until(|_| node.state() == Some(BfdState::Down));
}

#[test]
fn a_restart_that_is_given_up_changes_nothing() {
    let (node, mut router, _) = Node::up();
    let before = node.status();
    prepare(&node, &mut router);
    node.bfd.go_on();
    let short = Some(INTERVAL * u32::from(MULTIPLIER) * MS);
    router.run_until(|router| router.session.detection_time() == short);
    router.run_for(PAUSE);
    assert_eq!(node.status(), before);
}

#[test]
fn a_router_that_does_not_agree_is_named() {
    let (node, _silent, [_, remote]) = Node::up();
    node.bfd.ask_for_pause(PAUSE);
    let name = vec![format!("r1 {remote}")];
    let started = Instant::now();
    while node.bfd.readiness().unwrap() != Readiness::Missing(name.clone()) {
        assert!(started.elapsed() < DEADLINE);
        thread::sleep(MS);
    }
}

#[test]
fn a_session_that_is_not_up_is_not_waited_for() {
    let node = Node::start(&[wanted(addresses(), INTERVAL, MULTIPLIER)]);
    node.bfd.ask_for_pause(PAUSE);
    let started = Instant::now();
    while node.bfd.readiness().unwrap() != Readiness::Ready(0) {
        assert!(started.elapsed() < DEADLINE);
        thread::sleep(MS);
    }
}
