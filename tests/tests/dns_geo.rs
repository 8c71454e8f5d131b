//! Clients get the datacenter that their network is to go to, and another while that one is down; whoever keeps the
//! answer is told for whom it is.

use system_tests::SOON;
use system_tests::dns::{A, DnsNode, Files, Message, free, question};

/// EDNS client subnet (RFC 7871).
const SUBNET: u16 = 8;

const REST: &str = "\
rate_limit = false
[[zone]]
name = \"example.org\"
file = \"example.org.zone\"
[[resolver]]
name = \"www\"
plugin = \"geoip\"
check.file = { path = \"FOLDER/words\", content = \"words\" }
check.interval = \"200ms\"
check.timeout = \"200ms\"
datacenters = [
  { name = \"par1\", addresses = [\"198.51.100.1\"] },
  { name = \"lon1\", addresses = [\"198.51.100.2\"] },
]
nets = { \"127.0.0.0/8\" = [\"par1\", \"lon1\"], \"10.0.0.0/8\" = [\"lon1\", \"par1\"], \"10.9.0.0/16\" = [\"lon1\"] }
places = { default = [\"lon1\"] }
";

#[test]
fn clients_get_the_datacenter_of_their_network_or_the_next_that_is_up() {
    let at = free();
    let files = Files::new(at, REST);
    let zone = "@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\nwww 60/1 DYNA geoip!www\npar 60/1 DYNA geoip!www/par1\n";
    files.write("example.org.zone", zone);
    let node = DnsNode::start(at, files);
    assert_eq!(node.addresses("www.example.org", A), ["198.51.100.1"]);
    assert_eq!(node.addresses("par.example.org", A), ["198.51.100.1"]);
    // For whom it is, and how much of that the answer goes by.
    let told = |network: [u8; 3]| {
        let option = [&[0, 1, 24, 0][..], &network].concat();
        let asked = question(1, "www.example.org", A).edns(1232).option(SUBNET, &option);
        let reply = Message::parse(&node.exchange(&asked.finish())).unwrap();
        (reply.addresses(), reply.option(SUBNET).expect("it is told back")[3])
    };
    // As far as the other net is not in it.
    assert_eq!(told([10, 1, 2]), (vec!["198.51.100.2".to_owned()], 13));
    assert_eq!(told([10, 9, 2]), (vec!["198.51.100.2".to_owned()], 16));
    assert_eq!(told([192, 0, 2]).0, ["198.51.100.2"], "of all others");
    node.files.write("words", "198.51.100.1 => DOWN\n");
    lab::wait_until("the next one is given", SOON, || {
        node.addresses("www.example.org", A) == ["198.51.100.2"]
    });
    node.files.write("words", "198.51.100.2 => DOWN\n");
    lab::wait_until("and the other way round", SOON, || told([10, 1, 2]).0 == ["198.51.100.1"]);
    // Who wants one alone gets that one.
    assert_eq!(told([10, 9, 2]).0, ["198.51.100.2"]);
}

#[test]
fn a_database_that_is_none_is_told_and_nothing_starts() {
    let at = free();
    let files = Files::new(
        at,
        &REST.replace("places = {", "database = \"geo.mmdb\"\nplaces = { EU = [\"par1\"],"),
    );
    files.write("example.org.zone", "@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\n");
    files.write("geo.mmdb", "this is no database");
    let mut node = DnsNode::begin(at, files);
    lab::wait_until("it ends", SOON, || node.has_ended() == Some(2));
    assert!(node.printed().contains("geo.mmdb: it is no whole database"), "{}", node.printed());
}
