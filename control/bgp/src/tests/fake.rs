//! A peer that is played by a test, message by message, over the codec.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::BgpCapability;
use netgauze_bgp_pkt::nlri::{Ipv4UnicastAddress, Ipv6UnicastAddress};
use netgauze_bgp_pkt::open::BgpOpenMessage;
use netgauze_bgp_pkt::path_attribute::{MpReach, MpUnreach, PathAttributeValue};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{DEADLINE, neighbor};
use crate::message::{Offer, keepalive};
use crate::settings::Neighbor;

/// The played end of a connection.
pub(super) struct Fake {
    pub(super) stream: TcpStream,
}

/// What a speaker announced or withdrew.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) announced: Vec<IpNet>,
    pub(super) withdrawn: Vec<IpNet>,
    pub(super) attributes: Vec<PathAttributeValue>,
    pub(super) end_of_rib: bool,
}

pub(super) async fn listen(address: &str) -> TcpListener {
    TcpListener::bind((address, 0)).await.unwrap()
}

/// An OPEN of AS 65000, hold time in seconds, with all that the speaker under test knows.
pub(super) fn open(id: Ipv4Addr, hold_time: u64) -> Vec<u8> {
    let neighbor = Neighbor {
        local_as: 65000,
        router_id: id,
        hold_time: Duration::from_secs(hold_time),
        ..neighbor("", "127.0.0.1", SocketAddr::from(([127, 0, 0, 1], 0)))
    };
    Offer { neighbor: &neighbor, restarted: false, forwarding: true }.encode()
}

pub(super) const HIGH: Ipv4Addr = Ipv4Addr::new(223, 0, 0, 1);
pub(super) const LOW: Ipv4Addr = Ipv4Addr::new(1, 0, 0, 1);

impl Fake {
    pub(super) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) =
            timeout(DEADLINE, listener.accept()).await.expect("they connect").unwrap();
        Self { stream }
    }

    pub(super) async fn connect(from: &str, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        Self { stream: socket.connect(to).await.unwrap() }
    }

    /// Plays the start of a session.
    pub(super) async fn establish(&mut self, open: &[u8]) -> BgpOpenMessage {
        self.send(open).await;
        let theirs = self.open().await;
        self.send(&keepalive()).await;
        assert_eq!(self.receive().await, Some(BgpMessage::KeepAlive));
        theirs
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message, or nothing at the end.
    pub(super) async fn receive(&mut self) -> Option<BgpMessage> {
        let read = async {
            let mut bytes = vec![0; 19];
            self.stream.read_exact(&mut bytes).await.ok()?;
            bytes.resize(u16::from_be_bytes([bytes[16], bytes[17]]).into(), 0);
            self.stream.read_exact(&mut bytes[19..]).await.unwrap();
            Some(bytes)
        };
        let bytes = timeout(DEADLINE, read).await.expect("a message comes")?;
        assert!(bytes.len() <= 4096);
        let mut context = BgpParsingContext::default();
        Some(BgpMessage::parse(&mut SliceReader::new(&bytes), &mut context).unwrap())
    }

    pub(super) async fn open(&mut self) -> BgpOpenMessage {
        match self.receive().await {
            Some(BgpMessage::Open(open)) => open,
            other => panic!("{other:?} in place of OPEN"),
        }
    }

    /// The next UPDATE. Keepalives are passed over.
    pub(super) async fn update(&mut self) -> Heard {
        loop {
            match self.receive().await {
                Some(BgpMessage::KeepAlive) => {}
                Some(BgpMessage::Update(update)) => return Heard::of(&update),
                other => panic!("{other:?} in place of UPDATE"),
            }
        }
    }

    /// All that is left until the end: UPDATEs, then code and subcode of a NOTIFICATION.
    pub(super) async fn rest(&mut self) -> (Vec<Heard>, Option<(u8, u8)>) {
        let mut updates = Vec::new();
        let mut last = None;
        while let Some(message) = self.receive().await {
            assert_eq!(last, None, "something follows a NOTIFICATION: {message:?}");
            match message {
                BgpMessage::Update(update) => updates.push(Heard::of(&update)),
                BgpMessage::Notification(notification) => {
                    let mut bytes = Vec::new();
                    netgauze_parse_utils::WritablePdu::write(&notification, &mut bytes).unwrap();
                    last = Some((bytes[0], bytes[1]));
                }
                BgpMessage::KeepAlive | BgpMessage::Open(_) | BgpMessage::RouteRefresh(_) => {}
            }
        }
        (updates, last)
    }

    /// Code and subcode of the NOTIFICATION with which they end.
    pub(super) async fn last_word(&mut self) -> Option<(u8, u8)> {
        self.rest().await.1
    }
}

impl Heard {
    fn of(update: &BgpUpdateMessage) -> Self {
        let mut heard = Self { end_of_rib: update.end_of_rib().is_some(), ..Self::default() };
        let v4 = |net: &Ipv4UnicastAddress| IpNet::V4(net.network().address());
        let v6 = |net: &Ipv6UnicastAddress| IpNet::V6(net.network().address());
        heard.announced.extend(update.nlri().iter().map(v4));
        heard.withdrawn.extend(update.withdraw_routes().iter().map(v4));
        for attribute in update.path_attributes() {
            match attribute.value() {
                PathAttributeValue::MpReach(MpReach::Ipv4Unicast { nlri, .. }) => {
                    heard.announced.extend(nlri.iter().map(v4));
                }
                PathAttributeValue::MpReach(MpReach::Ipv6Unicast { nlri, .. }) => {
                    heard.announced.extend(nlri.iter().map(v6));
                }
                PathAttributeValue::MpUnreach(MpUnreach::Ipv4Unicast { nlri }) => {
                    heard.withdrawn.extend(nlri.iter().map(v4));
                }
                PathAttributeValue::MpUnreach(MpUnreach::Ipv6Unicast { nlri }) => {
                    heard.withdrawn.extend(nlri.iter().map(v6));
                }
                _ => {}
            }
            heard.attributes.push(attribute.value().clone());
        }
        heard
    }
}

/// The bits of graceful restart in an OPEN: R, N, and F of each family.
pub(super) fn restart_bits(open: &BgpOpenMessage) -> Option<(bool, bool, Vec<bool>)> {
    open.capabilities().into_iter().find_map(|capability| match capability {
        BgpCapability::GracefulRestartCapability(restart) => Some((
            restart.restart(),
            restart.graceful_notification(),
            restart.address_families().iter().map(|family| family.forwarding_state()).collect(),
        )),
        _ => None,
    })
}
