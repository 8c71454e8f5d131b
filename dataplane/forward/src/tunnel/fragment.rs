//! Fragmentation of IPv4 packets that are too big for the tunnel, before they enter it: the L7 node
//! gets what a router on the way would have made of them.

use packet::{Frame, Ipv4, Pool, checksum};

use crate::counters::Counter;

/// Longest fragment that is made, also where the route takes longer ones: it fits every pool's
/// buffers.
const LONGEST: usize = 1500;

/// Makes fragments of at most `max_inner` bytes of the IPv4 packet at `l3`, each behind the same
/// Ethernet header, and appends them to `out` (RFC 791 section 3.2). The packet may be a fragment.
///
/// The caller knows that the packet is longer than `max_inner` and that it may be fragmented.
///
/// # Errors
/// With nothing appended: [`Counter::Malformed`], [`Counter::NoBuffer`] if the pool is empty, and
/// [`Counter::TooBig`] if `max_inner` is too small for a header and eight bytes.
pub(crate) fn fragment<P: Pool>(
    frame: &P::Frame,
    l3: usize,
    max_inner: usize,
    pool: &mut P,
    out: &mut Vec<P::Frame>,
) -> Result<(), Counter> {
    let before = out.len();
    let made = Fragmenter::new(frame, l3, max_inner).and_then(|f| f.fragment(pool, out));
    if made.is_err() {
        out.truncate(before);
    }
    made
}

/// The packet to fragment, taken apart.
struct Fragmenter<'a, F> {
    frame: &'a F,
    ethernet: &'a [u8],
    ip: Ipv4<'a>,
    /// Of the first fragment: the packet's own.
    first_header: &'a [u8],
    /// Of the others.
    later_header: LaterHeader,
    payload_len: usize,
    /// Most payload in a fragment.
    room: usize,
}

impl<'a, F: Frame> Fragmenter<'a, F> {
    fn new(frame: &'a F, l3: usize, max_inner: usize) -> Result<Self, Counter> {
        let split = frame.bytes().split_at_checked(l3);
        let (ethernet, packet) = split.ok_or(Counter::Malformed)?;
        let ip = Ipv4::parse_prefix(packet).map_err(|_| Counter::Malformed)?;
        let payload_len = ip.total_len().checked_sub(ip.header_len()).ok_or(Counter::Malformed)?;
        if usize::from(ip.fragment_offset()) + payload_len > usize::from(u16::MAX) {
            return Err(Counter::Malformed);
        }
        let room = max_inner.min(LONGEST).saturating_sub(ip.header_len());
        if room < 8 {
            return Err(Counter::TooBig);
        }
        Ok(Self {
            frame,
            ethernet,
            ip,
            first_header: &packet[..ip.header_len()],
            later_header: LaterHeader::of(&ip, packet),
            payload_len,
            room,
        })
    }

    fn fragment<P: Pool<Frame = F>>(self, pool: &mut P, out: &mut Vec<F>) -> Result<(), Counter> {
        let mut start = 0;
        loop {
            let rest = self.payload_len - start;
            let is_last = rest <= self.room;
            let len = if is_last { rest } else { self.room & !7 };
            out.push(self.piece(start, len, is_last, pool)?);
            if is_last {
                return Ok(());
            }
            start += len;
        }
    }

    /// The fragment of `len` bytes from `start` on in the payload.
    fn piece<P: Pool<Frame = F>>(
        &self,
        start: usize,
        len: usize,
        is_last: bool,
        pool: &mut P,
    ) -> Result<F, Counter> {
        let ip_header = if start == 0 { self.first_header } else { self.later_header.bytes() };
        let headers_len = self.ethernet.len() + ip_header.len();
        let mut piece = pool.allocate(headers_len + len).ok_or(Counter::NoBuffer)?;

        let (headers, payload) =
            piece.bytes_mut().split_at_mut_checked(headers_len).ok_or(Counter::NoBuffer)?;
        let from = self.ethernet.len() + self.first_header.len() + start;
        if self.frame.copy_to(from, payload) < len {
            return Err(Counter::Malformed); // its length is not that of the frame
        }

        let (ethernet, header) = headers.split_at_mut(self.ethernet.len());
        ethernet.copy_from_slice(self.ethernet);
        header.copy_from_slice(ip_header);
        // Both fit 16 bits: a datagram is no longer than that, nor is a piece of it.
        let total_len = (header.len() + len) as u16;
        let offset = self.ip.fragment_offset() + start as u16;
        let more = !is_last || self.ip.more_fragments();
        header[2..4].copy_from_slice(&total_len.to_be_bytes());
        header[6..8].copy_from_slice(&(u16::from(more) << 13 | offset >> 3).to_be_bytes());
        header[10..12].fill(0);
        let checksum = checksum::of(header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        Ok(piece)
    }
}

/// The header of all fragments but the first: only those options that say so are copied.
struct LaterHeader {
    bytes: [u8; 60],
    len: usize,
}

impl LaterHeader {
    /// Of the parsed `packet`.
    fn of(ip: &Ipv4<'_>, packet: &[u8]) -> Self {
        let mut bytes = [0; 60];
        bytes[..20].copy_from_slice(&packet[..20]);
        let mut len = 20;
        for option in ip.options().filter(|option| option.is_copied()) {
            let option_len = 2 + option.data.len();
            bytes[len] = option.kind;
            bytes[len + 1] = option_len as u8;
            bytes[len + 2..len + option_len].copy_from_slice(option.data);
            len += option_len;
        }
        let len = len.next_multiple_of(4); // the zeros between are the end of the options
        bytes[0] = 0x40 | (len / 4) as u8;
        Self { bytes, len }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests;
