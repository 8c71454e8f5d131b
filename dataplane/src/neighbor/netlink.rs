//! A conversation with the kernel's routing side: one request, all of its answer (RFC 3549).

use std::io;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::TimeVal;
use thiserror::Error;

/// More than the kernel puts into one datagram (32 KiB).
const BUFFER: usize = 64 * 1024;
/// How often a dump is asked for again that changed while it was made.
const DUMPS: usize = 5;

/// What keeps the kernel from answering.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// It refuses.
    #[error("the kernel refuses: {}", .0.desc())]
    Refused(Errno),
    /// The socket fails.
    #[error("netlink: {0}")]
    Socket(#[from] io::Error),
}

/// A socket for requests.
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// A conversation about the network namespace of this thread.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        // Filters of dumps are obeyed, or refused, never ignored.
        socket.set_netlink_get_strict_chk(true)?;
        // The kernel answers before `send` returns; were an answer lost, this ends the wait.
        wait_at_most(&socket, Duration::from_secs(1))?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Asks for one thing, or for a change (with the flags of that).
    pub(super) fn ask(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        Ok(self.converse(request, NLM_F_REQUEST | NLM_F_ACK | flags)?.messages)
    }

    /// Asks for all there is of a kind.
    pub(super) fn dump(
        &mut self,
        request: &RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let mut answer = self.converse(request.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
        for _ in 1..DUMPS {
            if !answer.is_torn {
                break;
            }
            answer = self.converse(request.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
        }
        // If it is torn still, the changes that tore it are told as events.
        Ok(answer.messages)
    }

    fn converse(&mut self, request: RouteNetlinkMessage, flags: u16) -> Result<Answer, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let mut answer = Answer::default();
        loop {
            receive(&self.socket, &mut self.buffer)?;
            if answer.read(&self.buffer, self.sequence)? {
                return Ok(answer);
            }
        }
    }
}

#[derive(Default)]
struct Answer {
    messages: Vec<RouteNetlinkMessage>,
    /// It changed while it was put together.
    is_torn: bool,
}

impl Answer {
    /// Takes a datagram in. Returns whether the answer is complete.
    fn read(&mut self, datagram: &[u8], sequence: u32) -> Result<bool, Error> {
        for bytes in messages(datagram) {
            let message = match NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) {
                Ok(message) => message,
                // Of a kind of link, say, that the decoder does not know: none that we follow.
                Err(error) => {
                    tracing::debug!(%error, "netlink message not understood");
                    continue;
                }
            };
            if message.header.sequence_number != sequence {
                continue;
            }
            self.is_torn |= message.header.flags & NLM_F_DUMP_INTR != 0;
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => self.messages.push(inner),
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) => match error.code {
                    None => return Ok(true),
                    Some(code) => return Err(Error::Refused(Errno::from_raw(-code.get()))),
                },
                // `NetlinkPayload` is another crate's and may grow.
                _ => {}
            }
        }
        Ok(false)
    }
}

/// Splits a datagram into its messages: each begins with its length, and is padded to four bytes.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*datagram.first_chunk()?) as usize;
        let message = datagram.get(..length).filter(|message| message.len() >= HEADER)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// Bytes of a message's header: length, type, flags, sequence number, port.
const HEADER: usize = 16;

/// Replaces the buffer's contents by the next datagram.
pub(super) fn receive(socket: &Socket, buffer: &mut Vec<u8>) -> io::Result<()> {
    loop {
        buffer.clear();
        match socket.recv(buffer, 0) {
            // DPDK's tap has a signal delivered to any of our threads.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => return received.map(drop),
        }
    }
}

/// Lets `receive` fail with `WouldBlock` when nothing comes.
pub(super) fn wait_at_most(socket: &Socket, time: Duration) -> io::Result<()> {
    let time = TimeVal::new(time.as_secs() as i64, i64::from(time.subsec_micros()));
    Ok(setsockopt(socket, ReceiveTimeout, &time)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_split_into_its_messages_and_a_lying_length_ends_it() {
        let message = |length: u32, bytes: usize| {
            let mut message = length.to_ne_bytes().to_vec();
            message.resize(bytes, 0);
            message
        };
        let lengths = |datagram: &[u8]| messages(datagram).map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(
            lengths(&[message(16, 16), message(18, 20), message(17, 17)].concat()),
            [16, 18, 17]
        );
        assert_eq!(lengths(&[message(16, 16), message(17, 16)].concat()), [16]);
        assert_eq!(lengths(&message(0, 16)), [0; 0]);
        assert_eq!(lengths(&message(15, 16)), [0; 0]);
        assert_eq!(lengths(&message(u32::MAX, 16)), [0; 0]);
        assert_eq!(lengths(&[16, 0, 0]), [0; 0]);
    }
}
