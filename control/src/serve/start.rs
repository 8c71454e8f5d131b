//! What serving begins with.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use proxy::Proxy;
use tokio::sync::mpsc;

use super::{Site, frontends};
use crate::admin::socket::Call;
use crate::doors::Doors;
use crate::handover::Estate;
use crate::names::Names;
use crate::states::Store;

/// What the loop begins with.
#[derive(Debug)]
pub struct Start {
    /// The site file as it was read.
    pub site: Site,
    /// Its proxy, which listens already.
    pub proxy: Proxy,
    /// The names of its servers.
    pub names: Names,
    /// What is left of what an older process has handed over.
    pub estate: Estate,
    /// Where it answers.
    pub doors: Doors,
    /// The site file's path.
    pub path: PathBuf,
    /// Where this program lies: another release may come to lie there.
    pub program: PathBuf,
    /// What operators wanted when control last ran.
    pub store: Arc<Store>,
    /// The file that those are kept in.
    pub state_file: PathBuf,
    /// Where the kernel's settings of before are remembered.
    pub state_dir: PathBuf,
    /// Where what outlives control in the kernel is kept.
    pub bpf_dir: PathBuf,
    /// Requests of the admin socket.
    pub calls: mpsc::Receiver<Call>,
}

/// Listens by the site file: the first thing, so that nobody is sent here in vain. Who comes waits until all
/// is known that an answer depends on.
///
/// # Errors
/// An address cannot be listened on, or a certificate cannot be used.
pub fn listen(site: &Site, names: &Names, estate: &mut Estate) -> Result<Proxy, String> {
    let settings = frontends::settings(site, names);
    let inherited = std::mem::take(&mut estate.listeners);
    let proxy = Proxy::start_with(workers(site), &settings, inherited)
        .map_err(|error| error.to_string())?;
    for thought in &estate.servers {
        proxy.set_server(&thought.pool, &thought.server, thought.state);
    }
    Ok(proxy)
}

/// Threads of the proxy.
fn workers(site: &Site) -> NonZeroUsize {
    let all = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    site.own().workers.and_then(|workers| NonZeroUsize::new(workers.into())).unwrap_or(all)
}
