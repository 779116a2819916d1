//! `/api/v1/series`: every channel of every device, with its latest value.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use history::View;
use protocol::{live::SeriesRow, selector::Selector};
use serde::{Deserialize, Serialize};

use super::error::Problem;
use crate::{
    clock::wire_ms,
    pipeline::{Stopped, resolve, series_row},
    web::Web,
};

/// Series a page may have.
const LIMIT_MAX: usize = 1_000;

/// What may be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    r#match: Option<String>,
    limit: Option<usize>,
    after: Option<u32>,
}

/// One page.
#[derive(Debug, Serialize)]
pub struct SeriesPage {
    series: Vec<SeriesView>,
    /// Give this as `after` for the next page; absent on the last.
    next: Option<u32>,
}

#[derive(Debug, Serialize)]
struct SeriesView {
    #[serde(flatten)]
    row: SeriesRow,
    latest: Option<Latest>,
}

#[derive(Debug, Serialize)]
struct Latest {
    t: u64,
    value: Option<f64>,
}

/// One page of series, ascending by number.
pub async fn list(
    State(web): State<Arc<Web>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<SeriesPage>, Problem> {
    let Query(parameters) = parameters?;
    let selector = Selector::parse(parameters.r#match.as_deref().unwrap_or("*/*"))
        .map_err(|error| Problem::bad_parameter("match", error))?;
    let limit = parameters.limit.unwrap_or(LIMIT_MAX).clamp(1, LIMIT_MAX);
    let after = parameters.after;
    let reader = Arc::clone(&web.readers).acquire_owned().await.map_err(|_| Stopped)?;
    let asked = web.historian.ask_now(move |present| {
        let matching = resolve(present.state, &selector);
        let mut page: Vec<u32> =
            matching.into_iter().filter(|&series| after.is_none_or(|after| series > after)).collect();
        let has_more = page.len() > limit;
        page.truncate(limit);
        let rows: Vec<SeriesRow> = page.iter().map(|&series| series_row(present.state, series)).collect();
        let next = page.last().copied().filter(|_| has_more);
        present.view(&page, i64::MIN, i64::MAX).map(|view| (rows, next, view))
    });
    let (rows, next, mut view) = asked.await?.map_err(|error| Problem::history(&error))?;
    let series = tokio::task::spawn_blocking(move || {
        let rows = with_latest(rows, &mut view);
        drop((view, reader));
        rows
    })
    .await
    .map_err(|error| Problem::history(&error))??;
    Ok(Json(SeriesPage { series, next }))
}

fn with_latest(rows: Vec<SeriesRow>, view: &mut View) -> Result<Vec<SeriesView>, Problem> {
    rows.into_iter()
        .map(|row| {
            let latest = view.latest(row.id).map_err(|error| Problem::history(&error))?;
            let latest = latest.map(|(time_us, value)| Latest {
                t: wire_ms(time_us),
                value: Some(value).filter(|value| value.is_finite()),
            });
            Ok(SeriesView { row, latest })
        })
        .collect()
}
