//! The end of the EAL: when the last that needs it is gone, packets included.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use capsule::{Burst, Eal, Port, Started};
use common::{numbered, one_queue, pool};

/// Whether the memory that packets lie in is mapped.
fn is_up() -> bool {
    fs::read_to_string("/proc/self/maps").unwrap().contains("memfd:nohuge")
}

#[test]
fn the_eal_is_shut_down_after_the_last_that_needs_it() {
    let eal = Eal::init(&common::settings(&["net_null0"])).unwrap();
    let mut pool = pool(&eal, "packets");
    let Started { port, mut receive, transmit, .. } =
        Port::named(&eal, "net_null0").unwrap().start(&one_queue(), &pool).unwrap();
    let mut burst = Burst::new();
    receive[0].receive(&mut burst);
    assert!(burst.push(numbered(&mut pool, 7)).is_err());

    drop((burst, port, transmit, eal));
    assert!(is_up());
    drop(pool);
    assert!(is_up());
    drop(receive);
    assert!(!is_up());
}
