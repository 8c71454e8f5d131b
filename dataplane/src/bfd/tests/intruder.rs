//! Packets that no session is to see.

use std::net::UdpSocket;

use super::*;

/// A packet that would bring a session up to Init.
fn hello() -> Vec<u8> {
    let policy = bfd::Policy::new(100 * MS, 3).unwrap();
    let now = Instant::now();
    let mut session = bfd::Session::new(policy, 78.try_into().unwrap(), 1, now);
    session.turn(now).unwrap().to_bytes().into()
}

/// Sends this with a TTL until it is counted, as that and nothing else; the session is as it was.
fn counted(counter: Counter, bytes: &[u8], ttl: u32, from_router: bool) {
    let addresses = addresses();
    let node = Node::start(&[wanted(addresses, INTERVAL, MULTIPLIER)]);
    let [local, remote] = addresses;
    let socket = UdpSocket::bind((if from_router { remote } else { local }, 0)).unwrap();
    socket.set_ttl(ttl).unwrap();
    let started = Instant::now();
    while node.count(counter) == 0 {
        assert!(started.elapsed() < DEADLINE, "{}", counter.name());
        // Until the thread listens, the kernel says that nobody does.
        let _ = socket.send_to(bytes, (local, bfd::PORT));
        thread::sleep(10 * MS);
    }
    assert_eq!(node.status().state, BfdState::Down, "{}", counter.name());
    let drops = Counter::ALL.iter().filter(|counter| counter.name().starts_with("drop_"));
    for &other in drops.filter(|&&other| other != counter) {
        assert_eq!(node.count(other), 0, "{}", other.name());
    }
}

#[test]
fn what_has_passed_a_router_is_dropped() {
    counted(Counter::Ttl, &hello(), 254, true);
}

#[test]
fn what_is_malformed_is_dropped() {
    counted(Counter::Malformed, &hello()[..23], 255, true);
}

#[test]
fn what_is_authenticated_is_dropped() {
    let mut bytes = hello();
    bytes[1] |= 0x04; // A
    bytes[3] = 26;
    bytes.extend([1, 2]); // a password, without its characters
    counted(Counter::Authenticated, &bytes, 255, true);
}

#[test]
fn what_is_of_no_router_is_dropped() {
    counted(Counter::Unknown, &hello(), 255, false);
}

#[test]
fn what_is_for_another_session_is_dropped() {
    let mut bytes = hello();
    bytes[8..12].copy_from_slice(&[0, 0, 0, 1]);
    counted(Counter::Discriminator, &bytes, 255, true);
}
