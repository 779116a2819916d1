//! One axis with its lines and its legend.

use protocol::device::Kind;
use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Color, Style},
    symbols::Marker,
    text::{Line, Span},
    widgets::{
        Widget,
        canvas::{self, Canvas, Context},
    },
};
use unicode_width::UnicodeWidthStr;

use super::scale::Scale;
use crate::{
    state::{chart, trace::Point, window::Window},
    view::{Look, wording},
};

/// A value is not called old before this: a device's clock and its batches may be behind by as much.
const SILENCE_SHOWN_MS: i64 = 5_000;

/// What is drawn beside the lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    /// The only line of the chart: there is room for its extremes.
    pub alone: bool,
    /// The device reports: its states hold until now.
    pub holds: bool,
}

/// Lines on one axis, ready to be drawn.
pub(super) struct Plot<'a> {
    lines: Vec<&'a chart::Line>,
    area: Rect,
    window: Window,
    scale: Scale,
}

impl<'a> Plot<'a> {
    /// Chooses the axis for what is in the window. The first row of `area` is the legend.
    pub(super) fn new(lines: Vec<&'a chart::Line>, area: Rect, window: Window) -> Self {
        let rows = area.height.saturating_sub(1);
        let states = lines.first().map_or(0, |line| line.channel.states.len());
        let scale = if states > 0 {
            Scale::states(states)
        } else {
            let (least, greatest) = extremes(&lines, window).unwrap_or((0.0, 1.0));
            Scale::fit(least, greatest, rows)
        };
        Self { lines, area, window, scale }
    }

    /// Columns of the widest label.
    pub(super) fn label_width(&self) -> u16 {
        self.scale.ticks.iter().map(|&tick| self.label(tick).width() as u16).max().unwrap_or(0)
    }

    /// How many colours the lines take.
    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    fn label(&self, tick: f64) -> String {
        let channel = self.lines.first().map(|line| &line.channel);
        let step = self.scale.ticks.windows(2).next().map_or(tick.abs(), |pair| pair[1] - pair[0]);
        let largest = self.scale.low.abs().max(self.scale.high.abs());
        if let Some((scale, name)) = channel.and_then(|channel| wording::byte_scale(channel, largest, step)) {
            let decimals = (-(step / scale).log10().floor()).clamp(0.0, 3.0) as u8;
            return format!("{} {name}", wording::number(tick / scale, decimals));
        }
        match channel {
            Some(channel) if !channel.states.is_empty() => wording::value(channel, tick),
            _ if tick.abs() >= 1e9 => format!("{tick:.1e}"),
            _ => wording::number(tick, self.scale.decimals),
        }
    }

    /// Draws legend, labels and lines; `gutter` columns on the left are for the labels, the first line has the colour
    /// at index `colour`.
    pub(super) fn draw(&self, buf: &mut Buffer, gutter: u16, colour: usize, marks: Marks, look: Look<'_>) {
        let legend = Rect { x: self.area.x + gutter, width: self.area.width - gutter, height: 1, ..self.area };
        let legend_line = self.legend(colour, marks, usize::from(legend.width), look);
        legend_line.render(legend.intersection(self.area), buf);
        let plot = Rect { y: legend.y + 1, height: self.area.height.saturating_sub(1), ..legend };
        if plot.is_empty() {
            return;
        }
        let span_ms = self.window.span_ms() as f64;
        Canvas::default()
            .marker(Marker::Braille)
            .background_color(look.theme.base.bg.unwrap_or(Color::Reset))
            .x_bounds([0.0, span_ms])
            .y_bounds([self.scale.low, self.scale.high])
            .paint(|context| {
                for (index, line) in self.lines.iter().enumerate() {
                    self.trace(context, line, look.theme.line(colour + index), marks);
                }
            })
            .render(plot, buf);
        // Behind the lines: only where the canvas left nothing, because it keeps the style of what was there.
        self.hatch(buf, plot, look);
        self.ticks(buf, plot, gutter, look);
    }

    /// Name and latest value of each line, whole ones only; then how many had no room.
    fn legend(&self, colour: usize, marks: Marks, width: usize, look: Look<'_>) -> Line<'static> {
        let mut legend = Line::default();
        for (index, line) in self.lines.iter().enumerate() {
            let latest = line.trace.last_at(self.window.to_ms);
            let value = latest.map_or_else(|| "—".to_owned(), |p| wording::value_with_unit(&line.channel, p.value));
            let name = format!("{} ", line.channel.name);
            let rest = self.lines.len() - index;
            let reserve = if rest > 1 { "+9".len() + 3 } else { 0 };
            if index > 0 && legend.width() + 2 + name.width() + value.width() + reserve > width {
                legend.push_span(Span::styled(format!("+{rest}"), look.theme.dim));
                break;
            }
            legend.push_span(Span::styled("━ ", Style::new().fg(look.theme.line(colour + index))));
            legend.push_span(Span::styled(name, look.theme.dim));
            let silence_ms = latest.map_or(0, |latest| self.window.to_ms - latest.time_ms);
            // What was said long ago is not what is.
            let current = line.silence_max_ms().is_none_or(|max| silence_ms <= max.max(SILENCE_SHOWN_MS));
            let style = if current { look.theme.strong } else { look.theme.dim };
            legend.push_span(Span::styled(format!("{value}   "), style));
        }
        if let (true, [line]) = (marks.alone, self.lines.as_slice())
            && line.channel.kind != Kind::State
            && let Some((least, greatest)) = extremes(&self.lines, self.window)
        {
            let text = |value| wording::value_with_unit(&line.channel, value);
            let text = format!("min {}  max {}", text(least), text(greatest));
            legend.push_span(Span::styled(text, look.theme.dim));
        }
        legend
    }

    fn ticks(&self, buf: &mut Buffer, plot: Rect, gutter: u16, look: Look<'_>) {
        let mut free_below = plot.bottom();
        for &tick in &self.scale.ticks {
            let y = plot.y + self.scale.row(tick, plot.height);
            if y >= free_below {
                continue;
            }
            free_below = y;
            let place = Rect { x: plot.x - gutter, y, width: gutter - 1, height: 1 };
            let label = wording::fit(&self.label(tick), usize::from(place.width));
            Line::styled(label, look.theme.dim).right_aligned().render(place, buf);
            for x in plot.left()..plot.right() {
                behind(&mut buf[(x, y)], "┈", look);
            }
        }
    }

    /// Marks the columns for which the hub knows that every line lacks readings.
    fn hatch(&self, buf: &mut Buffer, plot: Rect, look: Look<'_>) {
        if self.lines.iter().any(|line| line.gaps.is_empty()) {
            return;
        }
        for column in 0..plot.width {
            let part = (f64::from(column) + 0.5) / f64::from(plot.width);
            let time_ms = self.window.from_ms + (part * self.window.span_ms() as f64) as i64;
            let missing = |line: &&chart::Line| line.gaps.iter().any(|gap| (gap.from_ms..gap.to_ms).contains(&time_ms));
            if self.lines.iter().all(missing) {
                for y in plot.top()..plot.bottom() {
                    behind(&mut buf[(plot.x + column, y)], "╱", look);
                }
            }
        }
    }

    fn trace(&self, context: &mut Context<'_>, line: &chart::Line, color: Color, marks: Marks) {
        let steps = line.channel.kind == Kind::State;
        let silence_max_ms = line.silence_max_ms();
        let mut segment = |a: (f64, f64), b: (f64, f64)| {
            context.draw(&canvas::Line { x1: a.0, y1: a.1, x2: b.0, y2: b.1, color });
        };
        let place = |point: Point| ((point.time_ms - self.window.from_ms) as f64, point.value);
        let mut before: Option<Point> = None;
        for point in line.trace.points().take_while(|point| point.time_ms <= self.window.to_ms) {
            let start = before.filter(|before| line.connects(*before, point, silence_max_ms));
            let end = place(point);
            match start.map(place) {
                Some(start) if steps => {
                    segment(start, (end.0, start.1));
                    segment((end.0, start.1), end);
                }
                Some(start) => segment(start, end),
                None if !point.value.is_nan() => segment(end, end),
                None => {}
            }
            before = Some(point);
        }
        let now = Point { time_ms: self.window.to_ms, value: 0.0 };
        if let Some(last) = before.filter(|last| steps && marks.holds && line.connects(*last, now, None)) {
            let last = place(last);
            segment(last, (place(now).0, last.1));
        }
    }
}

fn behind(cell: &mut Cell, symbol: &'static str, look: Look<'_>) {
    if cell.symbol() == " " {
        cell.set_symbol(symbol).set_style(look.theme.rule);
    }
}

/// The least and the greatest value in the window, and of the points at which lines enter it.
fn extremes(lines: &[&chart::Line], window: Window) -> Option<(f64, f64)> {
    let points = lines.iter().flat_map(|line| line.trace.points());
    let measured = points.filter(|point| window.contains(point.time_ms) && point.value.is_finite());
    measured.map(|point| (point.value, point.value)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}
