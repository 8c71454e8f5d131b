//! What systemd is told by an L7 node, and by the process that takes over from it.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use lab::{L7, Lab};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use system_tests::SOON;

/// How often systemd wants to hear something; a service that is silent for longer is killed.
const WATCHDOG: Duration = Duration::from_millis(500);

/// What systemd hears.
struct Manager(UnixDatagram);

impl Manager {
    /// Waits until something is said, and returns it without its name.
    fn hear(&self, name: &str) -> String {
        let (started, mut said) = (Instant::now(), [0; 512]);
        loop {
            let length = self.0.recv(&mut said).unwrap_or_else(|error| panic!("{name}: {error}"));
            let lines = String::from_utf8_lossy(&said[..length]).into_owned();
            if let Some(value) = lines.lines().find_map(|line| line.strip_prefix(name)) {
                return value.to_owned();
            }
            assert!(started.elapsed() < SOON, "{name} is not said");
        }
    }

    /// What was said so far is of no interest.
    fn forget(&self) {
        self.0.set_nonblocking(true).expect("a socket");
        while self.0.recv(&mut [0; 512]).is_ok() {}
        self.0.set_nonblocking(false).expect("a socket");
    }
}

/// Ends a control that took over, and waits until it has gone. It waits for whoever does not listen to it.
fn end(node: &L7, manager: &Manager) {
    let pid = node.status().pid;
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).expect("it runs");
    manager.hear("STOPPING=1");
    // Whoever has become its parent may leave its entry there.
    let program = std::path::PathBuf::from(format!("/proc/{pid}/exe"));
    lab::wait_until("it has gone", SOON, || {
        manager.forget();
        !program.exists()
    });
}

#[test]
fn the_watchdog_is_fed_by_whoever_is_the_service() {
    let lab = Lab::new().l4(1).l7(1).servers(1).control().start();
    let node = lab.l7(1);
    assert!(node.stop_control().success());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    manager.0.set_read_timeout(Some(SOON)).unwrap();

    // As systemd does: the process that it starts is told that the watchdog is about it.
    let control = node.control_command().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "export WATCHDOG_PID=$$; exec \"$@\"", "sh"])
        .arg(control.get_program())
        .args(control.get_args())
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
        .spawn()
        .unwrap();
    manager.hear("READY=1");
    manager.hear("WATCHDOG=1");

    let (status, said) = node.ctl(&["upgrade"]);
    assert!(status.success(), "{said}");
    let heir = manager.hear("MAINPID=");
    assert!(child.wait().unwrap().success());
    assert_eq!(node.status().pid.to_string(), heir);
    manager.forget();
    manager.hear("WATCHDOG=1");
    end(node, &manager);
}
