//! An L4 node's wire and exception interface, with testpmd in the dataplane's place: it hands on
//! every frame between the two, over two queues.

use std::process::{Child, Stdio};
use std::time::Duration;

use lab::{Lab, Wire};

const LIMIT: Duration = Duration::from_secs(30);

struct Testpmd(Child);

impl Testpmd {
    fn start(lab: &Lab, port: &str) -> Self {
        let node = lab.l4(1);
        let exception = format!("net_tap1,iface=exception,mac={}", node.addresses().mac());
        let mut command = node.namespace().command("dpdk-testpmd");
        command
            .args(["--no-huge", "-m", "128", "--no-pci", "--no-telemetry", "--no-shconf"])
            .args(["--file-prefix", node.namespace().name(), "-l", "0,1"])
            .args(["--vdev", port, "--vdev", &exception, "--", "--auto-start"])
            .args([
                "--rxq=2",
                "--txq=2",
                "--forward-mode=io",
                "--total-num-mbufs=4096",
                "--stats-period=60",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("dpdk-testpmd is installed"))
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("a child can be waited for");
    }
}

fn check(wire: Wire, port: &str) {
    let lab =
        Lab::new().l4(1).l7(1).wire(wire).without_dataplanes().without_decapsulators().start();
    let node = lab.l4(1);
    let [v4, v6] = node.addresses().both();
    assert!(!lab.client().ping(v4), "nobody answers in the dataplane's place");
    assert!(!lab.client().ping(v6), "nobody answers in the dataplane's place");
    assert_eq!([lab.router().neighbor(v4), lab.router().neighbor(v6)], [None, None]);

    for run in ["a start", "a start after SIGKILL"] {
        let testpmd = Testpmd::start(&lab, port);
        lab.wait_until(&format!("{v4} answers after {run}"), LIMIT, || lab.client().ping(v4));
        lab.wait_until(&format!("{v6} answers after {run}"), LIMIT, || lab.client().ping(v6));
        for address in [v4, v6] {
            assert_eq!(lab.router().neighbor(address), Some(node.addresses().mac()));
        }
        drop(testpmd);
        lab.router().forget_neighbors();
        assert!(!lab.client().ping(v4), "nobody answers in the dataplane's place");
    }
}

#[test]
fn a_node_on_a_tap_answers_through_its_dataplane_alone() {
    check(Wire::Tap, "net_tap0,iface=wire,mac=06:00:c0:00:02:84");
}

#[test]
fn a_node_on_a_packet_socket_answers_through_its_dataplane_alone() {
    check(Wire::AfPacket, "net_af_packet0,iface=wire,qpairs=2");
}
