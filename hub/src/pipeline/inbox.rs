//! What comes to the pipeline: inputs of devices, requests of viewers and the API, and the bounded queues they wait in.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{device::Hello, live::control::Subscribe};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::viewers::{SubscribeError, Subscribed};
use crate::{
    ingest::{
        http::{Post, PostError, Posted},
        link::Link,
    },
    live::viewer::ViewerLink,
};

/// Inputs that may wait; a full queue makes connections wait, which TCP passes on to devices.
const INPUTS_WAITING_MAX: usize = 1_024;
/// Frames up to this size wait in the queue without more ado: 16 MiB in all.
const SMALL_FRAME_BYTES_MAX: usize = 16 * 1024;
/// Larger ones may take so much together, KiB.
const LARGE_FRAMES_KIB_MAX: usize = 32 * 1024;
/// Requests of viewers and the API that may wait.
const REQUESTS_WAITING_MAX: usize = 1_024;

/// What devices' connections and the HTTP door bring.
#[derive(Debug)]
pub enum Input {
    /// A connection introduces a device and a spool of it.
    Hello {
        /// The connection's number.
        connection: u64,
        /// The way back.
        link: Arc<Link>,
        /// What it said.
        hello: Box<Hello>,
    },
    /// A data frame as it came.
    Frame {
        /// The connection's number.
        connection: u64,
        /// `[seq, t0, items]`.
        frame: Bytes,
        /// Room in memory that a large frame holds until it is handled.
        room: Option<OwnedSemaphorePermit>,
    },
    /// Messages that will never come.
    Gap {
        /// The connection's number.
        connection: u64,
        /// First missing number.
        from: u64,
        /// Last missing number.
        to: u64,
        /// In the device's words.
        reason: String,
    },
    /// The connection has ended.
    Closed {
        /// The connection's number.
        connection: u64,
        /// Why, for the journal.
        reason: String,
    },
    /// Readings by HTTP.
    Post(Box<Post>, oneshot::Sender<Result<Posted, PostError>>),
}

/// What viewers and the API ask for.
#[derive(Debug)]
pub enum Request {
    /// A viewer is there: it gets the catalogue and all changes of it.
    Enter(Arc<ViewerLink>),
    /// A viewer lost control messages and needs the whole catalogue again.
    Resync(Arc<ViewerLink>),
    /// A viewer has gone.
    Exit(Arc<ViewerLink>),
    /// A subscription, with its place among the snapshots that are made at the same time.
    Subscribe(Arc<ViewerLink>, Subscribe, OwnedSemaphorePermit, oneshot::Sender<Result<Subscribed, SubscribeError>>),
    /// The end of one.
    Unsubscribe(Arc<ViewerLink>, u64),
    /// Stop taking input, commit everything, acknowledge it, close all connections with this code.
    Stop(u16, oneshot::Sender<()>),
}

/// Talks to the pipeline.
#[derive(Debug, Clone)]
pub struct PipelineHandle {
    inputs: mpsc::Sender<Input>,
    requests: mpsc::Sender<Request>,
    large_frames: Arc<Semaphore>,
}

/// The pipeline has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub is stopping")]
pub struct Stopped;

impl PipelineHandle {
    /// The way to a pipeline, and its two queues.
    pub(super) fn new() -> (Self, mpsc::Receiver<Input>, mpsc::Receiver<Request>) {
        let (inputs, taken_inputs) = mpsc::channel(INPUTS_WAITING_MAX);
        let (requests, taken_requests) = mpsc::channel(REQUESTS_WAITING_MAX);
        let large_frames = Arc::new(Semaphore::new(LARGE_FRAMES_KIB_MAX));
        (Self { inputs, requests, large_frames }, taken_inputs, taken_requests)
    }

    /// Brings an input; waits while the pipeline is behind.
    pub async fn input(&self, input: Input) -> Result<(), Stopped> {
        self.inputs.send(input).await.map_err(|_| Stopped)
    }

    /// Brings a data frame; a large one also waits for room, so that the queue is bounded in bytes too.
    pub async fn frame(&self, connection: u64, frame: Bytes) -> Result<(), Stopped> {
        let room = if frame.len() > SMALL_FRAME_BYTES_MAX {
            let kib = frame.len().div_ceil(1024) as u32;
            Some(Arc::clone(&self.large_frames).acquire_many_owned(kib).await.map_err(|_| Stopped)?)
        } else {
            None
        };
        self.input(Input::Frame { connection, frame, room }).await
    }

    /// Brings a small data frame if there is room for it now, which is almost always; else gives it back.
    pub fn try_frame(&self, connection: u64, frame: Bytes) -> Result<(), Bytes> {
        if frame.len() > SMALL_FRAME_BYTES_MAX {
            return Err(frame);
        }
        self.inputs.try_send(Input::Frame { connection, frame, room: None }).map_err(|error| {
            let Input::Frame { frame, .. } = error.into_inner() else { unreachable!("it was a frame") };
            frame
        })
    }

    /// Makes a request; waits while there are too many.
    pub async fn request(&self, request: Request) -> Result<(), Stopped> {
        self.requests.send(request).await.map_err(|_| Stopped)
    }
}
