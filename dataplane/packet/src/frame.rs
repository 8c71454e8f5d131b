/// A packet in memory that can be rewritten in place: an mbuf, or bytes in a test.
///
/// It may lie in several segments; headers lie in the first.
pub trait Frame {
    /// The first segment.
    fn bytes(&self) -> &[u8];

    /// The first segment, to write.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Length of all segments together.
    fn total_len(&self) -> usize;

    /// Makes `n` bytes of room at the front, and returns the first segment, which begins with them.
    /// Their contents are arbitrary. `None`, and nothing changed, without the headroom.
    fn prepend(&mut self, n: usize) -> Option<&mut [u8]>;

    /// Removes `n` bytes from the front. `false`, and nothing changed, if the first segment is shorter.
    fn trim_front(&mut self, n: usize) -> bool;

    /// Shortens the packet to `len` bytes in all; what lies behind is freed. No effect if it is shorter.
    fn truncate(&mut self, len: usize);

    /// Makes `front` bytes of room at the front and cuts off what lies behind `len` bytes from there.
    /// Returns the first segment. `None`, and nothing changed, without the headroom, or if the packet
    /// is shorter.
    #[inline]
    fn wrap(&mut self, front: u16, len: u32) -> Option<&mut [u8]> {
        let (front, len) = (usize::from(front), len as usize);
        if len > self.total_len() + front {
            return None;
        }
        self.prepend(front)?;
        self.truncate(len);
        Some(self.bytes_mut())
    }

    /// Asks for the cache lines at its beginning, those in front of it that an outer header would fill
    /// included: a NIC leaves packets in the last level of the cache, or in memory.
    #[inline]
    fn prefetch(&self) {}

    /// Copies bytes from `offset` on, across segments. Returns how many there were.
    fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize;

    /// Asks the NIC for the checksum of the IPv4 header of `l3_len` bytes that follows `l2_len` bytes.
    /// The field must be zero. Only for ports that offer it.
    fn offload_ipv4_checksum(&mut self, l2_len: usize, l3_len: usize);

    /// Whether the NIC found the IPv4 header's checksum to be wrong.
    fn has_bad_ipv4_checksum(&self) -> bool;
}

/// Where new frames come from.
pub trait Pool {
    /// What it makes.
    type Frame: Frame;

    /// A frame of one segment of `len` bytes, whose contents are arbitrary, with headroom for an
    /// outer header. `None` if there is no memory or `len` does not fit.
    fn allocate(&mut self, len: usize) -> Option<Self::Frame>;
}

/// Frames in plain memory, for tests and benchmarks.
#[derive(Clone, PartialEq, Eq)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    /// Length of the first segment, if it is not all.
    first: Option<usize>,
    checksum: Option<(usize, usize)>,
    bad_checksum: bool,
}

impl Buffer {
    /// Bytes in front of a new buffer's packet: as much as DPDK leaves.
    pub const HEADROOM: usize = 128;

    /// A frame of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let mut all = vec![0; Self::HEADROOM];
        all.extend_from_slice(bytes);
        Self { bytes: all, start: Self::HEADROOM, first: None, checksum: None, bad_checksum: false }
    }

    /// The same in two segments, the first of `first` bytes.
    pub fn segmented(bytes: &[u8], first: usize) -> Self {
        Self { first: Some(first.min(bytes.len())), ..Self::new(bytes) }
    }

    /// Marks the IPv4 checksum as found wrong by the NIC.
    pub fn with_bad_checksum(self) -> Self {
        Self { bad_checksum: true, ..self }
    }

    /// All bytes, of all segments.
    pub fn all(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The lengths for which [`Frame::offload_ipv4_checksum`] was asked.
    pub fn offload(&self) -> Option<(usize, usize)> {
        self.checksum
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.all() {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl Frame for Buffer {
    fn bytes(&self) -> &[u8] {
        let all = self.all();
        &all[..self.first.unwrap_or(all.len())]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let first = self.first.unwrap_or(self.bytes.len() - self.start);
        &mut self.bytes[self.start..][..first]
    }

    fn total_len(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn prepend(&mut self, n: usize) -> Option<&mut [u8]> {
        self.start = self.start.checked_sub(n)?;
        self.first = self.first.map(|first| first + n);
        Some(self.bytes_mut())
    }

    fn trim_front(&mut self, n: usize) -> bool {
        if self.bytes().len() < n {
            return false;
        }
        self.start += n;
        self.first = self.first.map(|first| first - n);
        true
    }

    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start + len);
        self.first = self.first.filter(|&first| first < self.total_len());
    }

    fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize {
        let from = self.all().get(offset..).unwrap_or_default();
        let n = from.len().min(into.len());
        into[..n].copy_from_slice(&from[..n]);
        n
    }

    fn offload_ipv4_checksum(&mut self, l2_len: usize, l3_len: usize) {
        self.checksum = Some((l2_len, l3_len));
    }

    fn has_bad_ipv4_checksum(&self) -> bool {
        self.bad_checksum
    }
}

/// Allocates [`Buffer`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Pool for Heap {
    type Frame = Buffer;

    fn allocate(&mut self, len: usize) -> Option<Buffer> {
        Some(Buffer::new(&vec![0; len]))
    }
}
