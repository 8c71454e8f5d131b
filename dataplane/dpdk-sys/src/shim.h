/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that the bindings are made from. DPDK's functions and structs come from its own headers; what
 * Rust cannot take from there as it is - inline functions, macros that are not literals, fields
 * whose path differs from one release to the next - has a declaration here.
 */
#pragma once

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_version.h>

/*
 * The fields of an mbuf that Rust reads and writes itself, once or more for each packet; bindgen
 * puts this in the place of `struct rte_mbuf`. shim.c checks that each lies where DPDK has it.
 */
struct shim_mbuf {
	void *buf_addr;
	uint64_t buf_iova;
	uint16_t data_off;
	uint16_t refcnt;
	uint16_t nb_segs;
	uint16_t port;
	uint64_t ol_flags;
	uint32_t packet_type;
	uint32_t pkt_len;
	uint16_t data_len;
	uint16_t vlan_tci;
	uint32_t hash[2];
	uint16_t vlan_tci_outer;
	uint16_t buf_len;
	struct rte_mempool *pool;
	struct rte_mbuf *next;
	uint64_t tx_offload;
} __attribute__((aligned(8)));

/* A link's state: bit fields, in a union since 24.03. */
struct shim_link {
	uint32_t speed;
	uint8_t up;
};

/* Once a call, or once a burst: never in a loop over packets. */
int shim_errno(void);
unsigned shim_lcore_id(void);
int shim_link_get_nowait(uint16_t port, struct shim_link *link);
uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n);
uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n);

/* Exceptions to the above: packets made, freed or copied together one at a time, which is rare. */
struct rte_mbuf *shim_pktmbuf_alloc(struct rte_mempool *pool);
void shim_pktmbuf_free(struct rte_mbuf *mbuf);
int shim_pktmbuf_linearize(struct rte_mbuf *mbuf);

/* Macros as constants. The bindings give them back the name that DPDK gave them. */
#define SHIM(type, macro) static const type SHIM_##macro = macro
SHIM(uint32_t, LCORE_ID_ANY);
SHIM(int, SOCKET_ID_ANY);
SHIM(uint16_t, RTE_ETH_NAME_MAX_LEN);
SHIM(uint16_t, RTE_PKTMBUF_HEADROOM);
SHIM(uint16_t, RTE_MBUF_MAX_NB_SEGS);
SHIM(uint32_t, RTE_ETHER_MTU);
SHIM(uint32_t, RTE_ETHER_HDR_LEN);
SHIM(uint32_t, RTE_ETHER_CRC_LEN);
SHIM(uint32_t, RTE_MEMPOOL_CACHE_MAX_SIZE);
SHIM(uint32_t, RTE_MBUF_L2_LEN_BITS);
SHIM(uint32_t, RTE_MBUF_L3_LEN_BITS);
SHIM(uint64_t, RTE_MBUF_F_RX_IP_CKSUM_MASK);
SHIM(uint64_t, RTE_MBUF_F_RX_IP_CKSUM_BAD);
SHIM(uint64_t, RTE_MBUF_F_TX_IPV4);
SHIM(uint64_t, RTE_MBUF_F_TX_IP_CKSUM);
SHIM(uint32_t, RTE_ETH_SPEED_NUM_UNKNOWN);
SHIM(uint64_t, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
SHIM(uint64_t, RTE_ETH_RX_OFFLOAD_SCATTER);
SHIM(uint64_t, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
SHIM(uint64_t, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
SHIM(uint64_t, RTE_ETH_RSS_IPV4);
SHIM(uint64_t, RTE_ETH_RSS_FRAG_IPV4);
SHIM(uint64_t, RTE_ETH_RSS_NONFRAG_IPV4_TCP);
SHIM(uint64_t, RTE_ETH_RSS_NONFRAG_IPV4_UDP);
SHIM(uint64_t, RTE_ETH_RSS_NONFRAG_IPV4_OTHER);
SHIM(uint64_t, RTE_ETH_RSS_IPV6);
SHIM(uint64_t, RTE_ETH_RSS_FRAG_IPV6);
SHIM(uint64_t, RTE_ETH_RSS_NONFRAG_IPV6_TCP);
SHIM(uint64_t, RTE_ETH_RSS_NONFRAG_IPV6_UDP);
SHIM(uint64_t, RTE_ETH_RSS_NONFRAG_IPV6_OTHER);
SHIM(uint64_t, RTE_ETH_RSS_IPV6_EX);
SHIM(uint64_t, RTE_ETH_RSS_IPV6_TCP_EX);
SHIM(uint64_t, RTE_ETH_RSS_IPV6_UDP_EX);
