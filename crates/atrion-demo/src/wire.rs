//! What the processes say to each other: one JSON object per line, orders to a part's standard
//! input, events from its standard output.

use serde::{Deserialize, Serialize};

use crate::cluster::wire as cluster;
use crate::plan::{Health, Stage};
use crate::stats::Bucket;

/// From the conductor to a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(crate) enum Order {
    /// Dependency: behave like this from now on. Answered with [`Event::Reached`].
    Be { health: Health },
    /// Dependency: say how many requests came. Answered with [`Event::Reached`].
    Tally,
    /// Generator: keep the service at `target` busy with `callers` callers, each sending its
    /// next request when it has the answer, for some milliseconds after a warm-up. Answered
    /// with [`Event::Measured`].
    Measure { target: u16, callers: usize, warm_up_ms: u64, ms: u64 },
    /// Generator: send the requests of this schedule. Answered with events up to
    /// [`Event::Done`].
    Load { target: u16, stages: Vec<Stage>, seed: u64 },
    /// For the parts of the cluster's demonstration.
    Cluster(cluster::Order),
}

/// From a part to the conductor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A server is ready on this port of the loopback interface.
    Listening { port: u16 },
    /// Dependency: requests that reached it since it started, at this moment.
    Reached { total: u64 },
    /// Service: its state, ten times a second.
    Gauge { resistance_ohms: Option<f64>, stall_us: u32 },
    /// Generator: requests answered well per second.
    Measured { per_second: f64 },
    /// Generator: stage `index` of the schedule begins now.
    StageBegins { index: usize },
    /// Generator: every request of this bucket has ended.
    Bucket(Bucket),
    /// Generator: the first refusal seen.
    ShedSeen(ShedSample),
    /// Generator: the schedule is over. The lag is how much later than intended a request
    /// was sent.
    Done { lag_p99_us: u32, lag_max_us: u32 },
    /// Of the parts of the cluster's demonstration.
    Cluster(cluster::Event),
    /// The part cannot go on.
    Trouble { why: String },
}

/// A refusal as its sender got it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShedSample {
    pub(crate) status: u16,
    pub(crate) retry_after: String,
    pub(crate) body: String,
}

/// Prints an event for the conductor. A conductor that is gone cannot be told; the part learns
/// that from its standard input.
pub(crate) fn tell(event: &Event) {
    use std::io::Write as _;
    if let Ok(line) = serde_json::to_string(event) {
        let mut out = std::io::stdout().lock();
        let told = writeln!(out, "{line}").and_then(|()| out.flush());
        drop(told);
    }
}

/// Orders from the conductor, one line each.
pub(crate) struct Orders(tokio::io::Lines<tokio::io::BufReader<tokio::io::Stdin>>);

impl Orders {
    pub(crate) fn new() -> Self {
        use tokio::io::AsyncBufReadExt as _;
        Self(tokio::io::BufReader::new(tokio::io::stdin()).lines())
    }

    /// The next order, or `None` when the conductor is gone. Cancel-safe.
    ///
    /// # Errors
    ///
    /// A sentence if what came is no order.
    pub(crate) async fn next(&mut self) -> Result<Option<Order>, String> {
        let Ok(Some(line)) = self.0.next_line().await else { return Ok(None) };
        serde_json::from_str(&line).map(Some).map_err(|e| format!("`{line}` is no order: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::schedule;

    #[test]
    fn orders_and_events_survive_the_wire() {
        let orders = [
            Order::Be { health: Health::Gray },
            Order::Tally,
            Order::Measure { target: 1, callers: 2, warm_up_ms: 3, ms: 4 },
            Order::Load { target: 1, stages: schedule(600.0, true), seed: 3 },
            Order::Cluster(cluster::Order::Store { deed: cluster::Deed::Part }),
            Order::Cluster(cluster::Order::Stats),
        ];
        for order in orders {
            let line = serde_json::to_string(&order).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Order>(&line).unwrap(), order);
        }
        let events = [
            Event::Gauge { resistance_ohms: None, stall_us: 3 },
            Event::Bucket(Bucket::new(7)),
            Event::ShedSeen(ShedSample { status: 503, ..ShedSample::default() }),
            Event::Cluster(cluster::Event::Done { at: u64::MAX }),
            Event::Trouble { why: "a \"reason\"\nof two lines".to_owned() },
        ];
        for event in events {
            let line = serde_json::to_string(&event).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        }
    }
}
