use std::process::ExitCode;

use super::*;

/// As the shell would split it, on a machine whose CPUs 0 to 7 this process may use.
fn settings(line: &str) -> Result<Settings, UsageError> {
    let words = std::iter::once("palier-dataplane").chain(line.split_whitespace());
    parse(words, &[0, 1, 2, 3, 4, 5, 6, 7])
}

fn message(line: &str) -> String {
    settings(line).expect_err(line).to_string()
}

/// Settings with these ports, all else as short as it may be.
fn with_port(port: &str) -> Result<Settings, UsageError> {
    settings(&format!("--port {port} --cores 0-3 --next-hop 02:00:00:00:00:01"))
}

#[test]
fn the_shortest_line_gets_the_defaults() {
    let got = settings("--port net_tap0,iface=wire0 --cores 1 --exception tap:palier0").unwrap();
    let device = |name: &str, arguments: &str| Device {
        name: name.into(),
        arguments: arguments.into(),
        bus: Bus::Virtual,
    };
    let expected = Settings {
        ports: vec![Port {
            device: device("net_tap0", "iface=wire0"),
            queues: None,
            exception: Some(Exception {
                device: device("net_tap1", "iface=palier0"),
                interface: "palier0".into(),
                mac: None,
            }),
        }],
        cores: vec![1],
        vlan: None,
        run_dir: "/run/palier".into(),
        state_dir: "/run/palier".into(),
        snapshot: None,
        next_hop: None,
        connections: 1_000_000,
        flow_details: false,
        idle: Idle::Busy,
        mtu: None,
        verbose: false,
    };
    assert_eq!(got, expected);
}

#[test]
fn every_flag_is_heard() {
    let got = settings(
        "--port 3b:00.0,queues=4 --cores 2-5 --vlan 4094 --run-dir /tmp/r --state-dir /dev/shm/s \
         --snapshot s.json --next-hop 02:00:00:00:00:FE --connections 5000 --flow-details \
         --idle adaptive --mtu 9000 --verbose",
    );
    let device = Device { name: "0000:3b:00.0".into(), arguments: String::new(), bus: Bus::Pci };
    let expected = Settings {
        ports: vec![Port { device, queues: Some(4), exception: None }],
        cores: vec![2, 3, 4, 5],
        vlan: Some(4094),
        run_dir: "/tmp/r".into(),
        state_dir: "/dev/shm/s".into(),
        snapshot: Some("s.json".into()),
        next_hop: Some([2, 0, 0, 0, 0, 0xfe]),
        connections: 5000,
        flow_details: true,
        idle: Idle::Adaptive,
        mtu: Some(9000),
        verbose: true,
    };
    assert_eq!(got, Ok(expected));
}

#[test]
fn the_state_dir_is_the_run_dir_unless_said() {
    let got = settings("--port net_null0 --cores 0 --next-hop 02:00:00:00:00:01 --run-dir /tmp/r");
    assert_eq!(got.unwrap().state_dir, PathBuf::from("/tmp/r"));
}

#[test]
fn a_port_is_told_to_eal_without_what_is_ours() {
    for (text, eal, queues) in [
        ("0000:3b:00.0,queues=4", "0000:3b:00.0", Some(4)),
        ("3B:00.0,rx_vec_en=1,queues=2", "0000:3b:00.0,rx_vec_en=1", Some(2)),
        ("net_tap0,iface=wire0,queues=2", "net_tap0,iface=wire0", Some(2)),
        ("net_tap,iface=wire0", "net_tap0,iface=wire0", None),
        (
            "net_pcap0,rx_pcap=a.pcap,rx_pcap=b.pcap,tx_pcap=c.pcap",
            "net_pcap0,rx_pcap=a.pcap,rx_pcap=b.pcap,tx_pcap=c.pcap",
            None,
        ),
        ("net_af_packet7,iface=veth0,qpairs=2", "net_af_packet7,iface=veth0,qpairs=2", None),
        ("net_null", "net_null0", None),
    ] {
        let port = with_port(text).expect(text).ports.remove(0);
        assert_eq!((port.device.eal_value().as_str(), port.queues), (eal, queues), "{text}");
    }
}

#[test]
fn the_nth_exception_belongs_to_the_nth_port_and_no_two_devices_share_a_name() {
    let got = settings(
        "--port net_tap,iface=a --port net_tap0,iface=b --port net_null --cores 0-1 \
         --exception tap:x,mac=02:00:00:00:00:07 \
         --exception vdev:virtio_user0,path=/dev/vhost-net,iface=y --exception tap:z",
    )
    .unwrap();
    let names: Vec<_> = got
        .ports
        .iter()
        .map(|port| {
            let exception = port.exception.as_ref().unwrap();
            (port.device.eal_value(), exception.device.eal_value(), exception.interface.as_str())
        })
        .collect();
    let expected = [
        ("net_tap1,iface=a", "net_tap2,iface=x", "x"),
        ("net_tap0,iface=b", "virtio_user0,path=/dev/vhost-net,iface=y", "y"),
        ("net_null0", "net_tap3,iface=z", "z"),
    ];
    assert_eq!(names, expected.map(|(p, e, i)| (p.to_string(), e.to_string(), i)));
    let macs = got.ports.iter().map(|port| port.exception.as_ref().unwrap().mac);
    assert_eq!(macs.collect::<Vec<_>>(), [Some([2, 0, 0, 0, 0, 7]), None, None]);
}

#[test]
fn a_bad_port_is_told_why() {
    let name = |text: &str| {
        format!(
            "`{text}` is neither a PCI address (0000:3b:00.0) nor a virtual device of DPDK \
             (net_tap0, net_af_packet0, net_pcap0, ...)"
        )
    };
    let interface = |text: &str| {
        format!(
            "`{text}` is not the name of a network interface (1 to 15 characters, no `/` or space)"
        )
    };
    for (text, why) in [
        ("eth0", name("eth0")),
        ("net_", name("net_")),
        ("Net_tap0", name("Net_tap0")),
        ("net_tap0;", name("net_tap0;")),
        ("0000:3b:00", name("0000:3b:00")),
        ("0000:3b:00.8", name("0000:3b:00.8")),
        ("0000:3b:20.0", name("0000:3b:20.0")),
        ("3b:+0.0", name("3b:+0.0")),
        (",iface=x", name("")),
        ("queues=2", name("")),
        ("net_null0,", "`` is not of the form KEY=VALUE".into()),
        ("net_null0,copy", "`copy` is not of the form KEY=VALUE".into()),
        ("net_null0,=1", "`=1` is not of the form KEY=VALUE".into()),
        ("net_null0,queues=0", "queues=0 is not a number from 1 to 1024".into()),
        ("net_null0,queues=", "queues= is not a number from 1 to 1024".into()),
        ("net_null0,queues=70000", "queues=70000 is not a number from 1 to 1024".into()),
        ("net_null0,queues=1,queues=1", "queues= is given twice".into()),
        ("net_tap0,queues=5", "net_tap has at most 4 queues".into()),
        ("net_tap0,iface=abcdefghijklmnop", interface("abcdefghijklmnop")),
        ("net_tap0,iface=", interface("")),
        ("net_tap0,iface=a/b", interface("a/b")),
        ("net_tap0,iface=..", interface("..")),
    ] {
        let expected = format!("invalid value '{text}' for '--port <DEVICE[,queues=N]>': {why}");
        assert_eq!(with_port(text).unwrap_err(), UsageError::Flag(expected));
    }
}

#[test]
fn a_bad_exception_is_told_why() {
    for (text, why) in [
        (
            "palier0",
            "`palier0` is neither tap:INTERFACE[,mac=MAC] nor vdev:DEVICE,iface=INTERFACE,...",
        ),
        ("tun:x", "`tun:x` is neither tap:INTERFACE[,mac=MAC] nor vdev:DEVICE,iface=INTERFACE,..."),
        (
            "tap:x,mtu=1",
            "`tap:x,mtu=1` is neither tap:INTERFACE[,mac=MAC] nor vdev:DEVICE,iface=INTERFACE,...",
        ),
        ("tap:", "`` is not the name of a network interface (1 to 15 characters, no `/` or space)"),
        ("tap:x,mac=02:00", "`02:00` is not a link address (02:00:00:00:00:01)"),
        (
            "tap:x,mac=03:00:00:00:00:01",
            "`03:00:00:00:00:01` is not the link address of one station",
        ),
        (
            "vdev:virtio_user0,path=/dev/vhost-net",
            "`virtio_user0,path=/dev/vhost-net` has no iface=: next hops are looked up on that interface",
        ),
        (
            "vdev:0000:3b:00.0,iface=x",
            "`0000:3b:00.0` is a PCI device: the kernel is behind a virtual one",
        ),
        ("vdev:virtio_user0,iface=x,mac=1", "`1` is not a link address (02:00:00:00:00:01)"),
    ] {
        let expected = format!("invalid value '{text}' for '--exception <INTERFACE>': {why}");
        assert_eq!(message(&format!("--port net_null0 --cores 0 --exception {text}")), expected);
    }
}

#[test]
fn cores_are_a_list_of_cpus() {
    let cores = |text: &str| {
        settings(&format!("--port net_null0 --cores {text} --next-hop 02:00:00:00:00:01"))
    };
    for (text, expected) in
        [("0", vec![0]), ("2-5,7", vec![2, 3, 4, 5, 7]), ("7,3", vec![7, 3]), ("1-1", vec![1])]
    {
        assert_eq!(cores(text).expect(text).cores, expected);
    }
    for (text, why) in [
        ("x", "`x` is neither a CPU nor a range of CPUs (2-5,8)"),
        ("1,,2", "`` is neither a CPU nor a range of CPUs (2-5,8)"),
        ("+1", "`+1` is neither a CPU nor a range of CPUs (2-5,8)"),
        ("1-", "`1-` is neither a CPU nor a range of CPUs (2-5,8)"),
        ("1-2-3", "`1-2-3` is neither a CPU nor a range of CPUs (2-5,8)"),
        ("0-99999999999", "`0-99999999999` is neither a CPU nor a range of CPUs (2-5,8)"),
        ("5-2", "the range `5-2` ends before it begins"),
        ("1-3,2", "CPU 2 stands there twice"),
    ] {
        let expected = format!("invalid value '{text}' for '--cores <CPUS>': {why}");
        assert_eq!(cores(text).unwrap_err().to_string(), expected);
    }
    assert_eq!(
        cores("6-8").unwrap_err().to_string(),
        "--cores: CPU 8 does not exist or is not allowed to this process, which has 0-7"
    );
}

#[test]
fn allowed_cpus_are_told_in_short() {
    assert_eq!(cores::list(&[5, 0, 1, 2, 8, 9]), "0-2,5,8-9");
    assert_eq!(cores::list(&[]), "");
}

#[test]
fn a_bad_link_address_is_told_why() {
    for (text, why) in [
        ("02:00:00:00:00", "`02:00:00:00:00` is not a link address (02:00:00:00:00:01)"),
        (
            "02:00:00:00:00:01:02",
            "`02:00:00:00:00:01:02` is not a link address (02:00:00:00:00:01)",
        ),
        ("2:0:0:0:0:1", "`2:0:0:0:0:1` is not a link address (02:00:00:00:00:01)"),
        ("02:00:00:00:00:+1", "`02:00:00:00:00:+1` is not a link address (02:00:00:00:00:01)"),
        ("ff:ff:ff:ff:ff:ff", "`ff:ff:ff:ff:ff:ff` is not the link address of one station"),
        ("00:00:00:00:00:00", "`00:00:00:00:00:00` is not the link address of one station"),
    ] {
        let expected = format!("invalid value '{text}' for '--next-hop <MAC>': {why}");
        assert_eq!(message(&format!("--port net_null0 --cores 0 --next-hop {text}")), expected);
    }
}

#[test]
fn numbers_have_bounds() {
    for (flags, expected) in [
        ("--vlan 0", "invalid value '0' for '--vlan <ID>': 0 is not in 1..=4094"),
        ("--vlan 4095", "invalid value '4095' for '--vlan <ID>': 4095 is not in 1..=4094"),
        ("--mtu 1279", "invalid value '1279' for '--mtu <BYTES>': 1279 is not in 1280..=65535"),
        (
            "--connections 0",
            "invalid value '0' for '--connections <N>': 0 is not in 1..=4294967295",
        ),
        (
            "--idle lazy",
            "invalid value 'lazy' for '--idle <HOW>' [possible values: busy, adaptive]",
        ),
    ] {
        let line = "--port net_null0 --cores 0 --next-hop 02:00:00:00:00:01";
        assert_eq!(message(&format!("{line} {flags}")), expected);
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    for (line, expected) in [
        (
            "",
            "the following required arguments were not provided: --port <DEVICE[,queues=N]> \
             --cores <CPUS>",
        ),
        ("--prot x", "unexpected argument '--prot' found"),
        ("stray", "unexpected argument 'stray' found"),
        (
            "--port net_null0 --cores 0 --cores 1",
            "the argument '--cores <CPUS>' cannot be used multiple times",
        ),
        (
            "--port net_null0 --cores 0",
            "next hops are not known: give --exception to follow the kernel's, or --next-hop MAC",
        ),
        (
            "--port net_null0,queues=3 --cores 0-1 --exception tap:x",
            "--port net_null0: queues=3, but --cores has only 2 to poll them",
        ),
        (
            "--port net_null0 --port net_null1 --cores 0 --exception tap:x",
            "2 x --port but 1 x --exception: the n-th exception belongs to the n-th port, so give \
             as many, or none",
        ),
        (
            "--port net_null0 --cores 0 --exception tap:x --exception tap:y",
            "1 x --port but 2 x --exception: the n-th exception belongs to the n-th port, so give \
             as many, or none",
        ),
        (
            "--port net_null0 --port net_null0 --cores 0 --next-hop 02:00:00:00:00:01",
            "`net_null0` is used twice",
        ),
        (
            "--port 3b:00.0 --port 0000:3b:00.0 --cores 0 --next-hop 02:00:00:00:00:01",
            "`0000:3b:00.0` is used twice",
        ),
        ("--port net_tap0,iface=x --cores 0 --exception tap:x", "`x` is used twice"),
    ] {
        assert_eq!(message(line), expected, "{line}");
    }
}

#[test]
fn help_and_version_are_not_errors() {
    for (flag, part) in [
        ("--help", "--next-hop <MAC>"),
        ("-h", "--cores <CPUS>"),
        ("--version", "palier-dataplane "),
    ] {
        let asked = settings(flag).unwrap_err();
        assert!(matches!(&asked, UsageError::Asked(text) if text.contains(part)), "{asked}");
        assert_eq!(asked.report(), ExitCode::SUCCESS);
    }
    assert_eq!(settings("--cores x").unwrap_err().report(), ExitCode::from(2));
}

#[test]
fn a_tap_without_a_number_of_queues_gets_no_more_than_it_can_have() {
    for (cores, queues) in [("0-3", None), ("0-5", Some(4))] {
        let line = format!("--port net_tap0,iface=x --cores {cores} --exception tap:y");
        assert_eq!(settings(&line).unwrap().ports[0].queues, queues);
    }
}
