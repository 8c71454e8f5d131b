//! palier-dataplane.
fn main() {}
