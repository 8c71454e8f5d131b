use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::address::{self, Addresses, TUNNEL_SOURCES, VIP, VIP6};
use crate::process::Process;
use crate::{Error, Namespace, Server, program, wait_until};

/// How long the decapsulator may take to load its program.
const ATTACH_LIMIT: Duration = Duration::from_secs(20);

/// An L7 node: the VIPs on `lo`, `palier-decap` on its interface, and servers.
#[derive(Debug)]
pub struct L7 {
    number: usize,
    name: String,
    namespace: Namespace,
    server: Server,
    /// Whom it takes tunnelled packets from; nobody, and it has no decapsulator.
    sources: Vec<IpAddr>,
    decap: Mutex<Option<Process>>,
    decap_counters: PathBuf,
    decap_log: PathBuf,
}

impl L7 {
    /// Starts its servers and, if packets shall come from L4 nodes, the decapsulator.
    pub(crate) fn start(
        number: usize,
        namespace: Namespace,
        l4: &[Addresses],
        folder: &Path,
    ) -> Result<Self, Error> {
        let name = format!("l7-{number}");
        let server = Server::start(&namespace, &name, &[VIP.into(), VIP6.into()])?;
        let node = Self {
            number,
            namespace,
            server,
            sources: l4.iter().flat_map(Addresses::both).collect(),
            decap: Mutex::new(None),
            decap_counters: folder.join(format!("{name}.json")),
            decap_log: folder.join(format!("{name}.log")),
            name,
        };
        if !node.sources.is_empty() {
            *node.decap() = Some(node.decapsulator()?);
        }
        Ok(node)
    }

    fn decapsulator(&self) -> Result<Process, Error> {
        let mut command = self.namespace.command(program::find(DECAP)?);
        command.args(["--interface", "eth0", "--stats-file"]).arg(&self.decap_counters);
        for address in &self.sources {
            command.args(["--allow", &address.to_string()]);
        }
        for prefix in TUNNEL_SOURCES {
            command.args(["--allow", prefix]);
        }
        for vip in [VIP.to_string(), VIP6.to_string()] {
            command.args(["--vip", &vip]);
        }
        Process::start(DECAP, &self.name, &mut command, &self.decap_log)
    }

    fn decap(&self) -> MutexGuard<'_, Option<Process>> {
        self.decap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it accepts tunnelled packets.
    pub(crate) fn wait_ready(&self) -> Result<(), Error> {
        let mut decap = self.decap();
        let Some(decap) = decap.as_mut() else { return Ok(()) };
        decap.wait_ready(ATTACH_LIMIT, |decap| decap.printed().contains("attached"))
    }

    /// Takes its decapsulator away: it does not understand what an L4 node sends any more.
    ///
    /// # Panics
    /// It has none, or it does not end.
    pub fn stop_decap(&self) {
        let mut decap = self.decap().take().expect("the node has a decapsulator");
        // Orderly: a program that was attached goes with it, whatever it was attached by.
        decap.signal(Signal::SIGTERM);
        let what = format!("the decapsulator of {} ends", self.name);
        wait_until(&what, ATTACH_LIMIT, || decap.try_wait().is_some());
    }

    /// Gives it its decapsulator back, and returns once that is at work.
    ///
    /// # Panics
    /// It did not start.
    pub fn start_decap(&self) {
        let decap = self.decapsulator().unwrap_or_else(|error| panic!("{error}"));
        *self.decap() = Some(decap);
        self.wait_ready().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Takes a VIP off the node: what is sent there is answered by nobody.
    ///
    /// # Panics
    /// It does not have it.
    pub fn remove_vip(&self, vip: IpAddr) {
        self.vip("del", vip);
    }

    /// Gives it a VIP.
    ///
    /// # Panics
    /// It has it.
    pub fn add_vip(&self, vip: IpAddr) {
        self.vip("add", vip);
    }

    fn vip(&self, verb: &str, vip: IpAddr) {
        let line = match vip {
            IpAddr::V4(vip) => format!("addr {verb} {vip}/32 dev lo\n"),
            IpAddr::V6(vip) => format!("addr {verb} {vip}/128 dev lo\n"),
        };
        self.namespace.ip(&line).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Its number, which is its index in the Snapshot too.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its name: `l7-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace. Its interface there is `eth0`.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where it accepts tunnelled packets.
    pub fn addresses(&self) -> Addresses {
        address::l7(self.number)
    }

    /// Its HTTP server and echo.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What its decapsulator has printed.
    pub fn decap_output(&self) -> String {
        self.decap().as_ref().map_or_else(String::new, Process::printed)
    }

    /// One of its decapsulator's counters, by name, as of the last second; 0 if it is not among
    /// them, or was not told yet.
    pub fn decap_counter(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(&self.decap_counters).unwrap_or_default();
        let counters: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        counters.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0)
    }

    /// Gives it another MAC address, as a replaced machine has, without a word to its neighbors.
    ///
    /// # Panics
    /// The system refuses.
    pub fn change_mac(&self, mac: crate::Mac) {
        let lines = format!("link set eth0 address {mac}\n");
        self.namespace.ip(&lines).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The decapsulator's program.
pub(crate) const DECAP: &str = "palier-decap";
