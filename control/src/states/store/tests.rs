use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;
use tempfile::TempDir;

use super::*;
use crate::states::file::beside;

const NOW: u64 = 1_790_000_000_000;
const WHO: &str = "uid 0 on l4-1";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        Store::path(self.0.path(), "l4")
    }

    fn open(&self) -> Store {
        let (store, warning) = Store::open(self.path());
        assert_eq!(warning, None);
        store
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn what_an_operator_said_survives_a_restart() {
    let folder = Folder::new();
    let store = folder.open();
    assert!(!store.dirty());
    let first = store.set("l7-1", Admin::Drain, WHO, NOW);
    assert_eq!((first.version, first.at_ms, first.state), (1, NOW, Admin::Drain));
    let second = store.set("l7-1", Admin::Ready, WHO, NOW + 1);
    assert_eq!((second.version, second.state), (2, Admin::Ready));
    assert!(store.dirty());
    store.flush().unwrap();
    assert!(!store.dirty());

    let again = folder.open();
    assert_eq!(again.states(), States::from([("l7-1".into(), second)]));
    assert!(!again.dirty());
    assert_eq!(folder.files(), ["node-states-l4.json"]);
}

#[test]
fn what_a_peer_said_is_written_too_and_only_if_it_changes_something() {
    let (here, there) = (Folder::new(), Folder::new());
    there.open().flush().unwrap();
    let other = there.open();
    other.set("l7-1", Admin::Drain, WHO, NOW);

    let known = |node: &str, _: &Entry| node == "l7-1";
    let trust = Trust { known: &known, now_ms: NOW };
    let store = here.open();
    assert_eq!(store.merge(&other.states(), &trust).changed, ["l7-1"]);
    assert!(store.dirty());
    store.flush().unwrap();
    assert_eq!(here.open().states(), other.states());

    assert!(store.merge(&other.states(), &trust).changed.is_empty());
    assert!(!store.dirty());
}

#[test]
fn nodes_that_left_the_site_are_forgotten() {
    let folder = Folder::new();
    let store = folder.open();
    let kept = store.set("l7-1", Admin::Drain, WHO, NOW);
    store.set("l7-2", Admin::Drain, WHO, NOW);
    store.flush().unwrap();

    let known = BTreeSet::from(["l7-1".to_owned(), "l7-3".to_owned()]);
    assert_eq!(store.retain(&known), ["l7-2"]);
    assert!(store.dirty());
    store.flush().unwrap();
    assert!(store.retain(&known).is_empty());
    assert!(!store.dirty());
    assert_eq!(folder.open().states(), States::from([("l7-1".into(), kept)]));
}

#[test]
fn nobody_else_reads_the_file() {
    let folder = Folder::new();
    // What a crash could have left behind, with a mode of its own.
    let left = beside(&folder.path(), "new");
    fs::write(&left, "half a fi").unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();

    let store = folder.open();
    store.set("l7-1", Admin::Drain, WHO, NOW);
    store.flush().unwrap();
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(folder.files(), ["node-states-l4.json"]);
}

#[test]
fn a_broken_file_is_moved_aside_and_said_once() {
    let good = {
        let folder = Folder::new();
        let store = folder.open();
        store.set("l7-1", Admin::Drain, WHO, NOW);
        store.flush().unwrap();
        fs::read_to_string(folder.path()).unwrap()
    };
    for (text, says) in [
        (String::new(), "EOF"),
        (good[..good.len() / 2].to_owned(), "EOF"),
        ("{\"format\": 1}".to_owned(), "missing field `states`"),
        (good.replace("drain", "drunk"), "drunk"),
        (good.replace("\"format\":1", "\"format\":2"), "format 2, this release reads 1"),
        ("x".repeat(64), "expected value"),
    ] {
        let folder = Folder::new();
        fs::write(folder.path(), &text).unwrap();
        let (store, warning) = Store::open(folder.path());
        let warning = warning.expect("a broken file is mentioned");
        assert!(warning.contains(says), "{warning}");
        assert!(warning.contains("node-states-l4.json.broken"), "{warning}");
        assert!(store.states().is_empty());
        assert_eq!(fs::read_to_string(beside(&folder.path(), "broken")).unwrap(), text);

        // The next start has nothing to say, and what is written then does not touch what is aside.
        assert!(folder.open().states().is_empty());
        store.set("l7-2", Admin::Drain, WHO, NOW);
        store.flush().unwrap();
        assert_eq!(folder.open().states(), store.states());
        assert_eq!(fs::read_to_string(beside(&folder.path(), "broken")).unwrap(), text);
    }
}

#[test]
fn a_file_of_any_size_is_not_read_into_memory() {
    let folder = Folder::new();
    fs::File::create(folder.path()).unwrap().set_len(1 << 40).unwrap();
    let (_, warning) = Store::open(folder.path());
    assert!(warning.unwrap().contains("larger than"));
}

#[test]
fn without_its_folder_a_change_is_kept_in_memory_and_written_once_it_is_there() {
    let folder = Folder::new();
    let path = Store::path(&folder.0.path().join("missing"), "l4");
    let (store, warning) = Store::open(path.clone());
    assert_eq!(warning, None);
    let entry = store.set("l7-1", Admin::Drain, WHO, NOW);

    let error = store.flush().unwrap_err();
    assert!(matches!(error, Error::Create { .. }), "{error:?}");
    assert!(store.dirty() && store.failing());
    let failed = store.failed(&error);
    assert_eq!(failed.what, path.display().to_string());
    assert!(failed.reason.contains("No such file or directory"), "{}", failed.reason);

    fs::create_dir(path.parent().unwrap()).unwrap();
    store.flush().unwrap();
    assert!(!store.dirty() && !store.failing());
    store.set("l7-1", Admin::Drain, WHO, NOW);
    assert!(store.dirty() && !store.failing(), "behind, but nothing has failed");
    assert_eq!(Store::open(path).0.states(), States::from([("l7-1".into(), entry)]));
}

/// Runs `test` in a mount namespace of its own, with a tmpfs of `options` on the folder.
fn on_tmpfs(options: &'static str, test: impl FnOnce(&Folder) + Send + 'static) {
    if !geteuid().is_root() {
        eprintln!("note: not run: mounting needs root");
        return;
    }
    // The namespace is the thread's, and ends with it.
    let thread = thread::spawn(move || {
        let folder = Folder::new();
        let none = None::<&str>;
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(none, folder.0.path(), Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
        test(&folder);
        nix::mount::umount(folder.0.path()).unwrap();
    });
    thread.join().unwrap();
}

#[test]
fn on_a_full_disk_a_change_is_kept_in_memory_and_the_old_file_stays() {
    on_tmpfs("size=64k,mode=700", |folder| {
        let store = folder.open();
        store.set("l7-1", Admin::Drain, WHO, NOW);
        store.flush().unwrap();
        let before = store.states();

        let ballast = folder.0.path().join("ballast");
        let full = fs::write(&ballast, vec![0; 1 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);

        store.set("l7-1", Admin::Ready, WHO, NOW + 1);
        let error = store.flush().unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error:?}");
        let failed = store.failed(&error);
        assert_eq!(failed.what, folder.path().display().to_string());
        assert!(failed.reason.contains("No space left on device"), "{}", failed.reason);
        assert!(store.dirty());
        assert_eq!(store.states()["l7-1"].state, Admin::Ready);
        assert_eq!(folder.open().states(), before);
        assert_eq!(folder.files(), ["ballast", "node-states-l4.json"]);

        fs::remove_file(ballast).unwrap();
        store.flush().unwrap();
        assert_eq!(folder.open().states(), store.states());
    });
}

#[test]
fn a_folder_that_is_not_writable_is_a_clear_error() {
    on_tmpfs("size=64k,mode=700", |folder| {
        let store = folder.open();
        store.set("l7-1", Admin::Drain, WHO, NOW);
        let none = None::<&str>;
        let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, folder.0.path(), none, read_only, none).unwrap();

        let error = store.flush().unwrap_err();
        assert!(matches!(error, Error::Create { .. }), "{error:?}");
        let reason = store.failed(&error).reason;
        assert!(reason.contains("Read-only file system"), "{reason}");
        assert!(store.dirty());
    });
}

#[test]
fn the_store_serves_while_others_write_and_the_last_change_ends_up_in_the_file() {
    let folder = Folder::new();
    let store = folder.open();
    thread::scope(|scope| {
        for node in ["l7-1", "l7-2", "l7-3"] {
            let store = &store;
            scope.spawn(move || {
                for i in 0..20 {
                    store.set(node, Admin::Drain, WHO, NOW + i);
                    store.flush().unwrap();
                }
            });
        }
    });
    assert!(!store.dirty());
    let states = store.states();
    assert!(states.values().all(|entry| entry.version == 20));
    assert_eq!(folder.open().states(), states);
}
