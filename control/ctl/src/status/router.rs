//! Routers: each session, and what was said over it.

use admin::{BfdSessionStatus, RouteStatus, RouterStatus, SessionStatus};

use super::Page;
use crate::text::{Cell, Table, Tone, human_ms};

impl Page {
    /// Each session, with the routes that are announced and those that are not.
    pub(super) fn routers(&self, routers: &[RouterStatus]) -> String {
        if routers.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["ROUTER", "SESSION", "SINCE", "STATE"]);
        for router in routers {
            for (place, session) in router.sessions.iter().enumerate() {
                let name = if place == 0 { router.name.as_str() } else { "" };
                table.row([
                    name.into(),
                    session.address.to_string().into(),
                    Cell::number(human_ms(session.since_ms)),
                    state(session),
                ]);
                let mut more = |cell| table.row(["".into(), "".into(), "".into(), cell]);
                if let Some(bfd) = &session.bfd {
                    more(liveness(bfd));
                }
                for route in &session.announced {
                    more(Cell::new(Tone::Plain, announced(route)));
                }
                for kept in &session.kept_back {
                    let text = format!("not announced: {}: {}", kept.prefix, kept.why);
                    more(Cell::new(Tone::Warn, text));
                }
            }
        }
        table.render(0, self.width, self.paint)
    }
}

fn state(session: &SessionStatus) -> Cell {
    let mut words = vec![session.state.clone()];
    words.push(format!("AS {}", session.peer_as));
    words.extend(session.hold_time_s.map(|hold| format!("hold {hold}s")));
    if session.graceful_restart {
        words.push("graceful restart".into());
    }
    if session.dropped > 0 {
        words.push(format!("dropped {}", times(session.dropped)));
    }
    words.extend(session.why.clone());
    let tone = if session.up { Tone::Good } else { Tone::Bad };
    Cell::new(tone, words.join(", "))
}

fn liveness(bfd: &BfdSessionStatus) -> Cell {
    let mut words = vec![format!("BFD {} for {}", bfd.state, human_ms(bfd.since_ms))];
    if bfd.up {
        words.push(format!("a silence of {} ms ends it", bfd.detection_ms));
    } else if !bfd.diagnostic.is_empty() {
        words.push(bfd.diagnostic.clone());
    }
    if bfd.losses > 0 {
        words.push(format!("lost {}", times(bfd.losses)));
    }
    Cell::new(if bfd.up { Tone::Good } else { Tone::Bad }, words.join(", "))
}

fn times(count: u64) -> String {
    match count {
        1 => "once".into(),
        2 => "twice".into(),
        more => format!("{more} times"),
    }
}

fn announced(route: &RouteStatus) -> String {
    let mut words = vec![route.prefix.clone()];
    words.extend(route.med.map(|med| format!("MED {med}")));
    words.extend(route.local_preference.map(|preference| format!("preference {preference}")));
    if route.prepend > 0 {
        words.push(format!("prepended {}", times(route.prepend.into())));
    }
    words.extend(route.communities.iter().chain(&route.large_communities).cloned());
    words.join(", ")
}
