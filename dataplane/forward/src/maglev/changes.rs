use std::fmt;

use crate::maglev::Maglev;
use crate::tick::Tick;

/// When each row of a table last got another owner.
///
/// Read on misses only, and apart from the table, so that it stays out of the workers' caches.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    rows: Box<[Tick]>,
    latest: Tick,
}

impl Changes {
    /// Of a table that takes the place of `previous` now. Without a previous one every row is new;
    /// where that has another number of rows, [`Maglev::moved`] says which rows correspond.
    pub(crate) fn since(maglev: &Maglev, previous: Option<(&Maglev, &Self)>, now: Tick) -> Self {
        let change = |row| {
            let Some((before, changes)) = previous else {
                return now;
            };
            let counterpart = before.counterpart(row, maglev.rows());
            if before.owner(counterpart) == maglev.owner(row) {
                changes.at(counterpart)
            } else {
                now
            }
        };
        let rows: Box<[_]> = (0..maglev.rows()).map(change).collect();
        let latest = rows.iter().copied().max().unwrap_or(now);
        Self { rows, latest }
    }

    /// When the row last got another owner.
    #[inline]
    pub(crate) fn at(&self, row: u32) -> Tick {
        self.rows[row as usize]
    }

    /// When any row last did: if that is long ago, none has to be asked.
    #[inline]
    pub(crate) fn latest(&self) -> Tick {
        self.latest
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("latest", &self.latest).finish_non_exhaustive()
    }
}
