//! BIRD on an edge router: it learns the VIPs from the L4 nodes by BGP, and spreads flows over those that
//! announce them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io};

use crate::address::{self, VIP_PREFIXES};
use crate::builder::{Bfd, Bgp};
use crate::process::Process;
use crate::program::run;
use crate::{Error, Namespace};

/// Autonomous system of the routers.
pub const ROUTER_AS: u32 = 65_000;
/// Autonomous system of the L4 nodes: one that needs four bytes.
pub const SITE_AS: u32 = 4_200_065_001;

/// How long it may take from its start to its first answer.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A BIRD of its own files and process, in a router's namespace.
#[derive(Debug)]
pub struct Bird {
    node: String,
    namespace: Namespace,
    folder: PathBuf,
    process: Mutex<Option<Process>>,
}

impl Bird {
    /// One that has its configuration, and does not run yet.
    pub(crate) fn new(
        number: usize,
        namespace: Namespace,
        lab: &Path,
        l4: usize,
        bgp: Bgp,
    ) -> Result<Self, Error> {
        let node = format!("router-{number}");
        let folder = lab.join(&node);
        fs::create_dir_all(&folder).map_err(Error::system("a folder of the lab"))?;
        let text = configuration(number, l4, bgp, &folder);
        let bird = Self { node, namespace, folder, process: Mutex::default() };
        bird.write(&text).map_err(Error::system("BIRD's configuration"))?;
        Ok(bird)
    }

    /// Starts it, and returns once it answers.
    ///
    /// # Panics
    /// It ends instead, or runs already.
    pub fn start(&self) {
        self.try_start().unwrap_or_else(|error| panic!("{error}"));
    }

    pub(crate) fn try_start(&self) -> Result<(), Error> {
        let mut command = self.namespace.command("bird");
        command.arg("-f").arg("-c").arg(self.configuration()).arg("-s").arg(self.socket());
        command.arg("-P").arg(self.folder.join("bird.pid"));
        let output = self.folder.join("bird.out");
        let mut process = Process::start("bird", &self.node, &mut command, &output)?;
        process.wait_ready(START_LIMIT, |_| self.ask("show status").is_ok())?;
        let before = self.process().replace(process);
        assert!(before.is_none(), "BIRD of {} runs already", self.node);
        Ok(())
    }

    /// SIGKILL, as a crash: its routes stay in the kernel, its sessions end without a word.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&self) {
        self.process().take().expect("BIRD runs").kill();
    }

    /// An orderly stop: its sessions end by a NOTIFICATION.
    ///
    /// # Panics
    /// It does not run, or does not end within `deadline`.
    pub fn stop(&self, deadline: Duration) {
        self.process().take().expect("BIRD runs").terminate(deadline);
    }

    /// What `birdc` prints for a command: `show protocols`.
    ///
    /// # Panics
    /// It does not answer.
    pub fn say(&self, command: &str) -> String {
        self.ask(command).unwrap_or_else(|error| panic!("{error}"))
    }

    fn ask(&self, command: &str) -> Result<String, Error> {
        // A birdc whose BIRD went away in between may wait for ever.
        let mut birdc = Command::new("timeout");
        birdc.args(["5", "birdc", "-s"]).arg(self.socket()).args(command.split(' '));
        run(&mut birdc, "")
    }

    /// Changes its configuration, and has it read it.
    ///
    /// # Panics
    /// It refuses it.
    pub fn configure(&self, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.configuration()).expect("the lab has written it");
        self.write(&change(text)).expect("the lab has written it before");
        if self.process().is_some() {
            let said = self.say("configure");
            assert!(said.contains("Reconfigur"), "{said}");
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("bird.log")).unwrap_or_default()
    }

    /// Whether its session with `l4-NUMBER` is up, of IPv4 and of IPv6.
    ///
    /// # Panics
    /// It does not answer.
    pub fn established(&self, l4: usize) -> [bool; 2] {
        let text = self.say("show protocols");
        ["v4", "v6"].map(|family| {
            let name = format!("l4_{l4}_{family}");
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(&*name));
            line.is_some_and(|line| line.contains("Established"))
        })
    }

    fn write(&self, text: &str) -> io::Result<()> {
        fs::write(self.configuration(), text)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("bird.conf")
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("bird.ctl")
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What BIRD of `router-NUMBER` reads: a session per L4 node and family, ECMP, BFD where an L4 node
/// asks for it; short pauses after errors, or tests would wait for minutes.
fn configuration(number: usize, l4: usize, bgp: Bgp, folder: &Path) -> String {
    let own = address::router_fabric(number);
    let watched = if bgp.bfd.is_some() { "bfd on;" } else { "" };
    let bfd = bgp.bfd.unwrap_or(Bfd::CALM);
    let mut text = format!(
        "router id {v4};\n\
         log \"{folder}/bird.log\" all;\n\
         debug protocols {{ states, events }};\n\
         timeformat protocol iso long ms;\n\
         timeformat log iso long ms;\n\
         protocol device {{ scan time 10; }}\n\
         protocol direct {{ ipv4; ipv6; interface \"fabric\"; }}\n\
         protocol kernel k4 {{ merge paths on limit 16; ipv4 {{ import none; export where source = RTS_BGP; }}; }}\n\
         protocol kernel k6 {{ merge paths on limit 16; ipv6 {{ import none; export where source = RTS_BGP; }}; }}\n\
         protocol bfd {{ interface \"fabric\" {{ min rx interval {interval} ms; \
         min tx interval {interval} ms; idle tx interval 1 s; multiplier {multiplier}; }}; }}\n",
        v4 = own.v4,
        folder = folder.display(),
        interval = bfd.interval.as_millis(),
        multiplier = bfd.multiplier
    );
    for (name, prefix) in ["vip4", "vip6"].iter().zip(VIP_PREFIXES) {
        write!(
            text,
            "filter {name} {{\n  if net ~ [ {prefix}+ ] then {{\n    \
             if (65535, 0) ~ bgp_community then bgp_local_pref = 0;\n    accept;\n  }}\n  reject;\n}}\n"
        )
        .expect("a String takes all");
    }
    for node in 1..=l4 {
        let them = address::l4(node);
        for (family, channel, filter, local, neighbor) in [
            ("v4", "ipv4", "vip4", own.both()[0], them.both()[0]),
            ("v6", "ipv6", "vip6", own.both()[1], them.both()[1]),
        ] {
            write!(
                text,
                "protocol bgp l4_{node}_{family} {{\n  local {local} as {ROUTER_AS};\n  \
                 neighbor {neighbor} as {SITE_AS};\n  hold time 6; keepalive time 2;\n  \
                 connect retry time 5; connect delay time 1;\n  \
                 error wait time 1, 5; error forget time 5;\n  {watched} # options of l4_{node}_{family}\n  \
                 {channel} {{ import filter {filter}; export none; }};\n}}\n"
            )
            .expect("a String takes all");
        }
    }
    text
}
