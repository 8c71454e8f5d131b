//! Whole-system tests: one file a promise, in `tests/`. Here is what several of them need.

mod kernel;
mod outside;

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use lab::{ECHO_PORT, Lab, Report, Traffic, VIP, VIP6};

pub use kernel::snmp;
pub use outside::{RawClient, address_like};

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
        let kept =
            Self { families: URLS.map(|url| lab.client().requests(count, url, PAUSE)), count };
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
        socket.set_read_timeout(Some(SOON)).expect("a socket takes a time-out");
        Self(socket)
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
        let mut answer = [0; 2048];
        let length = self.0.recv(&mut answer).expect("no datagram is lost");
        let mut parts = answer[..length].splitn(2, |&byte| byte == b' ');
        let node = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        (node, parts.next().unwrap_or_default().to_vec())
    }
}
