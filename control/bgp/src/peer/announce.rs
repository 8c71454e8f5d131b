//! What the neighbor is told: the difference, and everything's withdrawal at the end.

use super::{Ending, Link, Peer};
use crate::fsm::Input;
use crate::message::{Encoder, Notification};
use crate::settings::Route;

impl Peer {
    /// Brings established sessions up to date.
    pub(super) fn tell(&mut self, generation: u64, routes: &[Route], settled: bool) {
        for index in 0..self.links.len() {
            let link = &mut self.links[index];
            if !link.outdated(generation) {
                continue;
            }
            let (Some(rib), Some(session)) = (&mut link.rib, &link.session) else { continue };
            if !session.is_flushed() {
                continue;
            }
            let changes = rib.change_to(routes);
            link.told = Some(generation);
            if !changes.updates.is_empty() {
                self.announced = rib.routes();
            }
            self.withheld = changes.withheld;
            let mut updates = changes.updates;
            if settled && !link.end_of_rib {
                link.end_of_rib = true;
                // From now on a loss of this session is no part of the restart any more.
                self.process.restarted = false;
                // From here on a session that is lost leaves a forwarder behind that is at work.
                self.process.forwarding = true;
                let agreed = link.fsm.agreed();
                if let Some(agreed) = agreed.filter(|agreed| agreed.end_of_rib) {
                    updates.extend(Encoder::end_of_rib(agreed.families));
                }
            }
            self.send_updates(index, &updates);
        }
        let behind = |link: &Link| {
            link.rib.is_some()
                && (link.outdated(generation)
                    || link.session.as_ref().is_some_and(|session| !session.is_flushed()))
        };
        if !self.links.iter().any(behind) {
            self.board.set_flushed(&self.id, generation);
        }
    }

    pub(super) fn send_updates(&mut self, index: usize, updates: &[Vec<u8>]) {
        if !updates.is_empty() {
            self.counters.messages_out += updates.len() as u64 - 1;
            self.counters.updates_out += updates.len() as u64;
            self.send(index, &updates.concat());
        }
    }

    pub(super) async fn end(mut self, ending: Ending) {
        self.board.set_status(&self.id, None);
        for index in 0..self.links.len() {
            match ending {
                Ending::Silent => self.links[index].session = None,
                Ending::Withdraw(subcode) => {
                    if let Some(rib) = &mut self.links[index].rib {
                        let withdrawals = rib.change_to(&[]).updates;
                        self.send_updates(index, &withdrawals);
                    }
                    self.feed(index, Input::Stop(Notification::cease(subcode)));
                }
                Ending::Cease(subcode) => {
                    self.feed(index, Input::Stop(Notification::cease(subcode)));
                }
            }
        }
        match ending {
            Ending::Silent => self.closing.abort_all(),
            Ending::Withdraw(_) | Ending::Cease(_) => {}
        }
        while self.closing.join_next().await.is_some() {}
    }
}
