//! A file on this host: it is there, it is not, or it says.

use std::fs::File as StdFile;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::words::{self, Words};
use crate::{Admin, Content, File, Outcome, Report, Target, reason};

/// How much of a file is read.
const MAX_FILE: u64 = 64 * 1024;

pub(super) async fn run(file: &File, target: &Target) -> Result<Report, Failure> {
    let path = path(file, target);
    let (content, target) = (file.content, target.clone());
    // A disk, or a server of files, may take its time: not on the thread of all probes.
    let read = tokio::task::spawn_blocking(move || look(&path, content, &target));
    read.await.map_err(|e| Failure::Check(format!("reading the file failed: {e}")))?
}

fn path(file: &File, target: &Target) -> PathBuf {
    match file.path.to_str() {
        Some(path) => path.replace("{node}", &target.node).into(),
        None => file.path.clone(),
    }
}

fn look(path: &Path, content: Content, target: &Target) -> Result<Report, Failure> {
    let shown = path.display();
    match content {
        Content::Exists if path.try_exists()? => {
            Ok(Report::new(Outcome::Passed, format!("{shown} exists")))
        }
        Content::Exists => Ok(Report::new(Outcome::Failed, format!("{shown} does not exist"))),
        Content::Absent if path.try_exists()? => {
            Ok(Report::new(Outcome::Failed, format!("{shown} exists")))
        }
        Content::Absent => Ok(Report::new(Outcome::Passed, format!("{shown} does not exist"))),
        Content::Words { missing_up } => match read(path) {
            Ok(text) => Ok(match words::line_about(&text, &target.node, target.address) {
                Some(line) => judge(line),
                None => missing(missing_up, format!("{shown} does not name {}", target.node)),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Ok(missing(missing_up, format!("{shown} does not exist")))
            }
            Err(e) => Err(e.into()),
        },
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    StdFile::open(path)?.take(MAX_FILE).read_to_end(&mut text)?;
    Ok(text)
}

/// A file is a state, not a change as an agent's line is: what it does not name is as usual.
fn judge(line: &[u8]) -> Report {
    let words = Words::parse(line);
    let report = words.report(line);
    if words.is_meaningless() {
        // Half written, or mistyped: what held before goes on.
        return Report::new(Outcome::Silent, format!("{} has no known word", reason::quote(line)));
    }
    Report {
        outcome: match report.outcome {
            Outcome::Silent => Outcome::Passed,
            said @ (Outcome::Passed | Outcome::Refused | Outcome::Failed | Outcome::Unasked) => {
                said
            }
        },
        admin: report.admin.or(Some(Admin::Ready)),
        weight: report.weight.or(Some(100)),
        ..report
    }
}

fn missing(up: bool, reason: String) -> Report {
    let outcome = if up { Outcome::Passed } else { Outcome::Failed };
    Report { admin: Some(Admin::Ready), weight: Some(100), ..Report::new(outcome, reason) }
}
