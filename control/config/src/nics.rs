//! What `palierctl dataplane` starts the forwarder with: `nics`, `cores` and their like in `[[l4]]`.

use std::collections::BTreeSet;

use crate::settings::{L4, Nics};
use crate::table::Table;
use crate::value::Value;

/// Keys that mean something only beside `nics`.
const WITH_NICS: [&str; 7] =
    ["cores", "exception", "vlan", "mtu", "connections", "flow_details", "idle"];
/// CPUs that a set of the C library holds.
const CPUS: usize = 1024;

/// What a node's forwarder starts with, if the entry names `nics`.
pub(crate) fn read(table: &mut Table<'_>) -> Option<Nics> {
    let Some(nics) = table.take("nics") else {
        table.refuse(&WITH_NICS, "this is of no use without `nics`");
        return None;
    };
    let ports = nics.some(|nic| nic.text_that(NIC, is_device)).unwrap_or_default();
    let ports: Vec<_> = ports.into_iter().map(|port| port.value).collect();
    let count = nics.one_or_more().len();
    let exceptions = match table.take("exception") {
        Some(value) => exceptions(&value, count),
        None => (0..count).map(|n| format!("tap:palier{n}")).collect(),
    };
    Some(Nics {
        cores: table.required("cores", cores).unwrap_or_default(),
        exceptions,
        vlan: table.optional("vlan", |value| value.number(1..=4094)),
        mtu: table.optional("mtu", |value| value.number(1280..=u16::MAX)),
        connections: table.optional("connections", |value| value.number(1..=u32::MAX)),
        flow_details: table.or("flow_details", false, Value::boolean),
        adaptive: table
            .or("idle", false, |value| value.choice(&[("busy", false), ("adaptive", true)])),
        ports,
    })
}

/// Arguments for `palier-dataplane` that the node's entry gives: ports, cores, exceptions and what else
/// it says. Nothing if the entry names no `nics`.
pub fn dataplane_flags(node: &L4) -> Option<Vec<String>> {
    let Nics { ports, cores, exceptions, vlan, mtu, connections, flow_details, adaptive } =
        node.nics.as_ref()?;
    let mut flags = Vec::new();
    let mut flag = |name: &str, value: String| flags.extend([name.into(), value]);
    for port in ports {
        flag("--port", port.clone());
    }
    flag("--cores", cores.clone());
    for exception in exceptions {
        flag("--exception", exception.clone());
    }
    if let Some(vlan) = vlan {
        flag("--vlan", vlan.to_string());
    }
    if let Some(mtu) = mtu {
        flag("--mtu", mtu.to_string());
    }
    if let Some(connections) = connections {
        flag("--connections", connections.to_string());
    }
    if *adaptive {
        flag("--idle", "adaptive".into());
    }
    if *flow_details {
        flags.push("--flow-details".into());
    }
    Some(flags)
}

const NIC: &str = "a PCI address (0000:3b:00.0) or a virtual device of DPDK (net_tap0,iface=wire0)";

/// Whether a text looks like what `--port` takes; the forwarder itself looks closer.
fn is_device(text: &str) -> bool {
    let name = text.split(',').next().unwrap_or_default();
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_virtual =
        (name.starts_with("net_") || name.starts_with("virtio_")) && name.chars().all(word);
    (is_virtual || is_pci(name)) && !text.contains(char::is_whitespace)
}

/// `[DOMAIN:]BUS:DEVICE.FUNCTION`
fn is_pci(name: &str) -> bool {
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let Some((slot, function)) = name.rsplit_once('.') else { return false };
    let parts: Vec<_> = slot.split(':').collect();
    let slot = match parts.as_slice() {
        [bus, device] => hex(bus, 2) && hex(device, 2),
        [domain, bus, device] => hex(domain, 4) && hex(bus, 2) && hex(device, 2),
        [] | [_] | [_, _, _, _, ..] => false,
    };
    slot && hex(function, 1)
}

/// One per port: `palier0` is a tap of that name, the rest is what `--exception` takes.
fn exceptions(value: &Value<'_>, ports: usize) -> Vec<String> {
    let mut interfaces = BTreeSet::new();
    let mut exceptions = Vec::new();
    let all = value.one_or_more();
    let count = all.len();
    for value in all {
        const EXPECTED: &str =
            "an interface (palier0), tap:INTERFACE[,mac=MAC] or vdev:DEVICE,iface=INTERFACE,...";
        let Some(text) = value.text(EXPECTED) else { continue };
        let (interface, exception) = match text.split_once(':') {
            None => (Some(text), format!("tap:{text}")),
            Some(("tap", rest)) => (rest.split(',').next(), text.into()),
            Some(("vdev", rest)) => {
                (rest.split(',').find_map(|part| part.strip_prefix("iface=")), text.into())
            }
            Some(_) => (None, String::new()),
        };
        let Some(interface) = interface.filter(|interface| is_interface(interface)) else {
            let _: Option<()> = value.is_not(EXPECTED);
            continue;
        };
        if !interfaces.insert(interface) {
            value.problem(format!("the interface {interface} stands there twice"));
        }
        exceptions.push(exception);
    }
    if count != ports {
        value.problem(format!("{count} for {ports} `nics`: the n-th belongs to the n-th"));
    }
    exceptions
}

/// What Linux takes as an interface's name, without what DPDK's arguments cannot carry.
fn is_interface(name: &str) -> bool {
    let bad = |c: char| matches!(c, '/' | ':' | ',' | '=') || c.is_whitespace();
    (1..=15).contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(bad)
}

/// A list of CPUs, none twice: `"2-5,8"`.
fn cores(value: &Value<'_>) -> Option<String> {
    value.text_that("a list of CPUs, none twice, such as \"2-5,8\"", |text| {
        let mut seen = BTreeSet::new();
        text.split(',').all(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (cpu(first), cpu(last)) {
                (Some(first), Some(last)) => {
                    first <= last && (first..=last).all(|cpu| seen.insert(cpu))
                }
                (Some(_) | None, _) => false,
            }
        })
    })
}

fn cpu(digits: &str) -> Option<usize> {
    let number = digits.parse().ok().filter(|cpu| *cpu < CPUS);
    number.filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
}
