//! The pcap file format (draft-ietf-opsawg-pcap), with nanoseconds.

/// Longest packet that a file says it may have.
const SNAP_LENGTH: u32 = 65_535;
/// LINKTYPE_ETHERNET.
const ETHERNET: u32 = 1;

/// What a file begins with: nanoseconds, as the magic number says, version 2.4, no time zone.
pub(super) const HEADER: [u8; 24] = {
    let fields = [0xa1b2_3c4d, 4 << 16 | 2, 0, 0, SNAP_LENGTH, ETHERNET];
    let mut header = [0; 24];
    let mut i = 0;
    while i < header.len() {
        header[i] = (fields[i / 4] >> (8 * (i % 4))) as u8;
        i += 1;
    }
    header
};

/// A packet of `length` bytes of which `data` was kept.
pub(super) fn record(time_ns: u64, length: u32, data: &[u8]) -> Vec<u8> {
    const NANOSECONDS: u64 = 1_000_000_000;
    // Seconds are 32 bits without a sign: until 2106.
    let (seconds, nanoseconds) = ((time_ns / NANOSECONDS) as u32, (time_ns % NANOSECONDS) as u32);
    let mut record = Vec::with_capacity(16 + data.len());
    for field in [seconds, nanoseconds, data.len() as u32, length] {
        record.extend_from_slice(&field.to_le_bytes());
    }
    record.extend_from_slice(data);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_the_format_says() {
        let file = [&HEADER[..], &record(1_795_368_774_000_000_007, 1_500, b"abc")].concat();
        let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            concat!(
                "4d3cb2a1",         // magic: nanoseconds, little-endian
                "02000400",         // version 2.4
                "0000000000000000", // zone, accuracy
                "ffff0000",         // snap length
                "01000000",         // Ethernet
                "4627036b",         // seconds: 1795368774
                "07000000",         // nanoseconds
                "03000000",         // bytes kept
                "dc050000",         // bytes there were
                "616263",
            )
        );
    }
}
