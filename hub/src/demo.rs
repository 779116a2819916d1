//! `hub demo`: a small simulated fleet that connects over real WebSockets, and words for a newcomer.

use std::{fs, net::SocketAddr, time::Duration};

use device_sim::fleet::{Fleet, FleetConfig, FleetError, SourceConfig};

use crate::Config;

/// Devices of the demo: one of each kind that the simulator knows.
const DEVICES: u32 = 7;
/// How often their slow channels are measured, Hz.
const RATE_HZ: f64 = 2.0;
/// How long the fleet may take to get its last messages acknowledged before the hub stops.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// The running fleet.
pub struct Demo(Fleet);

impl Demo {
    /// Starts the fleet against this hub's own port; the devices keep trying until it listens.
    pub fn start(address: SocketAddr) -> Result<Self, FleetError> {
        let hub = format!("ws://{address}").parse().expect("an address makes a URL");
        let source = SourceConfig::Waveform { profile: None, rate_hz: RATE_HZ, vibration: true };
        let config = FleetConfig { source, ..FleetConfig::demo(hub, DEVICES) };
        Fleet::start(&config).map(Self)
    }

    /// Lets the devices say goodbye.
    pub async fn stop(self) {
        self.0.finish(FAREWELL_MAX).await;
    }
}

/// The address as another program is to be given it: an unspecified one means every address of this machine.
fn reachable(address: SocketAddr) -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        name if address.ip().is_unspecified() && !name.is_empty() => format!("{name}.local:{}", address.port()),
        _ => address.to_string(),
    }
}

/// Says where the page is and what to do next; on standard output, for people.
pub fn say_what_next(address: SocketAddr, is_demo: bool, config: &Config) {
    println!("Highwater is listening on http://{address}   (data in {})", config.data.display());
    println!();
    let address = reachable(address);
    println!("  web page      http://{address}/");
    println!("  terminal      cargo run --release -p dashboard-tui -- --hub ws://{address}");
    println!("  this machine  cargo run --release -p device-sim -- --hub ws://{address} --source host");
    println!("  one reading   curl -X POST http://{address}/api/v1/readings -H 'content-type: application/json' \\");
    println!("                     -d '{{\"device\": \"shed\", \"readings\": {{\"temp\": 21.5}}}}'");
    println!();
    if is_demo {
        println!("{DEVICES} simulated devices are connecting. Stop with Ctrl-C.");
    } else {
        println!("Stop with Ctrl-C. To see it with simulated devices: hub demo");
    }
}
