use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

api::counters! {
    /// What became of BFD packets, after they have passed a worker.
    pub(crate) enum Counter {
        /// BFD packets sent.
        Sent => "bfd_sent",
        /// BFD packets received, whatever became of them.
        Received => "bfd_received",
        /// BFD packets that were due and not sent, as a worker showed no sign of life.
        Held => "bfd_held",
        /// Dropped: BFD packets with a TTL or hop limit below 255: they have passed a router.
        Ttl => "drop_bfd_ttl",
        /// Dropped: BFD packets that RFC 5880 section 6.8.6 says to discard.
        Malformed => "drop_bfd_malformed",
        /// Dropped: BFD packets with authentication, which is not supported.
        Authenticated => "drop_bfd_authenticated",
        /// Dropped: BFD packets from an address that no session is with.
        Unknown => "drop_bfd_unknown",
        /// Dropped: BFD packets with a discriminator of another session, such as one before a restart.
        Discriminator => "drop_bfd_discriminator",
        /// Dropped: BFD packets of ours that the kernel did not take.
        Unsent => "drop_bfd_unsent",
    }
}

/// What the BFD thread counts.
#[derive(Debug)]
pub(crate) struct Counters([AtomicU64; Counter::ALL.len()]);

impl Counters {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; Counter::ALL.len()])
    }

    /// Counts one more.
    pub(crate) fn count(&self, counter: Counter) {
        self.0[counter as usize].fetch_add(1, Relaxed);
    }

    /// Current value.
    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Relaxed)
    }
}
