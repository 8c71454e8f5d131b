//! A weight out of the load average of the last minute.

use std::io;

use nix::unistd::{SysconfVar, sysconf};

/// Weights are multiples of this: a load that trembles shall not move flows about.
const STEP: f64 = 5.0;

/// Percent of the configured weight, `least` at the least.
///
/// # Errors
/// The kernel does not tell.
pub(super) fn percent(least: u8) -> io::Result<u8> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    let load = text.split(' ').next().and_then(|load| load.parse().ok());
    // Those of the host, as the load is: not what this process may use.
    let cpus = sysconf(SysconfVar::_NPROCESSORS_ONLN)?;
    let (Some(load), Some(cpus @ 1..)) = (load, cpus) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok(weight(load, cpus as f64, least))
}

/// Percent of the CPUs that nothing waited for, in steps.
fn weight(load: f64, cpus: f64, least: u8) -> u8 {
    let idle = 100.0 * (1.0 - load / cpus);
    let stepped = (idle / STEP).round() * STEP;
    (stepped as u8).clamp(least, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_falls_from_100_to_the_least() {
        for (load, expected) in
            [(0.0, 100), (0.02, 100), (1.0, 75), (1.9, 55), (3.6, 10), (4.0, 10), (400.0, 10)]
        {
            assert_eq!(weight(load, 4.0, 10), expected, "load {load}");
        }
        assert_eq!(weight(f64::NAN, 4.0, 10), 10);
    }

    #[test]
    fn the_kernel_tells() {
        assert!((1..=100).contains(&percent(1).unwrap()));
    }
}
