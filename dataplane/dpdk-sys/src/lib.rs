//! dpdk-sys.
