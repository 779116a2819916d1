//! A TCP proxy that ruins its first connections, each in its own way.

use std::{net::SocketAddr, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A proxy in front of a hub, for as long as the test's runtime lives.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
}

/// What a connection is in for, in one direction.
#[derive(Debug, Clone, Copy)]
struct Fate {
    /// Bytes that come through.
    bytes_max: usize,
    /// What is behind them is swallowed, else the connection is cut there.
    is_swallowed: bool,
    /// Bytes that are passed on at a time, each after a pause.
    chunk_bytes: usize,
    pause: Option<Duration>,
}

impl Fate {
    const HONEST: Self = Self { bytes_max: usize::MAX, is_swallowed: false, chunk_bytes: 64 << 10, pause: None };

    /// What the device sends is cut somewhere, in the handshake, between messages or inside one.
    fn of_device(rng: &mut SmallRng) -> Self {
        let bytes_max = rng.random_range(1..20_000);
        match rng.random_range(0..3) {
            0 => Self { bytes_max, ..Self::HONEST },
            1 => Self { bytes_max, chunk_bytes: rng.random_range(1..600), ..Self::HONEST },
            _ => Self { bytes_max, pause: Some(Duration::from_millis(rng.random_range(1..30))), ..Self::HONEST },
        }
    }

    /// What the hub sends comes through, is swallowed from some byte on, or cut there.
    fn of_hub(rng: &mut SmallRng) -> Self {
        let bytes_max = rng.random_range(150..1_000);
        match rng.random_range(0..3) {
            0 => Self::HONEST,
            1 => Self { bytes_max, is_swallowed: true, ..Self::HONEST },
            _ => Self { bytes_max, ..Self::HONEST },
        }
    }
}

impl Proxy {
    /// Listens; the first `bad` connections are ruined.
    pub async fn start(hub: SocketAddr, bad: u64, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            let mut rng = SmallRng::seed_from_u64(seed);
            for number in 0.. {
                let (device, _) = listener.accept().await.expect("accepted");
                let fates = match number {
                    number if number < bad => (Fate::of_device(&mut rng), Fate::of_hub(&mut rng)),
                    _ => (Fate::HONEST, Fate::HONEST),
                };
                tokio::spawn(carry(device, hub, fates));
            }
        });
        Self { address }
    }
}

/// Both directions until one is cut; then both are.
async fn carry(device: TcpStream, hub: SocketAddr, (up, down): (Fate, Fate)) {
    let Ok(hub) = TcpStream::connect(hub).await else { return };
    let ((from_device, to_device), (from_hub, to_hub)) = (device.into_split(), hub.into_split());
    tokio::select! {
        () = pass_on(from_device, to_hub, up) => {}
        () = pass_on(from_hub, to_device, down) => {}
    }
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fate: Fate) {
    let mut room = fate.bytes_max;
    let mut buffer = vec![0; fate.chunk_bytes];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        if let Some(pause) = fate.pause {
            tokio::time::sleep(pause).await;
        }
        let passed = len.min(room);
        if to.write_all(&buffer[..passed]).await.is_err() {
            return;
        }
        room -= passed;
        if room == 0 && !fate.is_swallowed {
            return;
        }
    }
}
