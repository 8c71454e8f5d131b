//! How this process ends: with a farewell to the routers, or to make room for another release of itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{Starting, Steer};
use crate::hooks::Family;
use crate::notify;

/// How far an orderly stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Routers are being told. Whether there was anything to tell them.
    Telling { announced: bool },
    /// They have been told; what is on its way here is still served.
    Serving { until: Instant },
}

impl Leaving {
    /// When there is something to be done though nothing happens.
    pub(super) fn wake(self) -> Option<Instant> {
        match self {
            Self::Serving { until } => Some(until),
            Self::Telling { .. } => None,
        }
    }
}

impl Steer {
    /// An orderly stop begins: routers are told to prefer others, then that this node is gone.
    pub(super) fn begin_to_leave(&mut self) {
        tracing::info!("stopping; the dataplane goes on with what it has");
        notify::stopping();
        self.leaving = Some(Leaving::Telling { announced: self.routes.any() });
    }

    /// The next step of an orderly stop, if it is time for it.
    pub(super) fn leave_on(&mut self) {
        if let Some(Leaving::Telling { announced }) = self.leaving
            && !self.routes.any()
        {
            let grace = self.site.config.site.times.withdraw_grace;
            let until = Instant::now() + if announced { grace } else { Duration::ZERO };
            self.leaving = Some(Leaving::Serving { until });
        }
    }

    /// Whether nobody sends anything here any more.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.leaving, Some(Leaving::Serving { until }) if Instant::now() >= until)
    }

    /// Another release takes over: routers keep the routes, and no hook runs.
    pub(super) fn make_room(&mut self) {
        tracing::info!("making room for the program that lies in this one's place now");
        self.routes.stay();
        if let Err(error) = self.store.flush() {
            tracing::error!(%error, "node states are lost with this process");
        }
    }

    /// The end of an orderly stop: sessions end, hooks run, the dataplane goes on.
    pub(super) async fn leave(mut self) {
        self.routes.flushed().await;
        self.routes.leave().await;
        if let (Starting::Over, Some((config, _))) = (self.starting, &self.plan) {
            for service in config.services.iter().filter(|service| service.omega) {
                for family in Family::ALL {
                    if service.vips.iter().any(|vip| family.has(vip)) {
                        self.hooks.set(service, family, false);
                    }
                }
            }
        }
        std::mem::take(&mut self.hooks).finish().await;
        if let Err(error) = self.store.flush() {
            tracing::error!(%error, "node states are lost with this process");
        }
    }
}
