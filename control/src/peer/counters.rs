//! What is counted where peers are answered.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

api::counters! {
    /// What became of those who called.
    pub enum Counter {
        /// Connections accepted, whatever became of them.
        Connections => "connections",
        /// Requests of other nodes that were answered.
        Requests => "requests",
        /// Requests that were not understood, or too long.
        BadRequests => "bad_requests",
        /// Refused: too many connections, in all or from one address.
        RefusedFull => "refused_full",
        /// Refused: no certificate, or not of this site's CA, or not valid at this time.
        RefusedCertificate => "refused_certificate",
        /// Refused: a certificate of the site, but of no other L4 node of its file.
        RefusedName => "refused_name",
        /// Refused: not TLS 1.3, broken, or a recording played back.
        RefusedProtocol => "refused_protocol",
        /// Refused: the handshake took too long.
        RefusedSlow => "refused_slow",
        /// The other side left during the handshake, or refused this node's certificate.
        Abandoned => "abandoned",
        /// Panics, each of which ended one connection or question.
        Panics => "panics",
    }
}

/// The counters of a process.
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; Counter::ALL.len()]);

impl Counters {
    /// Counts one.
    pub(super) fn count(&self, counter: Counter) {
        self.0[counter as usize].fetch_add(1, Relaxed);
    }

    /// Current value.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Relaxed)
    }
}
