//! What the process leaves alone: the workers' CPUs, and the node's interface when it ends.

use std::fs;
use std::time::Duration;

use lab::{Flags, L4, Lab};

/// Name and CPUs (as `Cpus_allowed_list` has them) of each thread of a process, see proc(5).
fn threads(pid: u32) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let thread = |folder: std::path::PathBuf| {
        let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
        let (name, status) = (read("comm")?, read("status")?);
        let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some((name.trim().to_owned(), cpus.trim().to_owned()))
    };
    tasks.filter_map(|task| thread(task.ok()?.path())).collect()
}

#[test]
fn a_workers_cpu_is_its_own_where_there_is_another() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        eprintln!("with one CPU there is nothing to keep apart");
        return;
    }
    let lab = Lab::new().l4(1).start();
    let threads = threads(lab.l4(1).pid().unwrap());
    let (workers, others): (Vec<_>, Vec<_>) =
        threads.into_iter().partition(|(name, _)| name.starts_with("worker-"));
    assert_eq!(workers, [("worker-0".to_owned(), "0".to_owned())]);
    assert!(others.iter().any(|(name, _)| name == "palier-dataplan"), "{others:?}");
    for (name, cpus) in others {
        let first = cpus.split([',', '-']).next();
        assert_ne!(first, Some("0"), "{name} may run on {cpus}");
    }
}

/// Link address and addresses of the exception interface, and the routes by it.
fn interface(l4: &L4) -> Vec<String> {
    let show = |args: &[&str]| {
        let text = l4.namespace().run("ip", args).expect("`ip` shows it");
        let mut lines: Vec<_> = text.lines().map(|line| line.trim().to_owned()).collect();
        lines.sort();
        lines
    };
    // Whether the other end is there is no matter of the node's settings.
    let settled = |line: &String| {
        !line.contains("state ") && !line.contains("valid_lft") && !line.contains("linkdown")
    };
    let mut all = show(&["address", "show", "dev", "exception"]);
    all.retain(settled);
    for family in ["-4", "-6"] {
        let routes = show(&[family, "route", "show", "dev", "exception"]);
        all.extend(routes.into_iter().map(|line| line.replace(" linkdown", "")));
    }
    all
}

#[test]
fn the_nodes_interface_outlives_the_process_and_a_start_that_fails() {
    let lab = Lab::new().l4(1).start();
    let l4 = lab.l4(1);
    let before = interface(l4);
    for address in l4.addresses().both() {
        let wanted = address.to_string();
        assert!(before.iter().any(|line| line.contains(&wanted)), "{wanted} in {before:?}");
    }
    assert!(before.iter().any(|line| line.starts_with("link/ether ")), "{before:?}");

    assert!(l4.terminate(Duration::from_secs(1)).success());
    assert_eq!(interface(l4), before, "after SIGTERM");

    let bad = ["--port", "net_pcap9,rx_pcap=/nonexistent", "--exception", "tap:spare"];
    let further = bad.map(str::to_owned).into();
    let flags = Flags { further, ..Flags::default() };
    let output = l4.command(&flags).unwrap().output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(interface(l4), before, "after a start that failed");

    lab.start_dataplane(1, &Flags::default());
    assert_eq!(interface(l4), before, "after a start");
}
