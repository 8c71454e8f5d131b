//! The TC ingress hook of kernels before 6.6: a filter of a clsact qdisc.
//!
//! Unlike a bpf_link both outlive the process, and the qdisc is shared with whoever attaches
//! filters. So the filter has a fixed place, where one left behind by a killed process is found
//! and replaced; the qdisc is removed only if this process or that one made it, and only once it
//! is empty.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use libbpf_rs::{ProgramHandle, TC_INGRESS, TcHook};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcHeader, TcMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// The filter's place: `tc filter show dev IF ingress` says `pref 28769 ... handle 0x7061`.
const PRIORITY: u32 = 0x7061;
const HANDLE: u32 = 0x7061;

/// A filter in its place.
#[derive(Debug)]
pub(crate) struct Filter {
    ifindex: i32,
    remove_qdisc: bool,
}

impl Filter {
    /// Attaches the program, in place of one of that name that was left behind.
    pub(crate) fn attach(program: BorrowedFd<'_>, ifindex: i32, name: &str) -> io::Result<Self> {
        let created = create_qdisc(ifindex)?;
        match put(program, ifindex, name) {
            Ok(replaced) => Ok(Self { ifindex, remove_qdisc: created || replaced }),
            Err(error) if created => remove_empty_qdisc(ifindex).and(Err(error)),
            Err(error) => Err(error),
        }
    }

    /// Whether this program is in its place, of this interface.
    pub(crate) fn is_in_place(&self, program: &ProgramHandle, ifindex: i32) -> bool {
        let present = place(program.as_fd(), ifindex).query();
        ifindex == self.ifindex && present.ok() == Some(program.id())
    }

    /// Removes it, if this program is in its place still.
    pub(crate) fn remove(&self, program: &ProgramHandle) -> io::Result<()> {
        let mut place = place(program.as_fd(), self.ifindex);
        // A process started since may have put its own program here: all is its now. Or the
        // interface is gone, and the filter with it.
        if place.query().ok() != Some(program.id()) {
            return Ok(());
        }
        place.detach().map_err(io::Error::other)?;
        if self.remove_qdisc { remove_empty_qdisc(self.ifindex) } else { Ok(()) }
    }
}

/// Removes a filter that another process has left in its place, if its program has this name.
pub(crate) fn remove_left(any: BorrowedFd<'_>, ifindex: i32, name: &str) -> io::Result<()> {
    // Asking for what is there takes a program that could be put there.
    let present = place(any, ifindex).query();
    let Some(Ok(program)) = present.ok().map(ProgramHandle::from_prog_id) else {
        return Ok(());
    };
    if program.name() != name {
        return Ok(());
    }
    Filter { ifindex, remove_qdisc: true }.remove(&program)
}

/// The place, for this program.
fn place(program: BorrowedFd<'_>, ifindex: i32) -> TcHook {
    let mut hook = TcHook::new(program);
    hook.ifindex(ifindex).attach_point(TC_INGRESS).handle(HANDLE).priority(PRIORITY);
    hook
}

/// Puts the program in its place. Whether it replaced one of ours.
fn put(program: BorrowedFd<'_>, ifindex: i32, name: &str) -> io::Result<bool> {
    let mut place = place(program, ifindex);
    let present = place.query().ok().map(ProgramHandle::from_prog_id);
    let replaced = match present {
        None => false,
        Some(Ok(other)) if other.name() == name => true,
        Some(_) => {
            let taken = format!("priority {PRIORITY}, handle {HANDLE:#x} is another program's");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, taken));
        }
    };
    place.replace(replaced).attach().map_err(io::Error::other)?;
    Ok(replaced)
}

/// Makes the qdisc. False if there is one.
fn create_qdisc(ifindex: i32) -> io::Result<bool> {
    let clsact = TcHandle { major: TcHandle::CLSACT.major, minor: 0 };
    let mut message = message(ifindex, TcHandle::CLSACT, clsact);
    message.attributes.push(TcAttribute::Kind("clsact".into()));
    let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
    match request(RouteNetlinkMessage::NewQueueDiscipline(message), flags) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the qdisc, unless somebody's filter is attached to it, in either direction.
fn remove_empty_qdisc(ifindex: i32) -> io::Result<()> {
    for minor in [TcHandle::MIN_INGRESS, TcHandle::MIN_EGRESS] {
        let parent = TcHandle { major: TcHandle::CLSACT.major, minor };
        let filters = message(ifindex, parent, TcHandle::UNSPEC);
        if request(RouteNetlinkMessage::GetTrafficFilter(filters), NLM_F_DUMP)? > 0 {
            return Ok(());
        }
    }
    let clsact = TcHandle { major: TcHandle::CLSACT.major, minor: 0 };
    let qdisc = message(ifindex, TcHandle::CLSACT, clsact);
    request(RouteNetlinkMessage::DelQueueDiscipline(qdisc), NLM_F_ACK).map(|_| ())
}

fn message(index: i32, parent: TcHandle, handle: TcHandle) -> TcMessage {
    TcMessage::from_parts(TcHeader { index, parent, handle, ..TcHeader::default() }, Vec::new())
}

/// Sends a request and reads the replies to their end. Returns how many objects they list.
fn request(message: RouteNetlinkMessage, flags: u16) -> io::Result<usize> {
    let mut packet = NetlinkMessage::from(message);
    packet.header.flags = NLM_F_REQUEST | flags;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);

    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;

    let mut objects = 0;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let reply = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(io::Error::other)?;
            match reply.payload {
                NetlinkPayload::InnerMessage(_) => objects += 1,
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(objects),
                // The protocol's own, of no meaning here.
                _ => {}
            }
            let length = usize::try_from(reply.header.length).map_err(io::Error::other)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}
