//! Releases of control that take over an L7 node, or do not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use admin::L7Status;
use lab::{L7, Lab};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::SOON;

/// Control of an L7 node, which lies where other releases can come to lie.
#[derive(Debug)]
pub struct Release<'a> {
    node: &'a L7,
    folder: TempDir,
    /// What was built.
    built: PathBuf,
    control: Child,
}

impl<'a> Release<'a> {
    /// Starts it in the place of the lab's.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(lab: &Lab, node: &'a L7) -> Self {
        assert!(node.stop_control().success());
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("palier-control");
        let (mut command, built) = at(node, &place);
        fs::copy(&built, &place).expect("it was built");
        let control = command.stdin(Stdio::null()).spawn().expect("it starts");
        let release = Self { node, folder, built, control };
        lab.wait_until("control has started", SOON, || {
            let is_there = |status: L7Status| status.tunnel.is_some_and(|it| it.vips.len() == 2);
            node.try_status().is_ok_and(is_there)
        });
        release
    }

    /// Puts another one in its place: a script, for which `$built` is what was built.
    ///
    /// # Panics
    /// The disk refuses.
    pub fn replace(&self, script: &str) {
        let next = self.folder.path().join("next");
        fs::write(&next, format!("#!/bin/sh\nbuilt={}\n{script}\n", self.built.display()))
            .expect("a file");
        fs::set_permissions(&next, fs::Permissions::from_mode(0o755)).expect("a file");
        fs::rename(&next, self.folder.path().join("palier-control")).expect("a file");
    }

    /// Puts one in its place that waits before it does anything, and has it take over. Returns once it waits.
    ///
    /// # Panics
    /// It is not started.
    pub fn begin_upgrade(&self, lab: &Lab) -> Waiting {
        let (here, go) = (self.folder.path().join("here"), self.folder.path().join("go"));
        self.replace(&format!(
            "touch {}; while [ ! -e {} ]; do sleep 0.02; done; exec $built \"$@\"",
            here.display(),
            go.display()
        ));
        let run = self.node.control_socket();
        let run = run.parent().expect("its folder").to_owned();
        let mut command = self.node.namespace().command(self.built.with_file_name("palierctl"));
        command.arg("--run-dir").arg(run).arg("upgrade").stdout(Stdio::null());
        let upgrade = command.spawn().expect("it starts");
        lab.wait_until("the next one was started", SOON, || here.exists());
        Waiting { upgrade, go }
    }

    /// Sends a signal to the first.
    ///
    /// # Panics
    /// It has ended.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.control.id().cast_signed()), signal).expect("it runs");
    }

    /// How the first ends.
    ///
    /// # Panics
    /// It does not.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.control, "the control that was first")
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        let _ = self.control.kill();
        let _ = self.control.wait();
        // And whoever has taken over.
        if let Ok(status) = self.node.try_status() {
            let _ = kill(Pid::from_raw(status.pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

/// A release that waits for leave to go on.
#[derive(Debug)]
pub struct Waiting {
    upgrade: Child,
    go: PathBuf,
}

impl Waiting {
    /// Has it go on, and take over.
    ///
    /// # Panics
    /// It does not.
    pub fn go_on(mut self) {
        self.go();
        assert!(wait(&mut self.upgrade, "palierctl upgrade").success());
    }
}

impl Waiting {
    fn go(&self) {
        fs::write(&self.go, "").expect("a file");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It would wait for ever.
        if !std::thread::panicking() {
            return;
        }
        self.go();
        let _ = self.upgrade.wait();
    }
}

fn wait(child: &mut Child, what: &str) -> ExitStatus {
    let mut ended = None;
    lab::wait_until(&format!("{what} ends"), SOON, || {
        ended = child.try_wait().expect("a child");
        ended.is_some()
    });
    ended.expect("it was waited for")
}

/// The command that starts control of a node at another place; and where it was built.
fn at(node: &L7, place: &Path) -> (Command, PathBuf) {
    let usual = node.control_command().expect("it was built");
    let mut command = Command::new(usual.get_program());
    let mut built = PathBuf::new();
    for argument in usual.get_args() {
        if Path::new(argument).ends_with("palier-control") {
            built = argument.into();
            command.arg(place);
        } else {
            command.arg(argument);
        }
    }
    (command, built)
}
