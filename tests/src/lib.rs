//! Whole-system tests: one file a promise, in `tests/`. Here is what several of them need.

pub mod dns;
mod kernel;
mod outside;
pub mod release;
pub mod routes;
pub mod scrape;
mod steady;
pub mod text;
pub mod zone;

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use admin::{MemberStatus, Reply, Status, VipStatus};
use lab::{ECHO_PORT, L7, Lab, Report, Response, Traffic, VIP, VIP6};

pub use kernel::snmp;
pub use outside::{RawClient, address_like};
pub use steady::Steady;

/// The VIP of each family.
pub const VIPS: [IpAddr; 2] = [IpAddr::V4(VIP), IpAddr::V6(VIP6)];
/// The same, as HTTP clients ask for them.
pub const URLS: [&str; 2] = ["http://198.51.100.1/", "http://[2001:db8::c633:6401]/"];

/// What is waited for comes far sooner; a machine that is busy with other things gets the rest.
pub const SOON: Duration = Duration::from_secs(30);

/// Pause of a kept connection between two requests.
const PAUSE: Duration = Duration::from_millis(200);

/// Connections of both families that a test holds open, each busy with one request after the other.
#[derive(Debug)]
pub struct Kept {
    families: [Traffic; 2],
    count: usize,
}

impl Kept {
    /// Opens `count` connections of each family; each has had its first answer.
    ///
    /// # Panics
    /// One broke already.
    pub fn open(lab: &Lab, count: usize) -> Self {
        Self::busy(lab, count, PAUSE)
    }

    /// The same, with this pause between two requests of a connection.
    ///
    /// # Panics
    /// One broke already.
    pub fn busy(lab: &Lab, count: usize, pause: Duration) -> Self {
        let kept =
            Self { families: URLS.map(|url| lab.client().requests(count, url, pause)), count };
        kept.assert_whole("they were opened");
        kept
    }

    /// Returns once each connection has had two further answers, the second of which it asked for
    /// after this was called.
    ///
    /// # Panics
    /// One broke, or stands still; `after` says in the message after what.
    pub fn go_on(&self, after: &str) {
        for traffic in &self.families {
            let before = traffic.each_so_far();
            lab::wait_until(&format!("every connection goes on after {after}"), SOON, || {
                let goes_on = |(now, before)| now >= before + 2;
                traffic.broken_so_far() > 0
                    || traffic.each_so_far().into_iter().zip(&before).all(goes_on)
            });
        }
        self.assert_whole(after);
    }

    /// Connections that were opened anew, as the other side had asked for.
    pub fn reopened_so_far(&self) -> usize {
        self.families.iter().map(Traffic::reopened_so_far).sum()
    }

    /// Closes them and tells what became of those of IPv4 and of IPv6.
    pub fn finish(self) -> [Report; 2] {
        self.families.map(Traffic::finish)
    }

    /// As [`Self::finish`].
    ///
    /// # Panics
    /// Not every one of them has lived to the end.
    pub fn finish_whole(self) -> [Report; 2] {
        let count = self.count;
        let reports = self.finish();
        for report in &reports {
            assert_eq!((report.completed, report.broken), (count, 0), "{report:?}");
        }
        reports
    }

    fn assert_whole(&self, after: &str) {
        let broken = self.families.each_ref().map(Traffic::broken_so_far);
        assert_eq!(broken, [0, 0], "connections of IPv4 and IPv6 that broke after {after}");
    }
}

/// Has a node serve a client slowly, for so many seconds, and does something meanwhile; what the client gets.
///
/// # Errors
/// Its connection breaks.
///
/// # Panics
/// The node does not serve it.
pub fn while_served_slowly(
    lab: &Lab,
    node: &L7,
    seconds: u32,
    meanwhile: impl FnOnce(),
) -> io::Result<Response> {
    thread::scope(|scope| {
        let slow = scope.spawn(|| lab.client().get(&format!("{}slow?seconds={seconds}", URLS[0])));
        lab.wait_until("a client is served slowly", SOON, || node.connections() == 1);
        meanwhile();
        slow.join().expect("it ends, one way or the other")
    })
}

/// The nodes that serve `count` new connections of each family, one after the other.
///
/// # Panics
/// One was not served.
pub fn nodes_of_new_connections(lab: &Lab, count: usize) -> Vec<String> {
    let one = |url| match lab.client().get(url) {
        Ok(response) => response.node,
        Err(error) => panic!("a new connection to {url}: {error}"),
    };
    URLS.iter().flat_map(|url| (0..count).map(move |_| one(url))).collect()
}

/// Puts another text in the place of the lab's site file and has every control read it.
///
/// # Panics
/// One refused it.
pub fn reload(lab: &Lab, change: impl FnOnce(String) -> String) {
    lab.edit_site(change);
    for l4 in lab.l4s() {
        match l4.reload(false) {
            Reply::Done(_) => {}
            other => panic!("{}: {other:?}", l4.name()),
        }
    }
}

/// A VIP of a service, as a status has it.
///
/// # Panics
/// The status does not have it.
pub fn vip<'a>(status: &'a Status, service: &str, vip: IpAddr) -> &'a VipStatus {
    let found = status.services.iter().find(|other| other.name == service);
    let vips = &found.expect("the status has every service").vips;
    vips.iter().find(|other| other.vip == vip.to_string()).expect("the service has the VIP")
}

/// A node's part in a service at a VIP, as a status has it.
///
/// # Panics
/// The status does not have it.
pub fn member<'a>(at: &'a VipStatus, node: &str) -> &'a MemberStatus {
    at.nodes.iter().find(|member| member.node == node).expect("the service has the node")
}

/// A flow of datagrams to the echo of a VIP.
#[derive(Debug)]
pub struct Echo(UdpSocket);

impl Echo {
    /// A new flow, of which nothing was sent yet.
    ///
    /// # Panics
    /// The system gives no socket.
    pub fn open(lab: &Lab, vip: IpAddr) -> Self {
        let socket = lab.client().udp((vip, ECHO_PORT).into()).expect("sockets are to be had");
        let flow = Self(socket);
        flow.patience(SOON);
        flow
    }

    /// Sends datagrams until one is answered, and returns the node that did: some may be lost.
    ///
    /// # Panics
    /// None is.
    pub fn insist(&self) -> String {
        self.patience(Duration::from_millis(200));
        let node = lab::wait_for("one of many datagrams is answered", SOON, || {
            self.send(b"who?");
            self.try_answer().ok().map(|(node, _)| node)
        });
        self.patience(SOON);
        node
    }

    fn patience(&self, patience: Duration) {
        self.0.set_read_timeout(Some(patience)).expect("a socket takes a time-out");
    }

    /// Sends one datagram.
    ///
    /// # Panics
    /// It cannot leave.
    pub fn send(&self, data: &[u8]) {
        let sent = self.0.send(data).expect("a datagram can be sent");
        assert_eq!(sent, data.len());
    }

    /// The next answer: the node that gave it, and the data that it got.
    ///
    /// # Panics
    /// None comes, so a datagram was lost.
    pub fn answer(&self) -> (String, Vec<u8>) {
        self.try_answer().expect("no datagram is lost")
    }

    /// As [`Self::answer`].
    ///
    /// # Errors
    /// None comes, so a datagram was lost.
    pub fn try_answer(&self) -> io::Result<(String, Vec<u8>)> {
        let mut answer = [0; 2048];
        let length = self.0.recv(&mut answer)?;
        let mut parts = answer[..length].splitn(2, |&byte| byte == b' ');
        let node = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        Ok((node, parts.next().unwrap_or_default().to_vec()))
    }
}
