//! A planned restart: routers are asked to bear a longer silence (by a Poll Sequence, RFC 5880 section
//! 6.8.3), and the next process goes on with the sessions. AdminDown would be no way: routers take their
//! BGP session down on it.

use std::io;
use std::time::Duration;

use api::BfdSession;

use super::handover::{Handover, Kept};
use super::{Bfd, Shared};

/// Beyond the pause that was asked for: the last packet of a process may be older than its end by what
/// it takes to have every router agree.
const MARGIN: Duration = Duration::from_secs(2);

/// How far routers are with bearing a silence.
#[derive(Debug, Default)]
pub(super) enum Pause {
    /// They are asked for none.
    #[default]
    None,
    /// They are asked for one; these have not agreed yet, by name and address. The thread has not
    /// looked yet at all if there is nothing.
    Asked { pause: Duration, missing: Option<Vec<String>> },
    /// All whose sessions are Up have agreed.
    Agreed { pause: Duration, sessions: Vec<Kept> },
}

/// The same, for the main thread.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// These routers have not agreed.
    Missing(Vec<String>),
    /// So many sessions wait for the next process.
    Ready(usize),
}

impl Bfd {
    /// Asks every router to bear a silence of so long.
    pub(crate) fn ask_for_pause(&self, pause: Duration) {
        *self.shared.pause.lock() = Pause::Asked { pause, missing: None };
        self.wake();
    }

    /// Takes that back.
    pub(crate) fn go_on(&self) {
        *self.shared.pause.lock() = Pause::None;
        self.wake();
    }

    /// How far that has come. Once all is ready, the sessions lie where the next process finds them.
    ///
    /// # Errors
    /// They cannot be written down.
    pub(crate) fn readiness(&self) -> io::Result<Readiness> {
        match &*self.shared.pause.lock() {
            Pause::None => Ok(Readiness::Missing(Vec::new())),
            Pause::Asked { missing, .. } => {
                Ok(Readiness::Missing(missing.clone().unwrap_or_default()))
            }
            Pause::Agreed { pause, sessions } => {
                Handover::new(sessions.clone(), *pause + MARGIN).leave(&self.folder)?;
                Ok(Readiness::Ready(sessions.len()))
            }
        }
    }
}

impl Shared {
    /// The silence that routers are asked to bear.
    pub(super) fn pause(&self) -> Option<Duration> {
        match *self.pause.lock() {
            Pause::None => None,
            Pause::Asked { pause, .. } | Pause::Agreed { pause, .. } => Some(pause),
        }
    }

    /// Notes how the sessions are that a silence was asked for: as the next process needs it, or the name
    /// of the router.
    pub(super) fn note(&self, asked: Duration, all: Vec<Result<Kept, String>>) {
        let mut pause = self.pause.lock();
        match *pause {
            Pause::Asked { pause, .. } | Pause::Agreed { pause, .. } if pause == asked => {}
            // The main thread has said something else meanwhile.
            _ => return,
        }
        let missing: Vec<String> = all.iter().filter_map(|one| one.clone().err()).collect();
        *pause = match missing.is_empty() {
            true => Pause::Agreed {
                pause: asked,
                sessions: all.into_iter().filter_map(Result::ok).collect(),
            },
            false => Pause::Asked { pause: asked, missing: Some(missing) },
        };
    }
}

/// The timers that are asked for: such that the silence is borne, if one is.
pub(super) fn policy(wanted: &BfdSession, pause: Option<Duration>) -> bfd::Policy {
    let interval = Duration::from_millis(wanted.interval_ms.into());
    let long = pause.map(|pause| (pause + MARGIN) / wanted.multiplier.max(1).into());
    let interval = long.map_or(interval, |long| long.max(interval));
    bfd::Policy::new(interval, wanted.multiplier).expect("forward::problems has checked the timers")
}
