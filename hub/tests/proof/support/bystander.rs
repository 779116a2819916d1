//! A well-behaved device that streams while others misbehave, and shows afterwards that it was not harmed.

use tokio::{sync::watch, task::JoinHandle};

use super::{Api, Device, Point, eventually_equal, hello, in_time, now_ms};

/// Acknowledgements that must come after the incident.
const AFTERWARDS: u64 = 20;

/// Streams one reading at a time, each after the one before is acknowledged, until told to finish.
pub struct Bystander {
    finish: watch::Sender<bool>,
    task: JoinHandle<Vec<Point>>,
}

impl Bystander {
    /// Lets it begin; returns when its first reading is acknowledged.
    pub async fn start(hub: &Api) -> Self {
        let (finish, is_finishing) = watch::channel(false);
        let mut device = Device::introduce(hub.address, &hello("bystander", 1, &["count"])).await;
        let mut sent = Vec::new();
        stream_one(&mut device, &mut sent).await;
        let task = tokio::spawn(async move {
            while !*is_finishing.borrow() {
                stream_one(&mut device, &mut sent).await;
            }
            for _ in 0..AFTERWARDS {
                stream_one(&mut device, &mut sent).await;
            }
            assert_eq!(device.errors_left(), 0);
            sent
        });
        Self { finish, task }
    }

    /// Asserts that it still streams, that all it sent is there, and that it was never disconnected.
    pub async fn finish(self, hub: &Api) {
        self.finish.send_replace(true);
        let sent = in_time("the bystander to go on", self.task).await.expect("the bystander was not harmed");
        eventually_equal("the bystander's readings", sent, async || hub.points("bystander/count").await).await;
        let delivery = hub.delivery("bystander").await;
        assert_eq!((&delivery["duplicate"], &delivery["lost"]), (&0.into(), &0.into()), "{delivery}");
    }
}

async fn stream_one(device: &mut Device, sent: &mut Vec<Point>) {
    let seq = sent.len() as u64 + 1;
    // Several readings within a millisecond would replace one another.
    let time_ms = now_ms().max(sent.last().map_or(0, |last| last.0 as u64 + 1)) as f64;
    device.reading(seq, time_ms, 0, seq as f64).await;
    sent.push((time_ms, Some(seq as f64)));
    device.acked(seq).await;
}
