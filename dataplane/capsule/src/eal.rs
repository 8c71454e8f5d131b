//! DPDK's environment abstraction layer: memory, buses, devices. Up once, for as long as anything
//! needs it.

use std::collections::BTreeSet;
use std::ffi::{CString, c_char, c_int};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dpdk_sys as ffi;
use parking_lot::Mutex;

use crate::device;
use crate::error::{Errno, Error};
use crate::mempool::RawPool;

/// What the EAL is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// CPUs of the main thread and of the workers, as `--lcores` takes them: `0,2-5`. The EAL keeps
    /// its own threads off them where it can, except for the main thread's.
    pub lcores: String,
    /// Which of them is the main thread's. Default: the lowest.
    pub main_lcore: Option<u32>,
    /// Where packets lie.
    pub memory: Memory,
    /// Virtual devices, with their arguments: `net_tap0,iface=wire`.
    pub vdevs: Vec<String>,
    /// Addresses of PCI devices, with arguments if any: `0000:3b:00.0`. Others are left alone.
    pub pci: Vec<String>,
    /// Tells this process's files in the run directory from those of others.
    pub file_prefix: String,
    /// Whether DPDK may log more than errors to standard error.
    pub verbose: bool,
}

/// Where packets lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// In huge pages, which belong to this process alone and vanish with it.
    HugePages {
        /// Megabytes taken at the start; more is taken when a pool needs it.
        megabytes: u32,
    },
    /// In ordinary pages: half as fast, but there is nothing to set up, and no privilege needed.
    Ordinary {
        /// Megabytes; there will be no more.
        megabytes: u32,
    },
}

impl Settings {
    /// The EAL's command line.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["palier".to_owned(), format!("--lcores={}", self.lcores)];
        arguments.extend(self.main_lcore.map(|lcore| format!("--main-lcore={lcore}")));
        match self.memory {
            Memory::HugePages { megabytes } => {
                arguments.extend([
                    "--in-memory".to_owned(),
                    "-m".to_owned(),
                    megabytes.to_string(),
                ]);
            }
            Memory::Ordinary { megabytes } => arguments.extend([
                "--no-huge".to_owned(),
                "--no-shconf".to_owned(), // needs a writable run directory, serves secondaries only
                "-m".to_owned(),
                megabytes.to_string(),
            ]),
        }
        arguments.push(format!("--file-prefix={}", self.file_prefix));
        arguments.push("--no-telemetry".to_owned()); // one thread less; our own metrics say more
        if !self.verbose {
            arguments.push("--log-level=error".to_owned());
        }
        if self.pci.is_empty() {
            arguments.push("--no-pci".to_owned());
        }
        arguments.extend(self.pci.iter().map(|address| format!("--allow={address}")));
        arguments.extend(self.vdevs.iter().map(|vdev| format!("--vdev={vdev}")));
        arguments
    }
}

/// The EAL, up and running. Clones are the same one.
///
/// Pools, ports, queues and registered threads hold clones. When the last one goes, on the thread
/// that called [`Eal::init`] and with every packet back in its pool, the EAL is shut down; else the
/// end of the process does it.
#[derive(Clone)]
pub struct Eal(Arc<Inner>);

struct Inner {
    /// The lcore id of the thread that called `rte_eal_init`.
    main: u32,
    /// Every pool ever made.
    pools: Mutex<Vec<RawPool>>,
    /// Numbers of the ports that are in use.
    claimed: Mutex<BTreeSet<u16>>,
}

impl Eal {
    /// Initialises the EAL, and sees to it that every device of the settings is there.
    ///
    /// Pins the calling thread, which is the main thread from now on, to its CPU.
    ///
    /// # Errors
    /// A second call, whatever came of the first; settings or memory that DPDK refuses; a device
    /// for which it has no driver or whose driver fails (DPDK itself calls that a success).
    pub fn init(settings: &Settings) -> Result<Self, Error> {
        static CALLED: AtomicBool = AtomicBool::new(false);

        let arguments = settings.arguments();
        let strings = c_strings(&arguments)?;
        if CALLED.swap(true, Ordering::Relaxed) {
            return Err(Error::SecondInit);
        }
        init(strings)
            .map_err(|source| Error::Init { arguments: arguments[1..].join(" "), source })?;

        // SAFETY: reads a variable of this thread, which the EAL has just set.
        let main = unsafe { ffi::shim_lcore_id() };
        let eal =
            Self(Arc::new(Inner { main, pools: Mutex::default(), claimed: Mutex::default() }));
        for device in settings.pci.iter().chain(&settings.vdevs) {
            if let Err(error) = device::number(&eal, device::name(device).as_ref()) {
                // There is no second try in this process. Shut down, drivers of the others would take
                // the kernel's interfaces down that they are on top of.
                std::mem::forget(eal);
                return Err(error);
            }
        }
        Ok(eal)
    }

    /// Keeps the pool in mind, for the end.
    pub(crate) fn add_pool(&self, pool: RawPool) {
        self.0.pools.lock().push(pool);
    }

    /// Marks a port as in use. `false` if it is.
    pub(crate) fn claim(&self, port: u16) -> bool {
        self.0.claimed.lock().insert(port)
    }

    /// The port is no longer in use.
    pub(crate) fn release(&self, port: u16) {
        self.0.claimed.lock().remove(&port);
    }
}

impl std::fmt::Debug for Eal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eal").field("main_lcore", &self.0.main).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A thread that has just put back a packet may not yet be done with the pool, unless it is
        // this one: the others that use a pool's cache are registered, and hold the EAL.
        // SAFETY: reads a variable of this thread.
        let on_main = unsafe { ffi::shim_lcore_id() } == self.main;
        if on_main && self.pools.get_mut().iter().all(|pool| pool.is_full()) {
            // SAFETY: no pool, port or registered thread is left, for they hold the EAL, and no
            // packet, for their pools are full.
            unsafe { ffi::rte_eal_cleanup() };
        }
    }
}

fn c_strings(arguments: &[String]) -> Result<Vec<CString>, Error> {
    arguments
        .iter()
        .map(|text| CString::new(text.as_str()).map_err(|_| Error::ZeroByte(text.clone())))
        .collect()
}

/// Runs `rte_eal_init`.
fn init(arguments: Vec<CString>) -> Result<(), Errno> {
    // The EAL may keep pointers to its arguments, and reorders them: they are its own from here on.
    let mut argv: Vec<*mut c_char> = arguments.into_iter().map(CString::into_raw).collect();
    let argc = argv.len() as c_int;
    argv.push(std::ptr::null_mut());
    let argv = argv.leak();
    // SAFETY: `argv` is as C wants it: `argc` strings, which live on, and a null pointer.
    let result = unsafe { ffi::rte_eal_init(argc, argv.as_mut_ptr()) };
    if result < 0 { Err(Errno::last()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            lcores: "0,2-3".into(),
            main_lcore: None,
            memory: Memory::Ordinary { megabytes: 64 },
            vdevs: vec!["net_null0,size=64".into()],
            pci: vec![],
            file_prefix: "test".into(),
            verbose: false,
        }
    }

    #[test]
    fn without_huge_pages_nothing_is_shared_with_other_processes() {
        assert_eq!(
            settings().arguments().join(" "),
            "palier --lcores=0,2-3 --no-huge --no-shconf -m 64 --file-prefix=test \
             --no-telemetry --log-level=error --no-pci --vdev=net_null0,size=64"
        );
    }

    #[test]
    fn only_the_pci_devices_named_are_touched() {
        let settings = Settings {
            main_lcore: Some(2),
            memory: Memory::HugePages { megabytes: 512 },
            vdevs: vec![],
            pci: vec!["0000:3b:00.0".into(), "0000:3b:00.1".into()],
            verbose: true,
            ..settings()
        };
        assert_eq!(
            settings.arguments().join(" "),
            "palier --lcores=0,2-3 --main-lcore=2 --in-memory -m 512 --file-prefix=test \
             --no-telemetry --allow=0000:3b:00.0 --allow=0000:3b:00.1"
        );
    }

    #[test]
    fn an_argument_with_a_zero_byte_is_refused() {
        let error = c_strings(&["a\0b".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), r#""a\0b" contains a zero byte"#);
    }
}
