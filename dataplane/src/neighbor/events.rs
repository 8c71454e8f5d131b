//! What the kernel tells unasked. Only that something changed is heard, not what: that is asked for.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crossbeam::channel::Sender;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::errno::Errno;

use super::netlink::{messages, receive, wait_at_most};

/// How much is to be asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Neighbors: by far the most frequent.
    Neighbors,
    /// Everything.
    Routes,
}

/// Groups of `<linux/rtnetlink.h>` (RTNLGRP_...).
const LINK: u32 = 1;
const NEIGHBOR: u32 = 3;
const IPV4_ROUTE: u32 = 7;
const IPV4_RULE: u32 = 8;
const IPV6_ROUTE: u32 = 11;
const IPV6_RULE: u32 = 19;
const NEXT_HOP: u32 = 32;
const GROUPS: [u32; 7] = [LINK, NEIGHBOR, IPV4_ROUTE, IPV4_RULE, IPV6_ROUTE, IPV6_RULE, NEXT_HOP];

/// Message types of neighbors.
const NEW_NEIGHBOR: u16 = 28;
const DEL_NEIGHBOR: u16 = 29;

/// How soon the end is noticed.
const PATIENCE: Duration = Duration::from_millis(100);

/// A socket on which the kernel tells of changes.
pub(super) struct Events {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Events {
    /// Those of this thread's network namespace, from now on.
    pub(super) fn open() -> io::Result<Self> {
        Self::of(&GROUPS)
    }

    fn of(groups: &[u32]) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in groups {
            match socket.add_membership(*group) {
                // Linux before 5.3 has no next-hop objects.
                Err(error) if *group == NEXT_HOP => {
                    tracing::debug!(%error, "no events of next-hop objects");
                }
                joined => joined?,
            }
        }
        wait_at_most(&socket, PATIENCE)?;
        Ok(Self { socket, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Passes changes on until `stop`, or until nobody takes them.
    pub(super) fn watch(mut self, changes: &Sender<Change>, stop: &AtomicBool) {
        while !stop.load(Relaxed) {
            match self.next() {
                Ok(None) => {}
                Ok(Some(change)) => {
                    if changes.send(change).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "no more events of routes and neighbors");
                    return;
                }
            }
        }
    }

    /// The next datagram's change; `None` when nothing comes.
    pub(super) fn next(&mut self) -> io::Result<Option<Change>> {
        match receive(&self.socket, &mut self.buffer) {
            Ok(()) => Ok(messages(&self.buffer).map(change).max()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // Some were lost, no matter which.
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                Ok(Some(Change::Routes))
            }
            Err(error) => Err(error),
        }
    }
}

fn change(message: &[u8]) -> Change {
    match u16::from_ne_bytes([message[4], message[5]]) {
        NEW_NEIGHBOR | DEL_NEIGHBOR => Change::Neighbors,
        _ => Change::Routes,
    }
}

#[cfg(test)]
impl Events {
    /// A socket that few events fill, and that hears of neighbors alone.
    pub(super) fn of_neighbors_with_a_small_buffer() -> Self {
        let events = Self::of(&[NEIGHBOR]).unwrap();
        events.socket.set_rx_buf_sz(0_i32).unwrap();
        events
    }
}
