//! A conversation with the kernel about routes, addresses and links (RFC 3549).

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

/// More than the kernel puts into one datagram (32 KiB).
const BUFFER: usize = 64 * 1024;
/// How often a dump is asked for again that changed while it was made.
const DUMPS: usize = 5;
/// The kernel answers before `send` returns; were an answer lost, this ends the wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a message's header.
const HEADER: usize = 16;

/// A socket for requests, of the network namespace of the thread that opened it.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// One object of a dump.
pub(crate) struct Object {
    pub(crate) message: RouteNetlinkMessage,
    /// Whether the message, written again, is what the kernel sent, byte by byte.
    pub(crate) is_exact: bool,
}

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        // Filters of dumps are obeyed, or refused, never ignored.
        socket.set_netlink_get_strict_chk(true)?;
        let patience = TimeVal::new(PATIENCE.as_secs().cast_signed(), 0);
        setsockopt(&socket, ReceiveTimeout, &patience)?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Asks for a change, with the flags of that.
    pub(crate) fn change(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.converse(request, NLM_F_REQUEST | NLM_F_ACK | flags).map(drop)
    }

    /// Asks for all there is of a kind.
    pub(crate) fn dump(&mut self, request: &RouteNetlinkMessage) -> io::Result<Vec<Object>> {
        for _ in 1..DUMPS {
            let answer = self.converse(request.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
            if !answer.is_torn {
                return Ok(answer.objects);
            }
        }
        // The caller compares again in a few seconds anyway.
        Ok(self.converse(request.clone(), NLM_F_REQUEST | NLM_F_DUMP)?.objects)
    }

    fn converse(&mut self, request: RouteNetlinkMessage, flags: u16) -> io::Result<Answer> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        self.socket.send(&bytes_of(message), 0)?;

        let mut answer = Answer::default();
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                received => received?,
            };
            if answer.read(&self.buffer, self.sequence)? {
                return Ok(answer);
            }
        }
    }
}

#[derive(Default)]
struct Answer {
    objects: Vec<Object>,
    /// It changed while it was put together.
    is_torn: bool,
}

impl Answer {
    /// Takes a datagram in. Returns whether the answer is complete.
    fn read(&mut self, mut datagram: &[u8], sequence: u32) -> io::Result<bool> {
        while let Some(length) = datagram.first_chunk().map(|&length| u32::from_ne_bytes(length)) {
            let length = length as usize;
            let Some(bytes) = datagram.get(..length).filter(|bytes| bytes.len() >= HEADER) else {
                break;
            };
            datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
            let message = match NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) {
                Ok(message) => message,
                // Of a kind of link, say, that the decoder does not know.
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
                NetlinkPayload::InnerMessage(_) => self.objects.extend(object(message, bytes)),
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) => match error.code {
                    None => return Ok(true),
                    Some(_) => return Err(error.to_io()),
                },
                // `NetlinkPayload` is another crate's and may grow.
                _ => {}
            }
        }
        Ok(false)
    }
}

fn object(message: NetlinkMessage<RouteNetlinkMessage>, bytes: &[u8]) -> Option<Object> {
    let again = bytes_of(message.clone());
    match message.payload {
        NetlinkPayload::InnerMessage(message) => Some(Object { message, is_exact: again == bytes }),
        _ => None,
    }
}

fn bytes_of(mut message: NetlinkMessage<RouteNetlinkMessage>) -> Vec<u8> {
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Whether this is the kernel's word for it.
pub(crate) fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}
