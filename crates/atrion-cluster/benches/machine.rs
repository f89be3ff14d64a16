//! What the cluster costs beside the request path: taking in frames, and putting together what the
//! others say.

use std::hint::black_box;

use atrion_cluster::machine::{ClusterCore, CoreConfig};
use atrion_cluster::wire::{Change, Codec, Frame};
use atrion_core::law::{LawConfig, OwnWord, Word};
use atrion_core::merge::{Report, Stamp};
use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond, UnitInterval};
use atrion_core::vector::Stance;
use atrion_state::peers::NodeId;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ROUTES: usize = 1_024;

fn frame(codec: &Codec, node: u64, sequence: u64) -> bytes::Bytes {
    let mut frame = Frame::new(NodeId(node), Stamp { incarnation: 1, sequence });
    frame.changes = (0..ROUTES)
        .map(|route| Change {
            route: codec.route_id(&format!("route/{route}")),
            scar: 500.0 - sequence as f32 % 7.0,
            evidence: 5.0,
            demand: 20.0,
            momentum: 0.0,
            resistance: 500.1,
            stance: Stance { open: true, ..Stance::CALM },
        })
        .collect();
    codec.encode(&frame).expect("fits")
}

/// A full frame from one node, with registers of so many others in the tables.
fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("take in a frame of 1,024 changed routes");
    group.throughput(Throughput::Elements(ROUTES as u64));
    for nodes in [1_u64, 50, 200] {
        let codec = Codec::new("default", None);
        let config = CoreConfig::new("default", NodeId(u64::MAX));
        let mut core = ClusterCore::new(config, codec.clone(), Timestamp::ZERO);
        let mut now = Timestamp::ZERO;
        for node in 1..=nodes {
            core.handle_frame(&frame(&codec, node, 1), now, UnitInterval::ZERO);
        }
        let batch: Vec<_> = (2..2_002).map(|sequence| frame(&codec, 1, sequence)).collect();
        let mut next = 0;
        group.bench_function(BenchmarkId::from_parameter(format!("{nodes} nodes")), |b| {
            b.iter(|| {
                // Once through, the frames are known: the same nodes begin a new life.
                if next == batch.len() {
                    next = 0;
                    core = ClusterCore::new(
                        CoreConfig::new("default", NodeId(u64::MAX)),
                        codec.clone(),
                        Timestamp::ZERO,
                    );
                    for node in 1..=nodes {
                        core.handle_frame(&frame(&codec, node, 1), now, UnitInterval::ZERO);
                    }
                }
                now = now.add_secs(0.001);
                if let Some(bytes) = batch.get(next) {
                    core.handle_frame(black_box(bytes), now, UnitInterval::ZERO);
                }
                next += 1;
                while core.poll_changed(now).is_some() {}
            });
        });
    }
    group.finish();
}

/// What all others say about one route, put together: once per pulse and troubled route.
fn words(c: &mut Criterion) {
    let mut group = c.benchmark_group("gather a word");
    let law = LawConfig::default();
    let own = OwnWord {
        scar: Ohms::ZERO,
        evidence: Evidence::from(20_u32),
        demand: PerSecond::try_new(20.0).expect("in range"),
    };
    for nodes in [3_usize, 50, 200] {
        let reports: Vec<Report> = (0..nodes)
            .map(|node| Report {
                scar: Ohms::from(if node % 2 == 0 { 500_u32 } else { 0 }),
                evidence: Evidence::from(5_u32),
                demand: own.demand,
                stance: Stance::CALM,
                age_secs: 0.001 * node as f64,
            })
            .collect();
        let mut votes = vec![Ohms::ZERO; nodes + 1];
        group.bench_function(BenchmarkId::from_parameter(format!("{nodes} nodes")), |b| {
            b.iter(|| Word::gather(black_box(&reports), black_box(&own), &mut votes, &law));
        });
    }
    group.finish();
}

criterion_group!(benches, frames, words);
criterion_main!(benches);
