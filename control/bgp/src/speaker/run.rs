//! What the thread does: hands out what is wanted, and connections to whom they belong.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::Socket;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::Numbered;
use super::directory::Directory;
use crate::board::Board;
use crate::peer::{Ending, Process};
use crate::socket;

/// How long nothing is accepted after that failed, as without file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs until told how to end, and everybody has ended.
pub(super) async fn run(
    listeners: Vec<Socket>,
    process: Process,
    board: Arc<Board>,
    mut wanted: watch::Receiver<Numbered>,
    mut ending: watch::Receiver<Option<Ending>>,
) {
    let listeners: Vec<_> = listeners
        .into_iter()
        .filter_map(|l| socket::into_listener(l).map_err(report).ok())
        .collect();
    let publisher = tokio::spawn(Arc::clone(&board).publish());
    let mut directory = Directory::new(process, board);

    let how = loop {
        tokio::select! {
            biased;
            how = ended(&mut ending) => break how,
            Ok(()) = wanted.changed() => {
                let Numbered { generation, wanted } = wanted.borrow_and_update().clone();
                directory.set(generation, &wanted, &listeners);
            }
            failed = directory.panicked() => {
                error!(neighbor = failed, "a bug ended its task; it starts anew");
                sleep(PAUSE).await;
                wanted.mark_changed();
            }
            accepted = accept(&listeners), if !listeners.is_empty() => match accepted {
                Ok((stream, from)) => directory.hand_over(stream, from),
                Err(error) => {
                    warn!(%error, "no connection can be accepted");
                    sleep(PAUSE).await;
                }
            },
        }
    };
    drop(listeners);
    directory.end(how).await;
    publisher.abort();
    debug!(?how, "ended");
}

async fn ended(ending: &mut watch::Receiver<Option<Ending>>) -> Ending {
    let how = ending.wait_for(Option::is_some).await.map(|how| *how);
    how.ok().flatten().unwrap_or(Ending::Silent)
}

async fn accept(listeners: &[TcpListener]) -> std::io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|context| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

fn report(error: std::io::Error) {
    error!(%error, "an address is not listened on");
}
