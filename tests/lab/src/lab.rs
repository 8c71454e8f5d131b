use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use admin::{Effective, VipStatus};
use api::{Release, Reply, Snapshot, State};
use nix::mount::{MsFlags, mount};

use crate::address::Addresses;
use crate::backend::Backend;
use crate::l4::PALIERCTL;
use crate::site::Site;
use crate::site_file::SiteFile;
use crate::topology::{Size, Topology};
use crate::wire::L4Wire;
use crate::{
    Builder, Client, Error, Flags, L4, L7, Namespace, Router, cleanup, program, tls, wait_until,
};

/// How long the L4 nodes may take to learn their neighbors.
const NEIGHBOR_LIMIT: Duration = Duration::from_secs(20);

/// How long control may take to find every L7 node up.
const CONTROL_LIMIT: Duration = Duration::from_secs(60);

/// Routers, L4 and L7 nodes and clients, each in a network namespace. They go when it is dropped.
#[derive(Debug)]
pub struct Lab {
    name: String,
    folder: PathBuf,
    routers: Vec<Router>,
    l4: Vec<L4>,
    l7: Vec<L7>,
    clients: Vec<Client>,
    backends: Vec<Backend>,
    site: Mutex<Site>,
    site_file: Arc<Mutex<SiteFile>>,
}

impl Lab {
    /// The description of a lab: 1 router, 2 L4 nodes, 3 L7 nodes and 1 client, over taps.
    #[expect(clippy::new_ret_no_self, reason = "a lab is described, then started")]
    pub fn new() -> Builder {
        Builder::new()
    }

    pub(crate) fn empty(wanted: &Builder) -> Result<Self, Error> {
        static COUNTER: AtomicUsize = AtomicUsize::new(0);
        let name = cleanup::lab_name(COUNTER.fetch_add(1, Relaxed));
        let folder = cleanup::folder().join(&name);
        let bpf = cleanup::bpf(&folder);
        std::fs::create_dir_all(&bpf).map_err(Error::system("the lab's folder"))?;
        // Here: what a node mounts in its own view of the file systems goes with its process.
        mount(Some("bpf"), &bpf, Some("bpf"), MsFlags::empty(), None::<&str>)
            .map_err(|errno| Error::system("a bpffs for the lab")(errno.into()))?;
        let site = Mutex::new(Site::new(wanted.l7, wanted.routers));
        let file = SiteFile::new(&folder, wanted);
        let site_file = Arc::new(Mutex::new(file));
        let (routers, l4, l7, clients, backends) = Default::default();
        Ok(Self { name, folder, routers, l4, l7, clients, backends, site, site_file })
    }

    /// Fills it. If that fails, what there is goes as the lab is dropped.
    pub(crate) fn build(&mut self, wanted: &Builder) -> Result<(), Error> {
        let &Builder {
            routers,
            l4,
            l7,
            clients,
            servers,
            wire,
            ref flags,
            dataplanes,
            control,
            bgp,
            vips: own_vips,
            ..
        } = wanted;
        // Without L4 nodes nothing comes through tunnels.
        let vips = l4 == 0 || !wanted.decapsulators;
        let internet = bgp.is_some();
        let size = Size { routers, l4, l7, clients, servers, wire, internet, vips };
        let topology = Topology::build(&self.name, size)?;
        let numbered = |namespaces| (1..).zip::<Vec<_>>(namespaces);
        self.routers =
            numbered(topology.routers).map(|(n, ns)| Router::new(n, ns, own_vips)).collect();
        self.clients = numbered(topology.clients).map(|(n, ns)| Client::new(n, ns)).collect();
        for (number, namespace) in numbered(topology.l4) {
            let wire = L4Wire::new(number, size);
            let file = Arc::clone(&self.site_file);
            self.l4.push(L4::new(number, namespace, wire, &self.folder, file));
        }
        let l4_addresses: Vec<Addresses> = self.l4.iter().map(L4::addresses).collect();
        for (number, namespace) in numbered(topology.servers) {
            self.backends.push(Backend::start(number, namespace, &self.folder)?);
        }
        for (number, namespace) in numbered(topology.l7) {
            let (folder, site) = (&self.folder, self.site_path());
            self.l7.push(L7::new(number, namespace, folder, site, servers == 0)?);
        }
        if l4 > 0 {
            let mut file = self.site_file();
            for node in &self.l4 {
                node.describe(&mut file, flags);
            }
            if control && l4 > 1 || servers > 0 {
                file.peering(pki(&self.folder, &self.l4, &self.l7)?);
            }
            if servers > 0 {
                let written = std::fs::write(file.certificate(), tls::pem());
                written.map_err(Error::system("the lab's certificate"))?;
            }
            file.write()?;
        }
        if !vips {
            self.l7.iter().try_for_each(L7::begin_control)?;
        }
        let l7_addresses: Vec<Addresses> = self.l7.iter().map(L7::addresses).collect();
        let hops = if l4 == 0 { &l7_addresses } else { &l4_addresses };
        match bgp {
            None => self.routers.iter().try_for_each(|router| router.try_route_via(hops))?,
            Some(bgp) => {
                for router in &mut self.routers {
                    router.run_bird(&self.folder, l4, bgp)?;
                }
            }
        }
        self.l7.iter().try_for_each(L7::wait_ready)?;
        if dataplanes {
            for node in &self.l4 {
                node.start(flags)?;
            }
            if control {
                self.l4.iter().try_for_each(L4::start_control)?;
                self.l4.iter().for_each(|node| self.wait_up(node));
                if bgp.is_some() {
                    self.wait_announced();
                }
            } else {
                self.l4.iter().try_for_each(|node| self.try_apply(node))?;
            }
            self.l4.iter().for_each(wait_reachable);
        }
        Ok(())
    }

    /// The first router.
    pub fn router(&self) -> &Router {
        &self.routers[0]
    }

    /// All routers.
    pub fn routers(&self) -> &[Router] {
        &self.routers
    }

    /// The L4 node `l4-NUMBER`, from 1.
    pub fn l4(&self, number: usize) -> &L4 {
        &self.l4[number - 1]
    }

    /// All L4 nodes.
    pub fn l4s(&self) -> &[L4] {
        &self.l4
    }

    /// The L7 node `l7-NUMBER`, from 1.
    pub fn l7(&self, number: usize) -> &L7 {
        &self.l7[number - 1]
    }

    /// All L7 nodes.
    pub fn l7s(&self) -> &[L7] {
        &self.l7
    }

    /// The server `server-NUMBER`, from 1.
    pub fn backend(&self, number: usize) -> &Backend {
        &self.backends[number - 1]
    }

    /// All servers behind the L7 nodes.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// The first client.
    pub fn client(&self) -> &Client {
        &self.clients[0]
    }

    /// All clients.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// The internet router, between clients and edge routers.
    ///
    /// # Panics
    /// The lab has no BGP: clients stand before the routers.
    pub fn internet(&self) -> Namespace {
        assert!(self.routers.iter().all(Router::has_bird), "a lab with BGP has an internet router");
        Namespace::new(format!("{}-internet-1", self.name))
    }

    /// What its namespaces' names, and its folder's, begin with.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Cuts `l7-NUMBER` off the network, as a box that has lost its power: nothing comes from it any
    /// more, not even a refusal.
    ///
    /// # Panics
    /// The system refuses.
    pub fn cut(&self, number: usize) {
        self.cable(&format!("l7-{number}"), "down");
    }

    /// Joins `l7-NUMBER` to the network again.
    ///
    /// # Panics
    /// The system refuses.
    pub fn mend(&self, number: usize) {
        self.cable(&format!("l7-{number}"), "up");
    }

    /// Cuts `l4-NUMBER` off the fabric, while its own end of the cable stays up: as a switch between
    /// that has failed.
    ///
    /// # Panics
    /// The system refuses.
    pub fn cut_l4(&self, number: usize) {
        self.cable(&format!("l4-{number}"), "nomaster");
    }

    /// Joins it again.
    ///
    /// # Panics
    /// The system refuses.
    pub fn mend_l4(&self, number: usize) {
        self.cable(&format!("l4-{number}"), "master fabric");
    }

    fn cable(&self, port: &str, state: &str) {
        let switch = Namespace::new(format!("{}-switch", self.name));
        let lines = format!("link set {port} {state}\n");
        switch.ip(&lines).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until `condition` holds: [`wait_until`].
    ///
    /// # Panics
    /// It does not within `deadline`; `what` says in the message what was waited for.
    pub fn wait_until(&self, what: &str, deadline: Duration, condition: impl FnMut() -> bool) {
        wait_until(what, deadline, condition);
    }

    /// Starts the dataplane of `l4-NUMBER`, gives it the Snapshot, and returns once it forwards.
    ///
    /// # Panics
    /// It did not start, or refused the Snapshot.
    pub fn start_dataplane(&self, number: usize, flags: &Flags) {
        let node = self.l4(number);
        node.start(flags)
            .and_then(|()| self.try_apply(node))
            .unwrap_or_else(|error| panic!("{error}"));
        wait_reachable(node);
    }

    /// The Snapshot for `l4-NUMBER` that follows from the states of the L7 nodes, under a new
    /// generation: to be changed by a test before it is applied.
    pub fn snapshot(&self, number: usize) -> Snapshot {
        self.site().snapshot(self.l4(number).addresses())
    }

    /// `l7-NUMBER` takes new flows; it becomes part of the site if it was not.
    pub fn up(&self, number: usize) {
        self.change(|site| site.set(number, State::Up, Release::Never));
    }

    /// `l7-NUMBER` takes no new flows and keeps those it has.
    pub fn drain(&self, number: usize) {
        self.change(|site| site.set(number, State::Drain, Release::Never));
    }

    /// `l7-NUMBER` does not answer: its flows go at `release` ([`release_in`](crate::release_in)).
    pub fn down(&self, number: usize, release: Release) {
        self.change(|site| site.set(number, State::Down, release));
    }

    /// `l7-NUMBER` is in maintenance: its flows go at `release`.
    pub fn maintenance(&self, number: usize, release: Release) {
        self.change(|site| site.set(number, State::Maintenance, release));
    }

    /// `l7-NUMBER` is new to the site and takes no flows yet.
    pub fn joining(&self, number: usize) {
        self.change(|site| site.set(number, State::Joining, Release::Never));
    }

    /// `l7-NUMBER` gets this weight.
    pub fn weight(&self, number: usize, weight: u16) {
        self.change(|site| site.set_weight(number, weight));
    }

    /// `l7-NUMBER` is no part of the site.
    pub fn remove(&self, number: usize) {
        self.change(|site| site.remove(number));
    }

    /// Gives every dataplane that runs the Snapshot that follows from the states.
    ///
    /// # Panics
    /// One refused it.
    pub fn apply(&self) {
        self.change(|_| ());
    }

    fn change(&self, change: impl FnOnce(&mut Site)) {
        change(&mut self.site());
        for node in self.l4.iter().filter(|node| node.is_running()) {
            self.try_apply(node).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    fn try_apply(&self, node: &L4) -> Result<(), Error> {
        let refused = |reasons| Error::Refused { node: node.name().into(), reasons };
        match node.apply(&self.snapshot(node.number())) {
            Reply::Applied { .. } => Ok(()),
            Reply::Refused { reasons } => Err(refused(reasons.join("; "))),
            other => Err(refused(format!("{other:?}"))),
        }
    }

    /// The lab's site file.
    pub fn site_path(&self) -> PathBuf {
        self.site_file().path().into()
    }

    /// Changes the text of the lab's site file; nobody is told.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn edit_site(&self, change: impl FnOnce(String) -> String) {
        let file = self.site_file();
        let text = std::fs::read_to_string(file.path()).expect("the lab has written it");
        file.replace(&change(text)).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until control has found every L7 node up in every service, and the dataplane knows.
    fn wait_up(&self, node: &L4) {
        let what = format!("every check of {} has passed", node.name());
        wait_until(&what, CONTROL_LIMIT, || {
            let status = node.status();
            let vips = status.services.iter().flat_map(|service| &service.vips);
            let up = |vip: &VipStatus| {
                vip.nodes.len() == self.l7.len()
                    && vip.nodes.iter().all(|member| member.state == Effective::Up)
            };
            vips.clone().count() > 0 && vips.clone().all(up) && node.is_settled()
        });
    }

    /// Waits until every router spreads the VIPs over every L4 node.
    fn wait_announced(&self) {
        for router in &self.routers {
            let what = format!("router-{} has learned the VIPs of every L4 node", router.number());
            wait_until(&what, CONTROL_LIMIT, || router.paths() == [self.l4.len(); 2]);
        }
        // A router may have learned before the node has noted that it told.
        for node in &self.l4 {
            wait_until(&format!("{} knows what it has told", node.name()), CONTROL_LIMIT, || {
                let routers = node.status().routers;
                let mut sessions = routers.iter().flat_map(|router| &router.sessions);
                sessions.all(|session| session.up && !session.announced.is_empty())
            });
        }
    }

    fn site_file(&self) -> MutexGuard<'_, SiteFile> {
        self.site_file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn site(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the site's CA and the nodes' certificates, and returns the folder that they are in.
fn pki(lab: &Path, l4: &[L4], l7: &[L7]) -> Result<PathBuf, Error> {
    let folder = lab.join("pki");
    let palierctl = program::find(PALIERCTL)?;
    let run = |args: &[&str]| program::run(Command::new(&palierctl).args(args).arg(&folder), "");
    run(&["pki", "init", "--site", "lab"])?;
    let names = l4.iter().map(L4::name).chain(l7.iter().map(L7::name));
    for name in names {
        run(&["pki", "issue", name, "--dir"])?;
    }
    Ok(folder)
}

/// Waits until the node knows the link addresses of all L7 nodes.
fn wait_reachable(node: &L4) {
    let what = format!("{} knows its neighbors", node.name());
    wait_until(&what, NEIGHBOR_LIMIT, || {
        node.stats().nodes.iter().all(|node| node.reachable.iter().all(|&known| known))
    });
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Processes and servers end before their namespaces.
        self.l4.clear();
        self.l7.clear();
        self.backends.clear();
        self.routers.clear();
        cleanup::remove_lab(&self.name);
    }
}
