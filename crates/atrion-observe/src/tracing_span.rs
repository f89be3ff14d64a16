//! A span around guarded work.

use atrion_core::units::Volts;
use atrion_engine::{AsOutcome, Outcome, Route, Shed};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::label::label_value;

/// What [`guarded`] answers: the work's result, or why it was not done.
pub type Guarded<T> = Result<T, Shed>;

/// Asks the route, and does the work inside a span if it admits: `atrion.guarded` with the target
/// `atrion`, level info, and the fields `route`, `volts`, `outcome` (`success`, `failure`,
/// `cancelled`, `refused`), and for a refusal `reason`, `ohms` and `retry_after_ms`.
///
/// Unlike everything else in this crate this is part of the request, and costs what the program's
/// subscriber makes a span cost. Use it where a trace is wanted anyway; programs whose requests
/// have spans of their own need only log the [`Shed`].
///
/// ```
/// use atrion_core::flow::Priority;
/// use atrion_engine::Atrion;
/// use atrion_observe::guarded;
///
/// # let run = async {
/// let atrion = Atrion::builder().build()?;
/// let stock = atrion.route("to stock");
/// let answer = guarded(&stock, Priority::High, async || Ok::<_, std::io::Error>(3)).await?;
/// assert_eq!(answer?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # };
/// # atrion_state::blocking::block_on(run)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The refusal. `work` is not called then.
pub async fn guarded<T: AsOutcome>(
    route: &Route,
    v: impl Into<Volts>,
    work: impl AsyncFnOnce() -> T,
) -> Guarded<T> {
    let volts = v.into();
    let span = info_span!(
        target: "atrion",
        "atrion.guarded",
        route = Empty,
        volts = volts.get(),
        outcome = Empty,
        reason = Empty,
        ohms = Empty,
        retry_after_ms = Empty,
    );
    if !span.is_disabled() {
        span.record("route", &*label_value(route.name()));
    }
    let permit = match route.admit(volts) {
        Ok(permit) => permit,
        Err(shed) => {
            span.record("outcome", "refused");
            span.record("reason", shed.reason().as_str());
            span.record("ohms", shed.resistance().get());
            span.record("retry_after_ms", shed.retry_after().as_millis() as u64);
            return Err(shed);
        }
    };
    let mut ending = Ending { span: &span, outcome: Outcome::Cancelled };
    let result = work().instrument(span.clone()).await;
    ending.outcome = result.as_outcome();
    permit.record(&ending.outcome);
    Ok(result)
}

/// Says how it ended, also if the future is dropped.
struct Ending<'s> {
    span: &'s Span,
    outcome: Outcome,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.span.record(
            "outcome",
            match self.outcome {
                Outcome::Success => "success",
                Outcome::Failure => "failure",
                Outcome::Cancelled => "cancelled",
            },
        );
    }
}
