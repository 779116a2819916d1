//! The REST side of a hub, wherever it runs.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Answer, Metrics, get, post};

/// One reading: milliseconds since the Unix epoch, and the value; none is a missing measurement.
pub type Point = (f64, Option<f64>);

/// A hub to ask.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Api {
    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        get(self.address, path).await
    }

    /// `GET path`, which must be answered with JSON and 200.
    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// `POST /api/v1/readings` with JSON.
    pub async fn post(&self, body: &Value) -> Answer {
        post(self.address, "/api/v1/readings", "application/json", body.to_string().as_bytes()).await
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.get("/metrics").await.text())
    }

    /// What the API says of a device.
    pub async fn device(&self, id: &str) -> Value {
        self.json(&format!("/api/v1/devices/{id}")).await
    }

    /// The device's delivery ledger.
    pub async fn delivery(&self, id: &str) -> Value {
        self.device(id).await["delivery"].take()
    }

    /// All readings of one series, `device/channel`, in time order.
    pub async fn points(&self, series: &str) -> Vec<Point> {
        let path = format!("/api/v1/query?series={series}&from=-1000000000000000&to=1000000000000000&points=0");
        let answer = self.get(&path).await;
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
}
