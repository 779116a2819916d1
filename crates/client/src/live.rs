//! A viewer's connection: `GET /ws/live`.
//!
//! Owns one socket and the set of subscriptions. Takes wishes through [`LiveHandle`] and gives [`LiveEvent`]s over a
//! bounded channel: when the application is slow this task stops reading, TCP pushes back and the hub merges points.
//! It reconnects for as long as a handle and the receiver live, and then asks for the same subscriptions again; a
//! fresh snapshot replaces each window. It never keeps readings.

use std::{collections::BTreeMap, fmt, time::Duration};

use protocol::live::{HubMessage, LiveData, ViewerMessage, control::Subscribe};
use tokio::sync::{mpsc, watch};

mod session;

use crate::{
    address::HubAddress,
    backoff::Backoff,
    socket::{self, Door, Ending, Socket, explained},
};

/// Events that wait for the application before this task stops reading its socket. Frames have at most 64 KiB.
const EVENTS_MAX: usize = 64;
/// First ceiling of the backoff: someone is looking at the screen.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// Last ceiling of the backoff.
const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// Read at once; a viewer has one connection, so this may be larger than a device's.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// Largest message taken from a hub. Its frames have 64 KiB; a newer one may have reason for more.
const INCOMING_BYTES_MAX: usize = 1024 * 1024;

/// Where to connect, and as whom.
#[derive(Clone)]
pub struct LiveConfig {
    /// As in [`HubAddress::parse`]. One that cannot be read is reported as a [`LiveEvent::Disconnected`]: check
    /// it first where that can be said better.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<String>,
}

impl fmt::Debug for LiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveConfig")
            .field("url", &self.url)
            .field("token", &self.token.as_ref().map(|_| "(secret)"))
            .finish()
    }
}

/// What happens on the connection.
#[derive(Debug, Clone, PartialEq)]
pub enum LiveEvent {
    /// An attempt begins.
    Connecting {
        /// Counts from 1 since the last useful connection.
        attempt: u32,
    },
    /// The socket is open and the subscriptions are asked for; welcome follows.
    Connected,
    /// A control message of the hub, except echoes (see [`RoundTrip`](Self::RoundTrip)) and unknown ones.
    Message(HubMessage),
    /// Readings.
    Data(LiveData),
    /// Time to the hub and back, every two seconds while connected. It includes the time this end took to read.
    RoundTrip(Duration),
    /// The connection ended, or did not come about.
    Disconnected {
        /// For a person.
        reason: String,
        /// When the next attempt begins.
        retry_in: Duration,
        /// Which attempt that will be.
        attempt: u32,
    },
}

/// What the application wants, in full: a reconnect asks for all of it again.
#[derive(Debug, Clone, Default, PartialEq)]
struct Wanted {
    /// By the viewer's number; beside each the revision that set it, so that asking again for the same brings a
    /// fresh snapshot.
    subscriptions: BTreeMap<u64, (u64, Subscribe)>,
    revision: u64,
    hidden: bool,
    /// Raised to ask for a new connection.
    reconnects: u64,
}

impl Wanted {
    /// What to say to a hub that knows `known`.
    fn since(&self, known: &Self) -> Vec<ViewerMessage> {
        let mut messages = Vec::new();
        if self.hidden != known.hidden {
            messages.push(ViewerMessage::Visibility { hidden: self.hidden });
        }
        let gone = known.subscriptions.keys().filter(|id| !self.subscriptions.contains_key(id));
        messages.extend(gone.map(|&id| ViewerMessage::Unsubscribe { id }));
        let fresh = self.subscriptions.iter().filter(|(id, wanted)| known.subscriptions.get(id) != Some(wanted));
        messages.extend(fresh.map(|(_, (_, subscribe))| ViewerMessage::Subscribe(subscribe.clone())));
        messages
    }
}

/// Tells the connection what is wanted. Nothing here waits; the last word holds, connected or not. The connection
/// ends when the last handle is gone.
#[derive(Debug, Clone)]
pub struct LiveHandle {
    wanted: watch::Sender<Wanted>,
}

impl LiveHandle {
    /// Begins a subscription, or replaces the one with the same id; a fresh snapshot follows either way.
    pub fn subscribe(&self, subscribe: Subscribe) {
        self.wanted.send_modify(|wanted| {
            wanted.revision += 1;
            wanted.subscriptions.insert(subscribe.id, (wanted.revision, subscribe));
        });
    }

    /// Ends a subscription; frames that are on their way may still arrive.
    pub fn unsubscribe(&self, id: u64) {
        self.wanted.send_if_modified(|wanted| wanted.subscriptions.remove(&id).is_some());
    }

    /// Hidden: no data until visible again, which brings fresh snapshots.
    pub fn visibility(&self, hidden: bool) {
        self.wanted.send_if_modified(|wanted| std::mem::replace(&mut wanted.hidden, hidden) != hidden);
    }

    /// Ends the wait for the next attempt, or the connection that there is: a new one begins at once.
    pub fn reconnect_now(&self) {
        self.wanted.send_modify(|wanted| wanted.reconnects += 1);
    }
}

/// Starts the connection's task on the current Tokio runtime. It ends when all handles or the receiver are gone.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn connect(config: LiveConfig) -> (LiveHandle, mpsc::Receiver<LiveEvent>) {
    // When it is full this task waits and does not read: the hub conflates.
    let (events, receiver) = mpsc::channel(EVENTS_MAX);
    let (wanted, wishes) = watch::channel(Wanted::default());
    tokio::spawn(Live { config, events, wishes }.run());
    (LiveHandle { wanted }, receiver)
}

/// All handles are gone, or nobody listens.
struct Unwanted;

struct Live {
    config: LiveConfig,
    events: mpsc::Sender<LiveEvent>,
    wishes: watch::Receiver<Wanted>,
}

impl Live {
    async fn run(mut self) {
        // The only way to end is that nobody is there any more.
        let Err(Unwanted) = self.reconnect_for_ever().await;
        tracing::debug!("live connection ended: no longer wanted");
    }

    async fn reconnect_for_ever(&mut self) -> Result<std::convert::Infallible, Unwanted> {
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MAX);
        let mut attempt = 1;
        loop {
            self.tell(LiveEvent::Connecting { attempt }).await?;
            let reconnects = self.wishes.borrow().reconnects;
            let ending = match self.open(reconnects).await? {
                Ok(socket) => {
                    self.tell(LiveEvent::Connected).await?;
                    let ended = session::run(self, socket).await?;
                    if ended.was_useful {
                        backoff.reset();
                        attempt = 0;
                    }
                    ended.ending
                }
                Err(ending) => ending,
            };
            attempt = attempt.saturating_add(1);
            // A reconnect that was asked for meanwhile waits for nothing.
            let asked = self.wishes.borrow().reconnects != reconnects;
            let retry_in = if asked { Duration::ZERO } else { backoff.next(ending.advice, &mut rand::rng()) };
            tracing::info!(reason = %ending.reason, ?retry_in, attempt, "not connected to the hub");
            self.tell(LiveEvent::Disconnected { reason: ending.reason, retry_in, attempt }).await?;
            self.wait(retry_in, reconnects).await?;
        }
    }

    /// Opens a socket, unless a handle asks to begin anew.
    async fn open(&mut self, reconnects: u64) -> Result<Result<Socket, Ending>, Unwanted> {
        let address = match HubAddress::parse(&self.config.url) {
            Ok(address) => address,
            Err(error) => return Ok(Err(Ending::silent(error.to_string()))),
        };
        let door = Door {
            address: &address,
            path: "/ws/live",
            subprotocol: protocol::LIVE_SUBPROTOCOL,
            token: self.config.token.as_deref(),
            read_buffer_bytes: READ_BUFFER_BYTES,
            incoming_bytes_max: INCOMING_BYTES_MAX,
            outgoing_bytes_max: protocol::limits::VIEWER_MESSAGE_BYTES_MAX,
        };
        let asked_anew = self.wishes.wait_for(|wanted| wanted.reconnects != reconnects);
        tokio::select! {
            opened = socket::open(&door) => Ok(opened.map_err(|error| Ending {
                reason: explained(&error),
                advice: error.advice(),
                code: None,
            })),
            asked = asked_anew => match asked {
                Ok(_) => Ok(Err(Ending::silent("asked to connect anew"))),
                Err(_) => Err(Unwanted),
            },
            () = self.events.closed() => Err(Unwanted),
        }
    }

    /// Lets time pass until the next attempt, or until one is asked for.
    async fn wait(&mut self, retry_in: Duration, reconnects: u64) -> Result<(), Unwanted> {
        tokio::select! {
            () = tokio::time::sleep(retry_in) => Ok(()),
            asked = self.wishes.wait_for(|wanted| wanted.reconnects != reconnects) => match asked {
                Ok(_) => Ok(()),
                Err(_) => Err(Unwanted),
            },
            () = self.events.closed() => Err(Unwanted),
        }
    }

    async fn tell(&self, event: LiveEvent) -> Result<(), Unwanted> {
        self.events.send(event).await.map_err(|_| Unwanted)
    }
}

/// How a session went.
struct Ended {
    ending: Ending,
    /// The hub welcomed us and was heard for a while: the next failure is a new one.
    was_useful: bool,
}
