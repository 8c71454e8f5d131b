//! Whether this node may announce anything at all.

use health::{Admin, State};

use crate::dataplane::watchdog::Pulse;
use crate::plan::Verdict;

/// What the gate depends on.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// The start is not over: checks lack verdicts.
    pub starting: bool,
    /// The stop has begun.
    pub leaving: bool,
    /// Whether the dataplane forwards.
    pub pulse: &'a Pulse,
    /// Whether it has a Snapshot of this control. It may be the last but one for as long as the next
    /// is built: nothing is withdrawn for that.
    pub applied: bool,
    /// What an operator wants of this node.
    pub operator: Admin,
    /// Checks of this node itself: verdict, name and reason.
    pub checks: &'a [(Verdict, String)],
}

impl Gate<'_> {
    /// Everything that keeps it shut.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = self.farewells();
        reasons.extend(self.obstacles());
        reasons
    }

    /// What keeps it shut with time for a farewell: somebody wants this node to go.
    pub fn farewells(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.leaving {
            reasons.push("stopping".into());
        }
        if self.operator == Admin::Drain {
            reasons.push("operator: drain".into());
        }
        let drains = |(verdict, _): &&(Verdict, String)| drains(verdict);
        reasons.extend(self.checks.iter().filter(drains).map(|(_, why)| why.clone()));
        reasons
    }

    /// What keeps it shut at once.
    pub fn obstacles(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.starting {
            reasons.push("starting: not every check has a verdict yet".into());
        }
        match self.pulse {
            Pulse::Silent(why) => reasons.push(why.clone()),
            Pulse::Beats(_) if !self.applied => {
                reasons.push("the dataplane does not have the Snapshot yet".into());
            }
            Pulse::Beats(_) => {}
        }
        if self.operator == Admin::Maintenance {
            reasons.push("operator: maintenance".into());
        }
        for (verdict, why) in self.checks {
            let well = (verdict.state, verdict.admin) == (Some(State::Up), Admin::Ready);
            if !well && !drains(verdict) {
                reasons.push(why.clone());
            }
        }
        reasons
    }
}

/// Whether a check of this node says that it shall drain, and nothing worse.
fn drains(verdict: &Verdict) -> bool {
    matches!(
        (verdict.state, verdict.admin),
        (Some(State::Drain), Admin::Ready | Admin::Drain) | (Some(State::Up), Admin::Drain)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEATS: Pulse = Pulse::Beats(1);

    fn open() -> Gate<'static> {
        let pulse = &BEATS;
        Gate {
            starting: false,
            leaving: false,
            pulse,
            applied: true,
            operator: Admin::Ready,
            checks: &[],
        }
    }

    #[test]
    fn it_is_open_only_if_nothing_keeps_it_shut() {
        assert_eq!(open().reasons(), [""; 0]);
        let silent = Pulse::Silent("the worker on CPU 2 has not turned for 700 ms".into());
        let shut = [
            (Gate { leaving: true, ..open() }, "stopping"),
            (Gate { starting: true, ..open() }, "starting: not every check has a verdict yet"),
            (Gate { applied: false, ..open() }, "the dataplane does not have the Snapshot yet"),
            (Gate { operator: Admin::Drain, ..open() }, "operator: drain"),
            (Gate { operator: Admin::Maintenance, ..open() }, "operator: maintenance"),
            (Gate { pulse: &silent, ..open() }, "the worker on CPU 2 has not turned for 700 ms"),
        ];
        for (gate, reason) in shut {
            assert_eq!(gate.reasons(), [reason]);
        }
    }

    #[test]
    fn who_wants_it_to_go_leaves_time_for_a_farewell() {
        let up = Verdict { state: Some(State::Up), ..Verdict::NONE };
        let check = |verdict| [(verdict, "check".to_owned())];
        let soft =
            [Verdict { state: Some(State::Drain), ..up }, Verdict { admin: Admin::Drain, ..up }];
        for verdict in soft {
            let checks = check(verdict);
            let gate = Gate { checks: &checks, ..open() };
            assert_eq!((gate.farewells().len(), gate.obstacles().len()), (1, 0), "{verdict:?}");
        }
        let down = Verdict { state: Some(State::Down), admin: Admin::Drain, ..up };
        for verdict in [down, Verdict::NONE, Verdict { admin: Admin::Maintenance, ..up }] {
            let checks = check(verdict);
            let gate = Gate { checks: &checks, ..open() };
            assert_eq!((gate.farewells().len(), gate.obstacles().len()), (0, 1), "{verdict:?}");
        }
        for gate in [Gate { leaving: true, ..open() }, Gate { operator: Admin::Drain, ..open() }] {
            assert_eq!((gate.farewells().len(), gate.obstacles().len()), (1, 0));
        }
        let gone = Gate { operator: Admin::Maintenance, ..open() };
        assert_eq!((gone.farewells().len(), gone.obstacles().len()), (0, 1));
    }

    #[test]
    fn a_check_of_the_node_itself_has_to_be_up_and_without_a_wish() {
        let up = Verdict { state: Some(State::Up), ..Verdict::NONE };
        let told = |verdict| {
            let checks = [(up, "fine".to_owned()), (verdict, "check file".to_owned())];
            Gate { checks: &checks, ..open() }.reasons()
        };
        assert_eq!(told(up), [""; 0]);
        for shut in [
            Verdict::NONE,
            Verdict { state: Some(State::Drain), ..up },
            Verdict { state: Some(State::Down), ..up },
            Verdict { admin: Admin::Drain, ..up },
            Verdict { admin: Admin::Maintenance, ..up },
        ] {
            assert_eq!(told(shut), ["check file"], "{shut:?}");
        }
    }
}
