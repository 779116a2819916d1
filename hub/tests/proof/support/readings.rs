//! What the hub has of a series, as the API gives it raw.

use super::TestHub;

/// One reading: milliseconds since the Unix epoch, and the value; none is a missing measurement.
pub type Point = (f64, Option<f64>);

/// All readings of one series, `device/channel`, in time order.
pub async fn points(hub: &TestHub, series: &str) -> Vec<Point> {
    let path = format!("/api/v1/query?series={series}&from=-1000000000000000&to=1000000000000000&points=0");
    let answer = hub.get(&path).await;
    if answer.status == 404 {
        return Vec::new();
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let rows = answer["series"].as_array().expect("series");
    assert_eq!(rows.len(), 1, "{series} is one series");
    let readings = rows[0]["readings"].as_array().expect("readings");
    readings.iter().map(|row| (row[0].as_f64().expect("a time"), row[1].as_f64())).collect()
}
