//! Sessions that another process goes on with.

use super::*;

#[test]
fn a_session_is_saved_once_the_other_side_has_agreed() {
    let now = Instant::now();
    let mut session = in_state(State::Up, now);
    assert_eq!(session.save(), None, "its first Poll Sequence goes on");
    let final_ = Packet { final_: true, ..from_peer(State::Up) };
    session.receive(&final_, now).unwrap();
    assert!(session.save().is_some());
    session.change(policy(1000, 3), now);
    assert_eq!(session.save(), None);
    session.turn(now + 100 * MS).unwrap();
    session.receive(&final_, now + 100 * MS).unwrap();
    assert!(session.save().is_some());
    assert_eq!(in_state(State::Init, now).save(), None);
}

#[test]
fn one_that_is_resumed_says_what_the_one_before_would_have_said() {
    let now = Instant::now();
    let mut before = in_state(State::Up, now);
    before.receive(&Packet { final_: true, ..from_peer(State::Up) }, now).unwrap();
    let mut after = Session::resume(&before.save().unwrap(), 2, now).unwrap();
    assert_eq!(after.turn(now), before.turn(now + 100 * MS));
    assert_eq!(after.discriminator(), LOCAL);
    assert_eq!((after.interval(), after.detection_time()), (100 * MS, Some(300 * MS)));
    // It hears, and it notices silence.
    assert_eq!(after.receive(&from_peer(State::Up), now + 200 * MS), Ok(None));
    after.turn(now + 499 * MS);
    assert_eq!(after.state(), State::Up);
    after.turn(now + 500 * MS);
    assert_eq!(after.state(), State::Down);
}

#[test]
fn one_that_was_never_heard_again_goes_down() {
    let now = Instant::now();
    let mut before = in_state(State::Up, now);
    before.receive(&Packet { final_: true, ..from_peer(State::Up) }, now).unwrap();
    let mut after = Session::resume(&before.save().unwrap(), 2, now).unwrap();
    after.turn(now + 300 * MS);
    assert_eq!(after.state(), State::Down);
}
