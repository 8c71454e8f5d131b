use std::mem;

use super::claims::{Claim, Clock, STREAMS, Wanted};

/// A node while rows are given out.
#[derive(Clone, Copy)]
pub(super) struct Claimant {
    wanted: Wanted,
    /// How often it has claimed.
    made: u32,
    weight: u16,
    pace: u64,
    /// How many rows it still has to get.
    missing: u32,
}

impl Claimant {
    /// The node that wants these rows first, and gets `quota` of them. Its weight is not 0.
    pub(super) fn new(wanted: Wanted, weight: u16, quota: u32) -> Self {
        Self { wanted, made: 0, weight, pace: Clock::pace(weight), missing: quota }
    }
}

/// The claim that each row goes to. The nodes are in the order of names; their quotas add up to
/// the number of rows.
///
/// Claims succeed in the order of their time, if the row is free and the node has not its quota.
/// They need not be sorted for that: a row that somebody has goes to whoever claims it earlier,
/// and who lost it claims further ones. In whatever order that is done, it ends the same (deferred
/// acceptance: Gale and Shapley, 1962). It is done in rounds of roughly the right order, so that
/// few rows are lost again.
pub(super) fn fill(rows: u32, mut nodes: Vec<Claimant>) -> Vec<Claim> {
    let mut table = Table::new(rows);
    // In a round all nodes together make claims for an eighth of the rows, later for more.
    let total: u64 = nodes.iter().map(|node| u64::from(node.weight)).sum();
    let round = (Clock::UNIT / total / 8).max(1);
    while nodes.iter().any(|node| node.missing > 0) {
        table.begin(table.end + round.max(table.end / 8));
        for place in 0..nodes.len() {
            table.claim(&mut nodes, place as u16);
        }
    }
    table.claims
}

struct Table {
    clock: Clock,
    /// The earliest claim of each row.
    claims: Vec<Claim>,
    /// 1 for each row that nobody had when the round began.
    open: Vec<u8>,
    /// Rows that were taken in this round.
    taken: Vec<u32>,
    /// Times between which claims are made in this round: the first excluded, the last included.
    begin: u64,
    end: u64,
}

/// How many times a node claims at once.
const BATCH: usize = 32;

/// Claims that may succeed: the row, and above its 24 bits the number of the claim in the batch.
type Batch = [u32; BATCH * STREAMS];

impl Table {
    fn new(rows: u32) -> Self {
        let all = rows as usize;
        Self {
            clock: Clock::new(rows),
            claims: vec![Claim::NONE; all],
            open: vec![1; all],
            taken: Vec::with_capacity(all / 4),
            begin: 0,
            end: 0,
        }
    }

    /// Begins the next round.
    fn begin(&mut self, end: u64) {
        self.begin = mem::replace(&mut self.end, end);
        for row in self.taken.drain(..) {
            self.open[row as usize] = 0;
        }
    }

    /// Makes the claims of a node up to the round's end, unless it gets its quota before.
    fn claim(&mut self, nodes: &mut [Claimant], place: u16) {
        let mut node = nodes[usize::from(place)];
        if node.missing == 0 {
            return;
        }
        // Claims of former rounds, made up for by who lost a row, may be earlier than that of who
        // has the row.
        let late = self.clock.until(self.begin, node.pace);
        let end = self.clock.until(self.end, node.pace);
        let mut batch = [0; BATCH * STREAMS];
        while node.missing > 0 && node.made < end {
            let until = if node.made < late { late } else { end }.min(node.made + BATCH as u32);
            let (promising, next) = self.promising(&node, until, node.made < late, &mut batch);
            self.make(nodes, &mut node, place, promising);
            if node.missing > 0 {
                (node.wanted, node.made) = (next, until);
            }
        }
        nodes[usize::from(place)] = node;
    }

    /// Those of a node's claims that may succeed. It costs no branch that could be mispredicted.
    #[inline]
    fn promising<'a>(
        &self,
        node: &Claimant,
        until: u32,
        all: bool,
        batch: &'a mut Batch,
    ) -> (&'a [u32], Wanted) {
        let mut wanted = node.wanted;
        let mut found = 0;
        for nth in 0..until - node.made {
            for row in wanted.rows() {
                batch[found % batch.len()] = nth << 24 | row;
                found += usize::from(self.open[row as usize] | u8::from(all));
            }
            wanted.advance(self.claims.len() as u32);
        }
        (&batch[..found], wanted)
    }

    #[inline]
    fn make(&mut self, nodes: &mut [Claimant], node: &mut Claimant, place: u16, promising: &[u32]) {
        for &promise in promising {
            let (row, nth) = (promise & 0xff_ffff, promise >> 24);
            let claim = Claim::new(self.clock.time(node.made + nth, node.pace), place);
            let earliest = &mut self.claims[row as usize];
            if *earliest <= claim {
                continue;
            }
            let lost = mem::replace(earliest, claim);
            if lost == Claim::NONE {
                self.taken.push(row);
            } else {
                nodes[usize::from(lost.place())].missing += 1;
            }
            node.missing -= 1;
            if node.missing == 0 {
                // Should it lose one, it begins with the same rows: a claim that was made
                // before changes nothing.
                for _ in 0..nth {
                    node.wanted.advance(self.claims.len() as u32);
                }
                node.made += nth;
                return;
            }
        }
    }
}
