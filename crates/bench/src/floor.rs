//! The floor: servers that read and discard, to know what the sockets alone cost. Run as processes of their own.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use anyhow::Context;
use clap::ValueEnum;
use futures_util::{SinkExt, StreamExt};
use protocol::device::HubControl;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        Bytes, Message,
        handshake::server::{Request, Response},
        protocol::WebSocketConfig,
    },
};

use crate::process::{self, Usage};

/// As the hub's.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// What the server does with what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// tungstenite reads messages and drops them.
    WebSocket,
    /// tungstenite reads messages and answers each with as many bytes as an acknowledgement has.
    Answered,
    /// Bytes are read and dropped.
    Tcp,
}

/// Serves until its standard input ends; prints its address, then the messages (or, of TCP, reads) so far for every
/// line it is sent.
pub fn serve(kind: Kind) -> anyhow::Result<()> {
    let messages = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&messages);
    let (told, address) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            // Whoever waits for the address is the other half of this function.
            let _ = told.send(listener.local_addr()?);
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(discard(kind, stream, Arc::clone(&counted)));
            }
        })
    });
    println!("{}", address.recv().context("the floor could not listen")?);
    for line in std::io::stdin().lines() {
        line?;
        println!("{}", messages.load(Relaxed));
    }
    Ok(())
}

async fn discard(kind: Kind, mut stream: TcpStream, counted: Arc<AtomicU64>) {
    if kind == Kind::Tcp {
        let mut buffer = [0; READ_BUFFER_BYTES];
        while stream.read(&mut buffer).await.is_ok_and(|len| len > 0) {
            counted.fetch_add(1, Relaxed);
        }
        return;
    }
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    // The client offers the hub's subprotocols; here any will do.
    #[expect(clippy::result_large_err, reason = "tungstenite's own signature")]
    let any = |request: &Request, mut response: Response| {
        if let Some(offered) = request.headers().get("sec-websocket-protocol") {
            response.headers_mut().insert("sec-websocket-protocol", offered.clone());
        }
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async_with_config(stream, any, Some(config)).await else { return };
    let answer = Bytes::from(HubControl::Ack { acked: 1 << 20, credit: 1_024 }.encode());
    while let Some(Ok(_)) = socket.next().await {
        counted.fetch_add(1, Relaxed);
        if kind == Kind::Answered && socket.send(Message::Binary(answer.clone())).await.is_err() {
            return;
        }
    }
}

/// The floor as a process, pinned where the hub is.
#[derive(Debug)]
pub struct FloorProcess {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl FloorProcess {
    /// Starts it.
    pub fn start(kind: Kind) -> anyhow::Result<Self> {
        let kind = kind.to_possible_value().context("every kind has a name")?;
        let program = std::env::current_exe().context("where am I?")?;
        let mut command = process::on_first_core(&program);
        let child = command.args(["floor", kind.get_name()]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("cannot start the floor")?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            anyhow::bail!("the floor has no pipes");
        };
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let address = line.trim().parse().context("the floor did not say where it listens")?;
        Ok(Self { child, stdin, stdout, address })
    }

    /// Messages discarded so far.
    pub fn count(&mut self) -> anyhow::Result<u64> {
        self.stdin.write_all(b"\n")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        line.trim().parse().context("the floor did not count")
    }

    /// What it has used so far.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id())
    }
}

impl Drop for FloorProcess {
    fn drop(&mut self) {
        // It ends with its standard input; a kill is quicker, and it has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
