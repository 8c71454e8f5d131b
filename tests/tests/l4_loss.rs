//! Losing an L4 node breaks no connection: the others choose the same L7 nodes.

use lab::{Flags, Lab};
use system_tests::{Kept, SOON};

const KEPT: usize = 100;

#[test]
fn connections_live_through_the_loss_and_the_return_of_an_l4_node() {
    let lab = Lab::new().start();
    let tables = |number| {
        let stats = lab.l4(number).stats();
        stats.services.into_iter().map(|service| service.tables).collect::<Vec<_>>()
    };
    assert_eq!(tables(1), tables(2), "both compute the same rows");

    let kept = Kept::open(&lab, KEPT);
    let known = |number| lab.l4(number).counter("new_flow");
    let [first, second] = [known(1), known(2)];
    assert!(first > 0 && second > 0, "the router uses both: {first}, {second}");

    // As when the router sees the BGP session end: the route first, then the machine is gone.
    lab.router().route_via(&[2]);
    assert_eq!(lab.router().paths(), [1, 1]);
    lab.l4(1).kill();
    kept.go_on("an L4 node was lost");
    assert_eq!(known(2), second + first, "the other took its flows over, unseen ones all");

    // It comes back with the table it left, which knows a part of them.
    lab.start_dataplane(1, &Flags::default());
    lab.router().route_via(&[1, 2]);
    kept.go_on("it came back");
    lab.wait_until("both forward again", SOON, || lab.l4(1).counter("connection_hit") > 0);

    kept.finish_whole();
}
