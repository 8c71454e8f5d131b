//! What is attached to the interface, and what is left of it.

use std::mem;
use std::os::unix::process::CommandExt;
use std::process::Command;

use decap::{Decap, Error, Hook, Settings};
use libbpf_rs::query::{LinkInfoIter, LinkTypeInfo};

use crate::network::{Network, VIP, WIRE, address};

fn settings(network: &Network, hook: Hook) -> Settings {
    Settings { interface: WIRE.into(), hook: Some(hook), pin: None, rules: network.rules() }
}

fn attach(network: &Network, hook: Hook) -> Decap {
    let settings = settings(network, hook);
    network.l7.enter(|| Decap::attach(&settings).unwrap())
}

fn detach(network: &Network, decap: Decap) {
    network.l7.enter(|| drop(decap));
}

/// Where a program of ours is found on the interface.
pub(crate) fn present(network: &Network) -> Vec<Hook> {
    let link = network.l7.ip(&format!("-details link show {WIRE}"));
    let filters = network.l7.tc(&format!("filter show dev {WIRE} ingress"));
    let tcx = LinkInfoIter::default()
        .any(|link| matches!(link.info, LinkTypeInfo::Tcx(tcx) if tcx.ifindex == network.ifindex));
    let found = |hook: &Hook| match hook {
        Hook::Tcx => tcx,
        Hook::Clsact => filters.contains("decap_tc"),
        Hook::Xdp => link.contains("prog/xdp ") && !link.contains("xdpgeneric"),
        Hook::XdpGeneric => link.contains("prog/xdp ") && link.contains("xdpgeneric"),
    };
    Hook::ALL.into_iter().filter(found).collect()
}

pub(crate) fn has_qdisc(network: &Network) -> bool {
    network.l7.tc(&format!("qdisc show dev {WIRE}")).contains("clsact")
}

#[test]
fn each_hook_attaches_where_it_says_and_leaves_nothing_behind() {
    let Some(network) = Network::new() else { return };
    for hook in Hook::ALL {
        let decap = attach(&network, hook);
        assert_eq!(decap.hook(), hook);
        assert_eq!(present(&network), [hook]);
        assert_eq!(has_qdisc(&network), hook == Hook::Clsact);
        detach(&network, decap);
        assert_eq!(present(&network), []);
        assert!(!has_qdisc(&network), "{hook}");
    }
}

#[test]
fn without_a_hook_it_is_tcx_or_clsact() {
    let Some(network) = Network::new() else { return };
    let settings = Settings { hook: None, ..settings(&network, Hook::Tcx) };
    let decap = network.l7.enter(|| Decap::attach(&settings).unwrap());
    assert!([Hook::Tcx, Hook::Clsact].contains(&decap.hook()));
    assert_eq!(present(&network), [decap.hook()]);
    detach(&network, decap);
}

#[test]
fn a_filter_left_behind_is_replaced_and_removed_with_its_qdisc() {
    let Some(network) = Network::new() else { return };
    // As a killed process does.
    mem::forget(attach(&network, Hook::Clsact));
    assert_eq!(present(&network), [Hook::Clsact]);

    let decap = attach(&network, Hook::Clsact);
    let filters = network.l7.tc(&format!("filter show dev {WIRE} ingress"));
    assert_eq!(filters.matches("decap_tc:").count(), 1, "{filters}");
    detach(&network, decap);
    assert_eq!(present(&network), []);
    assert!(!has_qdisc(&network));
}

#[test]
fn a_filter_that_was_replaced_leaves_its_successor_alone() {
    let Some(network) = Network::new() else { return };
    let old = attach(&network, Hook::Clsact);
    let new = attach(&network, Hook::Clsact);
    detach(&network, old);
    assert_eq!(present(&network), [Hook::Clsact]);
    detach(&network, new);
    assert!(!has_qdisc(&network));
}

#[test]
fn a_qdisc_of_somebody_else_stays() {
    let Some(network) = Network::new() else { return };
    network.l7.tc(&format!("qdisc add dev {WIRE} clsact"));
    let decap = attach(&network, Hook::Clsact);
    detach(&network, decap);
    assert_eq!(present(&network), []);
    assert!(has_qdisc(&network));
}

#[test]
fn filters_of_somebody_else_stay_in_both_directions() {
    for direction in ["ingress", "egress"] {
        let Some(network) = Network::new() else { return };
        let decap = attach(&network, Hook::Clsact);
        network.l7.add_other_filter(direction, "pref 5 handle 1");
        detach(&network, decap);
        assert_eq!(present(&network), []);
        let filters = network.l7.tc(&format!("filter show dev {WIRE} {direction}"));
        assert!(filters.contains("other"), "{direction}: {filters}");
    }
}

#[test]
fn a_place_that_another_program_took_is_left_to_it() {
    let Some(network) = Network::new() else { return };
    network.l7.tc(&format!("qdisc add dev {WIRE} clsact"));
    network.l7.add_other_filter("ingress", "pref 28769 handle 0x7061");
    let error = network.l7.enter(|| Decap::attach(&settings(&network, Hook::Clsact)).unwrap_err());
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(error.to_string(), "cannot attach to wire by clsact");
    assert_eq!(cause.to_string(), "priority 28769, handle 0x7061 is another program's");
    let filters = network.l7.tc(&format!("filter show dev {WIRE} ingress"));
    assert!(filters.contains("other"), "{filters}");
}

#[test]
fn a_second_xdp_program_is_refused() {
    let Some(network) = Network::new() else { return };
    let decap = attach(&network, Hook::Xdp);
    let refused = network.l7.enter(|| Decap::attach(&settings(&network, Hook::Xdp)).unwrap_err());
    assert!(matches!(refused, Error::Attach { hook: Hook::Xdp, .. }), "{refused:?}");
    assert_eq!(present(&network), [Hook::Xdp]);
    detach(&network, decap);
}

#[test]
fn rules_that_are_refused_attach_nothing() {
    let Some(network) = Network::new() else { return };
    let mut settings = settings(&network, Hook::Clsact);
    settings.rules.addresses.push(address(VIP[0]));
    let error = network.l7.enter(|| Decap::attach(&settings).unwrap_err());
    assert!(matches!(error, Error::VipIsAddress { .. }), "{error:?}");
    assert!(!has_qdisc(&network));
}

#[test]
fn an_interface_without_ethernet_is_refused() {
    let Some(network) = Network::new() else { return };
    let settings = Settings { interface: "client".into(), ..settings(&network, Hook::Tcx) };
    let error = network.l4.enter(|| Decap::attach(&settings).unwrap_err());
    assert_eq!(error.to_string(), "client is not an Ethernet interface");
}

/// As root it runs itself again as somebody else.
#[test]
fn without_permission_the_reason_is_said_and_what_to_do_instead() {
    const NOBODY: u32 = 65534;
    const SELF: &str = "attachment::without_permission_the_reason_is_said_and_what_to_do_instead";
    if nix::unistd::geteuid().is_root() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again.args(["--exact", SELF]).uid(NOBODY).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let settings =
        Settings { interface: "lo".into(), hook: None, pin: None, rules: decap::Rules::default() };
    let error = Decap::attach(&settings).unwrap_err();
    assert!(matches!(error, Error::NotPermitted(_)), "{error:?}");
    let said = error.sentence();
    assert!(said.starts_with("eBPF needs root, or CAP_BPF and CAP_NET_ADMIN: "), "{said}");
    assert!(said.ends_with(decap::STOCK_RECIPE), "{said}");
}
