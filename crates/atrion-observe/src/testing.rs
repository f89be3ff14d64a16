//! Data for the tests of this crate.

use std::time::Duration;

use atrion_engine::Atrion;
use atrion_state::license::LicenseView;
use atrion_state::provider::{Health, Vitals};
use atrion_state::pulse::PulseStats;

use crate::aggregate::RouteRow;
use crate::label::label_value;
use crate::sample::{COUNTERS, Counters, Gauges};
use crate::snapshot::{ClusterRow, ProviderRow, Snapshot};

/// One in which every instrument has something to say.
pub(crate) fn full_snapshot() -> Snapshot {
    let gauges = Gauges {
        in_flight: 3,
        open: true,
        resistance: 12.5,
        parallelism: Some(4.0),
        service_secs: Some(0.02),
        capacity_rate: Some(200.0),
        error_rate: 0.25,
        next_probe_secs: Some(0.5),
        ..Gauges::default()
    };
    let row = |name: &str, now| {
        let totals = Counters::from_array(std::array::from_fn::<u64, COUNTERS, _>(|i| i as u64));
        RouteRow { label: label_value(name), totals, now }
    };
    let atrion = Atrion::builder().process_circuit(true).build().expect("builds");
    let process = atrion.process_circuit().map(|mut process| {
        process.parallelism = Some(8.0);
        process.service_secs = Some(0.01);
        process.capacity_rate = Some(800.0);
        process
    });
    Snapshot {
        routes: vec![row("GET /a", Some(gauges)), row("gone", None)],
        tallied: true,
        names_limit: 200,
        process,
        provider: Some(ProviderRow {
            health: Health::Degraded,
            vitals: Vitals::new(Some(LicenseView::new("expiring", "soon", Some(7))), 3),
            pulse: PulseStats::default(),
            since_delivery: Duration::from_millis(1500),
            cluster: Some(ClusterRow { nodes: 2, ..ClusterRow::default() }),
        }),
        ..Snapshot::default()
    }
}
