//! Tells when the site file may have changed: a rename onto it, or the end of a write to it, and then
//! a second of quiet, so that a file that is being written is not read half.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use inotify::{EventStream, Inotify, WatchMask};
use tokio::time::{Instant, timeout_at};
use tokio_stream::StreamExt;

/// How long nothing may have happened to it.
const QUIET: Duration = Duration::from_secs(1);

/// A file that is watched.
#[derive(Debug)]
pub struct Watch {
    events: EventStream<[u8; 4096]>,
    name: OsString,
    /// It has changed, and will have been quiet for long enough then.
    quiet: Option<Instant>,
}

impl Watch {
    /// Watches the file, by its folder: an editor puts another file in its place.
    ///
    /// # Errors
    /// The folder cannot be watched.
    pub fn new(file: &Path) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder.to_path_buf(),
            Some(_) | None => PathBuf::from("."),
        };
        inotify.watches().add(folder, WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO)?;
        let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        Ok(Self { events: inotify.into_event_stream([0; 4096])?, name, quiet: None })
    }

    /// Watches the site file, if that is wanted.
    pub fn wanted(reload: config::Reload, file: &Path) -> Option<Self> {
        match reload {
            config::Reload::Manual => None,
            config::Reload::Auto => Self::new(file)
                .inspect_err(|error| tracing::error!(%error, "the site file cannot be watched"))
                .ok(),
        }
    }

    /// Waits for the file to change; for ever if it is not watched.
    pub async fn changed_or_never(watch: &mut Option<Self>) {
        if let Some(watching) = watch {
            match watching.changed().await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(%error, "the site file is no longer watched: SIGHUP reloads it");
                    *watch = None;
                }
            }
        }
        std::future::pending().await
    }

    /// Returns once the file has changed and has been quiet for a second. Nothing is forgotten if the
    /// future is dropped.
    ///
    /// # Errors
    /// The watch is broken.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let ours = match self.quiet {
                None => self.event().await?,
                Some(quiet) => match timeout_at(quiet, self.event()).await {
                    Ok(event) => event?,
                    Err(_elapsed) => {
                        self.quiet = None;
                        return Ok(());
                    }
                },
            };
            // Other files of the folder may be as lively as they like.
            if ours {
                self.quiet = Some(Instant::now() + QUIET);
            }
        }
    }

    /// Whether the next event has to do with the file.
    async fn event(&mut self) -> io::Result<bool> {
        let event = self.events.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
        // Without a name, the queue has run over: it may have been ours.
        Ok(event.name.is_none_or(|name| name == self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn writes_and_renames_are_seen_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.toml");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(&file).unwrap();

        fs::write(&file, "2").unwrap();
        watch.changed().await.unwrap();

        fs::write(folder.path().join("other"), "3").unwrap();
        assert!(!watch.event().await.unwrap(), "another file");

        let new = folder.path().join("site.toml.new");
        fs::write(&new, "4").unwrap();
        fs::rename(&new, &file).unwrap();
        watch.changed().await.unwrap();
    }

    #[tokio::test]
    async fn a_change_is_told_though_whoever_waits_looks_away_all_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.toml");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(&file).unwrap();
        fs::write(&file, "2").unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let soon = Instant::now() + Duration::from_millis(20);
            match timeout_at(soon, watch.changed()).await {
                Ok(told) => break told.unwrap(),
                Err(_elapsed) => assert!(Instant::now() < deadline, "it was never told"),
            }
        }
    }

    #[tokio::test]
    async fn a_burst_of_writes_is_one_change_once_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.toml");
        fs::write(&file, "").unwrap();
        let mut watch = Watch::new(&file).unwrap();
        let writer = tokio::spawn(async move {
            for n in 0..5 {
                fs::write(&file, n.to_string()).unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            file
        });
        watch.changed().await.unwrap();
        assert_eq!(fs::read_to_string(writer.await.unwrap()).unwrap(), "4");
        let soon = Instant::now() + Duration::from_millis(100);
        assert!(timeout_at(soon, watch.event()).await.is_err());
    }
}
