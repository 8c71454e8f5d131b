//! Packets out of tunnels: the decapsulator on each interface, the VIPs on `lo`, and what clients are told of
//! segment sizes. A thread of its own, as the kernel is asked in ways that wait.

mod wanted;
mod worker;

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use admin::TunnelStatus;
use tokio::sync::oneshot;

pub(super) use self::wanted::Wanted;
use self::worker::{Worker, sentence};

/// The thread. What it did stays when this is dropped; [`Tunnel::leave`] undoes it.
#[derive(Debug)]
pub(super) struct Tunnel {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Set(Wanted),
    Rest(mpsc::Sender<()>),
    Tell(oneshot::Sender<TunnelStatus>),
    Leave(oneshot::Sender<()>),
}

impl Tunnel {
    /// Nothing is done before it is told what is wanted. What an earlier process did is taken over.
    ///
    /// # Errors
    /// There can be no thread, or what an earlier process did cannot be read.
    pub(super) fn start(node: &str, state_dir: &Path, bpf_dir: &Path) -> Result<Self, String> {
        let (orders, told) = mpsc::channel();
        let worker = Worker::new(node, state_dir, bpf_dir).map_err(|error| sentence(&error))?;
        let thread = thread::Builder::new().name("tunnel".into());
        thread.spawn(move || worker.run(&told)).map_err(|error| sentence(&error))?;
        Ok(Self { orders })
    }

    /// Has this be so, soon.
    pub(super) fn set(&self, wanted: Wanted) {
        self.order(Order::Set(wanted));
    }

    /// Has everything stay as it is, for another process to take it over, until it is told again what is
    /// wanted. Tells when nothing is being done any more.
    pub(super) fn rest(&self) -> mpsc::Receiver<()> {
        let (rests, at_rest) = mpsc::channel();
        self.order(Order::Rest(rests));
        at_rest
    }

    /// How it is; nothing if the site file leaves it to others.
    pub(super) fn status(&self) -> impl Future<Output = Option<TunnelStatus>> + Send + use<> {
        let (tell, told) = oneshot::channel();
        self.order(Order::Tell(tell));
        async { told.await.ok().filter(|status| *status != TunnelStatus::default()) }
    }

    /// Undoes all of it, the VIPs last.
    pub(super) async fn leave(self) {
        let (done, is_done) = oneshot::channel();
        self.order(Order::Leave(done));
        // It ends with the thread, whatever happens there.
        let _ = is_done.await;
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::error!("the tunnel's thread has ended");
        }
    }
}
