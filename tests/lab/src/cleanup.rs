//! Nothing of a lab outlives it: not after a panic, not after Ctrl-C; and what a killed process
//! left is removed by the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::thread;

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::program::run;

/// Where `ip netns` keeps its names.
pub(crate) const NETNS_DIR: &str = "/run/netns";
const PREFIX: &str = "palier-lab-";

/// What the names of a lab's namespaces, and of its folder, begin with.
pub(crate) fn lab_name(counter: usize) -> String {
    format!("{PREFIX}{}-{counter}", std::process::id())
}

/// The folder in which labs have theirs: in memory, as the dataplane's tables should be.
pub(crate) fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.into() } else { std::env::temp_dir() }
}

/// Where a lab's nodes pin what is to outlive their control.
pub(crate) fn bpf(lab: &Path) -> PathBuf {
    lab.join("bpf")
}

/// Removes what labs of processes that are gone have left.
pub(crate) fn remove_stale() {
    remove(|name| {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    });
}

/// Removes one lab of this process.
pub(crate) fn remove_lab(lab: &str) {
    remove(|name| {
        name.strip_prefix(lab).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
}

/// On SIGINT, SIGTERM and SIGHUP, removes the labs of this process before it ends as it would have.
pub(crate) fn remove_on_signal() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).expect("these can be caught");
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let own = format!("{PREFIX}{}-", std::process::id());
                remove(|name| name.starts_with(&own));
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        });
    });
}

/// Ends what runs in the namespaces that are `chosen`, and removes them and the folders so named.
/// What cannot be removed is left: a later lab tries again.
fn remove(chosen: impl Fn(&str) -> bool) {
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with(PREFIX) && chosen(name)).collect()
    };
    for namespace in names(Path::new(NETNS_DIR)) {
        let inside = run(Command::new("ip").args(["netns", "pids", &namespace]), "");
        for pid in inside.unwrap_or_default().lines().filter_map(|line| line.parse().ok()) {
            if Pid::from_raw(pid) != Pid::this() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let _ = run(Command::new("ip").args(["netns", "del", &namespace]), "");
    }
    for name in names(&folder()) {
        // What eBPF has pinned goes with its file system.
        let _ = umount2(&bpf(&folder().join(&name)), MntFlags::MNT_DETACH);
        let _ = fs::remove_dir_all(folder().join(name));
    }
}
