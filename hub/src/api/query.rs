//! `/api/v1/query`: the past of some series, reduced to the points that are needed or raw.
//!
//! Reduced answers are bounded and made in one piece. Raw ones (`points=0`) are streamed a page at a time, and no read
//! transaction is held while a page is on its way to a slow reader.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use history::{Buckets, View};
use protocol::{
    limits::{POINTS_MAX, SERIES_PER_SUBSCRIPTION_MAX},
    live::{GapRow, SeriesRow},
    selector::Selector,
};
use serde::Deserialize;

use super::error::Problem;
use crate::{
    clock::{self, wire_ms},
    pipeline::{Stopped, gap_row, resolve, series_row},
    state,
    web::Web,
};

mod csv;
mod json;
mod raw;

/// Points in one answer, all series together.
const POINTS_IN_ALL_MAX: usize = 1_000_000;
/// Reading for one answer may take so long.
const READING_MAX: Duration = Duration::from_secs(20);
/// Points a series when the question does not say.
const POINTS_DEFAULT: u32 = 800;
/// How far back when the question does not say, microseconds: an hour.
const SPAN_DEFAULT_US: i64 = 3_600_000_000;

/// What may be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    series: String,
    from: Option<String>,
    to: Option<String>,
    points: Option<u32>,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    layout: Layout,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Csv,
    Cbor,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Layout {
    #[default]
    Long,
    Wide,
}

/// A question whose parameters have been read.
#[derive(Debug, Clone)]
struct Question {
    selector: Selector,
    from_us: i64,
    to_us: i64,
    points: u32,
}

/// One series with its answer.
struct Answered {
    row: SeriesRow,
    /// The last reading before the range.
    before: Option<(i64, f64)>,
    answer: Buckets,
}

/// Answers a question.
pub async fn query(
    State(web): State<Arc<Web>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(parameters) = parameters?;
    let question = Question::read(&parameters, clock::now_us())?;
    if question.points == 0 && parameters.layout == Layout::Wide {
        return Err(Problem::bad_parameter("layout", "raw readings (points=0) come in long rows"));
    }
    if question.points == 0 {
        return raw::stream(web, question, parameters.format).await;
    }
    ask(&web, question, parameters.format, parameters.layout).await
}

/// Formats an answer; millions of numbers take a while, so this belongs on a blocking thread.
fn format_answer(
    question: &Question,
    answers: &[Answered],
    gaps: &[GapRow],
    format: Format,
    layout: Layout,
) -> Result<Response, Problem> {
    let whole = || json::Answer::new(question, answers, gaps);
    Ok(match (format, layout) {
        (Format::Json, _) => {
            let body = serde_json::to_vec(&whole()).expect("an answer is numbers and text");
            ([(CONTENT_TYPE, "application/json")], body).into_response()
        }
        (Format::Cbor, _) => {
            let body = protocol::codec::to_vec(&whole());
            ([(CONTENT_TYPE, "application/cbor")], body).into_response()
        }
        (Format::Csv, Layout::Long) => csv_response(csv::long(answers).into()),
        (Format::Csv, Layout::Wide) => csv_response(csv::wide(answers)?.into()),
    })
}

fn csv_response(body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (CONTENT_DISPOSITION, "attachment; filename=\"highwater.csv\""),
    ];
    (headers, body).into_response()
}

async fn ask(web: &Web, question: Question, format: Format, layout: Layout) -> Result<Response, Problem> {
    // Before the question is put: with every reader taken by exports, further ones wait here and live screens do not.
    let reader = Arc::clone(&web.readers).acquire_owned().await.map_err(|_| Stopped)?;
    let (from_us, to_us) = (question.from_us, question.to_us);
    let selector = question.selector.clone();
    let points = question.points;
    let asked = web.historian.ask_now(move |present| {
        let series = resolve(present.state, &selector);
        check_size(series.len(), points)?;
        let rows: Vec<SeriesRow> = series.iter().map(|&series| series_row(present.state, series)).collect();
        let gaps = gaps_within(present.state, &series, from_us, to_us);
        let view = present.view(&series, from_us, to_us).map_err(|error| Problem::history(&error))?;
        Ok::<_, Problem>((rows, gaps, view))
    });
    let (rows, gaps, mut view): (Vec<SeriesRow>, Vec<GapRow>, View) = asked.await??;
    let read = move || {
        let give_up_at = Instant::now() + READING_MAX;
        let mut answers = Vec::with_capacity(rows.len());
        for row in rows {
            if Instant::now() > give_up_at {
                return Err(Problem::overloaded("this takes too long: ask for fewer series or a shorter time"));
            }
            answers.push(answer(row, &mut view, &question)?);
        }
        drop((view, reader));
        format_answer(&question, &answers, &gaps, format, layout)
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| Problem::history(&error))?
}

fn answer(row: SeriesRow, view: &mut View, question: &Question) -> Result<Answered, Problem> {
    let failed = |error: history::QueryError| Problem::history(&error);
    let answer = view.buckets(row.id, question.from_us, question.to_us, question.points as usize).map_err(failed)?;
    let before = view.last_before(row.id, question.from_us).map_err(failed)?;
    Ok(Answered { row, before, answer })
}

/// Known gaps of these series that reach into the range, in the order they end.
fn gaps_within(state: &state::State, series: &[u32], from_us: i64, to_us: i64) -> Vec<GapRow> {
    let (first_ms, last_ms) = (wire_ms(from_us), wire_ms(to_us.saturating_sub(1)));
    let mut gaps = Vec::new();
    for &number in series {
        let device = &state.devices[state.series[number as usize].device as usize];
        let rows = device.gaps.iter().map(|gap| gap_row(number, gap));
        gaps.extend(rows.filter(|row| row.to >= first_ms && row.from <= last_ms));
    }
    gaps.sort_by_key(|row| (row.to, row.series));
    gaps
}

fn check_size(series: usize, points: u32) -> Result<(), Problem> {
    if series == 0 {
        let detail = "no series matches: GET /api/v1/series lists them".to_owned();
        return Err(Problem::new(404, "no such series", detail));
    }
    if series > SERIES_PER_SUBSCRIPTION_MAX || series * points as usize > POINTS_IN_ALL_MAX {
        let detail = format!(
            "{series} series with {points} points each are too many: ask for fewer series or points, or stream raw \
             readings with points=0"
        );
        return Err(Problem::new(400, "too much at once", detail));
    }
    Ok(())
}

impl Question {
    fn read(parameters: &Parameters, now_us: i64) -> Result<Self, Problem> {
        let selector = Selector::parse(&parameters.series).map_err(|error| Problem::bad_parameter("series", error))?;
        let time = |name, text: &Option<String>, default_us| match text {
            None => Ok(default_us),
            Some(text) => read_time(text).ok_or_else(|| {
                let shown = protocol::text::excerpt(text, 40);
                Problem::bad_parameter(
                    name,
                    format_args!("{shown:?} is no time: use 2026-01-31T12:00:00Z or milliseconds"),
                )
            }),
        };
        let to_us = time("to", &parameters.to, now_us)?;
        let from_us = time("from", &parameters.from, to_us.saturating_sub(SPAN_DEFAULT_US))?;
        if from_us >= to_us {
            return Err(Problem::bad_parameter("from", "it must be before to"));
        }
        let points = parameters.points.unwrap_or(POINTS_DEFAULT);
        if points > POINTS_MAX {
            return Err(Problem::bad_parameter("points", format_args!("at most {POINTS_MAX}, or 0 for raw readings")));
        }
        Ok(Self { selector, from_us, to_us, points })
    }
}

/// RFC 3339 or epoch milliseconds.
fn read_time(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse::<f64>() {
        return (ms.abs() <= protocol::limits::TIME_MS_MAX).then(|| (ms * 1000.0).round() as i64);
    }
    // A plus sign arrives as a space when a client does not escape it.
    text.replace(' ', "+").parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

/// ISO 8601 in UTC; milliseconds, or microseconds where there are any.
fn iso(time_us: i64) -> String {
    match jiff::Timestamp::from_microsecond(time_us) {
        Ok(time) if time_us % 1000 == 0 => format!("{time:.3}"),
        Ok(time) => format!("{time:.6}"),
        // Beyond the calendar's years; an import may hold anything.
        Err(_) => time_us.to_string(),
    }
}

/// A measured value, or none where it is missing.
fn measured(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

/// Milliseconds, with a fraction where there is one.
fn ms(time_us: i64) -> f64 {
    time_us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(read_time("1000.5"), Some(1_000_500));
        assert_eq!(read_time("1970-01-01T00:00:01Z"), Some(1_000_000));
        assert_eq!(read_time("1970-01-01T01:00:01 01:00"), Some(1_000_000));
        assert_eq!(read_time("yesterday"), None);
        assert_eq!(read_time("inf"), None);
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(iso(1_500), "1970-01-01T00:00:00.001500Z");
        assert_eq!(iso(1_790_000_000_000_000), "2026-09-21T14:13:20.000Z");
    }
}
