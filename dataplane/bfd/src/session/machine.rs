//! The state machine (RFC 5880 section 6.2). What is in brackets is the state that a packet carries:
//!
//! ```text
//!                              [Up, AdminDown], timer
//!                                   +---+
//!                                   |   V
//!              [Down]             +------+              [Init]
//!         +-----------------------|      |-----------------------+
//!         |                       | Down |                       |
//!         |         +------------>|      |<------------+         |
//!         |         |             +------+             |         |
//!         |         | [AdminDown],         [AdminDown],|         |
//!         V         | timer          [Down], timer     |         V
//!       +------+----+                                  +----+------+
//! [Down]| Init |                  [Init, Up]                |  Up  |[Init, Up]
//!       +------+------------------------------------------->+------+
//! ```
//!
//! We are never in AdminDown ourselves: there are routers that drop BGP with it, as with a failure, so
//! a session that is not wanted any more just ends.

use crate::packet::State;

/// The state after a packet that carries `received`, if it is another one (RFC 5880 section 6.8.6).
pub(super) fn transition(state: State, received: State) -> Option<State> {
    match (state, received) {
        (State::AdminDown, _) => None,
        (State::Down, State::AdminDown) => None,
        (State::Init | State::Up, State::AdminDown) => Some(State::Down),
        (State::Down, State::Down) => Some(State::Init),
        (State::Down, State::Init) => Some(State::Up),
        (State::Down, State::Up) => None,
        (State::Init, State::Down) => None,
        (State::Init, State::Init | State::Up) => Some(State::Up),
        (State::Up, State::Down) => Some(State::Down),
        (State::Up, State::Init | State::Up) => None,
    }
}
