//! DPDK, safely: what the types allow, DPDK allows.
//!
//! | DPDK's rule                                     | How it is kept                                            |
//! |-------------------------------------------------|-----------------------------------------------------------|
//! | the EAL is initialised once                     | [`Eal::init`] refuses a second time                       |
//! | nothing is called before the EAL or after it    | whatever calls DPDK holds an [`Eal`]                      |
//! | an mbuf outlives neither its pool nor the EAL   | pools last as long as the EAL, which waits for the mbufs  |
//! | a device has one user                           | [`Port::named`] refuses a second                          |
//! | a started port hands out each queue once        | [`Port::start`] consumes the port, returns its queues     |
//! | a device is not stopped under a queue           | queues share it; the last to go stops and closes it       |
//! | one thread polls a queue                        | queues are not `Clone`, and polling takes `&mut self`     |
//! | one thread at a time controls a device          | [`RunningPort`] is not `Sync`                             |
//! | an mbuf has one owner, then is freed or sent    | [`Packet`] frees on drop; `send` takes what it sends      |
//! | what the ring has no room for is still ours     | it stays in the [`Burst`]                                 |
//! | chains go only to devices that can send them    | [`TxQueue::send`] joins them for the others               |
//! | no more queues than the driver can bear         | [`PortInfo`] knows what drivers only claim                |
//! | a pool's cache belongs to one registered thread | [`Lcore`] is not `Send`, and unregisters on drop          |
//!
//! From the EAL to a packet and back:
//!
//! ```no_run
//! use capsule::{Burst, Eal, Memory, Mempool, Port, PortSettings, RssTypes, Settings};
//!
//! let eal = Eal::init(&Settings {
//!     lcores: "0,1".into(),
//!     main_lcore: None,
//!     memory: Memory::Ordinary { megabytes: 128 },
//!     vdevs: vec!["net_tap0,iface=wire".into()],
//!     pci: vec![],
//!     file_prefix: "palier".into(),
//!     verbose: false,
//! })?;
//! let pool = Mempool::new(&eal, "packets", 8192, Mempool::DATA_ROOM)?;
//! let settings = PortSettings {
//!     rx_queues: 1,
//!     tx_queues: 1,
//!     rx_descriptors: 1024,
//!     tx_descriptors: 1024,
//!     rss: RssTypes::IP | RssTypes::TCP | RssTypes::UDP,
//!     promiscuous: true,
//!     mtu: None,
//! };
//! let mut started = Port::named(&eal, "net_tap0")?.start(&settings, &pool)?;
//!
//! let mut burst = Burst::new();
//! started.receive[0].receive(&mut burst);
//! started.transmit[0].send(&mut burst);
//! burst.clear();
//! # Ok::<(), capsule::Error>(())
//! ```
//!
//! What is misuse does not compile. A port is started once:
//!
//! ```compile_fail,E0382
//! # use capsule::{Error, Mempool, Port, PortSettings};
//! fn twice(port: Port, settings: &PortSettings, pool: &Mempool) -> Result<(), Error> {
//!     port.start(settings, pool)?;
//!     port.start(settings, pool)?;
//!     Ok(())
//! }
//! ```
//!
//! A queue that is shared cannot be polled:
//!
//! ```compile_fail,E0596
//! # use capsule::{Burst, RxQueue};
//! fn poll(queue: &RxQueue, burst: &mut Burst) {
//!     queue.receive(burst);
//! }
//! ```
//!
//! and there is no second one:
//!
//! ```compile_fail,E0599
//! # use capsule::TxQueue;
//! fn double(queue: TxQueue) -> (TxQueue, TxQueue) {
//!     (queue.clone(), queue)
//! }
//! ```
//!
//! A thread's registration stays with the thread:
//!
//! ```compile_fail,E0277
//! # use capsule::Lcore;
//! fn move_to_another_thread(lcore: Lcore) {
//!     std::thread::spawn(move || drop(lcore));
//! }
//! ```

#![expect(unsafe_code, reason = "this crate is where DPDK becomes safe")]

mod burst;
mod device;
mod eal;
mod error;
mod hugepages;
mod info;
mod lcore;
mod mbuf;
mod mempool;
mod port;
mod queue;
mod rss;
mod running;

pub use burst::{Burst, Drain};
pub use eal::{Eal, Memory, Settings};
pub use error::{Errno, Error};
pub use hugepages::{HugePagesTurn, free_huge_pages};
pub use info::{Offloads, PortInfo};
pub use lcore::Lcore;
pub use mbuf::Packet;
pub use mempool::Mempool;
pub use port::{Port, PortSettings, Started};
pub use queue::{RxQueue, TxQueue};
pub use rss::RssTypes;
pub use running::{Link, PortStats, RunningPort};
