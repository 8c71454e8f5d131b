//! `--cores`: a list of CPUs, as the kernel writes them (`2-5,8`).

use std::str::FromStr;

use thiserror::Error;

/// Most CPUs that a set of the C library holds.
const CPUS: usize = 1024;

/// CPUs in the order given, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cores(pub(super) Vec<usize>);

/// The text is not a list of CPUs.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum BadCores {
    #[error("`{0}` is neither a CPU nor a range of CPUs (2-5,8)")]
    Malformed(String),
    #[error("the range `{0}` ends before it begins")]
    Backwards(String),
    #[error("CPU {0} stands there twice")]
    Twice(usize),
}

impl FromStr for Cores {
    type Err = BadCores;

    fn from_str(text: &str) -> Result<Self, BadCores> {
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let cpu = |digits: &str| {
                let number = digits.parse().ok().filter(|cpu| *cpu < CPUS);
                number
                    .filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
                    .ok_or_else(|| BadCores::Malformed(part.into()))
            };
            let (first, last) = (cpu(first)?, cpu(last)?);
            if last < first {
                return Err(BadCores::Backwards(part.into()));
            }
            for cpu in first..=last {
                if cores.contains(&cpu) {
                    return Err(BadCores::Twice(cpu));
                }
                cores.push(cpu);
            }
        }
        Ok(Self(cores))
    }
}

/// The list in its shortest writing: `0-3,8`.
pub(super) fn list(cpus: &[usize]) -> String {
    let mut sorted = cpus.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|a, b| a + 1 == *b);
    let texts: Vec<_> = runs
        .map(|run| match run {
            [first, .., last] => format!("{first}-{last}"),
            [only] => only.to_string(),
            [] => String::new(),
        })
        .collect();
    texts.join(",")
}
