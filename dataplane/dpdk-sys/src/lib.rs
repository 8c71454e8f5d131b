//! DPDK's functions and structs, as C has them. No logic: `capsule` makes them safe.
//!
//! `build.rs` makes the bindings from the headers of the DPDK that is installed (22.11 or later),
//! so they always fit the libraries that are linked. `shim.h` says what does not come from DPDK.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unnameable_types,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    clippy::all,
    clippy::use_self,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    rustdoc::all,
    reason = "generated from C"
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
