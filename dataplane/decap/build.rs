//! Compiles `decap.bpf.c` and generates its skeleton: maps and programs with Rust types.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};

use libbpf_cargo::SkeletonBuilder;

const SOURCE: &str = "src/decap.bpf.c";
const PACKAGES: &str = "apt-get install clang libelf-dev zlib1g-dev pkg-config linux-libc-dev";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let skeleton =
        PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("decap.skel.rs");

    let clang = Command::new("clang").arg("--version").stdout(Stdio::null()).status();
    if !clang.is_ok_and(|status| status.success()) {
        fail(&format!("clang, which compiles {SOURCE}, is not installed: {PACKAGES}"));
    }
    let built = SkeletonBuilder::new()
        .source(SOURCE)
        .clang_args(clang_arguments())
        .build_and_generate(&skeleton);
    if let Err(error) = built {
        fail(&format!("{SOURCE} does not compile ({PACKAGES}): {error:#}"));
    }
}

/// Version 3 of the instruction set: kernel 5.1. Debian keeps `asm/types.h` in a directory of the
/// architecture's, where clang does not look when it compiles for BPF.
fn clang_arguments() -> Vec<String> {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let headers = format!("/usr/include/{architecture}-linux-gnu");
    let mut arguments = vec!["-mcpu=v3".into(), "-Wall".into(), "-Wextra".into()];
    if Path::new(&headers).is_dir() {
        arguments.push(format!("-I{headers}"));
    }
    arguments
}

fn fail(reason: &str) -> ! {
    println!("cargo::error={reason}");
    exit(1);
}
