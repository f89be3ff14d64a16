//! How many deliveries a second one Redis carries: N subscribers, one channel, frames of a pulse.
//!
//! ```sh
//! cargo run --release -p atrion-cluster --example fan_out -- redis://127.0.0.1:6379
//! ```
//!
//! Prints, for growing N, the frames and deliveries a second until everybody has got everything.

use std::error::Error;
use std::sync::Arc;

use atrion_cluster::names::Names;
use atrion_cluster::transport::{
    Arrivals, Commit, Inbox, Incoming, RedisTransport, Session, TlsOptions, Transport,
};
use atrion_cluster::wire::{Change, Codec, Frame};
use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::peers::NodeId;
use bytes::Bytes;

const FRAMES: u64 = 2_000;

/// A frame of `routes` changed routes.
fn frame(codec: &Codec, routes: usize, sequence: u64) -> Result<Bytes, Box<dyn Error>> {
    let mut frame = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence });
    frame.changes = (0..routes)
        .map(|route| Change {
            route: codec.route_id(&format!("route/{route}")),
            scar: 500.0,
            evidence: 5.0,
            demand: 20.0,
            momentum: 0.0,
            resistance: 500.1,
            stance: Stance { open: true, ..Stance::CALM },
        })
        .collect();
    Ok(codec.encode(&frame)?)
}

/// Reads until all frames have come; returns how many had to be dropped.
async fn drain(mut arrivals: Arrivals) -> u64 {
    let mut seen = 0;
    let mut dropped = 0;
    while seen + dropped < FRAMES {
        match arrivals.next().await {
            Some(Incoming::Frame(_)) => seen += 1,
            Some(Incoming::Lost(_)) | None => break,
        }
        dropped += arrivals.take_dropped();
    }
    FRAMES - seen
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("name a Redis: redis://127.0.0.1:6379")?.parse()?;
    let names = Names::new(Names::DEFAULT_PREFIX, "atrion:fan-out", "fan-out");
    let transport = Arc::new(RedisTransport::new(url, names, &TlsOptions::default())?);
    let codec = Codec::new("fan-out", None);
    let clock = MonotonicClock::new();
    println!("routes  nodes  frames/s  deliveries/s  lost");
    for routes in [1, 100] {
        let bytes = frame(&codec, routes, 1)?;
        for nodes in [5_usize, 50, 200] {
            let mut readers = Vec::new();
            let mut sessions: Vec<Box<dyn Session>> = Vec::new();
            for _ in 0..nodes {
                let (inbox, arrivals) = Inbox::new(8_192);
                sessions.push(transport.open(inbox).await?);
                readers.push(tokio::spawn(drain(arrivals)));
            }
            let publisher = sessions.first().ok_or("no session")?;
            let commit = Commit { frame: bytes.clone(), ttl_millis: 1_000, ..Commit::default() };
            let start = clock.now();
            for _ in 0..FRAMES {
                publisher.commit(&commit).await?;
            }
            let mut lost = 0;
            for reader in readers {
                lost += reader.await?;
            }
            let secs = clock.now().secs_since(start);
            let rate = FRAMES as f64 / secs;
            println!("{routes:6}  {nodes:5}  {rate:8.0}  {:12.0}  {lost}", rate * nodes as f64);
        }
    }
    Ok(())
}
