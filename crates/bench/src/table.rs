//! The table that every command prints: figure, floor, ratio, target, verdict.

use std::fmt;

/// One line of a table.
#[derive(Debug)]
pub struct Row {
    what: String,
    figure: String,
    floor: String,
    ratio: String,
    target: String,
    verdict: &'static str,
}

/// Which side of the target is good.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// The figure should be at least this.
    AtLeast(f64),
    /// The figure should be at most this.
    AtMost(f64),
    /// The figure should be at least this share of the floor.
    ShareOfFloor(f64),
    /// Only told, not judged.
    None,
}

/// Lines under one title.
#[derive(Debug)]
pub struct Table {
    title: String,
    rows: Vec<Row>,
}

impl Table {
    /// An empty table.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new() }
    }

    /// Adds a figure in `unit`, which is judged by its target, and shows it at once on standard error: a run is long.
    pub fn add(&mut self, what: impl Into<String>, figure: f64, unit: &str, floor: Option<f64>, target: Target) {
        let ratio = floor.map(|floor| figure / floor);
        let is_good = match target {
            Target::AtLeast(least) => Some(figure >= least),
            Target::AtMost(most) => Some(figure <= most),
            Target::ShareOfFloor(share) => ratio.map(|ratio| ratio >= share),
            Target::None => None,
        };
        let row = Row {
            what: what.into(),
            figure: format!("{} {unit}", Short(figure)),
            floor: floor.map_or_else(String::new, |floor| Short(floor).to_string()),
            ratio: ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            target: match target {
                Target::AtLeast(least) => format!("≥ {}", Short(least)),
                Target::AtMost(most) => format!("≤ {}", Short(most)),
                Target::ShareOfFloor(share) => format!("≥ {share:.2} × floor"),
                Target::None => String::new(),
            },
            verdict: match is_good {
                Some(true) => "ok",
                Some(false) => "short",
                None => "",
            },
        };
        eprintln!("  {}: {} {} {}", row.what, row.figure, row.target, row.verdict);
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n**{}**\n", self.title)?;
        let heads = ["what", "figure", "floor", "ratio", "target", ""];
        let cells = |row: &Row| {
            [&row.what, &row.figure, &row.floor, &row.ratio, &row.target]
                .map(String::clone)
                .into_iter()
                .chain([row.verdict.to_owned()])
        };
        let mut widths = heads.map(|head| head.chars().count());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(cells(row)) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut line = |cells: &mut dyn Iterator<Item = String>| {
            for (cell, width) in cells.zip(widths) {
                write!(f, "| {cell:<width$} ")?;
            }
            writeln!(f, "|")
        };
        line(&mut heads.map(str::to_owned).into_iter())?;
        line(&mut widths.map(|width| "-".repeat(width)).into_iter())?;
        for row in &self.rows {
            line(&mut cells(row))?;
        }
        Ok(())
    }
}

/// A number with the digits that mean something: thousands in groups, three figures below.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.abs() < 10.0 {
            return write!(f, "{value:.2}");
        }
        if value.abs() < 1_000.0 {
            return write!(f, "{value:.1}");
        }
        let digits = format!("{value:.0}");
        for (place, digit) in digits.char_indices() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(" ")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_by_its_target_and_numbers_stay_readable() {
        let mut table = Table::new("rates");
        table.add("frames", 160_000.0, "/s", Some(320_000.0), Target::AtLeast(150_000.0));
        table.add("share", 160_000.0, "/s", Some(320_000.0), Target::ShareOfFloor(0.75));
        table.add("latency", 5.5, "ms", None, Target::AtMost(7.0));
        let text = table.to_string();
        assert!(text.contains("| frames  | 160 000 /s | 320 000 | 0.50  | ≥ 150 000      | ok    |"), "{text}");
        assert!(text.contains("| share   | 160 000 /s | 320 000 | 0.50  | ≥ 0.75 × floor | short |"), "{text}");
        assert!(text.contains("| latency | 5.50 ms    |         |       | ≤ 7.00         | ok    |"), "{text}");
    }
}
