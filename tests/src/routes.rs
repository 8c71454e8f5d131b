//! Where routers send the VIPs.

use std::fs::File;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};

use lab::{L4, Lab, Router};
use tempfile::TempDir;

use crate::{SOON, VIPS};

/// The L4 nodes that a router spreads each VIP over, by number.
pub fn spread(lab: &Lab, router: &Router) -> [Vec<usize>; 2] {
    VIPS.map(|vip| {
        let hops = router.hops(vip);
        let number = |hop| lab.l4s().iter().find(|l4| l4.addresses().both().contains(hop));
        hops.iter().filter_map(number).map(L4::number).collect()
    })
}

/// Waits until every router spreads the VIPs over these L4 nodes.
///
/// # Panics
/// That does not come to be.
pub fn wait_spread(lab: &Lab, what: &str, over: [&[usize]; 2]) {
    for router in lab.routers() {
        let what = format!("router-{}: {what}", router.number());
        lab.wait_until(&what, SOON, || spread(lab, router) == over);
    }
}

/// Notes each change of a router's routes, from now on.
#[derive(Debug)]
pub struct RouteWatch {
    folder: TempDir,
    monitor: Child,
}

impl RouteWatch {
    /// Watches a router.
    ///
    /// # Panics
    /// There is no `ip`.
    pub fn of(router: &Router) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let log = File::create(folder.path().join("log")).expect("a new folder");
        let monitor = Command::new("ip")
            .args(["-ts", "-n", router.namespace().name(), "monitor", "route"])
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(log)
            .spawn()
            .expect("`ip` can be run");
        let watch = Self { folder, monitor };
        // It listens once it has told a change of ours.
        probe(router, &watch);
        watch
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("it was created")
    }

    /// The line that told the last change of a VIP's route; it begins with the time, UTC.
    pub fn last_change(&self, vip: IpAddr) -> Option<String> {
        let vip = vip.to_string();
        self.changes().into_iter().rev().find(|line| line.contains(&vip))
    }

    /// Each change of a VIP's route so far.
    pub fn changes(&self) -> Vec<String> {
        let vips = VIPS.map(|vip| vip.to_string());
        let of_vip = |line: &&str| vips.iter().any(|vip| line.contains(vip));
        self.log().lines().filter(of_vip).map(str::to_owned).collect()
    }
}

impl Drop for RouteWatch {
    fn drop(&mut self) {
        // It has no children and holds nothing.
        let _ = self.monitor.kill();
        let _ = self.monitor.wait();
    }
}

/// Makes changes that nobody else makes until the watch has seen one.
fn probe(router: &Router, watch: &RouteWatch) {
    const NOWHERE: &str = "192.0.2.7/32";
    let change = |verb: &str| {
        let args = ["-n", router.namespace().name(), "route", verb, "unreachable", NOWHERE];
        let _ = Command::new("ip").args(args).stderr(Stdio::null()).status();
    };
    lab::wait_until("changes of routes are seen", SOON, || {
        change("add");
        change("del");
        watch.log().contains("192.0.2.7")
    });
}
