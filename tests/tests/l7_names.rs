//! Servers that are known by name go where DNS says, without a request lost.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use admin::Effective;
use lab::{L7, Lab, PLAIN_PORT};
use system_tests::zone::Zone;
use system_tests::{SOON, text};

const NAMESERVER: &str = "127.0.0.1:5300";
const NAME: &str = "app.lab.example";
/// Answered by the pool of plain servers.
const URL: &str = "http://198.51.100.1/bytes/100";
const BUSY: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// The only server of the pool plain, and where it is.
fn server(node: &L7) -> (Effective, Option<SocketAddr>) {
    let status = node.status();
    let plain = status.pools.iter().find(|pool| pool.name == "plain").expect("the lab has it");
    assert_eq!(plain.servers.len(), 1);
    (plain.servers[0].state, plain.servers[0].address)
}

/// The site file with a name in the place of the servers of the pool plain.
fn with_name(site: &str) -> String {
    let start = site.find("name = \"plain\"\n").expect("the lab has it");
    let servers = start + site[start..].find("servers = ").expect("it has servers");
    let end = servers + site[servers..].find('\n').expect("it goes on");
    let named = format!("servers = [{{ name = \"app\", address = \"{NAME}:{PLAIN_PORT}\" }}]");
    let site = format!("{}{named}{}", &site[..servers], &site[end..]);
    format!("{site}\n[proxy]\nnameservers = [\"{NAMESERVER}\"]\n")
}

#[test]
fn a_server_that_is_known_by_name_is_followed_without_a_lost_request() {
    let lab = Lab::new().l4(1).l7(1).servers(2).control().start();
    let node = lab.l7(1);
    let zone = Zone::start(node.namespace(), NAMESERVER.parse().unwrap());
    let [first, second] = [1, 2].map(|number| lab.backend(number).addresses().both());
    let at = |address: IpAddr| SocketAddr::new(address, PLAIN_PORT);
    zone.say(NAME, &first[..1], 1);

    // Clients are there when the name comes into the file, and none of them sees it without an address.
    let clients = lab.client().requests(BUSY, URL, PAUSE);
    lab.edit_site(|site| with_name(&site));
    let (status, said) = node.ctl(&["reload"]);
    assert!(status.success(), "{said}");
    assert_eq!(server(node).1, Some(at(first[0])));
    let is_at = |address| {
        let wanted = (Effective::Up, Some(at(address)));
        lab.wait_until(&format!("the server is up at {address}"), SOON, || server(node) == wanted);
    };
    let answered_by = |backend: usize| {
        lab.wait_until(&format!("server-{backend} answers everybody"), SOON, || {
            (0..5).all(|_| {
                let response = lab.client().get(URL).expect("it is answered");
                assert_eq!(response.status, 200);
                response.node == format!("server-{backend}")
            })
        });
    };
    is_at(first[0]);
    answered_by(1);

    // It moves, also to the other family.
    zone.say(NAME, &second[..1], 1);
    is_at(second[0]);
    answered_by(2);
    zone.say(NAME, &first, 1);
    is_at(first[1]);
    // An address that is still among them is as good as any.
    let asked = zone.questions();
    zone.say(NAME, &[second[0], second[1], first[1]], 1);
    lab.wait_until("it was asked again", SOON, || zone.questions() >= asked + 6);
    is_at(first[1]);

    // A nameserver that fails moves nobody, but is told of.
    zone.break_down(NAME);
    lab.wait_until("an alarm tells of it", SOON, || {
        node.status().alarms.iter().any(|alarm| alarm.starts_with(NAME))
    });
    is_at(first[1]);

    // Nor does the next release forget where it was.
    let before = node.status().pid;
    let (status, said) = node.ctl(&["upgrade"]);
    assert!(status.success(), "{said}");
    lab.wait_until("another process answers", SOON, || {
        node.try_status().is_ok_and(|status| status.pid != before)
    });
    is_at(first[1]);
    zone.say(NAME, &second[1..], 1);
    is_at(second[1]);
    answered_by(2);
    let report = clients.finish();
    assert_eq!((report.completed, report.broken), (BUSY, 0), "{:?}", report.failures);

    // Without an address there is nobody to ask.
    lab.edit_site(|site| text::replaced(&site, NAME, "gone.lab.example"));
    let (status, said) = node.ctl(&["reload"]);
    assert!(status.success(), "{said}");
    assert_eq!(server(node), (Effective::Down, None));
    assert_eq!(lab.client().get(URL).expect("it is answered").status, 503);
    zone.say("gone.lab.example", &first[..1], 1);
    is_at(first[0]);
    answered_by(1);
}
