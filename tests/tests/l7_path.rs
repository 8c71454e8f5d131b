//! The whole path: client, BIRD, dataplane, tunnel, proxy, nginx, and the answer straight back. nginx knows
//! the client by the PROXY protocol.

use lab::Lab;
use system_tests::URLS;

#[test]
fn requests_reach_nginx_through_all_tiers_and_it_knows_the_client() {
    let lab = Lab::new().l4(1).l7(2).servers(2).bgp().start();
    let client = lab.client().addresses();
    let secure = URLS.map(|url| url.replace("http://", "https://"));
    let urls = URLS.iter().copied().chain(secure.iter().map(String::as_str));
    for (url, own) in urls.zip(client.both().into_iter().cycle()) {
        for n in 0..8 {
            let path = format!("{url}whoami?{n}");
            let response = lab.client().get(&path).expect("it is answered");
            assert_eq!(response.status, 200, "{path}");
            assert!(response.node.starts_with("server-"), "{}", response.node);
            assert_eq!(String::from_utf8_lossy(&response.body).trim(), own.to_string(), "{path}");
        }
        for backend in lab.backends() {
            backend.wait_logged(&format!("{own} "));
        }
    }
    for l7 in lab.l7s() {
        let tunnel = l7.status().tunnel.expect("control looks after the tunnel");
        assert_eq!(tunnel.problems, [""; 0]);
        assert_eq!(tunnel.vips.len(), 2);
    }
    let taken = |name| lab.l7s().iter().map(|l7| l7.decap_counter(name)).sum::<u64>();
    assert!(taken("decap_4in4") > 0 && taken("decap_6in6") > 0);
    assert_eq!(taken("drop_source") + taken("drop_not_vip"), 0);
}
