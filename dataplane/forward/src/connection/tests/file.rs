//! What becomes of the tables of the process before.

use std::fs;
use std::num::{NonZeroU16, NonZeroU32};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::tempdir;

use crate::Tick;
use crate::flow::Flow;

use super::super::{
    Entry, Error, Geometry, Identity, Idle, NameError, Opened, Outcome, Reason, Slot, State,
    TableFile,
};
use super::{entry_of, hash};

pub(super) const IDENTITY: Identity = Identity { hash_version: 1, key_fingerprint: 77, boot: 5 };
const NOW: Tick = Tick::new(9000);

pub(super) fn geometry(capacity: u32, workers: u16, details: bool) -> Geometry {
    Geometry {
        capacity: NonZeroU32::new(capacity).unwrap(),
        workers: NonZeroU16::new(workers).unwrap(),
        details,
    }
}

fn open(dir: &Path, geometry: &Geometry) -> Opened {
    TableFile::open(dir, geometry, &IDENTITY, NOW).unwrap()
}

fn fill(opened: &mut Opened, flows: u64) {
    let workers = opened.tables.len() as u64;
    for i in 0..flows {
        let table = &mut opened.tables[(i % workers) as usize];
        let entry = entry_of(hash(i), NOW, State::Open, false);
        let inserted = table.insert(hash(i), entry, NOW, &Idle::default());
        table.describe(inserted.slot, &tuple(i));
    }
}

fn tuple(i: u64) -> Flow {
    Flow {
        source: [10, 0, (i >> 8) as u8, i as u8].into(),
        destination: [198, 51, 100, 1].into(),
        source_port: 4000,
        destination_port: 80,
        protocol: 6,
    }
}

fn known(opened: &Opened, i: u64) -> Option<Entry> {
    opened.tables.iter().find_map(|table| table.entry(table.find(hash(i)), hash(i), NOW))
}

fn all_known(opened: &Opened, flows: u64) -> bool {
    (0..flows).all(|i| known(opened, i) == Some(entry_of(hash(i), NOW, State::Open, false)))
}

#[test]
fn the_same_tables_are_kept_where_they_are() {
    let (dir, two) = (tempdir().unwrap(), geometry(1000, 2, true));
    let mut opened = open(dir.path(), &two);
    assert_eq!(opened.outcome, Outcome::Created);
    fill(&mut opened, 2000);
    drop(opened);

    let opened = open(dir.path(), &two);
    assert_eq!(opened.outcome, Outcome::Kept { entries: 2000 });
    assert!(all_known(&opened, 2000));
    let lens: Vec<_> = opened.file.views().iter().map(|view| view.len()).collect();
    assert_eq!(lens, [1000, 1000]);
}

#[test]
fn another_capacity_or_number_of_workers_keeps_every_flow() {
    let dir = tempdir().unwrap();
    let mut opened = open(dir.path(), &geometry(1000, 2, true));
    fill(&mut opened, 2000);
    drop(opened);

    for to in [(5000, 2, true), (1300, 2, true), (1000, 3, true), (2100, 1, true), (700, 4, true)] {
        let opened = open(dir.path(), &geometry(to.0, to.1, to.2));
        assert_eq!(opened.outcome, Outcome::Migrated { entries: 2000, lost: 0 }, "{to:?}");
        assert!(all_known(&opened, 2000), "{to:?}");
        let listed =
            opened.file.views().iter().flat_map(|view| {
                (0..view.buckets()).flat_map(|bucket| view.entries_of(bucket, NOW))
            });
        for flow in listed {
            let i = (0..2000).find(|&i| hash(i) == flow.hash).unwrap();
            assert_eq!(flow.details, Some(tuple(i)), "{to:?}");
        }
    }
    let opened = open(dir.path(), &geometry(700, 4, false));
    assert_eq!(opened.outcome, Outcome::Migrated { entries: 2000, lost: 0 });
}

#[test]
fn new_workers_get_equal_shares() {
    let dir = tempdir().unwrap();
    let mut opened = open(dir.path(), &geometry(30_000, 1, false));
    fill(&mut opened, 30_000);
    drop(opened);
    let opened = open(dir.path(), &geometry(15_000, 3, false));
    for table in &opened.tables {
        assert!((9_500..10_500).contains(&table.len()), "{}", table.len());
        // And each share is spread over all of its table.
        let view = table.view();
        let low: usize = (0..view.buckets() / 2).map(|b| view.entries_of(b, NOW).count()).sum();
        assert!((4_500..5_500).contains(&low), "{low}");
    }
}

#[test]
fn a_worker_keeps_its_own_flows_if_there_are_as_many_workers() {
    let dir = tempdir().unwrap();
    let mut opened = open(dir.path(), &geometry(1000, 3, false));
    fill(&mut opened, 3000);
    drop(opened);
    let opened = open(dir.path(), &geometry(2000, 3, false));
    for i in 0..3000 {
        assert_ne!(opened.tables[(i % 3) as usize].find(hash(i)), Slot::NONE);
    }
}

#[test]
fn what_a_smaller_table_has_no_room_for_is_counted() {
    let dir = tempdir().unwrap();
    let mut opened = open(dir.path(), &geometry(1000, 1, false));
    fill(&mut opened, 1000);
    drop(opened);
    let opened = open(dir.path(), &geometry(100, 1, false));
    let Outcome::Migrated { entries, lost } = opened.outcome else {
        panic!("{:?}", opened.outcome)
    };
    assert_eq!(entries + lost, 1000);
    assert!((130..=152).contains(&entries), "{entries}: nearly all of 152 slots");
}

#[test]
fn of_two_workers_copies_the_fresher_is_kept() {
    let dir = tempdir().unwrap();
    let mut opened = open(dir.path(), &geometry(10, 2, false));
    let old = [1, 2].map(|i| entry_of(hash(i), NOW, State::Open, false));
    let new = old.map(|entry| Entry { node: 9, seen: Tick::new(NOW.number() + 1), ..entry });
    for (worker, [one, two]) in [[new[0], old[1]], [old[0], new[1]]].into_iter().enumerate() {
        opened.tables[worker].insert(hash(1), one, NOW, &Idle::default());
        opened.tables[worker].insert(hash(2), two, NOW, &Idle::default());
    }
    drop(opened);
    let opened = open(dir.path(), &geometry(10, 1, false));
    assert_eq!(opened.outcome, Outcome::Migrated { entries: 2, lost: 0 });
    assert_eq!([known(&opened, 1), known(&opened, 2)], new.map(Some));
}

#[test]
fn what_means_nothing_any_more_is_forgotten() {
    let dir = tempdir().unwrap();
    let small = geometry(10, 1, false);
    let late = Tick::new(NOW.number() + Idle::MARGIN + 1);
    for (identity, now, reason) in [
        (Identity { key_fingerprint: 78, ..IDENTITY }, NOW, Reason::OtherKey),
        (Identity { hash_version: 2, ..IDENTITY }, NOW, Reason::OtherHash),
        (Identity { boot: 6, ..IDENTITY }, NOW, Reason::OtherBoot),
        (IDENTITY, late, Reason::TooOld),
    ] {
        fs::remove_file(dir.path().join("connections")).ok();
        let mut opened = open(dir.path(), &small);
        fill(&mut opened, 5);
        opened.file.set_node_name(3, "l7-3").unwrap();
        drop(opened);
        let opened = TableFile::open(dir.path(), &small, &identity, now).unwrap();
        assert_eq!(opened.outcome, Outcome::Emptied(reason));
        assert_eq!(opened.tables[0].len(), 0);
        assert_eq!(opened.file.node_name(3), None);
        drop(opened);
        let opened = TableFile::open(dir.path(), &small, &identity, now).unwrap();
        assert_eq!(opened.outcome, Outcome::Kept { entries: 0 });
    }
}

#[test]
fn a_damaged_file_is_replaced_and_never_a_panic() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("connections");
    let small = geometry(100, 1, true);
    let mut opened = open(dir.path(), &small);
    fill(&mut opened, 100);
    drop(opened);
    let good = fs::read(&path).unwrap();

    for length in [0, 1, 79, 80, 4095, 4096, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        let outcome = open(dir.path(), &small).outcome;
        assert!(matches!(outcome, Outcome::Emptied(Reason::Corrupt(_))), "{length}: {outcome:?}");
    }
    for at in 0..80 {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        let outcome = open(dir.path(), &small).outcome;
        assert!(matches!(outcome, Outcome::Emptied(_)), "byte {at}: {outcome:?}");
    }
    // Noise in the tables: what no table writes is dropped, and the rest is a table.
    let mut bytes = good.clone();
    for (i, byte) in bytes[4096..].iter_mut().enumerate() {
        if i % 3 != 0 {
            *byte = hash(i as u64) as u8;
        }
    }
    // When the tables were last swept is not noise.
    bytes[4096..4160].copy_from_slice(&good[4096..4160]);
    fs::write(&path, &bytes).unwrap();
    let mut opened = open(dir.path(), &small);
    assert!(matches!(opened.outcome, Outcome::Kept { .. }), "{:?}", opened.outcome);
    for i in 0..1000 {
        let entry = entry_of(hash(i), NOW, State::Open, true);
        opened.tables[0].insert(hash(i), entry, NOW, &Idle::default());
    }
    let buckets = opened.tables[0].buckets();
    opened.tables[0].sweep(NOW, &Idle::default(), buckets, |_| {});
    for index in 0..1024 {
        let _ = (opened.file.node_name(index), opened.file.service_name(index));
    }
}

#[test]
fn what_a_killed_builder_left_is_removed() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("connections.new"), "half a file").unwrap();
    assert_eq!(open(dir.path(), &geometry(10, 1, false)).outcome, Outcome::Created);
    assert!(!dir.path().join("connections.new").exists());
}

#[test]
fn the_file_is_the_owners_alone_and_one_process_has_it() {
    let (dir, small) = (tempdir().unwrap(), geometry(10, 1, false));
    let Opened { file, tables, .. } = open(dir.path(), &small);
    let mode = fs::metadata(dir.path().join("connections")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let in_use = || {
        let error = TableFile::open(dir.path(), &small, &IDENTITY, NOW).unwrap_err();
        assert!(matches!(error, Error::InUse(_)), "{error}");
    };
    in_use();
    drop(tables);
    in_use();
    let view = file.views()[0].clone();
    drop(file);
    in_use();
    drop(view);
    open(dir.path(), &small);
}

#[test]
fn a_size_beyond_the_format_is_refused() {
    let dir = tempdir().unwrap();
    for wrong in [geometry(u32::MAX, 1, false), geometry(1, 1025, false)] {
        let error = TableFile::open(dir.path(), &wrong, &IDENTITY, NOW).unwrap_err();
        assert!(matches!(error, Error::TooLarge), "{error}");
    }
}

#[test]
fn node_names_tell_when_an_index_changed_hands() {
    let (dir, small) = (tempdir().unwrap(), geometry(10, 1, false));
    let mut file = open(dir.path(), &small).file;
    assert_eq!(file.set_node_name(1023, "l7-1"), Ok(false));
    assert_eq!(file.set_node_name(1023, "l7-1"), Ok(false));
    drop(file);
    // Another size keeps the names.
    let mut file = open(dir.path(), &geometry(20, 1, false)).file;
    assert_eq!(file.node_name(1023).as_deref(), Some("l7-1"));
    assert_eq!(file.set_node_name(1023, "l7-2"), Ok(true));
    assert_eq!(file.node_name(1023).as_deref(), Some("l7-2"));
    assert_eq!(file.set_node_name(1024, "l7-3"), Err(NameError::Index));
    assert_eq!(file.set_node_name(1, &"x".repeat(64)), Err(NameError::Length));
    assert_eq!(file.set_node_name(1, ""), Err(NameError::Length));
}

#[test]
fn a_service_keeps_its_index_and_no_entry_changes_service() {
    let (dir, small) = (tempdir().unwrap(), geometry(10, 1, false));
    let Opened { mut file, mut tables, .. } = open(dir.path(), &small);
    let index = |file: &mut TableFile, name: &str| file.service_index(name, |name| name == "s0");
    for i in 0..4096 {
        assert_eq!(index(&mut file, &format!("s{i}")), Ok(i));
    }
    let held = Entry { service: 1, ..entry_of(hash(1), NOW, State::Open, false) };
    let slot = tables[0].insert(hash(1), held, NOW, &Idle::default()).slot;
    assert_ne!(slot, Slot::NONE);
    // 0 is current, an entry names 1, so 2 is the first to be used again.
    assert_eq!(index(&mut file, "new"), Ok(2));
    assert_eq!(index(&mut file, "s1"), Ok(1));
    assert_eq!(file.service_name(2).as_deref(), Some("new"));
    assert_eq!(file.service_index("another", |_| true), Err(NameError::Full));
    drop((file, tables));
    let mut file = open(dir.path(), &geometry(20, 1, false)).file;
    assert_eq!(index(&mut file, "new"), Ok(2));
}
