//! Programs that operators want run when a family of a service comes into quorum, or loses it.
//!
//! Each has a line of its own: its hooks run one after another, and a slow one delays no other's.
//! What changed to and fro while one ran is not run: the last state counts.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use api::Prefix;
use config::Service;
use health::program::{Ended, Leftovers, Program, first_line};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a hook may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A family of a service's VIPs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Whether a VIP is of it.
    pub fn has(self, vip: &Prefix) -> bool {
        match self {
            Self::V4 => vip.address().is_ipv4(),
            Self::V6 => vip.address().is_ipv6(),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// The lines of all services and families.
#[derive(Debug, Default)]
pub struct Hooks {
    lines: HashMap<(String, Family), Line>,
    failed: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Line {
    wanted: watch::Sender<Option<Job>>,
    task: JoinHandle<()>,
}

/// A hook to be run, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    quorum: bool,
    argv: Option<Vec<String>>,
    service: String,
    family: Family,
    vips: String,
}

impl Hooks {
    /// Says whether all VIPs of a family have their quorum. The hook runs if that is new; also the
    /// first time, when nobody knows what an earlier run of this program has left behind.
    pub fn set(&mut self, service: &Service, family: Family, quorum: bool) {
        if service.on_quorum_up.is_none() && service.on_quorum_down.is_none() {
            return;
        }
        let argv = if quorum { &service.on_quorum_up } else { &service.on_quorum_down };
        let vips = service.vips.iter().filter(|vip| family.has(vip)).map(Prefix::to_string);
        let job = Job {
            quorum,
            argv: argv.clone(),
            service: service.name.clone(),
            family,
            vips: vips.collect::<Vec<_>>().join(" "),
        };
        let line = self.lines.entry((service.name.clone(), family)).or_insert_with(|| {
            let (wanted, jobs) = watch::channel(None);
            Line { wanted, task: tokio::spawn(work(jobs, self.failed.clone())) }
        });
        line.wanted.send_if_modified(|last| {
            let news = last.as_ref().is_none_or(|last| last.quorum != quorum);
            *last = Some(job);
            news
        });
    }

    /// Forgets services that are gone: what their hooks were, nobody knows any more.
    pub fn retain(&mut self, services: &[Service]) {
        self.lines.retain(|(name, _), _| services.iter().any(|service| service.name == *name));
    }

    /// Hooks that could not be run, failed or took too long.
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Waits until all that was said is done.
    pub async fn finish(self) {
        for Line { wanted, task } in self.lines.into_values() {
            drop(wanted);
            // A hook that panicked was told of.
            let _ = task.await;
        }
    }
}

async fn work(mut jobs: watch::Receiver<Option<Job>>, failed: Arc<AtomicU64>) {
    while jobs.changed().await.is_ok() {
        let Some(job) = jobs.borrow_and_update().clone() else { continue };
        let Some(argv) = &job.argv else { continue };
        let Job { service, family, quorum, .. } = &job;
        match run(argv, &job).await {
            Ok(()) => tracing::info!(service, ?family, quorum, hook = argv[0], "hook run"),
            Err(why) => {
                failed.fetch_add(1, Relaxed);
                tracing::error!(service, ?family, quorum, hook = argv[0], why, "hook failed");
            }
        }
    }
}

async fn run(argv: &[String], job: &Job) -> Result<(), String> {
    let [program, arguments @ ..] = argv else { return Ok(()) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PALIER_SERVICE", &job.service)
        .env("PALIER_VIPS", &job.vips)
        .env("PALIER_FAMILY", job.family.name())
        .env("PALIER_QUORUM", if job.quorum { "up" } else { "down" })
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let program = Program::start(command).map_err(|error| error.to_string())?;
    match timeout(LIMIT, program.end(Leftovers::Leave)).await {
        Ok(Ok(Ended { status, .. })) if status.success() => Ok(()),
        Ok(Ok(Ended { status, err, .. })) => {
            let said = first_line(&err).map(String::from_utf8_lossy);
            Err(format!("{status}: {}", said.as_deref().unwrap_or("it said nothing")))
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("it did not end within {LIMIT:?}")),
    }
}

#[cfg(test)]
mod tests {
    use config::{Config, HostSecrets};

    use super::*;

    fn service(up: &str, down: &str) -> Service {
        let text = r#"
[site]
name = "test"
hash_key = "07070707070707070707070707070707"
[[l4]]
name = "l4-1"
addresses = ["192.0.2.132"]
[[l7]]
name = "l7-1"
index = 1
addresses = ["192.0.2.140"]
[[service]]
name = "web"
vips = ["198.51.100.1"]
protocol = "tcp"
ports = 80
"#;
        let mut config = Config::parse(text, &HostSecrets::new(0o600, None)).unwrap();
        let mut service = config.services.remove(0);
        let sh = |script: &str| Some(vec!["/bin/sh".into(), "-c".into(), script.into()]);
        (service.on_quorum_up, service.on_quorum_down) = (sh(up), sh(down));
        service
    }

    #[tokio::test]
    async fn hooks_run_on_the_edges_and_are_told_what_happened() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = format!(
            "echo $PALIER_SERVICE $PALIER_VIPS $PALIER_FAMILY $PALIER_QUORUM >> {}",
            log.display()
        );
        let service = service(&script, &script);
        let mut hooks = Hooks::default();
        let text = || std::fs::read_to_string(&log).unwrap_or_default();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let mut wanted = String::new();
        for quorum in [false, false, true, true, false] {
            hooks.set(&service, Family::V4, quorum);
            let line = format!("web 198.51.100.1 ipv4 {}\n", if quorum { "up" } else { "down" });
            if !wanted.ends_with(&line) {
                wanted += &line;
            }
            while text() != wanted {
                assert!(std::time::Instant::now() < deadline, "{}", text());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        assert_eq!(hooks.failed(), 0);
        hooks.finish().await;
        assert_eq!(text(), wanted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hook_that_fails_or_hangs_is_counted_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let hang = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        let service = service("exit 3", &hang);
        let mut hooks = Hooks::default();
        hooks.set(&service, Family::V4, true);
        while hooks.failed() < 1 {
            tokio::task::yield_now().await;
        }
        hooks.set(&service, Family::V4, false);
        // Time stands still until the script has come so far.
        while !std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
            tokio::task::yield_now().await;
        }
        let failed = hooks.failed.clone();
        hooks.finish().await;
        assert_eq!(failed.load(Relaxed), 2);
        let sleeper = std::fs::read_to_string(&pid).unwrap();
        let stat = format!("/proc/{}/stat", sleeper.trim());
        // Killed; a zombie until whoever inherits it has waited for it.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            std::thread::yield_now();
        }
    }
}
