use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

api::counters! {
    /// What a worker counts: what became of a packet, and every degraded mode.
    ///
    /// Names that begin with `drop_` are reasons for which a packet was dropped.
    pub enum Counter {
        /// Packets received from a wire port.
        Received => "received",
        /// Packets sent to an L7 node.
        Forwarded => "forwarded",
        /// Packets received from the kernel and sent on the wire.
        FromKernel => "from_kernel",
        /// Probes of the kernel that were tunnelled to their node.
        Probe => "probe",
        /// ARP, neighbor discovery and BFD given to the kernel.
        KernelNeighbor => "kernel_neighbor",
        /// BGP and multihop BFD of the routers, and answers to probes, given to the kernel.
        KernelRouting => "kernel_routing",
        /// ICMP errors given to the kernel.
        KernelErrors => "kernel_errors",
        /// Packets of the management prefixes given to the kernel.
        KernelManagement => "kernel_management",
        /// Other packets for the node given to the kernel.
        KernelOther => "kernel_other",
        /// Echo requests to a VIP that were answered.
        EchoReplied => "echo_replied",
        /// Packets too big for the tunnel, answered with ICMP.
        TooBigReplied => "too_big_replied",
        /// Packets no service takes, answered with RST or port unreachable.
        UnknownReplied => "unknown_replied",
        /// IPv4 packets fragmented before their encapsulation.
        Fragmented => "fragmented",
        /// ICMP errors that followed the flow they quote.
        ErrorForwarded => "error_forwarded",
        /// ICMP errors that call packets that we tunnelled too big, whether or not they were believed.
        TunnelMtuLowered => "tunnel_mtu_lowered",
        /// Fragments that waited for their first fragment.
        FragmentHeld => "fragment_held",
        /// Packets that waited for the link address of their next hop.
        NeighborHeld => "neighbor_held",

        /// Flows given to a node: new, or released by the node they had.
        NewFlow => "new_flow",
        /// Packets of a known connection.
        ConnectionHit => "connection_hit",
        /// Connections found in another worker's table.
        SiblingHit => "sibling_hit",
        /// Questions to other workers' tables.
        SiblingAsked => "sibling_asked",
        /// Connections that were known and went to another node as theirs was gone.
        Rescheduled => "rescheduled",
        /// Connections not recorded: more than the cap per second; forwarded by their row.
        InsertionCap => "insertion_cap",
        /// Connections not recorded: their source prefix started more than its cap; forwarded by their row.
        SourceCap => "source_cap",
        /// Connections not recorded: no table yet; forwarded by their row.
        NoTable => "no_table",
        /// Connections evicted that were seen by one packet only.
        EvictedOnce => "evicted_once",
        /// Connections evicted that were closing.
        EvictedClosing => "evicted_closing",
        /// Connections evicted that were open: the table is too small.
        EvictedOpen => "evicted_open",
        /// Entries moved to their other bucket to make room.
        EntryMoved => "entry_moved",
        /// Entries that were idle for too long.
        Expired => "expired",
        /// First fragments not recorded: the fragment table was full.
        FragmentTableFull => "fragment_table_full",
        /// Source prefixes that share a limit, as there was no room for one each.
        SourceTableFull => "source_table_full",
        /// Traffic counted in the overflow cell: too many pairs of service and node.
        CellOverflow => "cell_overflow",
        /// Times that connection tables were emptied: of another hash key, version or boot, or damaged.
        TablesEmptied => "tables_emptied",
        /// Connections that were lost as tables of another size had no room for them.
        ConnectionsLost => "connections_lost",

        /// Dropped: headers do not parse, or lie about lengths.
        Malformed => "drop_malformed",
        /// Dropped: the NIC found the IPv4 header's checksum wrong.
        BadChecksum => "drop_bad_checksum",
        /// Dropped: for an address of `tunnel_sources`, to which nothing but ICMP errors should come.
        TunnelSource => "drop_tunnel_source",
        /// Dropped: the frame is for another station, or for a group and its packet for a VIP.
        OtherMac => "drop_other_mac",
        /// Dropped: not of the VLAN of this port.
        OtherVlan => "drop_other_vlan",
        /// Dropped: to a VIP, but no service takes its port or protocol.
        NoService => "drop_no_service",
        /// Dropped: no node takes new flows of the service.
        NoNode => "drop_no_node",
        /// Dropped: the service does not serve this source.
        SourceDenied => "drop_source_denied",
        /// Dropped: no room for the outer header.
        NoHeadroom => "drop_no_headroom",
        /// Dropped: the outer packet would be longer than IP allows.
        TooLong => "drop_too_long",
        /// Dropped: too big for the tunnel, and nobody to tell (ICMP errors, later fragments, odd sources).
        TooBig => "drop_too_big",
        /// Dropped: too big for the tunnel, and the limit of answers is reached.
        TooBigLimit => "drop_too_big_limit",
        /// Dropped: no buffer to fragment it into.
        NoBuffer => "drop_no_buffer",
        /// Dropped: echo requests above the limit.
        EchoLimit => "drop_echo_limit",
        /// Dropped: packets no service takes, above the limit of answers.
        UnknownLimit => "drop_unknown_limit",
        /// Dropped: ICMP errors that quote no flow of ours.
        ErrorUnknown => "drop_error_unknown",
        /// Dropped: ICMP to a VIP that is neither an error nor an echo request, or is fragmented or malformed.
        IcmpType => "drop_icmp_type",
        /// Dropped: fragments whose first fragment did not come.
        NoFirstFragment => "drop_no_first_fragment",
        /// Dropped: fragments that could not wait as too many did.
        FragmentsFull => "drop_fragments_full",
        /// Dropped: first fragments too short for ports.
        FragmentNoPorts => "drop_fragment_no_ports",
        /// Dropped: IPv6 routing header of type 0 (RFC 5095).
        RoutingHeader => "drop_routing_header",
        /// Dropped: more than 8 IPv6 extension headers, or 256 bytes of them.
        ExtensionHeaders => "drop_extension_headers",
        /// Dropped: the link address of the next hop is not known.
        NoNeighbor => "drop_no_neighbor",
        /// Dropped: no path to the node: no address of ours or route for its family.
        NoPath => "drop_no_path",
        /// Dropped: the transmit ring was full.
        TransmitFull => "drop_transmit_full",
        /// Dropped: in several segments, which the port cannot send, and too long for one.
        Unjoined => "drop_unjoined",
        /// Dropped: for the kernel, but there is no exception port.
        NoException => "drop_no_exception",
        /// Dropped: ARP, neighbor discovery or BFD above its limit.
        LimitNeighbor => "drop_limit_neighbor",
        /// Dropped: BGP or probe answers above their limit.
        LimitRouting => "drop_limit_routing",
        /// Dropped: ICMP errors for the kernel above their limit.
        LimitErrors => "drop_limit_errors",
        /// Dropped: from the management prefixes, above their limit.
        LimitManagement => "drop_limit_management",
        /// Dropped: others for the kernel above their limit.
        LimitOther => "drop_limit_other",
        /// Dropped: the exception port, or the ring to the worker that serves it, was full or down.
        ExceptionFull => "drop_exception_full",
        /// Dropped: a probe from a port that is no node's.
        ProbeUnknown => "drop_probe_unknown",
    }
}

/// One worker's counters.
#[derive(Debug)]
#[repr(align(128))] // a worker shares no cache line, nor the pair the prefetcher fetches, with another
pub struct Counters([AtomicU64; Counter::ALL.len()]);

impl Counters {
    /// All zero.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; Counter::ALL.len()])
    }

    /// Adds `n`. For the owning worker alone: a load and a store, not an atomic addition.
    #[inline]
    pub fn add(&self, counter: Counter, n: u64) {
        let cell = &self.0[counter as usize];
        cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Current value, from any thread.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Relaxed)
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_one_to_one() {
        for (i, &counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counter as usize, i);
            assert!(!counter.help().is_empty());
            let same = Counter::ALL.iter().filter(|c| c.name() == counter.name()).count();
            assert_eq!(same, 1, "{}", counter.name());
        }
    }

    #[test]
    fn what_is_added_is_read() {
        let counters = Counters::new();
        counters.add(Counter::Forwarded, 2);
        counters.add(Counter::Forwarded, 3);
        assert_eq!(counters.get(Counter::Forwarded), 5);
        assert_eq!(counters.get(Counter::Malformed), 0);
    }
}
