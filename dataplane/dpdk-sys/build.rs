//! Finds DPDK, compiles the shim, generates the bindings.

use std::path::PathBuf;
use std::{env, process};

use bindgen::callbacks::{ItemInfo, ParseCallbacks};

/// The oldest release whose names `capsule` uses: the LTS release that Debian 12 has.
const OLDEST: &str = "22.11";

/// The libraries the bindings need. `libdpdk.pc` names some fifty; drivers are loaded by the EAL itself.
const LIBRARIES: [&str; 4] = ["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_eal"];

const FUNCTIONS: &[&str] = &[
    "rte_eal_init",
    "rte_eal_cleanup",
    "rte_strerror",
    "rte_version",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_pktmbuf_pool_create",
    "rte_pktmbuf_free_bulk",
    "rte_mempool_avail_count",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_configure",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_socket_id",
    "rte_eth_rx_queue_setup",
    "rte_eth_tx_queue_setup",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_dev_close",
    "rte_eth_dev_get_mtu",
    "rte_eth_dev_set_mtu",
    "rte_eth_promiscuous_enable",
    "rte_eth_macaddr_get",
    "rte_eth_dev_default_mac_addr_set",
    "rte_eth_stats_get",
    "shim_.*",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/shim.c");

    let dpdk = pkg_config::Config::new()
        .atleast_version(OLDEST)
        .cargo_metadata(false)
        .env_metadata(true)
        .probe("libdpdk")
        .unwrap_or_else(|error| {
            eprintln!(
                "{error}\n\n\
                 DPDK {OLDEST} or later is needed to build this, and pkg-config does not find it.\n\
                 Debian, Ubuntu: apt install libdpdk-dev pkg-config clang libclang-dev\n\
                 DPDK built by hand: set PKG_CONFIG_PATH to the directory of its libdpdk.pc"
            );
            process::exit(1)
        });

    let mut flags = vec!["-include".to_owned(), "rte_config.h".to_owned()];
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") {
        flags.push("-march=corei7".to_owned()); // DPDK's own minimum: its headers use SSE 4.2
    }
    flags.extend(dpdk.include_paths.iter().map(|path| format!("-I{}", path.display())));

    compile_shim(&flags);
    generate_bindings(&flags);

    for path in &dpdk.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    for library in LIBRARIES {
        println!("cargo:rustc-link-lib=dylib={library}");
    }
}

fn compile_shim(flags: &[String]) {
    let mut shim = cc::Build::new();
    shim.file("src/shim.c").warnings(false);
    shim.opt_level(3); // debug builds too: this is DPDK's fast path
    for flag in flags {
        shim.flag(flag);
    }
    shim.compile("dpdk_shim");
}

fn generate_bindings(flags: &[String]) {
    let mut builder = bindgen::Builder::default()
        .header("src/shim.h")
        .clang_args(flags)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .use_core()
        .allowlist_var("SHIM_.*")
        .allowlist_type("shim_.*|rte_eth_rx_mq_mode")
        // By pointer only, and their insides differ between releases.
        .opaque_type("rte_mempool|rte_device|rte_eth_switch_info|rte_mempool_.*")
        .blocklist_type("rte_mbuf.*")
        .raw_line("pub use shim_mbuf as rte_mbuf;")
        .default_enum_style(bindgen::EnumVariation::ModuleConsts)
        .prepend_enum_name(false)
        .derive_default(true)
        .generate_comments(false)
        .parse_callbacks(Box::new(Names))
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new())); // again when a header changes
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    builder
        .generate()
        .expect("bindgen reads DPDK's headers with libclang: apt install clang libclang-dev")
        .write_to_file(out.join("bindings.rs"))
        .expect("cargo made OUT_DIR");
}

/// Gives the constants of shim.h the names of the macros they stand for.
#[derive(Debug)]
struct Names;

impl ParseCallbacks for Names {
    fn item_name(&self, item: ItemInfo<'_>) -> Option<String> {
        item.name.strip_prefix("SHIM_").map(str::to_owned)
    }
}
