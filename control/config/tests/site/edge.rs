//! The rules for edge routers.

use config::EdgeAcl;

use crate::good;

const SITE: &str = r#"
[site]
name = "par1"
hash_key = { file = "/etc/palier/hash.key" }
[[router]]
name = "r1"
address = "192.0.2.254"
[[l4]]
name = "l4-1"
addresses = ["192.0.2.132", "2001:db8::c000:284"]
tunnel_sources = ["192.0.2.64/28"]
[[l7]]
name = "l7-1"
index = 1
addresses = ["192.0.2.140"]
[[service]]
name = "web"
vips = ["198.51.100.0/24", "198.51.100.1", "2001:db8::c633:6401"]
protocol = "tcp"
ports = [80]
"#;

#[test]
fn tunnels_from_outside_are_kept_from_nodes_sources_and_vips() {
    let rules = EdgeAcl::new(&good(SITE)).rules();
    let to = [
        "192.0.2.64/28",
        "192.0.2.132",
        "192.0.2.140",
        "198.51.100.0/24",
        "2001:db8::c000:284",
        "2001:db8::c633:6401",
    ];
    let expected: Vec<_> = to
        .iter()
        .flat_map(|to| [4, 41].map(|p| format!("drop protocol {p} from outside to {to}")))
        .collect();
    assert_eq!(rules, expected);
}

#[test]
fn linux_routers_are_told_in_their_words() {
    let expected = r#"define outside = { "eth0" }

table inet palier_edge {
    set site4 {
        type ipv4_addr
        flags interval
        elements = { 192.0.2.64/28, 192.0.2.132, 192.0.2.140, 198.51.100.0/24 }
    }
    set site6 {
        type ipv6_addr
        flags interval
        elements = { 2001:db8::c000:284, 2001:db8::c633:6401 }
    }
    chain forward {
        type filter hook forward priority filter
        iifname $outside ip daddr @site4 meta l4proto { 4, 41 } drop
        iifname $outside ip6 daddr @site6 meta l4proto { 4, 41 } drop
    }
}
"#;
    assert_eq!(EdgeAcl::new(&good(SITE)).nftables(), expected);
}

#[test]
fn ios_routers_are_told_in_theirs() {
    let expected = "\
ip access-list extended palier-edge
 deny 4 any 192.0.2.64 0.0.0.15
 deny 41 any 192.0.2.64 0.0.0.15
 deny 4 any host 192.0.2.132
 deny 41 any host 192.0.2.132
 deny 4 any host 192.0.2.140
 deny 41 any host 192.0.2.140
 deny 4 any 198.51.100.0 0.0.0.255
 deny 41 any 198.51.100.0 0.0.0.255
 permit ip any any
ipv6 access-list palier-edge6
 deny 4 any host 2001:db8::c000:284
 deny 41 any host 2001:db8::c000:284
 deny 4 any host 2001:db8::c633:6401
 deny 41 any host 2001:db8::c633:6401
 permit ipv6 any any
";
    assert_eq!(EdgeAcl::new(&good(SITE)).ios(), expected);
}

#[test]
fn a_site_of_one_family_has_rules_of_one() {
    let one = SITE.replace(", \"2001:db8::c000:284\"", "").replace(", \"2001:db8::c633:6401\"", "");
    let acl = EdgeAcl::new(&good(&one));
    assert!(!acl.nftables().contains("site6") && acl.nftables().contains("site4"));
    assert!(!acl.ios().contains("ipv6") && acl.ios().contains("ip access-list"));
}
