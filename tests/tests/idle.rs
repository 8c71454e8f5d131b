//! With `--idle adaptive` a dataplane that has nothing to do leaves the CPU, and is back at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use api::Rate;
use lab::{Flags, Lab};
use system_tests::{Echo, SOON, VIPS};

const WORKERS: usize = 2;

fn lab() -> Lab {
    Lab::new().l4(1).flags(Flags { queues: WORKERS, ..Flags::default() }).start()
}

/// CPU time of each thread of a process so far, by name and number: what the scheduler counts, not the
/// clock's ticks, which whoever naps between them may meet each time or never.
fn cpu_times(pid: u32) -> BTreeMap<String, Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let read = |task: &Path, file: &str| fs::read_to_string(task.join(file)).ok();
    let time = |task: fs::DirEntry| {
        // One that has ended since has no files.
        let name = format!("{} {}", read(&task.path(), "comm")?.trim(), task.file_name().display());
        let spent = read(&task.path(), "schedstat")?;
        let nanos = spent.split(' ').next()?.parse().ok()?;
        Some((name, Duration::from_nanos(nanos)))
    };
    tasks.flatten().filter_map(time).collect()
}

#[test]
fn workers_without_packets_take_less_than_a_twentieth_of_a_core() {
    const WINDOW: Duration = Duration::from_secs(2);
    let lab = lab();
    let l4 = lab.l4(1);
    let pid = l4.pid().unwrap();

    // Neighbors that are asked for, or the machine, may disturb one window, not all.
    let rests = (0..15).any(|_| {
        let (before, start) = (cpu_times(pid), Instant::now());
        lab.wait_until("the window is over", SOON, || start.elapsed() >= WINDOW);
        let mut spent = cpu_times(pid);
        for (thread, time) in &mut spent {
            *time -= before.get(thread).copied().unwrap_or_default();
        }
        let rests =
            spent.values().sum::<Duration>() < start.elapsed().mul_f64(0.05 * WORKERS as f64);
        if !rests {
            println!("in {WINDOW:?}: {spent:?}");
        }
        rests
    });
    assert!(rests, "what its threads spend is above");
    for worker in l4.stats().workers {
        assert!(worker.heartbeat_ms < 1_000, "it sleeps, and is alive: {worker:?}");
    }
}

#[test]
fn a_resting_dataplane_reacts_within_a_millisecond() {
    let lab = lab();
    let mut snapshot = lab.snapshot(1);
    let often = Rate { per_second: 10_000, burst: 1_000 };
    (snapshot.limits.icmp, snapshot.limits.icmp_source) = (often, often);
    lab.l4(1).apply(&snapshot);

    for vip in VIPS {
        // Between two of them it rests. What else runs on the machine may delay some rounds.
        lab.wait_until(
            &format!("half of the pings to {vip} return in a millisecond"),
            SOON,
            || {
                let args = ["-n", "-c", "20", "-i", "0.02", "-W", "2", &vip.to_string()];
                let output = lab.client().namespace().run("ping", &args).unwrap();
                let times = output.lines().filter_map(|line| line.split_once("time="));
                let mut times: Vec<f64> =
                    times.map(|(_, time)| time.trim_end_matches(" ms").parse().unwrap()).collect();
                times.sort_by(f64::total_cmp);
                times.len() == 20 && times[10] < 1.0
            },
        );
    }
}

#[test]
fn resting_workers_watch_every_queue() {
    let lab = lab();
    let l4 = lab.l4(1);
    for vip in VIPS {
        for _ in 0..50 {
            let flow = Echo::open(&lab, vip);
            flow.send(b"awake?");
            assert_eq!(flow.answer().1, b"awake?");
        }
    }
    let stats = l4.stats();
    assert_eq!(stats.workers.len(), WORKERS);
    for worker in &stats.workers {
        assert!(worker.counters["forwarded"] > 0, "{worker:?}");
    }
    assert_eq!(stats.counters["forwarded"], 100);
}
