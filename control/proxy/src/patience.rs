//! How long somebody may take to go on.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Waits for somebody who may say nothing for so long, again and again. The timer is made once somebody has to
/// be waited for: most never have to.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Patience {
    pub(crate) fn of(limit: Duration) -> Self {
        Self { limit, timer: None, waiting: false }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// It went on.
    pub(crate) fn moved(&mut self) {
        self.waiting = false;
    }

    /// It does not go on; whether it has not for too long. If not, the task is woken when it has.
    pub(crate) fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        if !std::mem::replace(&mut self.waiting, true) {
            timer.as_mut().reset(Instant::now() + self.limit);
        }
        timer.as_mut().poll(context).is_ready()
    }
}
