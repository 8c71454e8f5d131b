//! gdnsd, to hold answers against: with the same zones and the same health.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{Message, program};
use crate::SOON;
use lab::message::OPT;

/// It runs.
#[derive(Debug)]
pub struct Gdnsd {
    /// Where it listens.
    pub at: SocketAddr,
    folder: TempDir,
    process: Child,
}

impl Gdnsd {
    /// Starts it at `at` with these zones (name, text), and this in its configuration, where FOLDER stands for a
    /// folder of its own; returns once it answers.
    ///
    /// # Panics
    /// It is not installed, or does not.
    pub fn start(
        at: SocketAddr,
        config: &str,
        zones: &[(&str, String)],
        files: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let path = |name: &str| folder.path().join(name);
        for name in ["zones", "run", "state", "geoip"] {
            fs::create_dir_all(path(name)).expect("the folder is ours");
        }
        for (name, text) in zones {
            fs::write(path("zones").join(name), text).expect("the folder is ours");
        }
        for (name, text) in files {
            fs::write(path(name), text).expect("the folder is ours");
        }
        let own = folder.path().display().to_string();
        let options = format!(
            "options => {{ listen => [ {at} ], run_dir => {own}/run, state_dir => {own}/state, \
             zones_default_ttl => 86400, max_nocookie_response => 0 }}\n"
        );
        let config = options + &config.replace("FOLDER", &own);
        fs::write(path("config"), config).expect("the folder is ours");
        let log = fs::File::create(path("log")).expect("the folder is ours");
        let program = program("gdnsd").expect("gdnsd is installed by scripts/setup");
        let process = Command::new(program)
            .args(["-c", &own, "start"])
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("it is open"))
            .stdout(log)
            .spawn()
            .expect("it can be run");
        let gdnsd = Self { at, folder, process };
        lab::wait_until("gdnsd answers", SOON, || {
            gdnsd.try_exchange(&super::question(1, "example.org", 6).finish()).is_some()
        });
        gdnsd
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into its folder, whole at once.
    ///
    /// # Panics
    /// The disk does not take it.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).expect("the folder is ours");
        fs::rename(new, self.path(name)).expect("the folder is ours");
    }

    /// What it answers by UDP, if it does.
    ///
    /// # Panics
    /// There is no socket to be had.
    pub fn try_exchange(&self, message: &[u8]) -> Option<Vec<u8>> {
        exchange(self.at, message)
    }
}

/// What is answered by UDP, if anything is.
///
/// # Panics
/// There is no socket to be had.
pub fn exchange(at: SocketAddr, message: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
    socket.connect(at).expect("loopback is there");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("it is not zero");
    // Nobody may be there yet.
    socket.send(message).ok()?;
    let mut reply = vec![0; 65_535];
    let length = socket.recv(&mut reply).ok()?;
    reply.truncate(length);
    Some(reply)
}

/// A message in words that do not depend on its order or compression.
pub fn told(message: Option<&[u8]>) -> String {
    let Some(bytes) = message else { return "no answer".into() };
    let Some(message) = Message::parse(bytes) else { return format!("no message: {bytes:?}") };
    let Message { flags, sections, .. } = message;
    let mut lines = vec![format!("flags {flags:04x}")];
    for (section, mut records) in ["answer", "authority", "additional"].iter().zip(sections) {
        records.sort();
        for record in records {
            let super::Record { name, rtype, class, ttl, data } = record;
            // How many bytes are taken is everybody's own affair.
            let class = if rtype == OPT { 0 } else { class };
            lines.push(format!("{section} {name} {ttl} {class} {rtype} {data:02x?}"));
        }
    }
    lines.join("\n")
}

impl Drop for Gdnsd {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            eprintln!("--- gdnsd said:\n{log}");
        }
    }
}
