//! A process killed at any instruction leaves a file to go on with.

use std::io::{BufRead, BufReader, Write};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Tick;

use super::super::{Geometry, Idle, Opened, Outcome, Slot, State, Table, TableFile};
use super::file::{IDENTITY, geometry};
use super::{entry_of, hash};

const DIR: &str = "PALIER_TEST_KILLED_IN";
const NOW: Tick = Tick::new(9000);
/// Flows that the killed process has recorded before it says that it is ready.
const LIVE: u64 = 600;

fn open(dir: &Path, geometry: &Geometry) -> Opened {
    TableFile::open(dir, geometry, &IDENTITY, NOW).unwrap()
}

/// Fills the table, says so, then inserts, moves and evicts until it is killed.
fn churn(table: &mut Table) -> ! {
    let idle = Idle::default();
    for i in 0..LIVE {
        table.insert(hash(i), entry_of(hash(i), NOW, State::Open, false), NOW, &idle);
    }
    let mut stdout = std::io::stdout();
    for i in 0_u64.. {
        let hash = hash(1 << 40 | i);
        let inserted = table.insert(hash, entry_of(hash, NOW, State::Udp, true), NOW, &idle);
        if i % 3 == 0 {
            table.remove(inserted.slot);
        }
        if i % 1000 == 0 {
            writeln!(stdout, "churned {i}").unwrap();
        }
    }
    unreachable!("the numbers last for centuries")
}

/// Starts this test again in a process of its own, and kills that after `lines` thousand insertions.
fn kill_after(lines: usize, dir: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "connection::tests::kill::a_killed_process_leaves_a_table_to_go_on_with"])
        .args(["--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let seen =
        output.lines().map_while(Result::ok).filter(|l| l.starts_with("churned")).take(lines);
    assert_eq!(seen.count(), lines);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_process_leaves_a_table_to_go_on_with() {
    let one = geometry(1000, 1, true);
    if let Some(dir) = std::env::var_os(DIR) {
        churn(&mut open(Path::new(&dir), &one).tables[0]);
    }
    for round in 1..=12 {
        let dir = tempfile::tempdir().unwrap();
        kill_after(round * 2, dir.path());

        let mut opened = open(dir.path(), &one);
        let Outcome::Kept { entries } = opened.outcome else { panic!("{:?}", opened.outcome) };
        check(&opened, entries);
        opened.tables[0].sweep(NOW, &Idle::default(), 10, |_| {});
        drop(opened);

        let larger = Geometry { capacity: NonZeroU32::new(5000).unwrap(), ..one };
        let opened = open(dir.path(), &larger);
        assert_eq!(opened.outcome, Outcome::Migrated { entries, lost: 0 });
        check(&opened, entries);
        drop(opened);

        let more = Geometry { workers: NonZeroU16::new(3).unwrap(), ..larger };
        let opened = open(dir.path(), &more);
        assert_eq!(opened.outcome, Outcome::Migrated { entries, lost: 0 });
        check(&opened, entries);
    }
}

/// Every live flow is there once, and nothing that nobody wrote.
fn check(opened: &Opened, entries: usize) {
    for i in 0..LIVE {
        let known: Vec<_> = opened
            .tables
            .iter()
            .filter(|table| table.find(hash(i)) != Slot::NONE)
            .map(|table| table.entry(table.find(hash(i)), hash(i), NOW))
            .collect();
        assert_eq!(known, [Some(entry_of(hash(i), NOW, State::Open, false))], "flow {i}");
    }
    let mut listed = 0;
    for view in opened.file.views() {
        for flow in (0..view.buckets()).flat_map(|bucket| view.entries_of(bucket, NOW)) {
            let state = flow.entry.state;
            assert_eq!(flow.entry, entry_of(flow.hash, NOW, state, state == State::Udp));
            listed += 1;
        }
    }
    assert_eq!(listed, entries);
}
