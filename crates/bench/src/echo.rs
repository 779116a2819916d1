//! An echo endpoint for conformance suites: axum's WebSocket on hyper, set up as the hub's acceptor does it.
//!
//! Only the limits of message and frame are wider, because suites send up to 16 MiB, and text is answered too, which the
//! hub refuses (1003).

use std::net::SocketAddr;

use anyhow::Context;
use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::get,
};
use futures_util::SinkExt;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, rt::TokioTimer, service::TowerToHyperService};
use tokio::net::TcpListener;

/// As the hub's for devices (`hub::ingest::websocket`).
const BUFFER_BYTES: usize = 4 * 1024;
/// What the largest case of Autobahn's suite needs.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Serves until it is interrupted.
pub fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        println!("ws://{}/", listener.local_addr()?);
        let router = Router::new().route("/", get(upgrade));
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()))
                .with_upgrades();
            tokio::spawn(async move {
                // A suite breaks connections on purpose.
                let _ = connection.await;
            });
        }
    })
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(2 * MESSAGE_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    // Pings and closes are answered by tungstenite.
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
    // Whoever broke the protocol gets the code of why, if it still reads.
    let _ = socket.close().await;
}
