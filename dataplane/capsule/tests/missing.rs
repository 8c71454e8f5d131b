//! A device that its driver could not make: DPDK goes on as if nothing were wrong, we do not.

mod common;

use capsule::Eal;

#[test]
fn an_eal_without_its_port_is_an_error() {
    let settings = common::settings(&["net_null0", "net_pcap0,rx_pcap=/nonexistent.pcap"]);
    let error = Eal::init(&settings).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no port net_pcap0: its driver could not make one, or no driver knows it"
    );
}
