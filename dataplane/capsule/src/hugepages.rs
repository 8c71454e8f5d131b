//! How much memory in huge pages is to be had.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Where the kernel tells of them.
const SYS: &str = "/sys/kernel/mm/hugepages";
/// How long another process may take from counting them to having them: EAL's start takes less.
const PATIENCE: Duration = Duration::from_secs(10);

/// Megabytes in free huge pages of every size: what [`Memory::HugePages`](crate::Memory) can have.
/// 0 if the kernel has none or does not say.
pub fn free_huge_pages() -> u32 {
    free_in(Path::new(SYS))
}

/// Huge pages are counted, then taken: between the two, no other process that asks for this shall
/// count on the same ones. Held until it is dropped.
#[derive(Debug)]
pub struct HugePagesTurn {
    /// Locked until it is closed.
    _lock: Option<File>,
}

impl HugePagesTurn {
    /// Waits for it; in vain, if nobody gives it up, for some seconds, as nobody shall keep others
    /// from starting.
    pub fn wait() -> Self {
        Self { _lock: lock(Path::new(SYS), PATIENCE) }
    }
}

/// The directory, locked for this process, if it comes to that in time.
fn lock(directory: &Path, patience: Duration) -> Option<File> {
    let file = File::open(directory).ok()?;
    let until = Instant::now() + patience;
    while file.try_lock().is_err() {
        if Instant::now() >= until {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    Some(file)
}

/// Sums over directories named `hugepages-2048kB`, each with a file `free_hugepages`.
fn free_in(directory: &Path) -> u32 {
    let kilobytes = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|size| {
            let name = size.file_name();
            let kilobytes: u64 =
                name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            let free = fs::read_to_string(size.path().join("free_hugepages")).ok()?;
            kilobytes.checked_mul(free.trim().parse().ok()?)
        })
        .fold(0, u64::saturating_add);
    u32::try_from(kilobytes / 1024).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_every_size_are_counted() {
        let sys = tempfile::tempdir().unwrap();
        for (size, free) in [("hugepages-2048kB", "100\n"), ("hugepages-1048576kB", "2\n")] {
            fs::create_dir(sys.path().join(size)).unwrap();
            fs::write(sys.path().join(size).join("free_hugepages"), free).unwrap();
        }
        assert_eq!(free_in(sys.path()), 200 + 2048);
    }

    #[test]
    fn one_at_a_time_counts_them_and_no_one_waits_for_ever() {
        let sys = tempfile::tempdir().unwrap();
        let first = lock(sys.path(), Duration::ZERO);
        assert!(first.is_some());
        assert!(lock(sys.path(), Duration::ZERO).is_none());
        drop(first);
        assert!(lock(sys.path(), Duration::ZERO).is_some());
        assert!(lock(Path::new("/nonexistent"), PATIENCE).is_none());
    }

    #[test]
    fn a_kernel_without_huge_pages_has_none_free() {
        assert_eq!(free_in(Path::new("/nonexistent")), 0);
    }
}
