//! The facade `metrics`: a driver that carries snapshots to whatever recorder the program has.

use std::collections::HashSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use atrion_engine::Atrion;
use metrics::{Key, KeyName, Level, Metadata, Recorder, SharedString, Unit};

use crate::collector::Collector;
use crate::instrument::{Instrument, Kind, Value, instruments};
use crate::snapshot::Snapshot;
use crate::top::TopConfig;

const METADATA: Metadata<'static> = Metadata::new("atrion", Level::INFO, Some(module_path!()));

/// Carries what an instance counts to the facade `metrics`, whenever [`refresh`](Self::refresh) is
/// called: before a scrape, or at an interval by [`refresh_every`](Self::refresh_every). Cheap to
/// clone; all clones are one.
///
/// ```
/// use atrion_engine::Atrion;
/// use atrion_observe::MetricsExporter;
/// use metrics_exporter_prometheus::PrometheusBuilder;
///
/// let prometheus = PrometheusBuilder::new().install_recorder()?; // or any other recorder
/// let atrion = Atrion::builder().tally(true).build()?;
/// let exporter = MetricsExporter::new(&atrion);
///
/// atrion.route("GET /users").admit(atrion_core::flow::Priority::High)?.success();
/// // In the handler of `/metrics`:
/// exporter.refresh();
/// let page = prometheus.render();
/// assert!(page.contains(r#"atrion_route_admitted_total{route="GET /users",tier="high"} 1"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The names are those of Prometheus ([`Instrument::prometheus_name`]), with the unit and `_total`:
/// leave `with_recommended_naming` of that exporter on or off, it makes no difference.
///
/// A recorder cannot forget. So counters of routes that have lost their place to others stay where
/// they were, and their gauges become zero; how many there can be is [`TopConfig::names`].
#[derive(Clone)]
pub struct MetricsExporter(Arc<Inner>);

struct Inner {
    collector: Collector,
    recorder: Option<Box<dyn Recorder + Send + Sync>>,
    names: Vec<(&'static Instrument, SharedString)>,
    /// Gauges that were set by the last refresh.
    set: Mutex<HashSet<Key>>,
}

impl MetricsExporter {
    /// To the recorder that is installed globally when a refresh comes, of the top 50 routes.
    pub fn new(atrion: &Atrion) -> Self {
        Self::of(Collector::new(atrion, TopConfig::default()))
    }

    /// To the recorder that is installed globally when a refresh comes.
    pub fn of(collector: Collector) -> Self {
        Self::build(collector, None)
    }

    /// To this recorder.
    pub fn with_recorder(
        collector: Collector,
        recorder: impl Recorder + Send + Sync + 'static,
    ) -> Self {
        Self::build(collector, Some(Box::new(recorder)))
    }

    fn build(collector: Collector, recorder: Option<Box<dyn Recorder + Send + Sync>>) -> Self {
        let names = instruments().map(|i| (i, SharedString::from(i.prometheus_name()))).collect();
        let exporter = Self(Arc::new(Inner { collector, recorder, names, set: Mutex::default() }));
        exporter.with(|recorder| exporter.describe(recorder));
        exporter
    }

    /// Describes every instrument: kind, unit, what it says. Done when the exporter is made; again
    /// if a global recorder is installed later.
    pub fn describe_metrics(&self) {
        self.with(|recorder| self.describe(recorder));
    }

    fn describe(&self, recorder: &dyn Recorder) {
        for (instrument, name) in &self.0.names {
            let name = KeyName::from(name.clone());
            let help = SharedString::const_str(instrument.help);
            let unit = unit(instrument);
            match instrument.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
            }
        }
    }

    /// Reads the instance and sets every metric. Takes a few milliseconds for 10,000 routes; no
    /// request notices. Whoever comes while another refreshes waits for it.
    pub fn refresh(&self) -> Arc<Snapshot> {
        let mut before = self.set();
        let snapshot = self.0.collector.collect();
        let mut now = HashSet::with_capacity(before.len());
        self.with(|recorder| {
            for (instrument, name) in &self.0.names {
                instrument.read(&snapshot, &mut |labels, value| {
                    let labels = labels.iter().map(|(label, value)| {
                        metrics::Label::new(*label, SharedString::from((*value).to_owned()))
                    });
                    let key = Key::from_parts(name.clone(), labels.collect::<Vec<_>>());
                    match value {
                        Value::Count(count) => {
                            recorder.register_counter(&key, &METADATA).absolute(count);
                        }
                        Value::Number(number) => {
                            recorder.register_gauge(&key, &METADATA).set(number);
                            now.insert(key);
                        }
                    }
                });
            }
            for gone in before.difference(&now) {
                recorder.register_gauge(gone, &METADATA).set(0.0);
            }
        });
        *before = now;
        snapshot
    }

    /// Refreshes every `interval` on a thread of its own, until the answer is dropped. For
    /// recorders that nobody scrapes; an interval of zero is taken for one millisecond.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn refresh_every(&self, interval: Duration) -> io::Result<Refresher> {
        let interval = interval.max(Duration::from_millis(1));
        let ended: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let (exporter, theirs) = (self.clone(), Arc::clone(&ended));
        thread::Builder::new().name("atrion-metrics".into()).spawn(move || {
            let (flag, bell) = &*theirs;
            let mut over = flag.lock().unwrap_or_else(PoisonError::into_inner);
            while !*over {
                drop(over);
                // A recorder that panics is asked again; its own message is on standard error.
                let _ = catch_unwind(AssertUnwindSafe(|| exporter.refresh()));
                over = flag.lock().unwrap_or_else(PoisonError::into_inner);
                if !*over {
                    over = match bell.wait_timeout(over, interval) {
                        Ok((over, _)) => over,
                        Err(poisoned) => poisoned.into_inner().0,
                    };
                }
            }
        })?;
        Ok(Refresher(ended))
    }

    fn with(&self, f: impl FnOnce(&dyn Recorder)) {
        match &self.0.recorder {
            Some(recorder) => f(recorder),
            None => metrics::with_recorder(f),
        }
    }

    fn set(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MetricsExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsExporter")
            .field("collector", &self.0.collector)
            .finish_non_exhaustive()
    }
}

/// Keeps an exporter refreshing; ends that when it is dropped, without waiting for a refresh that
/// is under way.
#[derive(Debug)]
#[must_use = "refreshing ends when this is dropped"]
pub struct Refresher(Arc<(Mutex<bool>, Condvar)>);

impl Drop for Refresher {
    fn drop(&mut self) {
        let (flag, bell) = &*self.0;
        *flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        bell.notify_all();
    }
}

/// The unit as the facade knows it. Ohms it does not; and for rates an exporter that appends units
/// would say it twice.
fn unit(instrument: &Instrument) -> Option<Unit> {
    match instrument.unit {
        "s" => Some(Unit::Seconds),
        "{ohm}" | "1" | "1/s" | "{request}/s" => None,
        _ => Some(Unit::Count),
    }
}
