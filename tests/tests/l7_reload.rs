//! Whatever a reload changes on an L7 node, no request notices.

use std::time::Duration;

use lab::{L7, Lab};
use system_tests::{Kept, SOON, text};

const BUSY: usize = 10;
const PAUSE: Duration = Duration::from_millis(5);

fn reload(node: &L7) {
    let (status, said) = node.ctl(&["reload"]);
    assert!(status.success(), "{said}");
}

#[test]
fn no_request_notices_other_checks_pools_routes_and_listeners() {
    let lab = Lab::new().l4(1).l7(1).servers(2).control().start();
    let node = lab.l7(1);
    let busy = Kept::busy(&lab, BUSY, PAUSE);
    let original = std::fs::read_to_string(lab.site_path()).unwrap();
    let settings = |site: String| {
        lab.edit_site(|_| site);
        reload(node);
    };

    // Servers that are asked in another way are used until that has said something.
    settings(text::replaced(
        &original,
        "check.http = { path = \"/healthcheck\" }\ncheck.agent",
        "check.http = { path = \"/healthcheck?2\" }\ncheck.agent",
    ));
    busy.go_on("servers are checked in another way");

    // A pool that was not there gets everything at once, and so do servers that all were not there: before
    // their checks, which take a second, have said anything.
    let [first, second] = [1, 2].map(|number| lab.backend(number).addresses().both()[0]);
    let moved = |names: [&str; 2]| {
        let pool = format!(
            "\n[[pool]]\nname = \"other\"\nservers = [\
             {{ name = \"{}\", address = \"{first}:8080\" }}, \
             {{ name = \"{}\", address = \"{second}:8080\" }}]\n\
             check.http = {{ path = \"/late?seconds=1\" }}\n\
             check.interval = \"5s\"\ncheck.timeout = \"5s\"\n",
            names[0], names[1]
        );
        text::replaced(&original, "pool = \"nginx\"\n", "pool = \"other\"\n") + &pool
    };
    for names in [["a", "b"], ["c", "d"]] {
        settings(moved(names));
        busy.go_on("they go to other servers");
        lab.wait_until("the other servers have them", SOON, || {
            let status = node.status();
            let other = status.pools.iter().find(|pool| pool.name == "other").expect("it is there");
            assert!(other.servers.iter().map(|server| &server.name).eq(names));
            other.usable == 2 && other.servers.iter().all(|server| server.counters["requests"] > 10)
        });
    }

    // A listener comes and goes; those that stay are not touched.
    let listeners = |wanted: u16| {
        lab.wait_until("listeners are as the file says", SOON, || {
            let status = node.status();
            status.frontends[0].listen.iter().any(|at| at.port() == wanted)
        });
    };
    settings(text::replaced(&moved(["c", "d"]), "ports = [80, 443]", "ports = [80, 443, 8081]"));
    listeners(8081);
    busy.go_on("there is another listener");
    let [v4, _] = node.addresses().both();
    let at = |port: u16| format!("http://{v4}:{port}/");
    assert_eq!(lab.client().get(&at(80)).map(|it| it.status).ok(), Some(200));

    settings(original);
    busy.go_on("everything is as before");
    assert!(node.status().frontends[0].listen.iter().all(|at| at.port() != 8081));
    busy.finish_whole();
}
