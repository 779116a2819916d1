/**
 * The shapes of the live protocol (`/ws/live`) and of the REST answers the page reads.
 * Only the type checker reads this file; it is never served. Times are milliseconds since the Unix epoch.
 */

export type DeviceState = 'fresh' | 'overdue' | 'offline';
export type Kind = 'gauge' | 'counter' | 'state';

export interface ChannelRow {
  series: number;
  channel: string;
  title?: string;
  unit?: string;
  kind: Kind;
  decimals?: number;
  period_ms?: number;
  states?: string[];
}

export interface DeviceRow {
  id: string;
  title?: string;
  model?: string;
  firmware?: string;
  labels?: Record<string, string>;
  state: DeviceState;
  last_seen?: number;
  connected: boolean;
  channels: ChannelRow[];
}

export interface Gap {
  from: number;
  to: number;
  reason: string;
}

export interface Welcome { type: 'welcome'; hub: string; version: string; started: number; now: number; heartbeat_ms: number; features: string[]; }
export interface CatalogueMessage { type: 'catalogue'; full: boolean; devices: DeviceRow[]; removed: string[]; }
export interface DevicesMessage { type: 'devices'; devices: { id: string; state: DeviceState; last_seen?: number; connected: boolean }[]; }
export interface Snapshot { type: 'snapshot'; id: number; stream: number; from: number; to: number; points: number; series: { id: number; period_ms?: number; kind: Kind }[]; }
export interface SnapshotEnd { type: 'snapshot-end'; id: number; stream: number; gaps: (Gap & { series: number })[]; }
export interface Heartbeat { type: 'heartbeat'; now: number; }
export interface Echo { type: 'echo'; t: number; now: number; }
export interface Lag { type: 'lag'; merged: number; }
export interface ErrorMessage { type: 'error'; id?: number; code: string; message: string; }
export type Control = Welcome | CatalogueMessage | DevicesMessage | Snapshot | SnapshotEnd | Heartbeat | Echo | Lag | ErrorMessage;

/** One data frame, columns grouped by series: `counts[i]` rows belong to `ids[i]`. NaN is a missing measurement. */
export interface DataFrame {
  stream: number;
  /** What `dt` counts from. */
  t0: number;
  ids: Uint32Array;
  counts: Uint16Array;
  /** Milliseconds after `t0`. */
  dt: Uint32Array;
  values: Float64Array;
  /** Points the hub left out of this frame. */
  merged: number;
}

export type Decoded =
  | { kind: 'data'; frame: DataFrame }
  | { kind: 'control'; message: Control }
  | { kind: 'damaged'; reason: string };

/** What a viewer asks for; `series` is a selector such as `boiler-*\/temp,*\/pressure`. */
export interface Subscription {
  series: string;
  window_ms: number;
  points: number;
  max_hz?: number;
}

export interface Delivery {
  received: number;
  stored: number;
  duplicate: number;
  refused: Record<string, number>;
  gaps: { from: number; to: number; reason: string; at: number }[];
  readings_stored: number;
  readings_dropped: number | Record<string, number>;
}

export interface QuerySeries {
  id: number;
  device: string;
  channel: string;
  /** The last reading before the range, however old. */
  before?: { t: number; value: number | null } | null;
  /** Null: the readings themselves. */
  bucket_ms: number | null;
  t: number[];
  value?: (number | null)[];
  min?: (number | null)[];
  max?: (number | null)[];
  mean?: (number | null)[];
  last?: (number | null)[];
}
