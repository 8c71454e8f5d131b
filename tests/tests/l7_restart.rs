//! What clients and L4 nodes see of an L7 node whose control begins anew.

use std::process::Child;

use admin::Effective;
use lab::{L7, Lab};
use system_tests::{SOON, URLS, text};

/// Answered by the pool of plain servers.
const PLAIN: &str = "bytes/100";

/// What the health URI says, past the tunnel.
fn health(lab: &Lab, node: &L7) -> Option<u16> {
    let [v4, _] = node.addresses().both();
    lab.client().get(&format!("http://{v4}/healthcheck")).ok().map(|response| response.status)
}

#[test]
fn requests_are_served_before_checks_have_spoken_but_nobody_is_sent_here() {
    let lab = Lab::new().l4(1).l7(1).servers(2).control().start();
    let node = lab.l7(1);
    assert_eq!(health(&lab, node), Some(200));
    let original = std::fs::read_to_string(lab.site_path()).unwrap();
    // Checks of the plain servers take longer than everything else here.
    let quick = "check.http = { path = \"/healthcheck\" }\ncheck.interval = \"500ms\"\n\
                 check.fast_interval = \"200ms\"\ncheck.timeout = \"400ms\"";
    let slow = "check.http = { path = \"/late?seconds=600\" }\ncheck.interval = \"60s\"\ncheck.timeout = \"60s\"";
    let at = original.find("name = \"plain\"").expect("the lab has it");
    let (before, plain) = original.split_at(at);
    let changed = format!("{before}{}", text::replaced(plain, quick, slow));
    lab.edit_site(|_| changed);

    node.kill_control();
    node.start_control().unwrap();
    for url in URLS {
        let response = lab.client().get(&format!("{url}{PLAIN}")).expect("somebody listens");
        assert_eq!(response.status, 200);
    }
    assert_eq!(health(&lab, node), Some(503));
    let own = node.status().own;
    assert_eq!(own.disabled, ["some servers have not been asked yet"]);
    // What an operator says is obeyed all the same.
    let say = |word: &str| {
        for server in ["plain/server-1", "plain/server-2"] {
            let (status, said) = node.ctl(&[word, server]);
            assert!(status.success(), "{said}");
        }
    };
    say("maintain");
    let response = lab.client().get(&format!("{}{PLAIN}", URLS[0])).expect("somebody listens");
    assert_eq!(response.status, 503);
    say("ready");

    lab.edit_site(|_| original);
    assert!(node.ctl(&["reload"]).0.success());
    lab.wait_until("everybody has been asked", SOON, || health(&lab, node) == Some(200));
    lab.l4(1).wait_state("l7-1", Effective::Up, SOON);
}

/// Somebody who lets everybody come, and says nothing, on port 9 of the node's loopback.
struct Silent(Child);

impl Silent {
    fn listen(node: &L7) -> Self {
        let program = "import socket, time\n\
                       s = socket.create_server(('127.0.0.1', 9))\n\
                       time.sleep(600)";
        Self(
            node.namespace()
                .command("python3")
                .args(["-c", program])
                .spawn()
                .expect("it is installed"),
        )
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_that_does_not_answer_holds_nobody_up() {
    let lab = Lab::new().l4(1).l7(1).servers(2).control().start();
    let node = lab.l7(1);
    // A third server, which says nothing; its checks take longer than everything else here.
    let _silent = Silent::listen(node);
    lab.wait_until("it listens", SOON, || {
        node.namespace().run("ss", &["-Hltn"]).unwrap().contains("127.0.0.1:9 ")
    });
    let nobody = "127.0.0.1:9";
    lab.edit_site(|site| {
        let plain = "name = \"plain\"\nservers = [";
        let server = format!("{{ name = \"dead\", address = \"{nobody}\" }}, ");
        let site = text::replaced(&site, plain, &format!("{plain}{server}"));
        let (before, after) = site.split_once("name = \"plain\"").expect("the lab has it");
        let slow = after.replacen("check.timeout = \"400ms\"", "check.timeout = \"60s\"", 1);
        let slow = slow.replacen("check.interval = \"500ms\"", "check.interval = \"60s\"", 1);
        format!("{before}name = \"plain\"{slow}")
    });
    node.kill_control();
    node.start_control().unwrap();
    lab.wait_until("servers enough are known", SOON, || health(&lab, node) == Some(200));
    let status = node.status();
    let plain = status.pools.iter().find(|pool| pool.name == "plain").expect("the lab has it");
    assert_eq!(plain.servers[0].checks[0].state, None, "it has said nothing");
    lab.l4(1).wait_state("l7-1", Effective::Up, SOON);
}
