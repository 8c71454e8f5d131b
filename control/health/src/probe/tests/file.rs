use std::fs;
use std::path::Path;

use super::*;
use crate::{Admin, Content, File};
use Outcome::{Failed, Passed, Silent};

async fn look(path: &Path, content: Content) -> Report {
    let file = File { path: path.to_owned(), content };
    ask(Kind::File(file), "192.0.2.140:0".parse().unwrap()).await
}

#[tokio::test]
async fn ready_and_disable_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag");
    let (there, not_there) =
        (format!("{} exists", path.display()), format!("{} does not exist", path.display()));
    assert_report(&look(&path, Content::Exists).await, Failed, &not_there);
    assert_report(&look(&path, Content::Absent).await, Passed, &not_there);
    fs::write(&path, "").unwrap();
    assert_report(&look(&path, Content::Exists).await, Passed, &there);
    assert_report(&look(&path, Content::Absent).await, Failed, &there);
}

#[tokio::test]
async fn the_path_may_name_the_node() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("l7-1.ready"), "").unwrap();
    let report = look(&dir.path().join("{node}.ready"), Content::Exists).await;
    assert_eq!(report.outcome, Passed);
    assert!(report.reason.ends_with("/l7-1.ready exists"), "{}", report.reason);
}

#[tokio::test]
async fn a_file_is_a_whole_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("states");
    let table = [
        ("UP\n", Passed, Some(Admin::Ready), Some(100)),
        ("DOWN", Failed, Some(Admin::Ready), Some(100)),
        ("DRAIN\n", Passed, Some(Admin::Drain), Some(100)),
        ("MAINT\n", Passed, Some(Admin::Maintenance), Some(100)),
        ("READY 30%\n", Passed, Some(Admin::Ready), Some(30)),
        ("l7-2 => DOWN\nl7-1 => UP\n", Passed, Some(Admin::Ready), Some(100)),
        ("192.0.2.140 => DOWN\n192.0.2.141 => UP\n", Failed, Some(Admin::Ready), Some(100)),
        // Nonsense, as of a file that is being written, leaves everything as it was.
        ("DWON\n", Silent, None, None),
        ("l7-1 =>\n", Silent, None, None),
    ];
    for (text, outcome, admin, weight) in table {
        fs::write(&path, text).unwrap();
        let report = look(&path, Content::Words { missing_up: true }).await;
        assert_eq!(
            (report.outcome, report.admin, report.weight),
            (outcome, admin, weight),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_a_file_does_not_say_counts_as_configured() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("states");
    for (missing_up, outcome) in [(true, Passed), (false, Failed)] {
        let content = Content::Words { missing_up };
        let gone = format!("{} does not exist", path.display());
        assert_report(&look(&path, content).await, outcome, &gone);
        let other = dir.path().join("others");
        fs::write(&other, "l7-2 => DRAIN\n").unwrap();
        let report = look(&other, content).await;
        assert_report(&report, outcome, &format!("{} does not name l7-1", other.display()));
        assert_eq!((report.admin, report.weight), (Some(Admin::Ready), Some(100)));
    }
}

#[tokio::test]
async fn only_the_first_64_kib_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("states");
    let comment = format!("#{}\n", "x".repeat(1022));
    fs::write(&path, format!("l7-1 => UP\n{}l7-1 => DOWN\n", comment.repeat(64))).unwrap();
    assert_eq!(look(&path, Content::Words { missing_up: false }).await.outcome, Passed);
    // One that never ends, too.
    let endless = look(Path::new("/dev/zero"), Content::Words { missing_up: true }).await;
    assert_eq!(endless.outcome, Silent);
}

#[tokio::test]
async fn what_cannot_be_read_fails() {
    let dir = tempfile::tempdir().unwrap();
    let report = look(dir.path(), Content::Words { missing_up: true }).await;
    assert_report(&report, Failed, "is a directory");
}
