//! The site that packets are forwarded in: one service, its nodes, the ways to them.

use forward::{CellNumbers, Numbers, Path, PathSettings, Paths, Tables, Tick, Wire};

/// L7 nodes of the service.
pub const NODES: u16 = 64;
/// The service's ports.
pub const PORTS: [u16; 2] = [80, 443];
/// Last bytes of its VIPs: of each family as many.
pub const VIPS: [u8; 2] = [1, 2];
/// The node's link address.
pub const MAC: [u8; 6] = [0x02, 0x70, 0x63, 0x61, 0x70, 0x00];
/// Its port.
pub const WIRE: Wire = Wire { mac: MAC, vlan: None };
/// Where all packets are sent.
pub const NEXT_HOP: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// The site's state, as control would send it. Nothing limits how fast flows are recorded: that is
/// what is measured. `track`: whether they are.
pub fn snapshot(track: bool) -> api::Snapshot {
    let nodes: Vec<_> = (1..=NODES)
        .map(|index| {
            let addresses = [format!("192.0.2.{index}"), format!("2001:db8:7::{index:x}")];
            serde_json::json!({"name": format!("l7-{index}"), "index": index, "addresses": addresses})
        })
        .collect();
    let members: Vec<_> = (1..=NODES).map(|index| serde_json::json!({"node": index})).collect();
    let vips: Vec<_> = VIPS
        .iter()
        .flat_map(|last| [format!("198.51.100.{last}"), format!("2001:db8::{last:x}")])
        .collect();
    let unlimited = serde_json::json!({"per_second": u32::MAX, "burst": u32::MAX});
    let snapshot = serde_json::json!({
        "generation": 1,
        "hash_key": "000102030405060708090a0b0c0d0e0f",
        "addresses": ["192.0.2.130", "2001:db8:7::82"],
        "nodes": nodes,
        "services": [{
            "name": "web", "vips": vips, "protocol": "tcp", "ports": {"list": PORTS},
            "track": track, "nodes": members,
        }],
        "limits": {"insertions": unlimited},
    });
    serde_json::from_value(snapshot).expect("what is written here is a Snapshot")
}

/// The tables of [`snapshot`], and the ways to its nodes.
///
/// # Panics
/// The snapshot is not valid: it is written here.
pub fn tables(track: bool) -> (Tables, Paths) {
    let snapshot = snapshot(track);
    let key = snapshot.hash_key.expect("the key is written here");
    let mut cells = CellNumbers::default();
    let mut numbers = Numbers { service: &mut |_| Some(0), cells: &mut cells };
    let tables = Tables::build(&snapshot, key, None, &mut numbers, Tick::new(0))
        .expect("the Snapshot written here is valid");
    let paths = Paths::new(|node, ipv6| {
        let (source, destination) = tables.tunnel(node, ipv6)?;
        let settings = PathSettings {
            source,
            destination,
            source_mac: MAC,
            next_hop_mac: Some(NEXT_HOP),
            vlan: None,
            port: 0,
            mtu: 1500,
            checksum_offload: false,
        };
        Path::new(&settings).ok()
    });
    (tables, paths)
}
