//! The end of the EAL with a packet still out: it does not come.

mod common;

use capsule::Eal;
use common::{number, numbered, pool};
use packet::Frame;

#[test]
fn a_packet_may_outlive_its_pool() {
    let eal = Eal::init(&common::settings(&[])).unwrap();
    let mut pool = pool(&eal, "packets");
    let mut packet = numbered(&mut pool, 7);
    drop((pool, eal));
    packet.bytes_mut()[63] = 1;
    assert_eq!(number(&packet), 7);
    drop(packet);
}
