//! systemd is told that control is ready, that it turns, and that it stops.

use std::time::Duration;

use sd_notify::NotifyState;

/// Ready: the sockets answer.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The orderly stop has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process is the service from now on.
pub fn main_process(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Says that the runtime turns, twice per watchdog time, if systemd wants to know.
pub async fn alive() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut turn = tokio::time::interval((limit / 2).max(Duration::from_millis(10)));
    loop {
        turn.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, "systemd was not told");
    }
}
