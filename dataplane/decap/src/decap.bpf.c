// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Decapsulation on an L7 node: takes IP-in-IP that comes from the L4 nodes and goes to the VIPs.
 *
 * Source addresses are all that tells an L4 node from an attacker, so what the outer packet says
 * is checked before the inner one is looked at. classify() is the whole decision; the programs
 * below only carry it out. Everything that is not a tunnel to this node passes untouched.
 *
 * The outer IPv4 checksum and TTL are not checked: this node is the outer packet's destination and
 * the inner packet has checksums of its own. The outer IPv4 identification and IPv6 flow label are
 * ignored. The inner TTL is left alone: the VIP is the end of the path.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Newer than the headers of Debian 12; the kernel has them since 6.3. */
#ifndef BPF_F_ADJ_ROOM_DECAP_L3_IPV4
#define BPF_F_ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define BPF_F_ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)
#endif

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff

/* What became of a packet, and its counter. `Counter` in counters.rs is the same list. */
enum counter {
	/* Left to the kernel. */
	NOT_TUNNEL,
	NOT_OURS,
	/* Decapsulated: inner in outer. */
	DECAP_4IN4,
	DECAP_6IN4,
	DECAP_4IN6,
	DECAP_6IN6,
	/* Dropped. */
	DROP_SOURCE,
	DROP_OUTER_FRAGMENT,
	DROP_OUTER_OPTIONS,
	DROP_SHORT,
	DROP_INNER_MALFORMED,
	DROP_NOT_VIP,
	DROP_DIRECT,
	DROP_ECN,
	DROP_ADJUST,
	/* No outcome of its own: a decapsulated packet whose ECN field was changed. */
	ECN_CARRIED,
	COUNTERS,
};

/* Key of the prefix tables. The version comes first, so that ::ffff:192.0.2.1 is not 192.0.2.1. */
struct prefix {
	__u32 length; /* bits of what follows */
	__u32 version;
	__be32 address[4]; /* IPv4: the first alone */
};

#define VERSION_BITS 32

/* Room for twice the entries of limits in table.rs: an update adds before it removes. */
#define PREFIX_TABLE(entries)                        \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE); \
		__uint(max_entries, entries);        \
		__uint(map_flags, BPF_F_NO_PREALLOC);\
		__type(key, struct prefix);          \
		__type(value, __u32);                \
	}

/* Outer destinations that are this node. */
PREFIX_TABLE(512) addresses SEC(".maps");
/* Outer sources that may send: the L4 nodes. */
PREFIX_TABLE(8192) allow SEC(".maps");
/* Inner destinations. */
PREFIX_TABLE(8192) vips SEC(".maps");

/* Whether packets reach the VIPs through the tunnel only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tunnel_only SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(enum counter counter)
{
	__u32 key = counter;
	__u64 *value = bpf_map_lookup_elem(&counters, &key);

	if (value)
		*value += 1;
}

/* What a header says. */
struct header {
	struct prefix source, destination;
	__u32 bytes; /* of the header */
	__u32 total; /* bytes of the packet, header included, as it states them */
	__u8 version, protocol, ecn;
	bool options, fragment;
};

enum parsed { PARSED, SHORT, MALFORMED };

static __always_inline enum parsed parse_ipv4(const struct iphdr *ip, const void *end,
					      struct header *out)
{
	if ((const void *)(ip + 1) > end)
		return SHORT;
	out->bytes = ip->ihl * 4;
	out->total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || out->bytes < sizeof(*ip) || out->total < out->bytes)
		return MALFORMED;

	out->version = 4;
	out->protocol = ip->protocol;
	out->ecn = ip->tos & 3;
	out->options = out->bytes > sizeof(*ip);
	out->fragment = ip->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET);
	out->source = (struct prefix){ VERSION_BITS + 32, 4, { ip->saddr } };
	out->destination = (struct prefix){ VERSION_BITS + 32, 4, { ip->daddr } };
	return PARSED;
}

static __always_inline enum parsed parse_ipv6(const struct ipv6hdr *ip, const void *end,
					      struct header *out)
{
	if ((const void *)(ip + 1) > end)
		return SHORT;
	if (ip->version != 6)
		return MALFORMED;

	out->bytes = sizeof(*ip);
	out->total = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	out->version = 6;
	out->protocol = ip->nexthdr;
	out->ecn = ip->flow_lbl[0] >> 4 & 3;
	out->options = false;
	out->fragment = false;
	out->source = (struct prefix){ VERSION_BITS + 128, 6, { 0 } };
	out->destination = (struct prefix){ VERSION_BITS + 128, 6, { 0 } };
	__builtin_memcpy(out->source.address, &ip->saddr, sizeof(ip->saddr));
	__builtin_memcpy(out->destination.address, &ip->daddr, sizeof(ip->daddr));
	return PARSED;
}

/*
 * Looks behind one IPv6 extension header: `ip6tnl` puts one ahead of the inner packet unless told
 * otherwise, and a fragment has one. Behind more than one nothing is taken for a tunnel.
 */
static __always_inline void skip_extension(const __u8 *next, const void *end, struct header *ip)
{
	bool fragment = ip->protocol == IPPROTO_FRAGMENT;
	bool options = ip->protocol == IPPROTO_HOPOPTS || ip->protocol == IPPROTO_DSTOPTS ||
		       ip->protocol == IPPROTO_ROUTING;

	if ((!fragment && !options) || (const void *)(next + 1) > end)
		return;
	ip->fragment = fragment;
	ip->options = options;
	ip->protocol = *next;
}

/* Neighbor discovery: never from further away than the link, as its hop limit tells (RFC 4861). */
static __always_inline bool is_discovery(const void *packet, const void *end, __u8 version)
{
	enum { ROUTER_SOLICITATION = 133, REDIRECT = 137 };
	const struct ipv6hdr *ip = packet;
	const __u8 *type = packet + sizeof(*ip);

	return version == 6 && (const void *)(type + 1) <= end &&
	       ip->nexthdr == IPPROTO_ICMPV6 && ip->hop_limit == 255 &&
	       *type >= ROUTER_SOLICITATION && *type <= REDIRECT;
}

/* Whether a packet that is in no tunnel of ours goes past the L4 nodes to a VIP, and must not. */
static __always_inline bool is_direct(const void *packet, const void *end, struct header *ip)
{
	__u32 key = 0;
	__u32 *on = bpf_map_lookup_elem(&tunnel_only, &key);

	return on && *on && bpf_map_lookup_elem(&vips, &ip->destination) &&
	       !is_discovery(packet, end, ip->version);
}

/* What the decision leaves to do, if it is to decapsulate. */
struct tunnel {
	__u32 outer; /* bytes to take out behind the Ethernet header */
	__be16 protocol; /* Ethernet type of the inner packet */
	bool other_version; /* than the outer packet's */
	__u32 sum; /* what a changed IPv6 header adds to the packet's checksum, or 0 */
};

/*
 * RFC 6040, section 4.2: the ECN field that the inner packet leaves with, or -1 if it must be
 * dropped: its sender did not ask for marks, and so would never learn of the congestion.
 */
static __always_inline int decapsulated_ecn(__u8 outer, __u8 inner)
{
	enum { NOT_ECT, ECT_1, ECT_0, CE };

	if (inner == NOT_ECT)
		return outer == CE ? -1 : NOT_ECT;
	if (inner == CE || outer == CE)
		return CE;
	return outer == ECT_1 ? ECT_1 : inner;
}

/*
 * Sets the ECN field, whose bits are in the first 16 of both headers. An IPv4 header's checksum
 * makes up for the change (RFC 1624); IPv6 has none, so the difference is returned.
 */
static __always_inline __u32 set_ecn(void *ip, __u8 version, __u8 from, __u8 to)
{
	int shift = version == 4 ? 0 : 4;
	__be16 *word = ip;
	__be16 old = *word;
	__u32 sum;

	*word = old ^ bpf_htons((from ^ to) << shift);
	sum = (__u16)~old + *word;
	if (version == 6)
		return sum;

	sum += (__u16) ~((struct iphdr *)ip)->check;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	((struct iphdr *)ip)->check = ~sum;
	return 0;
}

/* Decides about a frame of `length` bytes, of which those up to `end` can be read. */
static __always_inline enum counter classify(struct ethhdr *eth, void *end, __u32 length,
					     struct tunnel *tunnel)
{
	struct header outer, inner;
	enum parsed parsed;
	void *ip = eth + 1;
	__u32 bytes;
	int ecn;

	if (ip > end)
		return NOT_TUNNEL;
	length -= sizeof(*eth);

	/* What is too short or wrong here is no tunnel yet: the kernel drops it, and counts it. */
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (parse_ipv4(ip, end, &outer) != PARSED)
			return NOT_TUNNEL;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		if (parse_ipv6(ip, end, &outer) != PARSED)
			return NOT_TUNNEL;
		skip_extension(ip + sizeof(struct ipv6hdr), end, &outer);
	} else {
		return NOT_TUNNEL;
	}
	if (outer.protocol != IPPROTO_IPIP && outer.protocol != IPPROTO_IPV6)
		return is_direct(ip, end, &outer) ? DROP_DIRECT : NOT_TUNNEL;

	/* Somebody else's: a host may forward tunnels, or end others at another address. */
	if (!bpf_map_lookup_elem(&addresses, &outer.destination))
		return is_direct(ip, end, &outer) ? DROP_DIRECT : NOT_OURS;
	if (!bpf_map_lookup_elem(&allow, &outer.source))
		return DROP_SOURCE;
	if (outer.fragment)
		return DROP_OUTER_FRAGMENT;
	if (outer.options)
		return DROP_OUTER_OPTIONS;
	if (outer.total > length)
		return DROP_SHORT;

	/* Without options it is as long as its version says, which the verifier can follow. */
	bytes = outer.version == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	ip += bytes;
	parsed = outer.protocol == IPPROTO_IPIP ? parse_ipv4(ip, end, &inner) :
						  parse_ipv6(ip, end, &inner);
	if (parsed == SHORT)
		return DROP_SHORT;
	if (parsed == MALFORMED)
		return DROP_INNER_MALFORMED;
	if (bytes + inner.total > outer.total)
		return DROP_SHORT;
	if (!bpf_map_lookup_elem(&vips, &inner.destination))
		return DROP_NOT_VIP;

	ecn = decapsulated_ecn(outer.ecn, inner.ecn);
	if (ecn < 0)
		return DROP_ECN;
	tunnel->outer = bytes;
	tunnel->protocol = inner.version == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	tunnel->other_version = inner.version != outer.version;
	tunnel->sum = 0;
	if (ecn != inner.ecn) {
		tunnel->sum = set_ecn(ip, inner.version, inner.ecn, ecn);
		count(ECN_CARRIED);
	}

	if (inner.version == 4)
		return outer.version == 4 ? DECAP_4IN4 : DECAP_4IN6;
	return outer.version == 4 ? DECAP_6IN4 : DECAP_6IN6;
}

static __always_inline bool is_decap(enum counter outcome)
{
	return outcome >= DECAP_4IN4 && outcome <= DECAP_6IN6;
}

static __always_inline bool is_drop(enum counter outcome)
{
	return outcome >= DROP_SOURCE && outcome <= DROP_ADJUST;
}

/* Takes the outer header out: what is ahead of it, the Ethernet header, moves up. */
static __always_inline bool xdp_decapsulate(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ethhdr moved;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return false;
	moved = *eth;
	moved.h_proto = tunnel->protocol;
	if (bpf_xdp_adjust_head(ctx, tunnel->outer))
		return false;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return false;
	*eth = moved;
	return true;
}

/* Frames may have several buffers (jumbo frames, aggregates); headers are in the first. */
SEC("xdp.frags")
int decap_xdp(struct xdp_md *ctx)
{
	struct tunnel tunnel;
	enum counter outcome = classify((void *)(long)ctx->data, (void *)(long)ctx->data_end,
					bpf_xdp_get_buff_len(ctx), &tunnel);

	if (is_decap(outcome) && !xdp_decapsulate(ctx, &tunnel))
		outcome = DROP_ADJUST;
	count(outcome);
	return is_drop(outcome) ? XDP_DROP : XDP_PASS;
}

/* The longest headers that classify() reads. */
#define TC_HEADERS (sizeof(struct ethhdr) + 2 * sizeof(struct ipv6hdr))

static __always_inline bool tc_decapsulate(struct __sk_buff *skb, const struct tunnel *tunnel)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;

	/* Only where needed: kernels before 6.3 refuse these flags. */
	if (tunnel->other_version)
		flags |= tunnel->protocol == bpf_htons(ETH_P_IP) ? BPF_F_ADJ_ROOM_DECAP_L3_IPV4 :
								   BPF_F_ADJ_ROOM_DECAP_L3_IPV6;
	if (tunnel->sum)
		bpf_csum_update(skb, tunnel->sum);
	if (bpf_skb_adjust_room(skb, -(__s32)tunnel->outer, BPF_ADJ_ROOM_MAC, flags))
		return false;
	/* The kernel has changed the type it goes by; the frame is for whoever captures it. */
	return !tunnel->other_version ||
	       !bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto), &tunnel->protocol,
				    sizeof(tunnel->protocol), 0);
}

/* In skb->tc_index, of a packet that came out of the tunnel. Nothing at ingress uses it. */
#define DECAPSULATED 0x7061

/*
 * What passes goes on to the next program of the hook, if there is one. That may be this one again,
 * of another process: what the first has decapsulated must not look direct to the second.
 */
SEC("tc")
int decap_tc(struct __sk_buff *skb)
{
	struct tunnel tunnel;
	enum counter outcome;

	if (skb->tc_index == DECAPSULATED) {
		count(NOT_TUNNEL);
		return TC_ACT_UNSPEC;
	}
	/* Headers may lie in other buffers than the first. If they cannot be had, they are short. */
	if ((void *)(long)skb->data + TC_HEADERS > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, skb->len < TC_HEADERS ? skb->len : TC_HEADERS);

	outcome = classify((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len, &tunnel);
	if (is_decap(outcome) && !tc_decapsulate(skb, &tunnel))
		outcome = DROP_ADJUST;
	if (is_decap(outcome))
		skb->tc_index = DECAPSULATED;
	count(outcome);
	return is_drop(outcome) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* Helpers that change packets are for GPL-compatible programs only, this string says which. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
