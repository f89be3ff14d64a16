//! OpenTelemetry: observable instruments, read when the SDK collects.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use atrion_engine::Atrion;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use crate::collector::Collector;
use crate::instrument::{Instrument, Kind, Label, Value, instruments};
use crate::snapshot::Snapshot;
use crate::top::TopConfig;

/// The instruments of one instance with one meter. Ends them when it is dropped.
///
/// Only the API of OpenTelemetry is used: which SDK, reader and exporter there is, is the program's
/// affair.
///
/// ```
/// use atrion_engine::Atrion;
/// use atrion_observe::OtelInstruments;
///
/// let atrion = Atrion::builder().build()?;
/// let meter = opentelemetry::global::meter("atrion");
/// let instruments = OtelInstruments::new(&atrion, &meter);
/// // ... for as long as they are to be told:
/// drop(instruments);
/// # Ok::<(), atrion_engine::BuildError>(())
/// ```
///
/// Each collection reads the instance once, however many instruments it asks. Counters of routes
/// that have lost their place to others are still told, since a delta exporter would count a
/// series that comes back a second time from zero; their gauges are not.
///
/// An SDK keeps at most 2,000 series of an instrument unless told otherwise. That is enough for
/// [`TopConfig::names`] up to 390; beyond, raise its limit.
#[derive(Debug)]
#[must_use = "the instruments end when this is dropped"]
pub struct OtelInstruments(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` when it is over: an SDK never lets go of a callback.
    collector: Option<Collector>,
    snapshot: Arc<Snapshot>,
    /// Counts the collections, so that an instrument knows whether it has told this one.
    number: u64,
}

impl OtelInstruments {
    /// Of the top 50 routes.
    pub fn new(atrion: &Atrion, meter: &Meter) -> Self {
        Self::of(Collector::new(atrion, TopConfig::default()), meter)
    }

    /// Of what this collector collects.
    pub fn of(collector: Collector, meter: &Meter) -> Self {
        let state = State { collector: Some(collector), snapshot: Arc::default(), number: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        for instrument in instruments() {
            register(instrument, meter, Arc::clone(&shared));
        }
        Self(shared)
    }
}

impl Drop for OtelInstruments {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.collector = None;
        state.snapshot = Arc::default();
    }
}

fn register(instrument: &'static Instrument, meter: &Meter, shared: Arc<Shared>) {
    let told = AtomicU64::new(0);
    let Instrument { name, unit, help, .. } = instrument;
    match instrument.kind {
        Kind::Counter => drop(
            meter
                .u64_observable_counter(*name)
                .with_unit(*unit)
                .with_description(*help)
                .with_callback(move |observer| {
                    shared.tell(instrument, &told, |labels, value| {
                        if let Value::Count(count) = value {
                            observe(observer, count, labels);
                        }
                    });
                })
                .build(),
        ),
        Kind::Gauge => drop(
            meter
                .f64_observable_gauge(*name)
                .with_unit(*unit)
                .with_description(*help)
                .with_callback(move |observer| {
                    shared.tell(instrument, &told, |labels, value| {
                        if let Value::Number(number) = value {
                            observe(observer, number, labels);
                        }
                    });
                })
                .build(),
        ),
    }
}

fn observe<T>(observer: &dyn AsyncInstrument<T>, value: T, labels: &[Label<'_>]) {
    let mut attributes = Vec::with_capacity(labels.len());
    for (label, value) in labels {
        attributes.push(KeyValue::new(*label, (*value).to_owned()));
    }
    observer.observe(value, &attributes);
}

impl Shared {
    fn tell(
        &self,
        instrument: &Instrument,
        told: &AtomicU64,
        mut emit: impl FnMut(&[Label<'_>], Value),
    ) {
        let snapshot = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let State { collector, snapshot, number } = &mut *state;
            let Some(collector) = collector else { return };
            // Whoever has told this one is being asked for the next: a collection has begun.
            if told.load(Relaxed) == *number {
                *snapshot = collector.collect();
                *number += 1;
            }
            told.store(*number, Relaxed);
            Arc::clone(snapshot)
        };
        instrument.read(&snapshot, &mut emit);
    }
}
