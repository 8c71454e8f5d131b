//! What happens in the demo: an operator drains one L7 node, another is cut off the network, and both
//! come back; then the next two.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lab::Lab;

/// From the start, and from one round's end, to the next drain.
const CALM: Duration = Duration::from_secs(6);
/// From the drain to its end.
const DRAINED: Duration = Duration::from_secs(8);
/// From there to the cut.
const WELL: Duration = Duration::from_secs(6);
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
    Drain,
    Ready,
    Cut,
    Mend,
}

impl Script {
    /// Of a lab with fewer than two L7 nodes, or without L4 nodes, nothing happens.
    pub(crate) fn new(lab: &Lab) -> Self {
        let plays = !lab.l4s().is_empty() && lab.l7s().len() > 1;
        let next = plays.then(|| (Instant::now() + CALM, Step::Drain));
        Self { next, round: 0, lost: HashSet::new(), fresh: None }
    }

    /// Does what is due, and tells it.
    pub(crate) fn play(&mut self, lab: &Lab) -> Option<String> {
        if let Some((cut, number)) = self.fresh {
            self.lost.extend(lab.l7(number).server().clients());
            if cut.elapsed() > LATE {
                self.fresh = None;
            }
        }
        let (at, step) = self.next.filter(|(at, _)| Instant::now() >= *at)?;
        let count = lab.l7s().len();
        let drained = self.round * 2 % count + 1;
        let cut = (self.round * 2 + 1) % count + 1;
        let (told, wait, next) = match step {
            Step::Drain => (operate(lab, "drain", drained), DRAINED, Step::Ready),
            Step::Ready => (operate(lab, "ready", drained), WELL, Step::Cut),
            Step::Cut => {
                lab.cut(cut);
                self.fresh = Some((Instant::now(), cut));
                (format!("l7-{cut} is cut off the network"), CUT, Step::Mend)
            }
            Step::Mend => {
                lab.mend(cut);
                self.round += 1;
                (format!("l7-{cut} is joined to the network again"), CALM, Step::Drain)
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
