//! Services: each VIP, whether it is announced and why, and its nodes.

use admin::{CheckStatus, Effective, MemberStatus, ServiceStatus, VipStatus};
use health::State;

use super::Page;
use crate::text::{Cell, Table, Tone, human_ms};

impl Page {
    /// Each service.
    pub(super) fn services(&self, services: &[ServiceStatus]) -> String {
        let texts: Vec<_> = services.iter().map(|service| self.service(service)).collect();
        texts.join("\n")
    }

    fn service(&self, service: &ServiceStatus) -> String {
        let name = self.paint.apply(Tone::Strong, &service.name);
        let mut text = format!("{name}  {}\n", service.ports);
        for vip in &service.vips {
            text.push_str(&self.vip(vip));
        }
        text
    }

    fn vip(&self, vip: &VipStatus) -> String {
        let (tone, word) = match vip.announced {
            true => (Tone::Good, "announced"),
            false => (Tone::Bad, "not announced"),
        };
        let table = vip.fingerprint.as_ref().map(|print| format!(", table {print}"));
        let table = table.unwrap_or_default();
        let mut head = Table::plain();
        head.row([
            Cell::new(Tone::Strong, &vip.vip),
            Cell::new(tone, format!("{word}: {}", vip.why)),
        ]);
        let facts = format!("weight {}, quorum {}{table}", vip.weight, vip.quorum);
        head.row(["".into(), Cell::new(Tone::Faint, facts)]);
        let mut text = head.render(2, self.width, self.paint);
        let mut table = Table::plain();
        for member in &vip.nodes {
            table.row([
                member.node.as_str().into(),
                state(member.state),
                Cell::number(member.weight),
                Cell::number(human_ms(member.since_ms)),
                why(member).into(),
            ]);
            if self.details {
                for check in &member.checks {
                    table.row(["".into(), "".into(), "".into(), "".into(), result(check)]);
                }
            }
        }
        text.push_str(&table.render(4, self.width, self.paint));
        text
    }
}

pub(super) fn state(state: Effective) -> Cell {
    match state {
        Effective::Up => Cell::new(Tone::Good, "up"),
        Effective::Joining => Cell::new(Tone::Warn, "joining"),
        Effective::Drain => Cell::new(Tone::Warn, "drain"),
        Effective::Maintenance => Cell::new(Tone::Warn, "maintenance"),
        Effective::Down => Cell::new(Tone::Bad, "down"),
    }
}

/// Why a node is what it is, and what comes next.
fn why(member: &MemberStatus) -> String {
    let mut words = Vec::new();
    if !member.reason.is_empty() {
        words.push(member.reason.clone());
    }
    match member.release_in_ms {
        Some(0) => words.push("its flows have gone to others".into()),
        Some(left) => words.push(format!("its flows go to others in {}", human_ms(left))),
        None => {}
    }
    for check in &member.checks {
        let (against, enough) = check.against;
        if against > 0 {
            let answer = &check.reason;
            words.push(format!("{against} of {enough} against it: {}: {answer}", check.check));
        }
    }
    words.join("; ")
}

/// A check of its own, where they are asked for.
fn result(check: &CheckStatus) -> Cell {
    let (tone, word) = match check.state {
        Some(State::Up) => (Tone::Good, "up"),
        Some(State::Drain) => (Tone::Warn, "drain"),
        Some(State::Down) => (Tone::Bad, "down"),
        None => (Tone::Faint, "no verdict yet"),
    };
    let (name, reason, since) = (&check.check, &check.reason, human_ms(check.since_ms));
    Cell::new(tone, format!("{name}: {word} for {since}: {reason}"))
}
