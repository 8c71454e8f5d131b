/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <assert.h>
#include <stddef.h>

#define SAME(field)                                                                                \
	static_assert(offsetof(struct shim_mbuf, field) == offsetof(struct rte_mbuf, field) &&     \
			      sizeof(((struct shim_mbuf *)0)->field) ==                            \
				      sizeof(((struct rte_mbuf *)0)->field),                       \
		      "rte_mbuf." #field " lies elsewhere in this release of DPDK")
SAME(buf_addr);
SAME(data_off);
SAME(refcnt);
SAME(nb_segs);
SAME(port);
SAME(ol_flags);
SAME(packet_type);
SAME(pkt_len);
SAME(data_len);
SAME(buf_len);
SAME(pool);
SAME(next);
SAME(tx_offload);
static_assert(RTE_MBUF_L2_LEN_OFS == 0 && RTE_MBUF_L3_LEN_OFS == RTE_MBUF_L2_LEN_BITS,
	      "tx_offload begins with l2_len, l3_len only on little-endian machines");

int shim_errno(void)
{
	return rte_errno;
}

unsigned shim_lcore_id(void)
{
	return rte_lcore_id();
}

int shim_link_get_nowait(uint16_t port, struct shim_link *link)
{
	struct rte_eth_link from;
	int result = rte_eth_link_get_nowait(port, &from);

	if (result == 0) {
		link->speed = from.link_speed;
		link->up = from.link_status;
	}
	return result;
}

uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n)
{
	return rte_eth_rx_burst(port, queue, mbufs, n);
}

uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n)
{
	return rte_eth_tx_burst(port, queue, mbufs, n);
}

struct rte_mbuf *shim_pktmbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

void shim_pktmbuf_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

int shim_pktmbuf_linearize(struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_linearize(mbuf);
}
