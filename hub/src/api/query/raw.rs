//! Raw readings, streamed a page at a time: bounded memory, and no transaction open while a page is written. As JSON the
//! answer ends with the known gaps.

use std::{fmt::Write, ops::ControlFlow, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use history::View;
use protocol::live::SeriesRow;
use serde::Serialize;

use super::{
    Format, Question, csv, csv_response, gaps_within,
    json::{Ms, Reading},
    measured, ms,
};
use crate::{
    api::error::Problem,
    pipeline::{Stopped, resolve, series_row},
    web::Web,
};

/// Readings in a page, at least; a page ends with a chunk of history.
const PAGE_READINGS: usize = 20_000;
/// Series whose gaps are given at once.
const GAPS_SERIES: usize = 256;

/// Where a stream stands.
struct Pages {
    web: Arc<Web>,
    question: Question,
    format: Format,
    stage: Stage,
    rows: std::vec::IntoIter<SeriesRow>,
    /// The series under way and where its next page begins.
    current: Option<(SeriesRow, i64)>,
    /// Series whose gaps are still to be told.
    without_gaps: Vec<u32>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    Readings,
    Gaps { is_first: bool },
    End,
}

/// Streams raw readings as CSV (long) or JSON.
pub(super) async fn stream(web: Arc<Web>, question: Question, format: Format) -> Result<Response, Problem> {
    if format == Format::Cbor {
        return Err(Problem::bad_parameter("format", "raw readings (points=0) come as csv or json"));
    }
    let selector = question.selector.clone();
    let rows = web.historian.ask_now(move |present| {
        let series = resolve(present.state, &selector);
        series.iter().map(|&series| series_row(present.state, series)).collect::<Vec<_>>()
    });
    let rows = rows.await?;
    super::check_size(rows.len().min(1), 0)?;
    let without_gaps = rows.iter().map(|row| row.id).collect();
    let rows = rows.into_iter();
    let pages = Pages { web, question, format, stage: Stage::Begin, rows, current: None, without_gaps };
    let body = Body::from_stream(stream::try_unfold(pages, |mut pages| async move {
        // A failure in the middle cuts the stream: the client sees an incomplete body, never a short answer that looks whole.
        let page = pages.next().await.map_err(|problem| std::io::Error::other(problem.detail))?;
        Ok::<_, std::io::Error>(page.map(|page| (page, pages)))
    }));
    Ok(match format {
        Format::Csv => csv_response(body),
        _ => ([(CONTENT_TYPE, "application/json")], body).into_response(),
    })
}

impl Pages {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let page = match self.stage {
            Stage::Begin => {
                self.stage = Stage::Readings;
                self.begin()
            }
            Stage::Readings => match self.current.take().or_else(|| Some((self.rows.next()?, self.question.from_us))) {
                Some((row, from_us)) => self.readings(row, from_us).await?,
                None if self.format == Format::Csv => return Ok(None),
                None => {
                    self.stage = Stage::Gaps { is_first: true };
                    "],\"gaps\":[".to_owned()
                }
            },
            Stage::Gaps { .. } if self.without_gaps.is_empty() => {
                self.stage = Stage::End;
                "]}".to_owned()
            }
            Stage::Gaps { is_first } => self.gaps(is_first).await?,
            Stage::End => return Ok(None),
        };
        Ok(Some(page.into()))
    }

    fn begin(&self) -> String {
        if self.format == Format::Csv {
            return csv::RAW_HEADER.to_owned();
        }
        let (from, to) = (json(&Ms(self.question.from_us)), json(&Ms(self.question.to_us)));
        format!("{{\"from\":{from},\"to\":{to},\"points\":0,\"series\":[")
    }

    /// One page of a series.
    async fn readings(&mut self, row: SeriesRow, from_us: i64) -> Result<String, Problem> {
        let (series, (begin_us, to_us)) = (row.id, (self.question.from_us, self.question.to_us));
        let reader = Arc::clone(&self.web.readers).acquire_owned().await.map_err(|_| Stopped)?;
        let view = self.web.historian.ask_now(move |present| present.view(&[series], from_us, to_us));
        let mut view = view.await?.map_err(|error| Problem::history(&error))?;
        let format = self.format;
        let read = move || {
            let is_begin = from_us == begin_us;
            let head = if is_begin && format == Format::Json { head(&row, &mut view, from_us)? } else { String::new() };
            let page = page(&row, &mut view, (from_us, to_us), format, is_begin, head);
            drop((view, reader));
            page.map(|(page, next_us)| (page, next_us.map(|next_us| (row, next_us))))
        };
        let (mut page, current) =
            tokio::task::spawn_blocking(read).await.map_err(|error| Problem::history(&error))??;
        self.current = current;
        if self.current.is_none() && self.format == Format::Json {
            page.push_str(if self.rows.len() > 0 { "]}," } else { "]}" });
        }
        Ok(page)
    }

    /// The gaps of some more series.
    async fn gaps(&mut self, mut is_first: bool) -> Result<String, Problem> {
        let some = self.without_gaps.split_off(self.without_gaps.len().saturating_sub(GAPS_SERIES));
        let (from_us, to_us) = (self.question.from_us, self.question.to_us);
        let gaps = self.web.historian.ask_now(move |present| gaps_within(present.state, &some, from_us, to_us));
        let mut out = String::new();
        for gap in gaps.await? {
            out.push_str(if std::mem::take(&mut is_first) { "" } else { "," });
            out.push_str(&json(&gap));
        }
        self.stage = Stage::Gaps { is_first };
        Ok(out)
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text and numbers")
}

/// The begin of a series: all that stands before its readings.
fn head(row: &SeriesRow, view: &mut View, from_us: i64) -> Result<String, Problem> {
    let before = view.last_before(row.id, from_us).map_err(|error| Problem::history(&error))?;
    let (row, before) = (json(row), json(&before.map(Reading::new)));
    let row = row.strip_suffix('}').expect("a row is an object");
    Ok(format!("{row},\"before\":{before},\"readings\":["))
}

/// One page behind `out`, and where the next one begins; none when the series has ended.
fn page(
    row: &SeriesRow,
    view: &mut View,
    (from_us, to_us): (i64, i64),
    format: Format,
    is_begin: bool,
    mut out: String,
) -> Result<(String, Option<i64>), Problem> {
    let (mut count, mut next_us, mut is_first) = (0, None, is_begin);
    let each = |readings: &history::Readings| {
        if format == Format::Csv {
            csv::raw(&mut out, row, readings);
        } else {
            for (&time_us, &value) in readings.times_us.iter().zip(&readings.values) {
                let comma = if std::mem::take(&mut is_first) { "" } else { "," };
                let value = measured(value).map_or_else(|| "null".to_owned(), |value| value.to_string());
                let _ = write!(out, "{comma}[{},{value}]", ms(time_us));
            }
        }
        count += readings.len();
        if count < PAGE_READINGS {
            return ControlFlow::Continue(());
        }
        next_us = readings.times_us.last().map(|&last_us| last_us + 1);
        ControlFlow::Break(())
    };
    view.raw(row.id, from_us, to_us, each).map_err(|error| Problem::history(&error))?;
    Ok((out, next_us))
}
