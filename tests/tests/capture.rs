//! Captured packets: as they came, each with what became of it.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use api::CaptureFilter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lab::{Lab, VIP};
use packet::build::Ip;
use system_tests::{RawClient, SOON, nodes_of_new_connections};

/// A port of the VIP that no service takes.
const NOBODYS: u16 = 9;
const SOURCE_PORT: u16 = 4242;

/// What the client sends to that port, from its IP header on.
fn unwanted(lab: &Lab) -> Vec<u8> {
    let client = lab.client().addresses();
    Ip::new(client.v4.into(), VIP.into()).udp(SOURCE_PORT, NOBODYS, b"who is there?").build()
}

/// Sends it, again and again, while `meanwhile` runs.
fn sending_unwanted<T>(lab: &Lab, meanwhile: impl FnOnce() -> T) -> T {
    let (raw, packet) = (RawClient::of(lab, lab.client()), unwanted(lab));
    let ending = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ending.load(Relaxed) {
                raw.send(&packet);
                thread::sleep(Duration::from_millis(5)); // the pace of what is captured
            }
        });
        let value = meanwhile();
        ending.store(true, Relaxed);
        value
    })
}

#[test]
fn a_capture_shows_dropped_packets_as_they_came_and_why_they_were_dropped() {
    let lab = Lab::new().l4(1).l7(1).start();
    let filter = CaptureFilter {
        packets: 5,
        timeout_ms: 30_000,
        dropped: true,
        source_port: Some(SOURCE_PORT),
        ..CaptureFilter::default()
    };
    let captured = sending_unwanted(&lab, || {
        // Forwarded packets pass too, and are not shown.
        nodes_of_new_connections(&lab, 3);
        lab.l4(1).capture(&filter)
    });
    assert_eq!(captured.len(), 5);
    for packet in &captured {
        assert_eq!(packet.reason, "drop_no_service");
        let frame = STANDARD.decode(&packet.data).unwrap();
        assert_eq!(frame.len(), packet.length as usize);
        assert_eq!(frame[..6], lab.l4(1).addresses().mac().0);
        // The router has counted the hop limit down: bytes 8 to 11 differ.
        let (came, sent) = (&frame[14..], unwanted(&lab));
        assert_eq!((&came[..8], &came[12..]), (&sent[..8], &sent[12..]));
        assert_eq!(came[8] + 1, sent[8]);
    }
}

#[test]
fn a_capture_without_a_match_ends_at_its_time_with_nothing() {
    let lab = Lab::new().l4(1).l7(1).start();
    let filter = CaptureFilter {
        packets: 5,
        timeout_ms: 200,
        reason: Some("drop_no_service".into()),
        source_port: Some(1),
        ..CaptureFilter::default()
    };
    let captured = sending_unwanted(&lab, || lab.l4(1).capture(&filter));
    assert!(captured.is_empty(), "{captured:?}");
}

#[test]
fn palierctl_writes_what_tcpdump_reads() {
    let lab = Lab::new().l4(1).l7(1).control().start();
    let file = lab.l4(1).socket().with_file_name("dropped.pcap");
    let (path, vip) = (file.display().to_string(), VIP.to_string());
    let (status, said) = sending_unwanted(&lab, || {
        let only = ["--dropped", "--packets", "3", "--destination", &vip];
        lab.l4(1).ctl(&[&["capture", "-o", &path], &only[..]].concat())
    });
    assert!(status.success(), "{said}");
    assert!(said.contains("drop_no_service"), "{said}");

    let mut lines = String::new();
    lab.wait_until("tcpdump reads it", SOON, || {
        let output = Command::new("tcpdump").args(["-n", "-r"]).arg(&file).output();
        let output = output.expect("tcpdump is installed");
        lines = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success()
    });
    let client = lab.client().addresses().v4;
    let wanted = format!("IP {client}.{SOURCE_PORT} > {VIP}.{NOBODYS}: UDP, length 13");
    assert_eq!(lines.lines().filter(|line| line.contains(&wanted)).count(), 3, "{lines}");
}
