//! What it costs to write and to read the frames of the cluster, in changed routes per second.

use std::hint::black_box;

use atrion_cluster::wire::{Change, Codec, Frame};
use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ROUTES: u16 = 1024;

/// News about so many routes, as a node has them when everything changes at once.
fn full(codec: &Codec) -> Frame {
    let stamp = Stamp { incarnation: 3, sequence: 71 };
    let mut frame = Frame::new(codec.node_id("pod-7"), stamp);
    frame.changes = (0..ROUTES)
        .map(|i| Change {
            route: codec.route_id(&format!("/service/{i}")),
            scar: f32::from(i),
            evidence: f32::from(i % 60),
            demand: 20.0 + f32::from(i),
            momentum: 0.25,
            resistance: 1.5 + f32::from(i),
            stance: Stance { open: i % 9 == 0, held: i % 9 == 1, good: i % 3 == 0 },
        })
        .collect();
    frame.changes.sort_unstable_by_key(|change| change.route);
    frame
}

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire, 1024 changed routes");
    group.throughput(Throughput::Elements(u64::from(ROUTES)));
    for (secret, name) in [(None, "open"), (Some(b"secret".as_slice()), "authenticated")] {
        let codec = Codec::new("bench", secret);
        let frame = full(&codec);
        let bytes = codec.encode(&frame).expect("a valid frame");
        let mut shuffled = frame.clone();
        shuffled.changes.rotate_left(usize::from(ROUTES) / 3);
        shuffled.changes.swap(1, 700);
        group.bench_function(BenchmarkId::new("decode", name), |b| {
            b.iter(|| codec.decode(black_box(&bytes)));
        });
        let mut reused = frame.clone();
        group.bench_function(BenchmarkId::new("decode into the last frame", name), |b| {
            b.iter(|| codec.decode_into(black_box(&bytes), &mut reused));
        });
        group.bench_function(BenchmarkId::new("encode", name), |b| {
            b.iter(|| codec.encode(black_box(&frame)));
        });
        group.bench_function(BenchmarkId::new("encode in any order", name), |b| {
            b.iter(|| codec.encode(black_box(&shuffled)));
        });
    }
    group.finish();
}

fn ids(c: &mut Criterion) {
    let codec = Codec::new("bench", None);
    c.bench_function("route id of a name of 24 bytes", |b| {
        b.iter(|| codec.route_id(black_box("/orders/{id}/items/{row}")));
    });
}

criterion_group!(benches, wire, ids);
criterion_main!(benches);
