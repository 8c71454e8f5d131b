//! How fast palier is: what `perf/run` is made of.
//!
//! Each program of `src/bin` measures one thing and appends its [`Figure`]s to a file; `report`
//! makes the table and the plot of them. Everything compared is measured in one run, by turns, and
//! the median of several rounds counts: single runs on a shared machine say little.
//!
//! * [`frame`], [`traffic`], [`site`]: bursts of synthetic packets, and where they go.
//! * [`bench`](mod@bench): the forwarder with its table, and the time a packet takes.
//! * [`rival`]: palier-dataplane and testpmd as processes, and the rate each receives at.
//! * [`checks`], [`target`]: how many probes a core can make, and whom they ask.
//! * [`large`], [`node`]: a site of a thousand services, and an L4 node of it as two processes.
//! * [`routes`], [`listener`]: when routers know.
//! * [`proxies`], [`client`], [`load`]: the L7 proxy beside two others, and who asks them.
//! * [`nameservers`]: palier's DNS beside gdnsd.
//! * [`process`], [`cpu`]: whose time it was, and how much memory.
//! * [`figure`], [`plot`]: what came out.

pub mod bench;
pub mod checks;
pub mod client;
pub mod cpu;
pub mod figure;
pub mod frame;
pub mod large;
pub mod listener;
pub mod load;
pub mod nameservers;
pub mod node;
pub mod plot;
pub mod process;
pub mod proxies;
pub mod rival;
pub mod rounds;
pub mod routes;
pub mod site;
pub mod target;
pub mod traffic;

pub use figure::Figure;
pub use rounds::Spread;
