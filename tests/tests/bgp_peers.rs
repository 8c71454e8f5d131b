//! Other routers than BIRD, and sessions over a link's own addresses.

use std::fs;
use std::process::{Child, Command, Stdio};

use lab::{Lab, ROUTER_AS, SITE_AS};
use system_tests::{SOON, VIPS, reload, text};

/// GoBGP, ended when it is dropped.
struct GoBgp<'a> {
    lab: &'a Lab,
    daemon: Child,
}

impl<'a> GoBgp<'a> {
    /// In the place of BIRD on the first router.
    fn start(lab: &'a Lab) -> Self {
        let router = lab.router();
        let id = router.fabric().v4;
        let mut conf = format!(
            "[global.config]\nas = {ROUTER_AS}\nrouter-id = \"{id}\"\n\
             local-address-list = [\"{id}\", \"{}\"]\n",
            router.fabric().v6
        );
        for (address, family) in lab.l4(1).addresses().both().into_iter().zip(["ipv4", "ipv6"]) {
            conf += &format!(
                "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{address}\"\n\
                 peer-as = {SITE_AS}\n[neighbors.timers.config]\nhold-time = 6\n\
                 [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\n\
                 afi-safi-name = \"{family}-unicast\"\n"
            );
        }
        let path = lab.site_path().with_file_name("gobgpd.toml");
        fs::write(&path, conf).expect("the lab's folder is there");
        let log = fs::File::create(path.with_extension("log")).expect("the same folder");
        let mut command = router.namespace().command("gobgpd");
        command.arg("-f").arg(&path).args(["-t", "toml", "--api-hosts", "127.0.0.1:50051"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let daemon = command.spawn().expect("gobgpd is installed");
        Self { lab, daemon }
    }

    fn say(&self, args: &[&str]) -> String {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.lab.router().namespace().name(), "gobgp"]);
        let output = command.args(args).output().expect("gobgp is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn knows(&self) -> [String; 2] {
        ["ipv4", "ipv6"].map(|family| self.say(&["global", "rib", "-a", family]))
    }
}

impl Drop for GoBgp<'_> {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn gobgp_learns_the_vips_and_their_attributes_and_that_they_are_gone() {
    let lab = Lab::new().l4(1).bgp().start();
    reload(&lab, |site| {
        let bgp = "bgp = { med = 50, prepend = 2, communities = [\"65000:100\"], \
                   large_communities = [\"65000:1:2\"] }";
        text::with(&text::with(&site, "web", bgp), "echo", bgp)
    });
    lab.router().bird().stop(SOON);
    let gobgp = GoBgp::start(&lab);
    let vips = ["198.51.100.1/32", "2001:db8::c633:6401/128"];
    lab.wait_until("GoBGP knows the VIPs", SOON, || {
        gobgp.knows().iter().zip(vips).all(|(known, vip)| known.contains(vip))
    });
    for known in gobgp.knows() {
        let path = [SITE_AS; 3].map(|number| number.to_string()).join(" ");
        for part in [&*path, "{Med: 50}", "{Communities: 65000:100}", "65000:1:2"] {
            assert!(known.contains(part), "{part}: {known}");
        }
    }
    lab.wait_until("the node knows that the sessions are up", SOON, || {
        lab.l4(1).status().routers.remove(0).sessions.iter().all(|session| session.up)
    });
    let (status, said) = lab.l4(1).ctl(&["withdraw", "web"]);
    assert!(status.success(), "{said}");
    lab.wait_until("they are gone", SOON, || {
        gobgp.knows().iter().zip(vips).all(|(known, vip)| !known.contains(vip))
    });
}

#[test]
fn ipv4_goes_with_an_ipv6_next_hop_over_the_links_own_addresses() {
    let lab = Lab::new().l4(1).bgp().start();
    let (l4, router) = (lab.l4(1), lab.router());
    let link_local = |namespace: &lab::Namespace, interface: &str| {
        let mut found = None;
        lab.wait_until("the link has its own address", SOON, || {
            let mut ip = Command::new("ip");
            ip.args(["-6", "-brief", "-n", namespace.name(), "address", "show", "scope", "link"]);
            let output = ip.args(["dev", interface]).output().expect("`ip` is there");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let address = said.split_whitespace().find(|word| word.starts_with("fe80:"));
            found = address.and_then(|word| word.split('/').next()).map(str::to_owned);
            found.is_some()
        });
        found.expect("it was waited for")
    };
    let ours = link_local(l4.namespace(), "exception");
    let theirs = link_local(router.namespace(), "fabric");
    router.bird().configure(|text| {
        let begin = text.find("protocol bgp l4_1_v4").expect("the lab has written it");
        format!(
            "{}protocol bgp l4_1_v4 {{\n  local {theirs}%fabric as {ROUTER_AS};\n  \
             neighbor {ours}%fabric as {SITE_AS};\n  hold time 6;\n  connect delay time 1;\n  \
             error wait time 1, 5;\n  \
             ipv4 {{ extended next hop on; import filter vip4; export none; }};\n  \
             ipv6 {{ import filter vip6; export none; }};\n}}\n",
            &text[..begin]
        )
    });
    let addresses = router.fabric().both().map(|address| format!("\"{address}\"")).join(", ");
    reload(&lab, |site| {
        let old = format!("addresses = [{addresses}]\npeer_as");
        let new = format!(
            "address = \"{theirs}\"\ninterface = \"exception\"\nextended_next_hop = true\npeer_as"
        );
        text::replaced(&site, &old, &new)
    });
    lab.wait_until("the session is up", SOON, || {
        let sessions = l4.status().routers.remove(0).sessions;
        sessions.len() == 1 && sessions[0].up && sessions[0].announced.len() == 2
    });
    // Both VIPs, over the node's IPv6 addresses.
    let v6 = l4.addresses().v6;
    for vip in VIPS {
        lab.wait_until("the router has the route", SOON, || {
            let hops = router.hops(vip);
            hops.contains(&v6.into()) || hops.contains(&ours.parse().expect("an address"))
        });
    }
    let response = lab.client().get("http://198.51.100.1/");
    assert!(response.is_ok(), "{response:?}");
}
