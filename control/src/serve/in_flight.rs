//! What the kernel has still to bring to clients whose connections are closed already: their last bytes come by
//! the VIPs, and so do the acknowledgements.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Tables of the kernel's, of IPv4 and of IPv6 (proc_pid_net(5)).
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// States in which we have closed, and not all is acknowledged (include/net/tcp_states.h).
const FIN_WAIT1: u8 = 4;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;
/// Whoever has not answered so many retransmissions is not waited for.
const PATIENCE: u32 = 4;

/// Connections of these addresses that are closed, of which something is still on its way to the client.
pub(super) fn count(addresses: &BTreeSet<IpAddr>) -> usize {
    // Where there is no such table there is nothing on its way.
    let tables = TABLES.iter().filter_map(|table| fs::read_to_string(table).ok());
    tables.map(|table| count_in(&table, addresses)).sum()
}

fn count_in(table: &str, addresses: &BTreeSet<IpAddr>) -> usize {
    let is_on_its_way = |line: &&str| {
        parse(line).is_some_and(|(local, state, retransmissions)| {
            matches!(state, FIN_WAIT1 | LAST_ACK | CLOSING)
                && retransmissions < PATIENCE
                && addresses.contains(&local)
        })
    };
    table.lines().filter(is_on_its_way).count()
}

/// Local address, state and retransmissions of a line; nothing of the heading.
fn parse(line: &str) -> Option<(IpAddr, u8, u32)> {
    let mut fields = line.split_ascii_whitespace();
    let local = address(fields.nth(1)?.split(':').next()?)?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let retransmissions = u32::from_str_radix(fields.nth(2)?, 16).ok()?;
    Some((local, state, retransmissions))
}

/// An address as the kernel prints it: words of 32 bits, each in the host's order of bytes.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok();
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(8 * at)?.to_ne_bytes());
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn what_is_closed_and_not_acknowledged_counts_for_as_long_as_somebody_may_be_there() {
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let line = |local: &str, state: &str, retransmissions: &str| {
            format!(
                "   0: {local}:0050 0A6433C6:9C40 {state} 00000123:00000000 01:00000014 {retransmissions}     0        0 0 3\n"
            )
        };
        let addresses: BTreeSet<IpAddr> =
            ["198.51.100.1", "2001:db8::c633:6401"].map(|it| it.parse().unwrap()).into();
        let (v4, v6) = ("016433C6", "B80D0120000000000000000001643 3C6".replace(' ', ""));
        for (local, state, retransmissions, counts) in [
            (v4, "04", "00000000", 1),
            (&*v6, "09", "00000003", 1),
            (v4, "0B", "00000000", 1),
            (v4, "04", "00000004", 0),
            (v4, "01", "00000000", 0),
            (v4, "05", "00000000", 0),
            ("0100007F", "04", "00000000", 0),
        ] {
            let table = format!("{heading}{}", line(local, state, retransmissions));
            assert_eq!(count_in(&table, &addresses), counts, "{table}");
        }
        assert_eq!(count_in("nonsense\n\n 0: x:y z 04 a b c\n", &addresses), 0);
    }

    #[test]
    fn the_kernels_own_tables_are_understood() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let table = fs::read_to_string(TABLES[0]).unwrap();
        let local = listener.local_addr().unwrap().ip();
        assert!(table.lines().filter_map(parse).any(|(at, state, _)| at == local && state == 10));
    }
}
