//! Every limit of the wire in one place. What is over a limit is refused, counted and visible; it never takes
//! the hub down. The hub's own limits (connections, rates, memory) stand in its configuration.

/// Largest WebSocket message from a device, bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Most readings in one device message, all items together.
pub const READINGS_PER_MESSAGE_MAX: usize = 65_536;
/// Most channels one device may declare.
pub const CHANNELS_PER_DEVICE_MAX: usize = 256;
/// Largest integer on the wire: a browser must hold every one (2^53 − 1, `Number.MAX_SAFE_INTEGER`).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;
/// Longest id, bytes (ids are ASCII).
pub const ID_BYTES_MAX: usize = 64;
/// Longest title, unit, model, firmware, label value or state name, characters.
pub const TEXT_CHARS_MAX: usize = 128;
/// Most labels a device may carry.
pub const LABELS_MAX: usize = 32;
/// Most names in a state channel's list.
pub const STATES_MAX: usize = 64;
/// Most feature names in a hello.
pub const FEATURES_MAX: usize = 32;
/// Spools of one device whose marks the hub remembers.
pub const SPOOLS_REMEMBERED: usize = 8;
/// Largest magnitude of `t0`, `dt` and `start`, milliseconds (2^50, about 35 000 years): sums of them stay inside i64 microseconds.
pub const TIME_MS_MAX: f64 = (1_u64 << 50) as f64;
/// Largest `period` of a fixed-rate item, milliseconds (2^32, about 49 days).
pub const PERIOD_MS_MAX: f64 = (1_u64 << 32) as f64;

/// Largest WebSocket message from a viewer, bytes: viewers only send small control maps.
pub const VIEWER_MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Largest live frame the hub sends, bytes.
pub const LIVE_FRAME_BYTES_MAX: usize = 64 * 1024;
/// Largest control map the hub sends to a viewer, bytes.
pub const LIVE_CONTROL_BYTES_MAX: usize = 256 * 1024;
/// Most series one selector resolves to; more is answered `too_many`.
pub const SERIES_PER_SUBSCRIPTION_MAX: usize = 1_024;
/// Most subscriptions on one live connection.
pub const SUBSCRIPTIONS_PER_VIEWER_MAX: usize = 64;
/// Most series that the subscriptions of one live connection watch together.
pub const SERIES_PER_VIEWER_MAX: usize = 8_192;
/// Longest live window, milliseconds (45 days: `dt` is whole milliseconds in a u32).
pub const WINDOW_MS_MAX: u64 = 45 * 24 * 3600 * 1000;
/// Most points a series in one snapshot or query answer.
pub const POINTS_MAX: u32 = 10_000;
/// Most points in one snapshot, all series together; a subscription that asks for more gets fewer a series.
pub const POINTS_PER_SNAPSHOT_MAX: u32 = 1 << 20;
/// Longest selector, bytes.
pub const SELECTOR_BYTES_MAX: usize = 4_096;
/// Most terms of a selector; more series are asked for with `*`.
pub const SELECTOR_TERMS_MAX: usize = 128;
