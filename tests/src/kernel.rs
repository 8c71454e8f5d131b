//! What a namespace's kernel counts.

use lab::Namespace;

/// A counter of a namespace's kernel, from `/proc/net/snmp` (groups `Icmp`, `Ip`, `Udp`, ...) or
/// `/proc/net/snmp6` (`Icmp6`, `Ip6`, ...).
///
/// # Panics
/// There is no such counter.
pub fn snmp(namespace: &Namespace, group: &str, name: &str) -> u64 {
    let file = if group.ends_with('6') { "snmp6" } else { "snmp" };
    // That of the thread: /proc/net is that of the process.
    let path = format!("/proc/thread-self/net/{file}");
    let text = namespace.enter(|| std::fs::read_to_string(path)).expect("Linux has these counters");
    let value = if group.ends_with('6') {
        let wanted = format!("{group}{name}");
        let mut pairs = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
        pairs.find(|(key, _)| *key == wanted).map(|(_, value)| value)
    } else {
        // Two lines a group: names, values.
        let prefix = format!("{group}: ");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        let names = lines.next().unwrap_or_default().split(' ');
        let mut pairs = names.zip(lines.next().unwrap_or_default().split(' '));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let value = value.and_then(|value| value.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no counter {name} of {group}"))
}
