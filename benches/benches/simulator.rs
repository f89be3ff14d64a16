//! What a simulated request costs, its share of policy, event queue and report included.

use std::hint::black_box;

use atrion_sim::policy::{Choice, Context};
use atrion_sim::{run, scenario};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Calm, overload, a storm of retries, priorities.
const SCENARIOS: [&str; 4] = ["steady", "step5x", "retries", "tiers"];
/// The engine, and the cheapest policy there is that protects: the difference is the engine's.
const POLICIES: [&str; 2] = ["atrion", "static"];
const SEED: u64 = 1;

fn simulated_request(c: &mut Criterion) {
    let mut group = c.benchmark_group("simulated request");
    for name in SCENARIOS {
        let scenario = scenario::find(name).expect("a preset");
        for policy in POLICIES {
            let choice = Choice::parse(policy).expect("a policy");
            let one_run = || {
                let mut policy =
                    choice.make(&Context::of(&scenario, SEED)).expect("defaults are valid");
                run(&scenario, policy.as_mut(), SEED)
            };
            // An iteration is a whole run; its requests are the same in every one.
            group.throughput(Throughput::Elements(one_run().requests));
            group.bench_function(BenchmarkId::new(policy, name), |b| {
                b.iter(|| black_box(one_run()));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(3))
        .sample_size(20);
    targets = simulated_request
}
criterion_main!(benches);
