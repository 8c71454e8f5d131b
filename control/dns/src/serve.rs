//! Questions from the network: threads for UDP, tasks for TCP and TLS.

mod counters;
mod tcp;
mod udp;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;

pub use self::counters::{Counters, Counts};
pub use self::tcp::{Patience, serve_stream};
pub use self::udp::{UdpWorker, bind_udp};
use crate::answer::{Resolve, Server, Settings};
use crate::zones::Zones;

/// What answers are made of. It is replaced as a whole.
#[derive(Debug)]
pub struct Contents<R> {
    /// The zones.
    pub zones: Zones,
    /// What dynamic records say.
    pub resolvers: R,
    /// What holds of all answers.
    pub settings: Settings,
}

impl<R: Resolve> Contents<R> {
    fn server(&self) -> Server<'_, R> {
        Server { zones: &self.zones, resolvers: &self.resolvers, settings: &self.settings }
    }
}

/// The same, for all who answer: they look at it anew for each question, or batch of questions.
pub type Shared<R> = Arc<ArcSwap<Contents<R>>>;

/// Seconds since 1970, of which the last 32 bits count.
fn now() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as u32)
}

/// A turn to begin with: another one each time.
fn some_turn() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

#[cfg(test)]
mod tests;
