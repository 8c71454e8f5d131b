//! The thread's part: what is wanted, held against what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use admin::{InterfaceStatus, TunnelStatus};
use api::Prefix;
use config::Hook;
use decap::{Decap, Rules};
use vips::Host;

use super::{Order, Wanted};

/// How often what is wanted is held against what is there: interfaces come and go, and routes with them.
const TURN: Duration = Duration::from_secs(5);

pub(super) struct Worker {
    node: String,
    bpf_dir: PathBuf,
    state_dir: PathBuf,
    host: Host,
    wanted: Wanted,
    /// By interface, with the hook that was asked for.
    attached: BTreeMap<String, (Option<Hook>, Decap)>,
    status: TunnelStatus,
    /// It was not told yet what is wanted, or another process may be about to take everything over.
    rests: bool,
    /// Nothing is left of an earlier process at interfaces that are none of ours any more.
    is_clean: bool,
}

impl Worker {
    /// Of a node that is not told yet what is wanted.
    ///
    /// # Errors
    /// What an earlier process did cannot be read.
    pub(super) fn new(node: &str, state_dir: &Path, bpf_dir: &Path) -> Result<Self, vips::Error> {
        Ok(Self {
            node: node.into(),
            bpf_dir: bpf_dir.into(),
            state_dir: state_dir.into(),
            host: Host::new(state_dir)?,
            wanted: Wanted::default(),
            attached: BTreeMap::new(),
            status: TunnelStatus::default(),
            rests: true,
            is_clean: false,
        })
    }

    /// Does what it is told, until it is told to leave or nobody can tell it anything any more.
    pub(super) fn run(mut self, orders: &mpsc::Receiver<Order>) {
        loop {
            match orders.recv_timeout(TURN) {
                Ok(Order::Set(wanted)) => {
                    self.wanted = wanted;
                    if std::mem::take(&mut self.rests) {
                        self.look_again();
                    }
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

    /// Another process may have done something here.
    fn look_again(&mut self) {
        self.is_clean = false;
        match Host::new(&self.state_dir) {
            Ok(host) => self.host = host,
            Err(error) => tracing::error!("{}", sentence(&error)),
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
pub(super) fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |sentence, cause| format!("{sentence}: {cause}"))
}
