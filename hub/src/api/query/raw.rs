//! Raw readings, streamed a page at a time: bounded memory, and no transaction open while a page is written.

use std::{fmt::Write, ops::ControlFlow, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use history::View;
use protocol::live::SeriesRow;

use super::{Format, Question, csv, csv_response, measured, ms};
use crate::{
    api::error::Problem,
    pipeline::{Stopped, resolve, series_row},
    web::Web,
};

/// Readings in a page, at least; a page ends with a chunk of history.
const PAGE_READINGS: usize = 20_000;

/// Where a stream stands.
struct Pages {
    web: Arc<Web>,
    rows: std::vec::IntoIter<SeriesRow>,
    current: Option<SeriesRow>,
    from_us: i64,
    question: Question,
    format: Format,
    is_first: bool,
    has_ended: bool,
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
    let pages = Pages {
        web,
        rows: rows.into_iter(),
        current: None,
        from_us: question.from_us,
        question,
        format,
        is_first: true,
        has_ended: false,
    };
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
        if self.has_ended {
            return Ok(None);
        }
        let mut out = String::new();
        if std::mem::take(&mut self.is_first) {
            out.push_str(if self.format == Format::Csv { csv::RAW_HEADER } else { "{\"series\":[" });
        }
        if self.current.is_none() {
            let Some(row) = self.rows.next() else {
                self.has_ended = true;
                out.push_str(if self.format == Format::Csv { "" } else { "]}" });
                return Ok(Some(out.into()));
            };
            if self.format == Format::Json {
                let head = serde_json::to_string(&row).expect("a row is text and numbers");
                let head = head.strip_suffix('}').unwrap_or(&head);
                let _ = write!(out, "{head},\"readings\":[");
            }
            self.from_us = self.question.from_us;
            self.current = Some(row);
        }
        let row = self.current.clone().expect("set above");
        let (series, from_us, to_us) = (row.id, self.from_us, self.question.to_us);
        let is_begin = from_us == self.question.from_us;
        let reader = Arc::clone(&self.web.readers).acquire_owned().await.map_err(|_| Stopped)?;
        let view = self.web.historian.ask_now(move |present| present.view(&[series], from_us, to_us));
        let mut view = view.await?.map_err(|error| Problem::history(&error))?;
        let format = self.format;
        let read = move || {
            let page = page(&row, &mut view, (from_us, to_us), format, is_begin, out);
            drop((view, reader));
            page
        };
        let (mut out, next_us) =
            tokio::task::spawn_blocking(read).await.map_err(|error| Problem::history(&error))??;
        if let Some(next_us) = next_us {
            self.from_us = next_us;
        } else {
            self.current = None;
            if self.format == Format::Json {
                out.push_str(if self.rows.len() > 0 { "]}," } else { "]}" });
            }
        }
        Ok(Some(out.into()))
    }
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
