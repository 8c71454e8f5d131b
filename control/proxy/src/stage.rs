//! Where the conversation with a client stands: those who serve it say so, its connection goes by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Where the conversation with a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing of the next request has come.
    Idle,
    /// A part of its header has.
    Header,
    /// It is being served: servers have deadlines of their own.
    Serving,
    /// Another protocol has taken the connection over: nothing of ours follows, and its deadlines are those
    /// of tunnels.
    Tunnel,
}

/// Shared by the connection and those who serve it. All are on one core, but what hyper hands out after an
/// upgrade could go elsewhere.
///
/// In one number: the phase, [`UNREAD`], and how many phases there were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage(Arc<AtomicU32>);

/// The bits of the phase.
const PHASE: u32 = 3;
/// There is more of a request's body than was read.
const UNREAD: u32 = 4;
/// A phase more.
const NEXT: u32 = 8;

impl Stage {
    pub(crate) fn get(&self) -> Phase {
        match self.0.load(Relaxed) & PHASE {
            0 => Phase::Idle,
            1 => Phase::Header,
            2 => Phase::Serving,
            _ => Phase::Tunnel,
        }
    }

    /// Which phase this is, of all that there were: one may come and go unseen, and come again.
    pub(crate) fn number(&self) -> u32 {
        self.0.load(Relaxed) & !UNREAD
    }

    /// Whether a part of a request's body is still to be read.
    pub(crate) fn set_unread(&self, is_unread: bool) {
        let all = self.0.load(Relaxed) & !UNREAD;
        self.0.store(if is_unread { all | UNREAD } else { all }, Relaxed);
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.0.load(Relaxed) & UNREAD != 0
    }

    /// The next phase; of a tunnel there is none.
    pub(crate) fn set(&self, phase: Phase) {
        if self.get() == Phase::Tunnel {
            return;
        }
        let next = (self.0.load(Relaxed) & !PHASE).wrapping_add(NEXT);
        self.0.store(next | phase as u32, Relaxed);
    }
}
