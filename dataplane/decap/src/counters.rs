//! What the eBPF program counts: every packet once, by what became of it.

use std::fmt;

api::counters! {
    /// What became of a packet.
    ///
    /// Names that begin with `drop_` are reasons for which a packet was dropped. The numbers
    /// are those of `enum counter` in `decap.bpf.c`.
    pub enum Counter {
        /// Packets that are no tunnel's, left to the kernel.
        NotTunnel => "not_tunnel",
        /// Tunnel packets to another address than this node's, left to the kernel.
        NotOurs => "not_ours",
        /// IPv4 packets taken out of IPv4.
        Decap4In4 => "decap_4in4",
        /// IPv6 packets taken out of IPv4.
        Decap6In4 => "decap_6in4",
        /// IPv4 packets taken out of IPv6.
        Decap4In6 => "decap_4in6",
        /// IPv6 packets taken out of IPv6.
        Decap6In6 => "decap_6in6",
        /// Dropped: the outer source is not in the allow-list.
        DropSource => "drop_source",
        /// Dropped: a fragment of an outer packet; the MTU between L4 and L7 nodes is too small.
        DropOuterFragment => "drop_outer_fragment",
        /// Dropped: the outer header has options, or extension headers.
        DropOuterOptions => "drop_outer_options",
        /// Dropped: the packet ends before its headers say.
        DropShort => "drop_short",
        /// Dropped: the inner header does not parse.
        DropInnerMalformed => "drop_inner_malformed",
        /// Dropped: the inner destination is no VIP.
        DropNotVip => "drop_not_vip",
        /// Dropped: it came to a VIP past the L4 nodes, see [`Rules::tunnel_only`].
        ///
        /// [`Rules::tunnel_only`]: crate::Rules::tunnel_only
        DropDirect => "drop_direct",
        /// Dropped: congestion was met on the way, and the sender knows no other sign (RFC 6040).
        DropEcn => "drop_ecn",
        /// Dropped: the kernel could not take the outer header out.
        DropAdjust => "drop_adjust",
        /// Decapsulated packets whose ECN field took over the outer one's mark (RFC 6040).
        EcnCarried => "ecn_carried",
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_counts_by_the_same_numbers() {
        let source = include_str!("decap.bpf.c");
        let (_, list) = source.split_once("enum counter {").unwrap();
        let (list, _) = list.split_once("};").unwrap();
        let program: Vec<String> = list
            .lines()
            .map(str::trim)
            .filter(|line| line.ends_with(','))
            .map(|line| line.trim_end_matches(',').to_lowercase())
            .collect();

        let ours = Counter::ALL.iter().map(|counter| counter.name()).chain(["counters"]);
        assert_eq!(program, ours.collect::<Vec<_>>());
        for (number, &counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counter as usize, number);
        }
    }
}
