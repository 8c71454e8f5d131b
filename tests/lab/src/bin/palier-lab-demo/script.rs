//! What happens in the demo: the servers are restarted one after the other, each after its agent has said
//! that it drains; an operator drains one L7 node; an L4 node is killed, its dataplane first and
//! then its control; another L7 node is cut off the network; and all come back. Then the next ones.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lab::{Flags, Lab};

/// From the start, and from one round's end, to the first server's drain.
const CALM: Duration = Duration::from_secs(3);
/// From the word of a server's agent to its restart: every proxy has heard it, and no request is under way.
const EMPTYING: Duration = Duration::from_secs(2);
/// From a server's restart to what comes next.
const RETURNED: Duration = Duration::from_secs(2);
/// From the drain to its end.
const DRAINED: Duration = Duration::from_secs(5);
/// From there to the death of an L4 node's dataplane, and from its return to the cut.
const WELL: Duration = Duration::from_secs(4);
/// From the death of a dataplane to that of its control, which has withdrawn the VIPs by then, as has BFD.
const HALF_DEAD: Duration = Duration::from_secs(3);
/// From there to the start of both.
const DEAD: Duration = Duration::from_secs(5);
/// From the cut to the mend: the checks take it down, and `down_hold` (10 s) ends.
const CUT: Duration = Duration::from_secs(20);
/// A connection that was made in the moment of the cut may be accepted a little later.
const LATE: Duration = Duration::from_secs(1);

/// The script, as far as it has come.
pub(crate) struct Script {
    /// What comes next, and when.
    next: Option<(Instant, Step)>,
    round: usize,
    /// Clients' ends of connections to nodes when they were cut: those had to break.
    lost: HashSet<SocketAddr>,
    /// A node that was cut a moment ago.
    fresh: Option<(Instant, usize)>,
}

#[derive(Clone, Copy)]
enum Step {
    Empty(usize),
    Renew(usize),
    Drain,
    Ready,
    KillDataplane,
    KillControl,
    Restart,
    Cut,
    Mend,
}

impl Script {
    /// Of a lab with fewer than two L7 nodes, or without L4 nodes, nothing happens.
    pub(crate) fn new(lab: &Lab) -> Self {
        let plays = !lab.l4s().is_empty() && lab.l7s().len() > 1;
        let next = plays.then(|| (Instant::now() + CALM, first(lab)));
        Self { next, round: 0, lost: HashSet::new(), fresh: None }
    }

    /// Does what is due, and tells it.
    pub(crate) fn play(&mut self, lab: &Lab) -> Option<String> {
        if let Some((cut, number)) = self.fresh {
            self.lost.extend(lab.l7(number).clients());
            if cut.elapsed() > LATE {
                self.fresh = None;
            }
        }
        let (at, step) = self.next.filter(|(at, _)| Instant::now() >= *at)?;
        let count = lab.l7s().len();
        let drained = self.round * 2 % count + 1;
        let cut = (self.round * 2 + 1) % count + 1;
        // The operator types on the first one.
        let victim = 2 + self.round % (lab.l4s().len().max(2) - 1);
        let (told, wait, next) = match step {
            Step::Empty(server) => {
                lab.backend(server).say("drain");
                let told = format!("the agent of server-{server} says drain");
                (told, EMPTYING, Step::Renew(server))
            }
            Step::Renew(server) => {
                let next = server + 1;
                let next =
                    if next > lab.backends().len() { Step::Drain } else { Step::Empty(next) };
                (renew(lab, server), RETURNED, next)
            }
            Step::Drain => (operate(lab, "drain", drained), DRAINED, Step::Ready),
            Step::Ready if lab.l4s().len() < 2 => (operate(lab, "ready", drained), WELL, Step::Cut),
            Step::Ready => (operate(lab, "ready", drained), WELL, Step::KillDataplane),
            Step::KillDataplane => {
                lab.l4(victim).kill();
                (format!("the dataplane of l4-{victim} is killed"), HALF_DEAD, Step::KillControl)
            }
            Step::KillControl => {
                lab.l4(victim).kill_control();
                (format!("the control of l4-{victim} is killed"), DEAD, Step::Restart)
            }
            Step::Restart => (restart(lab, victim), WELL, Step::Cut),
            Step::Cut => {
                lab.cut(cut);
                self.fresh = Some((Instant::now(), cut));
                (format!("l7-{cut} is cut off the network"), CUT, Step::Mend)
            }
            Step::Mend => {
                lab.mend(cut);
                self.round += 1;
                lab.backends().iter().for_each(lab::Backend::clear_log);
                (format!("l7-{cut} is joined to the network again"), CALM, first(lab))
            }
        };
        self.next = Some((at + wait, next));
        Some(told)
    }

    /// Whether a connection was to a node when that was cut off: it could not be saved.
    pub(crate) fn had_to_break(&self, client: SocketAddr) -> bool {
        self.lost.contains(&client)
    }
}

/// How a round begins.
fn first(lab: &Lab) -> Step {
    if lab.backends().is_empty() { Step::Drain } else { Step::Empty(1) }
}

/// Starts a server anew that nobody sends requests to, and has its agent say so.
fn renew(lab: &Lab, number: usize) -> String {
    let server = lab.backend(number);
    server.stop_nginx();
    match server.start_nginx() {
        Ok(()) => {
            server.say("up ready 100%");
            format!("nginx on server-{number} was started anew; its agent says up ready 100%")
        }
        Err(error) => format!("nginx on server-{number} was NOT started again: {error}"),
    }
}

/// Starts an L4 node that was killed.
fn restart(lab: &Lab, number: usize) -> String {
    let node = lab.l4(number);
    let started = node.start(&Flags::default()).and_then(|()| node.start_control());
    match started {
        Ok(()) => format!("l4-{number} was started again"),
        Err(error) => format!("l4-{number} was NOT started again: {error}"),
    }
}

/// An operator types on the first L4 node.
fn operate(lab: &Lab, verb: &str, number: usize) -> String {
    let node = format!("l7-{number}");
    let (status, said) = lab.l4(1).ctl(&[verb, &node]);
    let said = said.trim().replace('\n', "; ");
    if status.success() {
        format!("palierctl {verb} {node}: {said}")
    } else {
        format!("palierctl {verb} {node} FAILED: {said}")
    }
}
