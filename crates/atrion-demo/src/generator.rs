//! The load generator: sends requests at times fixed beforehand and notes how each ended.
//!
//! Open loop: a request is sent at its time whether or not earlier ones were answered, and its
//! latency counts from that *intended* time. A service that stalls therefore shows every second
//! of the stall in the figures, instead of slowing its own test down.

use std::time::Duration;

use http::StatusCode;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::caller::{Answer, Caller};
use crate::plan::{BUCKET, OBJECTIVE, Stage, TIERS, length, phases};
use crate::service;
use crate::stats::{Bucket, Ending, micros, percentile};
use crate::traffic::{Arrival, Arrivals};
use crate::wire::{Event, Order, Orders, ShedSample, tell};

/// Obeys until the conductor is gone.
///
/// # Errors
///
/// A sentence if it is given something that is no order of its own.
pub(crate) async fn run() -> Result<(), String> {
    let mut orders = Orders::new();
    while let Some(order) = orders.next().await? {
        let work = async {
            match order {
                Order::Measure { target, callers, warm_up_ms, ms } => {
                    let caller = Caller::new(target, service::PATH)?;
                    let span = (Duration::from_millis(warm_up_ms), Duration::from_millis(ms));
                    let per_second = measure(&caller, callers, span).await;
                    tell(&Event::Measured { per_second });
                    Ok(())
                }
                Order::Load { target, stages, seed } => load(target, stages, seed).await,
                other => Err(format!("the generator cannot {other:?}")),
            }
        };
        // Nothing else is ordered while it works, so any word then is the end.
        tokio::select! {
            done = work => done?,
            _ = orders.next() => return Ok(()),
        }
    }
    Ok(())
}

/// Requests answered well per second while `callers` callers keep the service busy.
async fn measure(caller: &Caller, callers: usize, (warm_up, span): (Duration, Duration)) -> f64 {
    let from = Instant::now() + warm_up;
    let until = from + span;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..callers {
        let caller = caller.clone();
        let volts = TIERS.get(index % TIERS.len()).map(|tier| tier.volts);
        tasks.spawn(async move {
            let mut good = 0u64;
            while Instant::now() < until {
                let asked = Instant::now();
                let answer = caller.get(volts).await;
                let now = Instant::now();
                let is_good =
                    answer.is_ok_and(|a| a.status.is_success()) && now - asked <= OBJECTIVE;
                good += u64::from(is_good && now >= from && now < until);
            }
            good
        });
    }
    let good: u64 = tasks.join_all().await.into_iter().sum();
    good as f64 / span.as_secs_f64()
}

/// What the sender tells the counter.
enum Note {
    Sent {
        arrival: Arrival,
        lag: Duration,
    },
    Ended {
        arrival: Arrival,
        ending: Ending,
        latency: Duration,
    },
    Shed(ShedSample),
    /// Nothing more of buckets before this one will be sent.
    Passed {
        bucket: u32,
    },
}

async fn load(target: u16, stages: Vec<Stage>, seed: u64) -> Result<(), String> {
    let caller = Caller::new(target, service::PATH)?;
    let (notes, counted) = mpsc::unbounded_channel();
    let buckets = phases(&stages).len() as u32;
    let counter = tokio::spawn(count(counted, buckets));
    send_all(&caller, stages, seed, &notes).await;
    drop(notes);
    let (lag_p99_us, lag_max_us) = counter.await.map_err(|e| format!("the counter failed: {e}"))?;
    tell(&Event::Done { lag_p99_us, lag_max_us });
    Ok(())
}

/// Sends every request at its time.
async fn send_all(
    caller: &Caller,
    stages: Vec<Stage>,
    seed: u64,
    notes: &mpsc::UnboundedSender<Note>,
) {
    let mut begins: Vec<Duration> = Vec::new();
    let mut end = Duration::ZERO;
    for stage in &stages {
        begins.push(end);
        end += BUCKET * stage.buckets;
    }
    let mut begins = begins.into_iter().enumerate().peekable();
    let total = length(&stages);
    // A little ahead, so that the first request is not late already.
    let start = Instant::now() + Duration::from_millis(20);
    let mut passed = 0;
    for arrival in Arrivals::new(stages, seed) {
        while let Some((index, at)) = begins.next_if(|(_, at)| *at <= arrival.at) {
            sleep_until(start + at).await;
            tell(&Event::StageBegins { index });
        }
        sleep_until(start + arrival.at).await;
        let bucket = bucket_of(arrival.at);
        if bucket > passed {
            passed = bucket;
            note(notes, Note::Passed { bucket });
        }
        let intended = start + arrival.at;
        note(notes, Note::Sent { arrival, lag: intended.elapsed() });
        tokio::spawn(send(caller.clone(), arrival, intended, notes.clone()));
    }
    sleep_until(start + total).await;
    note(notes, Note::Passed { bucket: bucket_of(total) });
}

fn note(notes: &mpsc::UnboundedSender<Note>, what: Note) {
    // The counter outlives every sender; without it there is nobody left to tell.
    drop(notes.send(what));
}

fn bucket_of(at: Duration) -> u32 {
    (at.as_nanos() / BUCKET.as_nanos()) as u32
}

/// Sends one request and notes its end.
async fn send(
    caller: Caller,
    arrival: Arrival,
    intended: Instant,
    notes: mpsc::UnboundedSender<Note>,
) {
    let volts = TIERS.get(arrival.tier).map(|tier| tier.volts);
    let answer = timeout_at(intended + OBJECTIVE, caller.get(volts)).await;
    let latency = intended.elapsed();
    let ending = match &answer {
        Err(_) => Ending::TimedOut,
        Ok(_) if latency > OBJECTIVE => Ending::TimedOut,
        Ok(Ok(answer)) => judge(answer),
        Ok(Err(_)) => Ending::Failed,
    };
    if let (Ending::Shed, Ok(Ok(answer))) = (ending, &answer) {
        note(&notes, Note::Shed(sample(answer)));
    }
    note(&notes, Note::Ended { arrival, ending, latency });
}

/// An answer with a time to come back is a refusal; any other error is a failure.
fn judge(answer: &Answer) -> Ending {
    let told_when = answer.headers.contains_key(http::header::RETRY_AFTER);
    if answer.status.is_success() {
        Ending::Good
    } else if answer.status == StatusCode::SERVICE_UNAVAILABLE && told_when {
        Ending::Shed
    } else {
        Ending::Failed
    }
}

fn sample(answer: &Answer) -> ShedSample {
    let retry_after = answer.headers.get(http::header::RETRY_AFTER);
    ShedSample {
        status: answer.status.as_u16(),
        retry_after: retry_after.and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&answer.body).into_owned(),
    }
}

/// Counts until every sender is done, telling the conductor each bucket as soon as all its
/// requests have ended; gives the 99th percentile and the maximum of the lag, in microseconds.
async fn count(mut notes: mpsc::UnboundedReceiver<Note>, buckets: u32) -> (u32, u32) {
    let mut open: std::collections::VecDeque<Bucket> = (0..buckets).map(Bucket::new).collect();
    let mut lags = Vec::new();
    let mut passed = 0;
    let mut sampled = false;
    while let Some(what) = notes.recv().await {
        let first = open.front().map_or(buckets, |bucket| bucket.index);
        let slot = |at: Duration| (bucket_of(at) - first) as usize;
        match what {
            Note::Sent { arrival, lag } => {
                lags.push(micros(lag));
                let bucket = open.get_mut(slot(arrival.at));
                if let Some(count) = bucket.and_then(|b| b.tiers.get_mut(arrival.tier)) {
                    count.sent += 1;
                }
            }
            Note::Ended { arrival, ending, latency } => {
                if let Some(bucket) = open.get_mut(slot(arrival.at)) {
                    if ending == Ending::Good {
                        bucket.latencies_us.push(micros(latency));
                    }
                    if let Some(count) = bucket.tiers.get_mut(arrival.tier) {
                        count.note(ending);
                    }
                }
            }
            Note::Shed(sample) if !sampled => {
                sampled = true;
                tell(&Event::ShedSeen(sample));
            }
            Note::Shed(_) => {}
            Note::Passed { bucket } => passed = bucket,
        }
        let complete = |b: &Bucket| b.index < passed && b.total().ended() == b.total().sent;
        while open.front().is_some_and(complete) {
            if let Some(bucket) = open.pop_front() {
                tell(&Event::Bucket(bucket));
            }
        }
    }
    lags.sort_unstable();
    let lag = |p| percentile(&lags, p).unwrap_or_default();
    (lag(0.99), lag(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn answer(status: StatusCode, retry_after: Option<&'static str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(http::header::RETRY_AFTER, value.parse().unwrap());
        }
        Answer { status, headers, body: "why".into() }
    }

    #[test]
    fn only_an_answer_that_says_when_to_come_back_is_a_refusal() {
        let shed = answer(StatusCode::SERVICE_UNAVAILABLE, Some("1"));
        assert_eq!(judge(&shed), Ending::Shed);
        assert_eq!(judge(&answer(StatusCode::SERVICE_UNAVAILABLE, None)), Ending::Failed);
        assert_eq!(judge(&answer(StatusCode::BAD_GATEWAY, Some("1"))), Ending::Failed);
        assert_eq!(judge(&answer(StatusCode::OK, None)), Ending::Good);
        let expected = ShedSample { status: 503, retry_after: "1".into(), body: "why".into() };
        assert_eq!(sample(&shed), expected);
    }

    #[test]
    fn buckets_are_quarters_of_a_second() {
        for (ms, bucket) in [(0, 0), (249, 0), (250, 1), (999, 3), (1000, 4)] {
            assert_eq!(bucket_of(Duration::from_millis(ms)), bucket, "{ms} ms");
        }
    }
}
