//! Packets out of tunnels: the decapsulator on each interface, the VIPs on `lo`, and what clients are told of
//! segment sizes. A thread of its own, as the kernel is asked in ways that wait.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use admin::{InterfaceStatus, TunnelStatus};
use api::Prefix;
use config::{Hook, Tunnel as Entry};
use decap::{Decap, Rules};
use tokio::sync::oneshot;
use vips::Host;

use super::Site;

/// How often what is wanted is held against what is there: interfaces come and go, and routes with them.
const TURN: Duration = Duration::from_secs(5);

/// What a node is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Nothing at all, if absent.
    entry: Option<Entry>,
    allow: Vec<Prefix>,
    vips: Vec<Prefix>,
    addresses: Vec<IpAddr>,
    /// Bytes of the longest outer header.
    outer: u32,
}

impl Wanted {
    /// By the site file.
    pub(super) fn of(site: &Site) -> Self {
        let own = site.own();
        let Some(entry) = own.tunnel.clone() else { return Self::default() };
        let addresses = site.config.l4.iter().flat_map(|l4| l4.addresses.iter().copied());
        let sources = site.config.l4.iter().flat_map(|l4| l4.tunnel_sources.iter().copied());
        Self {
            entry: Some(entry),
            allow: addresses.map(Prefix::from).chain(sources).collect(),
            vips: site.vips().into_iter().collect(),
            addresses: own.addresses.clone(),
            outer: outer(site),
        }
    }

    fn rules(&self, only: bool) -> Rules {
        Rules {
            allow: self.allow.clone(),
            vips: self.vips.clone(),
            addresses: self.addresses.clone(),
            tunnel_only: only,
        }
    }
}

/// Bytes of the longest outer header that may come.
fn outer(site: &Site) -> u32 {
    let ipv6 = |addresses: &[IpAddr]| addresses.iter().any(IpAddr::is_ipv6);
    let l4 = site.config.l4.iter().any(|l4| ipv6(&l4.addresses));
    if l4 && ipv6(&site.own().addresses) { 40 } else { 20 }
}

/// The thread. What it did stays when this is dropped; [`Tunnel::leave`] undoes it.
#[derive(Debug)]
pub(super) struct Tunnel {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Set(Wanted),
    Rest(mpsc::Sender<()>),
    Tell(oneshot::Sender<TunnelStatus>),
    Leave(oneshot::Sender<()>),
}

impl Tunnel {
    /// Nothing is done before it is told what is wanted. What an earlier process did is taken over.
    ///
    /// # Errors
    /// There can be no thread, or what an earlier process did cannot be read.
    pub(super) fn start(node: &str, state_dir: &Path, bpf_dir: &Path) -> Result<Self, String> {
        let (orders, told) = mpsc::channel();
        let worker = Worker {
            node: node.into(),
            bpf_dir: bpf_dir.into(),
            host: Host::new(state_dir).map_err(|error| sentence(&error))?,
            wanted: Wanted::default(),
            attached: BTreeMap::new(),
            status: TunnelStatus::default(),
            rests: false,
            is_clean: false,
        };
        let thread = thread::Builder::new().name("tunnel".into());
        thread.spawn(move || worker.run(&told)).map_err(|error| sentence(&error))?;
        Ok(Self { orders })
    }

    /// Has this be so, soon.
    pub(super) fn set(&self, wanted: Wanted) {
        self.order(Order::Set(wanted));
    }

    /// Has everything stay as it is, for another process to take it over, until it is told again what is
    /// wanted. Tells when nothing is being done any more.
    pub(super) fn rest(&self) -> mpsc::Receiver<()> {
        let (rests, at_rest) = mpsc::channel();
        self.order(Order::Rest(rests));
        at_rest
    }

    /// How it is; nothing if the site file leaves it to others.
    pub(super) fn status(&self) -> impl Future<Output = Option<TunnelStatus>> + Send + use<> {
        let (tell, told) = oneshot::channel();
        self.order(Order::Tell(tell));
        async { told.await.ok().filter(|status| *status != TunnelStatus::default()) }
    }

    /// Undoes all of it, the VIPs last.
    pub(super) async fn leave(self) {
        let (done, is_done) = oneshot::channel();
        self.order(Order::Leave(done));
        // It ends with the thread, whatever happens there.
        let _ = is_done.await;
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::error!("the tunnel's thread has ended");
        }
    }
}

struct Worker {
    node: String,
    bpf_dir: PathBuf,
    host: Host,
    wanted: Wanted,
    /// By interface, with the hook that was asked for.
    attached: BTreeMap<String, (Option<Hook>, Decap)>,
    status: TunnelStatus,
    /// Another process may be about to take everything over.
    rests: bool,
    /// Nothing is left of an earlier process at interfaces that are none of ours any more.
    is_clean: bool,
}

impl Worker {
    fn run(mut self, orders: &mpsc::Receiver<Order>) {
        loop {
            match orders.recv_timeout(TURN) {
                Ok(Order::Set(wanted)) => {
                    self.wanted = wanted;
                    self.rests = false;
                    self.set();
                }
                Ok(Order::Rest(rests)) => {
                    self.rests = true;
                    // Whoever asked may be gone.
                    let _ = rests.send(());
                }
                Ok(Order::Tell(to)) => {
                    self.count();
                    let _ = to.send(self.status.clone());
                }
                Ok(Order::Leave(done)) => {
                    self.leave();
                    let _ = done.send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) if self.rests => {}
                Err(RecvTimeoutError::Timeout) => self.set(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Has everything be as it is wanted, and notes what is not.
    fn set(&mut self) {
        let mut status = TunnelStatus::default();
        self.vips(&mut status);
        self.attach(&mut status);
        if !self.is_clean {
            self.clean(&mut status);
        }
        for problem in &status.problems {
            if !self.status.problems.contains(problem) {
                tracing::error!("{problem}");
            }
        }
        self.status = status;
        self.count();
    }

    fn vips(&mut self, status: &mut TunnelStatus) {
        let Wanted { entry, vips, outer, .. } = &self.wanted;
        let advmss = entry.as_ref().is_some_and(|entry| entry.advmss);
        let interfaces = entry.as_ref().map(|entry| entry.interfaces.clone()).unwrap_or_default();
        let tunnel = advmss.then_some(vips::Tunnel { interfaces, outer: *outer });
        let wanted = vips::Wanted { vips: vips.clone(), tunnel };
        match self.host.set(&wanted) {
            Ok(report) => {
                status.vips = report.vips.iter().map(Prefix::to_string).collect();
                status.routes = report.routes.iter().map(route).collect();
                status.problems.extend(report.problems);
            }
            Err(error) => status.problems.push(sentence(&error)),
        }
    }

    fn attach(&mut self, status: &mut TunnelStatus) {
        let Some(entry) = self.wanted.entry.clone() else { return self.detach_all(|_| true) };
        self.detach_all(|interface| !entry.interfaces.contains(interface));
        for interface in &entry.interfaces {
            let rules = self.wanted.rules(entry.only);
            let known = self.attached.get_mut(interface).filter(|(hook, _)| *hook == entry.hook);
            let set = match known {
                // Rules that are refused leave those of before in force.
                Some((_, decap)) if decap.is_in_place().unwrap_or(false) => {
                    decap.update(&rules).map_err(|error| error.sentence())
                }
                Some(_) => {
                    tracing::warn!(interface, "nothing is attached any more: it is attached again");
                    self.attached.remove(interface);
                    self.attach_to(interface, entry.hook, rules)
                }
                None => self.attach_to(interface, entry.hook, rules),
            };
            let hook = self.attached.get(interface).map(|(_, decap)| decap.hook().to_string());
            status.interfaces.push(InterfaceStatus {
                name: interface.clone(),
                hook,
                counters: BTreeMap::new(),
            });
            status.problems.extend(set.err());
        }
    }

    fn attach_to(
        &mut self,
        interface: &str,
        hook: Option<Hook>,
        rules: Rules,
    ) -> Result<(), String> {
        let folder = &self.bpf_dir;
        decap::pin_folder(folder).map_err(|error| sentence(&error))?;
        let settings = decap::Settings {
            interface: interface.to_owned(),
            hook: hook.map(of),
            pin: Some(folder.join(decap::pin_name(&self.node, interface))),
            rules,
        };
        let decap = Decap::attach(&settings).map_err(|error| error.sentence())?;
        tracing::info!(interface, hook = %decap.hook(), "packets are taken out of tunnels");
        self.attached.insert(interface.to_owned(), (hook, decap));
        Ok(())
    }

    fn detach_all(&mut self, which: impl Fn(&String) -> bool) {
        for (interface, (_, decap)) in self.attached.extract_if(.., |name, _| which(name)) {
            match decap.detach() {
                Ok(()) => tracing::info!(interface, "packets are no longer taken out of tunnels"),
                Err(error) => tracing::error!("{}", error.sentence()),
            }
        }
    }

    /// Takes away what an earlier process has left at interfaces that are not in the site file any more.
    fn clean(&mut self, status: &mut TunnelStatus) {
        let wanted = self.wanted.entry.as_ref().map(|entry| &*entry.interfaces).unwrap_or_default();
        match decap::detach_left(&self.bpf_dir, &self.node, wanted) {
            Ok(left) => {
                self.is_clean = true;
                for pin in left {
                    tracing::info!(pin, "an earlier process had left this: it is detached");
                }
            }
            Err(error) => status.problems.push(error.sentence()),
        }
    }

    /// Brings the counters into the status.
    fn count(&mut self) {
        for status in &mut self.status.interfaces {
            let Some((_, decap)) = self.attached.get(&status.name) else { continue };
            let counters = decap.counters().unwrap_or_default();
            status.counters =
                counters.into_iter().map(|(name, count)| (name.name().into(), count)).collect();
        }
    }

    fn leave(&mut self) {
        self.detach_all(|_| true);
        match self.host.leave() {
            Ok(report) => report.problems.iter().for_each(|problem| tracing::error!("{problem}")),
            Err(error) => tracing::error!("{}", sentence(&error)),
        }
    }
}

fn of(hook: Hook) -> decap::Hook {
    match hook {
        Hook::Tcx => decap::Hook::Tcx,
        Hook::Clsact => decap::Hook::Clsact,
        Hook::Xdp => decap::Hook::Xdp,
        Hook::XdpGeneric => decap::Hook::XdpGeneric,
    }
}

/// A route in words: `0.0.0.0/0 advmss 1440`.
fn route(report: &vips::RouteReport) -> String {
    let destination = report.key.destination;
    match report.advmss {
        Some(advmss) => format!("{destination} advmss {advmss}"),
        None => format!("{destination} by its MTU"),
    }
}

/// The error and its causes, on one line.
fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |sentence, cause| format!("{sentence}: {cause}"))
}
