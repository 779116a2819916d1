//! `/api/v1/devices` and `/api/v1/devices/{id}`: who there is, how it does, and what became of its messages.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use protocol::live::{DeviceState, SeriesRow};
use serde::Serialize;

use super::error::Problem;
use crate::{
    clock::wire_ms,
    pipeline::{Vital, series_row},
    state::{self, GapNote},
    web::Web,
};

/// One device.
#[derive(Debug, Serialize)]
pub struct DeviceView {
    id: String,
    title: Option<String>,
    model: Option<String>,
    firmware: Option<String>,
    labels: BTreeMap<String, String>,
    state: DeviceState,
    last_seen: Option<u64>,
    connected: bool,
    channels: Vec<SeriesRow>,
    delivery: DeliveryView,
}

/// What became of its messages: received = stored + duplicate + refused.
#[derive(Debug, Serialize)]
struct DeliveryView {
    received: u64,
    stored: u64,
    /// Since the hub started.
    duplicate: u64,
    refused: BTreeMap<&'static str, u64>,
    lost: u64,
    gaps: Vec<GapView>,
    readings_stored: u64,
    readings_dropped: u64,
    /// The latest marks: spool and the highest number on disk.
    spools: Vec<SpoolView>,
}

#[derive(Debug, Serialize)]
struct GapView {
    from: u64,
    to: u64,
    reason: String,
    at: u64,
}

#[derive(Debug, Serialize)]
struct SpoolView {
    spool: u64,
    acked: u64,
}

/// The list.
#[derive(Debug, Serialize)]
pub struct DeviceList {
    devices: Vec<DeviceView>,
}

/// All devices.
pub async fn list(State(web): State<Arc<Web>>) -> Result<Json<DeviceList>, Problem> {
    let vitals = Arc::clone(&web.vitals.borrow());
    let devices = web.historian.ask_now(move |present| {
        (0..present.state.devices.len() as u32).map(|number| view(present.state, &vitals, number)).collect()
    });
    Ok(Json(DeviceList { devices: devices.await? }))
}

/// One device.
pub async fn one(State(web): State<Arc<Web>>, Path(id): Path<String>) -> Result<Json<DeviceView>, Problem> {
    let vitals = Arc::clone(&web.vitals.borrow());
    let wanted = id.clone();
    let device = web.historian.ask_now(move |present| {
        present.state.device_number(&wanted).map(|number| view(present.state, &vitals, number))
    });
    device.await?.map(Json).ok_or_else(|| {
        let name = protocol::text::excerpt(&id, 64);
        Problem::new(404, "no such device", format!("no device {name:?}: GET /api/v1/devices lists them"))
    })
}

fn view(state: &state::State, vitals: &[Vital], number: u32) -> DeviceView {
    let device = &state.devices[number as usize];
    let vital = vitals.get(number as usize);
    let last_seen_us = vital.map_or(device.last_arrival_us, |vital| vital.last_seen_us);
    let duplicate = vital.map_or(0, |vital| vital.duplicates);
    let delivery = &device.delivery;
    DeviceView {
        id: device.id.to_string(),
        title: device.title.clone(),
        model: device.model.clone(),
        firmware: device.firmware.clone(),
        labels: device.labels.clone(),
        // A device without vital signs is so new that no tick has seen it yet.
        state: vital.map_or(DeviceState::Fresh, |vital| vital.state),
        last_seen: (last_seen_us > 0).then(|| wire_ms(last_seen_us)),
        connected: vital.is_some_and(|vital| vital.is_connected),
        channels: device.series.iter().map(|&series| series_row(state, series)).collect(),
        delivery: DeliveryView {
            received: delivery.stored + duplicate + delivery.refused_total(),
            stored: delivery.stored,
            duplicate,
            refused: delivery.refused.clone(),
            lost: delivery.lost,
            gaps: device.gaps.iter().map(gap_view).collect(),
            readings_stored: delivery.readings_stored,
            readings_dropped: delivery.readings_dropped,
            spools: device
                .streams
                .iter()
                .filter_map(|stream| state.streams.get(stream))
                .map(|stream| SpoolView { spool: stream.spool, acked: stream.mark })
                .collect(),
        },
    }
}

fn gap_view(gap: &GapNote) -> GapView {
    GapView { from: gap.from, to: gap.to, reason: gap.reason.clone(), at: wire_ms(gap.arrival_us) }
}
