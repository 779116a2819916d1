//! `/metrics`, read strictly.

use std::collections::BTreeMap;

/// Samples by name and labels as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the text; every line must be a comment or a sample.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} is no sample"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line:?} has no number")))
        });
        Self(samples.collect())
    }

    /// A sample by its name without `highwater_`, with labels where it has some. One that has not been counted yet is 0.
    pub fn get(&self, name: &str) -> u64 {
        let value = self.0.get(&format!("highwater_{name}")).copied();
        assert!(value.is_some() || name.contains('{'), "there is no metric {name}: {:?}", self.0.keys());
        value.unwrap_or_default() as u64
    }
}
