//! Whole-system tests: one file a promise, in `tests/`. Here is what several of them need.

use std::time::Duration;

use lab::{Lab, Report, Traffic};

/// One VIP of each family.
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

    /// Returns once each connection has had further answers, as far as their sum can tell.
    ///
    /// # Panics
    /// One broke, or they stand still; `after` says in the message after what.
    pub fn go_on(&self, after: &str) {
        for traffic in &self.families {
            let enough = traffic.requests_so_far() + 3 * self.count as u64;
            lab::wait_until(&format!("requests go on after {after}"), SOON, || {
                traffic.broken_so_far() > 0 || traffic.requests_so_far() >= enough
            });
        }
        self.assert_whole(after);
    }

    /// Requests answered so far.
    pub fn requests(&self) -> u64 {
        self.families.iter().map(Traffic::requests_so_far).sum()
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
