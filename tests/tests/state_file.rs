//! What operators want of nodes holds whatever becomes of its file, and outlives control if it can.

use std::fs;
use std::path::Path;
use std::process::Command;

use admin::Effective;
use lab::{L4, Lab};
use system_tests::SOON;

/// A tiny file system in memory, mounted over a folder; unmounted when it is dropped.
struct Tiny<'a>(&'a Path);

impl<'a> Tiny<'a> {
    /// One that has no room left but for names.
    fn full(folder: &'a Path) -> Self {
        let options = "size=16k,nr_inodes=100,mode=755";
        let path = folder.to_str().expect("the lab's paths are text");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs", path]));
        let tiny = Self(folder);
        let ballast = vec![0; 64 << 10];
        let error = fs::write(tiny.ballast(), ballast).expect_err("it does not fit");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        tiny
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.join("ballast")
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("it is there");
    }
}

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        // Lazily: control may be about to write.
        run(Command::new("umount").arg("-l").arg(self.0));
    }
}

fn run(command: &mut Command) {
    let status = command.status().expect("Debian has this program");
    assert!(status.success(), "{command:?}: {status}");
}

fn state_file(l4: &L4) -> std::path::PathBuf {
    l4.control_state().join("node-states-l4.json")
}

fn alarms(l4: &L4) -> Vec<String> {
    l4.status().alarms
}

#[test]
fn a_drain_holds_though_the_disk_is_full_and_is_written_once_there_is_room() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let folder = l4.control_state();
    // What is mounted now is seen only by what starts from now on: control has mounts of its own.
    l4.kill_control();
    let tiny = Tiny::full(&folder);
    l4.start_control().unwrap_or_else(|error| panic!("{error}"));
    l4.wait_state("l7-1", Effective::Up, SOON);
    lab.wait_until("the start is over", SOON, || alarms(l4).is_empty());

    let (status, said) = l4.ctl(&["drain", "l7-1"]);
    assert_eq!(status.code(), Some(1), "{said}");
    let path = state_file(l4).display().to_string();
    let complaints: Vec<_> = said.lines().filter(|line| line.contains(&path)).collect();
    assert_eq!(complaints.len(), 1, "one clear message: {said}");
    assert!(complaints[0].contains("No space left on device"), "{said}");
    assert!(said.contains("l7-1 drains on l4-1"), "what was done is said, too: {said}");
    l4.wait_state("l7-1", Effective::Drain, SOON);
    let alarm = format!("{path} cannot be written: node states would not survive a restart");
    assert_eq!(alarms(l4), [alarm]);
    assert!(!state_file(l4).exists(), "nothing half is left behind");
    let log = l4.control_printed();
    assert!(log.contains("No space left on device"), "{log}");

    tiny.make_room();
    lab.wait_until("it is written", SOON, || alarms(l4).is_empty());
    let written = fs::read_to_string(state_file(l4)).unwrap();
    assert!(written.contains("\"l7-1\"") && written.contains("drain"), "{written}");

    l4.kill_control();
    l4.start_control().unwrap_or_else(|error| panic!("{error}"));
    l4.wait_state("l7-1", Effective::Drain, SOON);
}

#[test]
fn a_broken_state_file_is_moved_aside_and_control_starts_without() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let aside = l4.control_state().join("node-states-l4.json.broken");
    for broken in ["{\"format\": 1, \"states\": {\"l7-1\"", "", "{\"format\": 99, \"states\": {}}"]
    {
        l4.kill_control();
        fs::write(state_file(l4), broken).unwrap();
        l4.start_control().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(fs::read_to_string(&aside).unwrap(), broken);
        let log = l4.control_printed();
        let told = log.lines().filter(|line| line.contains("node states not read from")).count();
        assert_eq!(told, 1, "{log}");
        l4.wait_state("l7-1", Effective::Up, SOON);
        // What is said from now on is kept as ever.
        let (status, said) = l4.ctl(&["drain", "l7-1"]);
        assert!(status.success(), "{said}");
        assert!(fs::read_to_string(state_file(l4)).unwrap().contains("l7-1"));
        let (status, said) = l4.ctl(&["ready", "l7-1"]);
        assert!(status.success(), "{said}");
        l4.wait_state("l7-1", Effective::Up, SOON);
    }
}
