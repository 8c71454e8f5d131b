//! The two programs, loaded but attached nowhere, and run by BPF_PROG_TEST_RUN.

use std::mem::MaybeUninit;

use libbpf_rs::ProgramInput;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};

use super::packet::ETHERNET;
use crate::skeleton::{DecapSkel, DecapSkelBuilder};
use crate::table::Tables;
use crate::{Counter, Rules};

const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;
const TC_ACT_SHOT: i32 = 2;
const TC_ACT_UNSPEC: i32 = -1;

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Dropped,
    Passed(Vec<u8>),
}

/// Both programs with their shared tables.
pub(super) struct Kernel {
    programs: DecapSkel<'static>,
    tables: Tables,
}

impl Kernel {
    /// None, and a note, without root.
    pub(super) fn new(allow: &[&str], vips: &[&str], addresses: &[&str]) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("note: not run: loading eBPF programs needs root");
            return None;
        }
        let object = Box::leak(Box::new(MaybeUninit::uninit()));
        let programs = DecapSkelBuilder::default().open(object).unwrap().load().unwrap();
        let tables = Tables::new(&programs.maps).unwrap();
        let mut kernel = Self { programs, tables };
        kernel.set(allow, vips, addresses);
        Some(kernel)
    }

    pub(super) fn set(&mut self, allow: &[&str], vips: &[&str], addresses: &[&str]) {
        let rules = Rules {
            allow: allow.iter().map(|prefix| prefix.parse().unwrap()).collect(),
            vips: vips.iter().map(|prefix| prefix.parse().unwrap()).collect(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            tunnel_only: false,
        };
        self.set_rules(&rules);
    }

    pub(super) fn set_rules(&mut self, rules: &Rules) {
        self.tables.set(rules).unwrap();
    }

    /// Both programs must do this to the frame, and count it so.
    #[track_caller]
    pub(super) fn expect(&self, frame: &[u8], outcome: Outcome, counters: &[Counter]) {
        let expected = (outcome, counters.to_vec());
        assert_eq!(self.xdp(frame), expected, "XDP, frame {frame:02x?}");
        if tc_takes(frame) {
            assert_eq!(self.tc(frame), expected, "TC, frame {frame:02x?}");
        }
    }

    /// What XDP does to the frame, and the counters that went up by one.
    pub(super) fn xdp(&self, frame: &[u8]) -> (Outcome, Vec<Counter>) {
        self.counted(|| {
            let mut out = [0; 2048];
            match run(&self.programs.progs.decap_xdp, frame, &mut out) {
                (XDP_DROP, _) => Outcome::Dropped,
                (XDP_PASS, packet) => Outcome::Passed(packet),
                (other, _) => panic!("XDP program returned {other}"),
            }
        })
    }

    /// What TC does to the frame, and the counters that went up by one.
    pub(super) fn tc(&self, frame: &[u8]) -> (Outcome, Vec<Counter>) {
        self.counted(|| {
            let mut out = [0; 2048];
            match run(&self.programs.progs.decap_tc, frame, &mut out) {
                (TC_ACT_SHOT, _) => Outcome::Dropped,
                (TC_ACT_UNSPEC, packet) => Outcome::Passed(packet),
                (other, _) => panic!("TC program returned {other}"),
            }
        })
    }

    fn counted(&self, run: impl FnOnce() -> Outcome) -> (Outcome, Vec<Counter>) {
        let before = self.tables.counters().unwrap();
        let outcome = run();
        let after = self.tables.counters().unwrap();
        let moved = before.iter().zip(after).filter(|((_, before), (_, after))| before != after);
        let counters = moved.map(|((counter, before), (_, after))| {
            assert_eq!(after, before + 1, "{counter}");
            *counter
        });
        (outcome, counters.collect())
    }
}

/// Whether the kernel runs a TC program on the frame: there the IP header is whole by then.
pub(super) fn tc_takes(frame: &[u8]) -> bool {
    let header = match frame[12..ETHERNET] {
        [0x08, 0x00] => 20,
        [0x86, 0xdd] => 40,
        _ => 0,
    };
    frame.len() >= ETHERNET + header
}

fn run(program: &libbpf_rs::ProgramMut<'_>, frame: &[u8], out: &mut [u8]) -> (i32, Vec<u8>) {
    let input =
        ProgramInput { data_in: Some(frame), data_out: Some(out), ..ProgramInput::default() };
    let output = program.test_run(input).unwrap();
    (output.return_value.cast_signed(), output.data.unwrap().to_vec())
}
