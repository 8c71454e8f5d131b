//! L4 nodes announce their VIPs to BIRD while there is a quorum and the dataplane forwards.

use std::time::Duration;

use health::Admin;
use lab::{L4, Lab, Router};
use system_tests::{Kept, SOON, VIPS};

/// Next hops of both VIPs, as numbers of L4 nodes.
fn spread(router: &Router, lab: &Lab) -> [Vec<usize>; 2] {
    VIPS.map(|vip| {
        let hops = router.hops(vip);
        let number = |hop| lab.l4s().iter().find(|l4| l4.addresses().both().contains(hop));
        hops.iter().filter_map(number).map(L4::number).collect()
    })
}

fn wait_spread(lab: &Lab, what: &str, over: [&[usize]; 2]) {
    for router in lab.routers() {
        lab.wait_until(what, SOON, || spread(router, lab) == over);
    }
}

#[test]
fn vips_come_and_go_with_their_quorum_a_family_at_a_time() {
    let lab = Lab::new().l4(2).routers(2).bgp().start();
    wait_spread(&lab, "both nodes announce both VIPs", [&[1, 2], &[1, 2]]);
    let kept = Kept::open(&lab, 20);
    for l7 in lab.l7s() {
        l7.remove_vip(VIPS[1]);
    }
    wait_spread(&lab, "IPv6 is withdrawn", [&[1, 2], &[]]);
    for l7 in lab.l7s() {
        l7.add_vip(VIPS[1]);
    }
    wait_spread(&lab, "IPv6 is back", [&[1, 2], &[1, 2]]);
    drop(kept);
}
