use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::{self, Addresses, TUNNEL_SOURCES, VIP, VIP6};
use crate::process::Process;
use crate::{Error, Namespace, Server, program};

/// How long the decapsulator may take to load its program.
const ATTACH_LIMIT: Duration = Duration::from_secs(20);

/// An L7 node: the VIPs on `lo`, `palier-decap` on its interface, and servers.
#[derive(Debug)]
pub struct L7 {
    number: usize,
    name: String,
    namespace: Namespace,
    server: Server,
    decap: Option<Process>,
    decap_counters: PathBuf,
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
        let decap_counters = folder.join(format!("{name}.json"));
        let decap = if l4.is_empty() {
            None
        } else {
            let log = folder.join(format!("{name}.log"));
            let mut command = namespace.command(program::find(DECAP)?);
            command.args(["--interface", "eth0", "--stats-file"]).arg(&decap_counters);
            for address in l4.iter().flat_map(Addresses::both) {
                command.args(["--allow", &address.to_string()]);
            }
            for prefix in TUNNEL_SOURCES {
                command.args(["--allow", prefix]);
            }
            for vip in [VIP.to_string(), VIP6.to_string()] {
                command.args(["--vip", &vip]);
            }
            Some(Process::start(DECAP, &name, &mut command, &log)?)
        };
        Ok(Self { number, name, namespace, server, decap, decap_counters })
    }

    /// Waits until it accepts tunnelled packets.
    pub(crate) fn wait_ready(&mut self) -> Result<(), Error> {
        let Some(decap) = &mut self.decap else { return Ok(()) };
        decap.wait_ready(ATTACH_LIMIT, |decap| decap.printed().contains("attached"))
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
        self.decap.as_ref().map_or_else(String::new, Process::printed)
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
