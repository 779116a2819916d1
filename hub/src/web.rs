//! The HTTP side: one port for pages, REST and sockets.
//!
//! Owns the accept loop (hyper by hand, because `axum::serve` has no time limit for headers), the limits of
//! connections, the router, and what every handler is given.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts},
    http::request::Parts,
    middleware,
    response::Response,
    routing::{get, post},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use protocol::limits::MESSAGE_BYTES_MAX;
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower::ServiceExt;

use crate::{
    api, assets, auth,
    historian::HistorianHandle,
    ingest, live,
    metrics::Metrics,
    pipeline::{PipelineHandle, Vitals},
};

/// Names the hub answers to, and limits of connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Host names besides addresses, `localhost`, this machine's name and `*.local` under which the hub is reached.
    pub allowed_hosts: Vec<String>,
    /// Origins besides its own whose pages may talk to the hub, for example `https://wall.example`.
    pub allowed_origins: Vec<String>,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections from one address; so many may also be opened at once.
    pub connections_per_address_max: usize,
    /// Connections a second from one address, once those are used up.
    pub handshakes_per_second_per_address: u32,
    /// A request's headers must be complete by then.
    #[serde(with = "crate::config::duration")]
    pub header_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            connections_max: 20_000,
            connections_per_address_max: 5_000,
            handshakes_per_second_per_address: 200,
            header_timeout: Duration::from_secs(10),
        }
    }
}

/// What every handler is given.
pub struct Web {
    /// The hub's name.
    pub name: String,
    /// When it started, milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Names and limits.
    pub config: Config,
    /// Devices' limits.
    pub ingest: ingest::Config,
    /// Viewers' limits.
    pub live: live::Config,
    /// Where readings go and subscriptions come from.
    pub pipeline: PipelineHandle,
    /// Where questions about the past go.
    pub historian: HistorianHandle,
    /// Devices' vital signs.
    pub vitals: Vitals,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Places for questions of the API that read history.
    pub readers: Arc<Semaphore>,
    /// Places among the snapshots of live screens that are made at the same time.
    pub snapshot_places: Arc<Semaphore>,
    /// Places for viewers.
    pub viewer_places: Arc<Semaphore>,
    /// Whether the hub is ready to take readings.
    pub ready: watch::Receiver<bool>,
    /// Every upgraded session holds a receiver of it, so that the end of the last one can be waited for.
    pub sessions: watch::Sender<()>,
}

impl Web {
    /// To be held as long as a session is open.
    pub fn open_session(&self) -> watch::Receiver<()> {
        self.sessions.subscribe()
    }
}

/// Keeps a connection's place while the connection lives, also behind an upgrade.
#[derive(Debug, Clone)]
pub struct Permit {
    _of_all: Arc<OwnedSemaphorePermit>,
    _of_address: Arc<AddressPlace>,
}

impl<S: Sync> FromRequestParts<S> for Permit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let permit = parts.extensions.get::<Self>();
        Ok(permit.expect("the accept loop puts a permit into every request").clone())
    }
}

type Addresses = Arc<Mutex<HashMap<IpAddr, Address>>>;

/// What one address has open, and how many more it may open right now.
#[derive(Debug)]
struct Address {
    open: usize,
    tokens: f64,
    filled: Instant,
}

/// Addresses that are remembered before those with nothing open are forgotten.
const ADDRESSES_MAX: usize = 10_000;

#[derive(Debug)]
struct AddressPlace {
    address: IpAddr,
    addresses: Addresses,
}

impl AddressPlace {
    /// A place for one more connection from this address, unless it has as many as it may or opens them too fast.
    fn take(addresses: &Addresses, address: IpAddr, config: &Config, now: Instant) -> Option<Self> {
        let mut known = addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ADDRESSES_MAX {
            known.retain(|_, entry| entry.open > 0);
        }
        let burst = config.connections_per_address_max as f64;
        let entry = known.entry(address).or_insert(Address { open: 0, tokens: burst, filled: now });
        let gained =
            now.duration_since(entry.filled).as_secs_f64() * f64::from(config.handshakes_per_second_per_address);
        entry.tokens = (entry.tokens + gained).min(burst);
        entry.filled = now;
        if entry.open >= config.connections_per_address_max || entry.tokens < 1.0 {
            return None;
        }
        entry.open += 1;
        entry.tokens -= 1.0;
        Some(Self { address, addresses: Arc::clone(addresses) })
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(&self.address) {
            entry.open -= 1;
        }
    }
}

/// All routes.
pub fn router(web: Arc<Web>) -> Router {
    Router::new()
        .route("/ws/device", get(ingest::websocket::upgrade))
        .route("/ws/live", get(live::session::upgrade))
        .route("/healthz", get(api::health::healthz))
        .route("/readyz", get(api::health::readyz))
        .route("/metrics", get(api::health::metrics))
        .route("/api/v1/openapi.json", get(api::openapi::document))
        .route("/api/v1/devices", get(api::devices::list))
        .route("/api/v1/devices/{id}", get(api::devices::one))
        .route("/api/v1/series", get(api::series::list))
        .route("/api/v1/query", get(api::query::query))
        .route("/api/v1/readings", post(ingest::http::post_readings))
        .route("/", get(assets::index))
        .route("/assets/{*path}", get(assets::asset))
        .fallback(api::error::not_found)
        .method_not_allowed_fallback(api::error::method_not_allowed)
        .layer(DefaultBodyLimit::max(MESSAGE_BYTES_MAX))
        .layer(middleware::map_response(api::error::as_problem))
        .layer(middleware::from_fn_with_state(Arc::clone(&web), auth::check_names))
        .with_state(web)
}

/// Accepts until `stop` says so. The returned future ends when the last request is answered or `drain_max` is over;
/// upgraded connections are not waited for, the pipeline closes them.
pub async fn serve(listener: TcpListener, web: Arc<Web>, mut stop: watch::Receiver<bool>, drain_max: Duration) {
    let config = web.config.clone();
    let places = Arc::new(Semaphore::new(config.connections_max));
    let addresses = Addresses::default();
    let metrics = Arc::clone(&web.metrics);
    let router = router(web);
    // Dropped by each connection's task when it ends, so that the end of the last one can be waited for.
    let (finish, is_finishing) = watch::channel(false);
    loop {
        // A permit first: at the limit, connections wait in the listen queue instead of costing memory here.
        let place = Arc::clone(&places).acquire_owned();
        let accepted = tokio::select! {
            () = async { drop(stop.wait_for(|&stop| stop).await) } => break,
            accepted = async { (place.await, listener.accept().await) } => accepted,
        };
        let (Ok(place), Ok((stream, peer))) = accepted else {
            // Out of file descriptors, mostly: the next accept would fail at once too.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let address = peer.ip();
        let Some(address) = AddressPlace::take(&addresses, address, &config, Instant::now()) else {
            metrics.connections_refused.inc();
            tracing::debug!(%address, "too many connections from one address, or too fast");
            continue;
        };
        metrics.connections_accepted.inc();
        let permit = Permit { _of_all: Arc::new(place), _of_address: Arc::new(address) };
        serve_connection(stream, permit, router.clone(), config.header_timeout, is_finishing.clone());
    }
    // Requests in flight get their answer; who is slower than this gets a closed connection.
    drop(is_finishing);
    finish.send_replace(true);
    let _ = tokio::time::timeout(drain_max, finish.closed()).await;
}

fn serve_connection(
    stream: TcpStream,
    permit: Permit,
    router: Router,
    header_timeout: Duration,
    mut finishing: watch::Receiver<bool>,
) {
    // A reading should not wait for the next one to fill a packet; a socket that refuses the option still works.
    let _ = stream.set_nodelay(true);
    let service = router.map_request(move |mut request: http::Request<_>| {
        request.extensions_mut().insert(permit.clone());
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = async { drop(finishing.wait_for(|&finishing| finishing).await) } => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_bounded_number_of_places_and_a_bounded_rate() {
        let config =
            Config { connections_per_address_max: 2, handshakes_per_second_per_address: 1, ..Config::default() };
        let (addresses, start) = (Addresses::default(), Instant::now());
        let take = |address: [u8; 4], now| AddressPlace::take(&addresses, address.into(), &config, now);
        let first = take([10, 0, 0, 1], start).expect("room");
        let _second = take([10, 0, 0, 1], start).expect("room");
        assert!(take([10, 0, 0, 1], start + Duration::from_secs(9)).is_none(), "two are open");
        assert!(take([10, 0, 0, 2], start).is_some(), "another address is another matter");
        drop(first);
        let third = take([10, 0, 0, 1], start + Duration::from_secs(10)).expect("one was closed");
        drop(third);
        assert!(take([10, 0, 0, 1], start + Duration::from_secs(10)).is_some(), "the burst is not used up");
        assert!(take([10, 0, 0, 1], start + Duration::from_secs(10)).is_none(), "now it is");
        assert!(take([10, 0, 0, 1], start + Duration::from_secs(11)).is_some(), "one a second");
    }
}
