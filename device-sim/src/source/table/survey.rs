//! What the columns of a recording hold: numbers, words for two states, or other text.
//!
//! Takes every row once and then says how each column is to be read: one of `on` and `off` is a state, one of other text
//! holds no readings and is left out. A number and a word in the same column are a mistake.

use csv::StringRecord;
use protocol::{
    device::{ChannelDecl, Kind},
    ids::Id,
    text::excerpt,
};

use super::{Reading, Table, TableError, is_missing, value};

/// Words that name the states 0 and 1.
const PAIRS: [[&str; 2]; 4] = [["off", "on"], ["closed", "open"], ["false", "true"], ["no", "yes"]];

/// What has been seen of every column of values.
#[derive(Debug)]
pub(in crate::source) struct Survey(Vec<Seen>);

#[derive(Debug, Clone, Default)]
struct Seen {
    has_numbers: bool,
    words: Option<[&'static str; 2]>,
    /// The first field that is neither a number nor a word of `words`.
    text: Option<String>,
}

/// A column that holds no readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct LeftOut {
    /// As the channel would be called.
    pub(in crate::source) column: Id,
    /// What stands in it.
    pub(in crate::source) text: String,
}

impl Survey {
    pub(in crate::source) fn new(table: &Table) -> Self {
        Self(vec![Seen::default(); table.columns.len()])
    }

    /// Looks at one row, which must have passed [`Table::time_us`].
    pub(in crate::source) fn row(&mut self, table: &Table, row: &StringRecord) -> Result<(), TableError> {
        for ((seen, column), channel) in self.0.iter_mut().zip(&table.columns).zip(&table.channels) {
            seen.field(row[column.place].trim(), channel)?;
        }
        Ok(())
    }

    /// The table as it is to be read, and what is left out of it.
    pub(in crate::source) fn settle(self, table: Table) -> Result<(Table, Vec<LeftOut>), TableError> {
        let (mut settled, mut left_out) = (Table { columns: Vec::new(), channels: Vec::new(), ..table }, Vec::new());
        for ((seen, mut column), mut channel) in self.0.into_iter().zip(table.columns).zip(table.channels) {
            if let Some(text) = seen.text {
                left_out.push(LeftOut { column: channel.name, text });
                continue;
            }
            if let (Some(words), false) = (seen.words, seen.has_numbers) {
                column.reading = Reading::Words(words);
                channel = ChannelDecl { kind: Kind::State, states: words.map(str::to_owned).to_vec(), ..channel };
            }
            settled.columns.push(column);
            settled.channels.push(channel);
        }
        if settled.columns.is_empty() { Err(TableError::NoValues) } else { Ok((settled, left_out)) }
    }
}

impl Seen {
    fn field(&mut self, field: &str, channel: &ChannelDecl) -> Result<(), TableError> {
        if is_missing(field) {
            return Ok(());
        }
        let words = PAIRS.into_iter().find(|words| words.iter().any(|word| field.eq_ignore_ascii_case(word)));
        // `true` and `false` may stand among numbers.
        let (is_number, is_bool) = (value(field).is_some(), words.is_some_and(|words| words[1] == "true"));
        let has_text = self.text.is_some() || self.words.is_some_and(|words| words[1] != "true");
        if (self.has_numbers && !is_number) || (is_number && !is_bool && has_text) {
            return Err(TableError::Mixed { column: channel.name.clone(), text: excerpt(field, 40) });
        }
        match words {
            Some(words) if *self.words.get_or_insert(words) == words => {}
            _ if is_number && !is_bool => self.has_numbers = true,
            _ => self.text = self.text.take().or_else(|| Some(excerpt(field, 40))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(rows: &[[&str; 3]]) -> Result<(Table, Vec<LeftOut>), TableError> {
        let table = Table::from_header(&StringRecord::from(vec!["t", "pump", "note"]))?;
        let mut survey = Survey::new(&table);
        for row in rows {
            survey.row(&table, &StringRecord::from(row.to_vec()))?;
        }
        survey.settle(table)
    }

    #[test]
    fn words_for_two_states_are_a_state_and_other_text_is_left_out() {
        let (table, left_out) = survey(&[["0", "on", ""], ["0", "", "cleaned"], ["0", "OFF", "oiled"]]).unwrap();
        let [pump] = table.channels() else { panic!("{:?}", table.channels()) };
        assert_eq!(
            (pump.name.as_str(), pump.kind, &pump.states[..]),
            ("pump", Kind::State, &["off", "on"].map(String::from)[..])
        );
        assert_eq!(left_out, [LeftOut { column: Id::new("note").unwrap(), text: "cleaned".into() }]);
        let mut values = Vec::new();
        for (row, expected) in [(["0", "On", "x"], 1.0), (["0", "off", "y"], 0.0)] {
            table.values(&StringRecord::from(row.to_vec()), &mut values).unwrap();
            assert_eq!(values, [expected]);
        }
        assert_eq!(survey(&[["0", "a", "b"]]).unwrap_err(), TableError::NoValues);
        // Of another pair, and so of none.
        let (_, left_out) = survey(&[["0", "on", "1"], ["0", "open", "2"]]).unwrap();
        assert_eq!(left_out[0].text, "open");
    }

    #[test]
    fn numbers_may_have_true_and_false_among_them_and_no_other_word() {
        for rows in [[["0", "True", "true"], ["0", "2", "0"]], [["0", "1", "0"], ["0", "2", "false"]]] {
            let (table, left_out) = survey(&rows).unwrap();
            assert!(table.channels().iter().all(|channel| channel.kind == Kind::Gauge) && left_out.is_empty());
            for row in rows {
                table.values(&StringRecord::from(row.to_vec()), &mut Vec::new()).unwrap();
            }
        }
        for rows in [[["0", "1", "high"], ["0", "on", ""]], [["0", "off", "1"], ["0", "7", "2"]]] {
            let error = survey(&rows).unwrap_err().to_string();
            assert!(error.contains("column pump"), "{error}");
        }
    }
}
