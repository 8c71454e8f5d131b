//! An ICMP echo request (RFC 792, RFC 4443 section 4).

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdSocket};

use nix::libc::{
    BPF_B, BPF_IMM, BPF_IND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_LDX, BPF_MSH, BPF_RET, BPF_W,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::net::UdpSocket;

use super::Failure;
use crate::{Outcome, Report, Target};

/// Length of the ICMP header of echo messages.
const HEADER_LEN: usize = 8;
/// Length of an IPv4 header without options.
const IPV4_HEADER_LEN: usize = 20;

pub(super) async fn run(target: &Target) -> Result<Report, Failure> {
    let echo = Echo::new(target.address);
    let socket = socket(target.address, &echo)?;
    socket.send(&echo.request()).await?;
    let mut buffer = [0; 256];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if echo.is_answered_by(&buffer[..length]) {
            return Ok(Report::new(Outcome::Passed, "echo reply"));
        }
    }
}

/// A socket for ICMP with this address alone: unprivileged where `net.ipv4.ping_group_range` lets us,
/// raw otherwise.
fn socket(address: IpAddr, echo: &Echo) -> Result<UdpSocket, Failure> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let open = |kind: Type| Socket::new(domain, kind.nonblocking(), Some(protocol));
    let socket = match open(Type::DGRAM) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            open(Type::RAW).and_then(|socket| {
                // It gets every ICMP message of the target's. Where many are asked at once, the
                // answers to others would leave no room for ours.
                socket.attach_filter(&echo.filter())?;
                Ok(socket)
            })
        }
        opened => opened,
    };
    let socket = socket.map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => Failure::Check(
            "not permitted: ICMP needs CAP_NET_RAW, or our group in net.ipv4.ping_group_range"
                .to_owned(),
        ),
        _ => e.into(),
    })?;
    socket.connect(&SocketAddr::new(address, 0).into())?;
    // It sends and receives datagrams, which is all that this type relies on.
    Ok(UdpSocket::from_std(StdSocket::from(socket))?)
}

/// An echo request, known by a number that nobody else has.
struct Echo {
    v6: bool,
    sequence: u16,
    token: [u8; 16],
}

impl Echo {
    fn new(address: IpAddr) -> Self {
        let token = fastrand::u128(..).to_be_bytes();
        Self { v6: address.is_ipv6(), sequence: fastrand::u16(..), token }
    }

    const fn request_type(&self) -> u8 {
        if self.v6 { 128 } else { 8 }
    }

    const fn reply_type(&self) -> u8 {
        if self.v6 { 129 } else { 0 }
    }

    /// The message. The kernel puts the identifier in, unless the socket is raw: then it is 0, and
    /// the token alone tells ours from others. It also computes ICMPv6's checksum.
    fn request(&self) -> Vec<u8> {
        let mut message = vec![self.request_type(), 0, 0, 0, 0, 0];
        message.extend(self.sequence.to_be_bytes());
        message.extend(self.token);
        if !self.v6 {
            let sum = checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        message
    }

    /// The part of [`Echo::is_answered_by`] that the kernel can do for a raw socket, as a classic BPF
    /// program: type, and the token's first word.
    fn filter(&self) -> [SockFilter; 7] {
        let load = |size, at| SockFilter::new((BPF_LD | size | BPF_IND) as u16, 0, 0, at);
        let go_on_if = |value, otherwise| {
            SockFilter::new((BPF_JMP | BPF_JEQ | BPF_K) as u16, 0, otherwise, value)
        };
        let take = |length| SockFilter::new((BPF_RET | BPF_K) as u16, 0, 0, length);
        // To X: where the ICMP message begins. Only IPv4 has its header before it.
        let begin = if self.v6 { BPF_LDX | BPF_IMM } else { BPF_LDX | BPF_B | BPF_MSH };
        let [a, b, c, d, ..] = self.token;
        [
            SockFilter::new(begin as u16, 0, 0, 0),
            load(BPF_B, 0),
            go_on_if(self.reply_type().into(), 3),
            load(BPF_W, HEADER_LEN as u32),
            go_on_if(u32::from_be_bytes([a, b, c, d]), 1),
            take(u32::MAX),
            take(0),
        ]
    }

    /// Whether a received packet is the reply.
    fn is_answered_by(&self, packet: &[u8]) -> bool {
        // A raw IPv4 socket hands over the IP header too, any other does not. 4 is no ICMP type's
        // high half, so the version tells.
        let message = match packet.first() {
            Some(first) if !self.v6 && first >> 4 == 4 => {
                let header_len = usize::from(first & 0x0f) * 4;
                packet.get(header_len.max(IPV4_HEADER_LEN)..).unwrap_or_default()
            }
            _ => packet,
        };
        let Some((header, payload)) = message.split_first_chunk::<HEADER_LEN>() else {
            return false;
        };
        header[0] == self.reply_type()
            && header[1] == 0
            && header[6..8] == self.sequence.to_be_bytes()
            && payload == self.token
    }
}

/// The Internet checksum (RFC 1071) of a message of even length.
fn checksum(message: &[u8]) -> u16 {
    let sum: u32 =
        message.chunks_exact(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    /// The reply to a request, as a socket hands it over that is not raw.
    fn reply(echo: &Echo) -> Vec<u8> {
        let mut reply = echo.request();
        reply[0] = echo.reply_type();
        reply
    }

    #[test]
    fn only_the_reply_to_this_very_request_is_one() {
        for address in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let echo = Echo::new(address);
            let good = reply(&echo);
            assert!(echo.is_answered_by(&good));
            // The identifier is the kernel's, the checksum was its matter: any other byte counts.
            for at in (0..good.len()).filter(|at| !(2..6).contains(at)) {
                let mut bad = good.clone();
                bad[at] ^= 1;
                assert!(!echo.is_answered_by(&bad), "byte {at}");
            }
            for length in 0..good.len() {
                assert!(!echo.is_answered_by(&good[..length]));
            }
            assert!(!echo.is_answered_by(&echo.request()));
            assert!(!echo.is_answered_by(&[good, vec![0]].concat()));
        }
    }

    #[test]
    fn a_raw_ipv4_socket_hands_over_the_ip_header_with_its_options() {
        let echo = Echo::new(Ipv4Addr::LOCALHOST.into());
        for words in [5u8, 6, 15] {
            let mut packet = vec![0; usize::from(words) * 4];
            packet[0] = 0x40 | words;
            packet.extend(reply(&echo));
            assert!(echo.is_answered_by(&packet));
            assert!(!echo.is_answered_by(&packet[..usize::from(words) * 4]));
        }
        // A header shorter than headers are.
        assert!(!echo.is_answered_by(&[0x40; 64]));
    }

    #[test]
    fn the_checksum_of_a_message_with_its_checksum_is_zero() {
        let request = Echo::new(Ipv4Addr::LOCALHOST.into()).request();
        assert_eq!(checksum(&request), 0);
        // RFC 1071, section 3.
        assert_eq!(!checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }
}
