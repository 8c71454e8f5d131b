//! Frames in files: libpcap's classic format, in the byte order of this machine.

use std::path::Path;
use std::{fs, io};

/// Times in microseconds, as we write them, and in nanoseconds, as DPDK does.
const MAGIC: [u32; 2] = [0xa1b2_c3d4, 0xa1b2_3c4d];
const ETHERNET: u32 = 1;
const LONGEST: u32 = 65_535;

/// Writes a file with these frames.
pub(crate) fn write(path: &Path, frames: &[Vec<u8>]) -> io::Result<()> {
    let version = u32::from_ne_bytes(
        [2_u16, 4].map(u16::to_ne_bytes).concat().try_into().expect("four bytes"),
    );
    let mut file = [MAGIC[0], version, 0, 0, LONGEST, ETHERNET].map(u32::to_ne_bytes).concat();
    for frame in frames {
        let len = u32::try_from(frame.len()).expect("a frame is short");
        file.extend([0, 0, len, len].map(u32::to_ne_bytes).concat());
        file.extend(frame);
    }
    fs::write(path, file)
}

/// The frames of a file; panics if it is none, or is cut.
pub(crate) fn read(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let number = |at: usize| u32::from_ne_bytes(file[at..at + 4].try_into().unwrap());
    assert!(MAGIC.contains(&number(0)), "{} is not a pcap file", path.display());
    let mut frames = Vec::new();
    let mut at = 24;
    while at < file.len() {
        let len = number(at + 8) as usize;
        frames.push(file[at + 16..at + 16 + len].to_vec());
        at += 16 + len;
    }
    frames
}
