//! Many devices in one process, each with a connection of its own.
//!
//! Owns the agents. Takes a [`FleetConfig`] and gives [`Snapshot`]s and a [`Summary`].

mod config;

use std::{sync::Arc, time::Duration};

use client::device::{DeviceClient, DeviceClock, DeviceConfig, SpoolConfig, StartError, Stats, Timing};
use protocol::ids::{Id, IdError};
use tokio::{sync::watch, task::JoinSet};

pub(crate) use config::machine;
pub use config::{FleetConfig, SourceConfig};

pub use crate::agent::Trouble;
use crate::{
    agent::{Agent, AgentEnd, Board, Order},
    fault::{Faulty, UnknownChannel},
    source::{SourceError, Span},
};

/// How long to wait for acknowledgements after shutdown was asked for.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// Why a fleet cannot start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// There is one machine, and one standard input.
    #[error("{0} is one device: leave out --devices")]
    OneOnly(&'static str),
    /// A fleet's ids are made of the given one.
    #[error("{text:?} cannot be a device's id")]
    Id {
        /// What it would be.
        text: String,
        /// What is wrong with it.
        #[source]
        source: IdError,
    },
    /// A source cannot start.
    #[error("{device} has nothing to send")]
    Source {
        /// Whose.
        device: Id,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// A fault for a channel that is not there.
    #[error("{device}: the fault fits no channel")]
    Fault {
        /// Whose.
        device: Id,
        /// Which.
        #[source]
        source: UnknownChannel,
    },
    /// A connection cannot start.
    #[error("{device} cannot start")]
    Device {
        /// Which.
        device: Id,
        /// Why.
        #[source]
        source: StartError,
    },
}

/// How a fleet is doing, all devices together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Devices that were started.
    pub devices: usize,
    /// Devices that the hub has welcomed.
    pub connected: usize,
    /// Readings put into messages.
    pub readings: u64,
    /// Messages put on the wire, repeated ones included.
    pub sent: u64,
    /// Messages that the hub has on its disk.
    pub acked: u64,
    /// Messages held and not acknowledged.
    pub waiting_messages: u64,
    /// Bytes they take.
    pub waiting_bytes: u64,
    /// Messages lost because the spool's bound was reached, or discarded.
    pub dropped: u64,
    /// Messages that the hub refused.
    pub refused: u64,
    /// Lines of standard input that could not be used.
    pub lines_skipped: u64,
    /// From sending a message to its ack, the median of the devices' newest measurements, microseconds.
    pub ack_round_trip_us: Option<u64>,
    /// Why the last connection was lost; `None` while all are connected.
    pub trouble: Option<Trouble>,
}

/// How a fleet ended.
#[derive(Debug)]
pub struct Summary {
    /// The last state.
    pub last: Snapshot,
    /// Everything that was measured is on the hub's disk, or the hub knows that it is lost.
    pub is_drained: bool,
    /// Devices whose source gave up, and why.
    pub failures: Vec<(Id, SourceError)>,
}

/// A running fleet. Its devices stop without ceremony when it is dropped.
pub struct Fleet {
    agents: JoinSet<AgentEnd>,
    orders: watch::Sender<Order>,
    ids: Vec<Id>,
    stats: Vec<watch::Receiver<Stats>>,
    recorded: Option<Span>,
    board: Arc<Board>,
    ends: Vec<AgentEnd>,
}

impl Fleet {
    /// Opens every source and spool, and starts every device on the current Tokio runtime.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn start(config: &FleetConfig) -> Result<Self, FleetError> {
        if let (2.., Some(one)) = (config.devices, config.source.one_only()) {
            return Err(FleetError::OneOnly(one));
        }
        let (orders, ordered) = watch::channel(Order::Run);
        let board = Arc::new(Board::default());
        let (mut agents, mut ids, mut stats, mut recorded) = (JoinSet::new(), Vec::new(), Vec::new(), None);
        for index in 0..config.devices {
            let agent = agent(config, index, ordered.clone(), board.clone())?;
            ids.push(agent.device.clone());
            recorded = agent.source.recorded();
            stats.push(agent.handle.stats());
            agents.spawn(agent.run());
        }
        Ok(Self { agents, orders, ids, stats, recorded, board, ends: Vec::new() })
    }

    /// What its devices are called, in their order.
    pub fn ids(&self) -> &[Id] {
        &self.ids
    }

    /// The times of the recording that its devices send, as recorded.
    pub fn recorded(&self) -> Option<Span> {
        self.recorded
    }

    /// How it is doing now.
    pub fn snapshot(&self) -> Snapshot {
        let mut round_trips = Vec::new();
        let mut snapshot = Snapshot {
            devices: self.stats.len(),
            readings: self.board.readings(),
            lines_skipped: self.board.lines_skipped(),
            ..Snapshot::default()
        };
        for stats in &self.stats {
            let stats = *stats.borrow();
            snapshot.connected += usize::from(stats.connected);
            snapshot.sent += stats.sent;
            snapshot.acked += stats.acked;
            snapshot.waiting_messages += stats.waiting_messages;
            snapshot.waiting_bytes += stats.waiting_bytes;
            snapshot.dropped += stats.dropped;
            snapshot.refused += stats.refused;
            round_trips.extend(stats.ack_round_trip_us);
        }
        let middle = round_trips.len() / 2;
        if !round_trips.is_empty() {
            snapshot.ack_round_trip_us = Some(*round_trips.select_nth_unstable(middle).1);
        }
        snapshot.trouble = if snapshot.connected < snapshot.devices { self.board.trouble() } else { None };
        snapshot
    }

    /// Waits until every device has ended by itself: its source had an end, or it has sent enough.
    pub async fn ended(&mut self) {
        while let Some(end) = self.agents.join_next().await {
            self.keep(end);
        }
    }

    /// Ends every device: what is measured is sent, and acknowledgements are waited for at most for `patience`.
    pub async fn finish(mut self, patience: Duration) -> Summary {
        self.orders.send_replace(Order::Finish(patience));
        self.ended().await;
        let mut last = self.snapshot();
        last.trouble = self.board.trouble().filter(|_| last.waiting_messages > 0);
        let is_drained = self.ends.iter().all(|end| end.stats.drained);
        let failures = self.ends.into_iter().filter_map(|end| Some((end.device, end.failure?))).collect();
        Summary { last, is_drained, failures }
    }

    fn keep(&mut self, end: Result<AgentEnd, tokio::task::JoinError>) {
        match end {
            Ok(end) => self.ends.push(end),
            Err(error) => tracing::error!(%error, "a device's task broke"),
        }
    }
}

/// Runs a fleet until `shutdown`, or until every device has ended by itself.
pub async fn run(config: &FleetConfig, shutdown: impl Future<Output = ()>) -> Result<Summary, FleetError> {
    let mut fleet = Fleet::start(config)?;
    tokio::select! {
        () = shutdown => {}
        () = fleet.ended() => {}
    }
    Ok(fleet.finish(SHUTDOWN_PATIENCE).await)
}

fn agent(
    config: &FleetConfig,
    index: u32,
    orders: watch::Receiver<Order>,
    board: Arc<Board>,
) -> Result<Agent, FleetError> {
    let identity = config.identity(index)?;
    let device = identity.device.clone();
    let failed = |source| FleetError::Source { device: device.clone(), source };
    let seed = config.seed_of(&device);
    let mut source = config.source.open(index, seed).map_err(failed)?;
    if !config.faults.is_empty() {
        let faulty = Faulty::new(source, config.faults.clone(), seed);
        source = Box::new(faulty.map_err(|source| FleetError::Fault { device: device.clone(), source })?);
    }
    let spool = SpoolConfig {
        folder: config.spool.as_ref().map(|folder| folder.join(device.as_str())),
        bytes_max: config.spool_bytes / u64::from(config.devices.max(1)),
    };
    let (handle, events) = DeviceClient::spawn(DeviceConfig {
        hub: config.hub.clone(),
        token: config.token.clone(),
        identity,
        channels: source.channels().to_vec(),
        clock: DeviceClock::Unix,
        spool,
        timing: Timing::default(),
    })
    .map_err(|source| FleetError::Device { device: device.clone(), source })?;
    Ok(Agent {
        device,
        source,
        is_patient: config.source.is_patient(),
        gather: config.gather,
        messages_max: config.messages_max,
        handle,
        events,
        orders,
        board,
    })
}
