//! A service looks at itself: what must hold of what Atrion reports.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atrion::{Atrion, Event, Force, Interest, Observer, Priority, Route, RouteReport, Timestamp};

use crate::ledger::{Invariant, Ledger};

/// A request is over by then, whatever happens, pauses of the process included.
const LONGEST_REQUEST: Duration = Duration::from_secs(20);
/// In flight may exceed the highest limit of the last while by this factor: a limit may have been
/// higher for a moment between two looks.
const LIMIT_FACTOR: f64 = 1.25;
/// And by so many: probes and scouts go beside the limit, and arrivals count before they compare.
const LIMIT_SLACK: f64 = 8.0;
/// The resistance that no voltage overcomes.
const WALL_OHMS: f64 = 1e6;
/// A part may exceed its bound by what single precision rounds.
const ROUNDING: f64 = 1e-3;

/// What the service counted itself of a route behind the middleware.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Requests that reached the middleware.
    pub(crate) asked: AtomicU32,
    /// Of those, the ones whose handler began.
    pub(crate) begun: AtomicU32,
    /// The ones that were refused.
    pub(crate) refused: AtomicU32,
    /// The ones that are over.
    pub(crate) over: AtomicU32,
}

/// The counters at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) asked: u32,
    pub(crate) begun: u32,
    pub(crate) refused: u32,
    pub(crate) over: u32,
}

impl Book {
    pub(crate) fn read(&self) -> Page {
        Page {
            asked: self.asked.load(SeqCst),
            begun: self.begun.load(SeqCst),
            refused: self.refused.load(SeqCst),
            over: self.over.load(SeqCst),
        }
    }
}

/// What a route counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) admitted: u32,
    pub(crate) refused: u32,
    pub(crate) tally_admitted: u32,
    pub(crate) tally_refused: u32,
}

impl Counted {
    pub(crate) fn of(report: &RouteReport) -> Self {
        let counts = report.counts;
        let sum = |f: &dyn Fn(Priority) -> u32| {
            Priority::ALL.into_iter().fold(0_u32, |sum, tier| sum.wrapping_add(f(tier)))
        };
        let tally = report.tally.as_ref();
        Self {
            admitted: counts
                .completed
                .wrapping_add(counts.cancelled)
                .wrapping_add(counts.in_flight),
            refused: counts.shed,
            tally_admitted: tally.map_or(0, |tally| sum(&|tier| tally.admitted(tier))),
            tally_refused: tally.map_or(0, |tally| sum(&|tier| tally.refused(tier))),
        }
    }
}

/// Whether a route counted what the service did, at a moment when nothing moved: `base` is what it
/// had counted before the service began to.
pub(crate) fn conserved(page: Page, counted: Counted, base: Counted) -> Result<(), String> {
    let admitted = counted.admitted.wrapping_sub(base.admitted);
    let refused = counted.refused.wrapping_sub(base.refused);
    let decided = admitted.wrapping_add(refused);
    if decided != page.asked {
        return Err(format!("asked {}, admitted {admitted}, refused {refused}", page.asked));
    }
    if refused != page.refused {
        return Err(format!("refused {refused}, answered with a refusal {}", page.refused));
    }
    if page.begun > admitted {
        return Err(format!("admitted {admitted}, begun {}", page.begun));
    }
    let tallied = (
        counted.tally_admitted.wrapping_sub(base.tally_admitted),
        counted.tally_refused.wrapping_sub(base.tally_refused),
    );
    if tallied != (admitted, refused) {
        return Err(format!("admitted {admitted}, refused {refused}, by tier {tallied:?}"));
    }
    Ok(())
}

/// What a number of a report may be.
struct Domain {
    name: &'static str,
    value: f64,
    max: f64,
}

/// The first number of a report that is none or out of its domain, in words; `Err` with them.
pub(crate) fn numbers(report: &RouteReport) -> Result<u64, String> {
    let parts = report.parts;
    let of = |name, value, max| Domain { name, value, max };
    let optional = |name, value: Option<f64>, max| of(name, value.unwrap_or_default(), max);
    let all = [
        of("base", parts.base, WALL_OHMS),
        of("saturation", parts.saturation, f64::MAX),
        of("process", parts.process, WALL_OHMS),
        of("scar", parts.scar, WALL_OHMS),
        of("cluster scar", parts.cluster_scar, WALL_OHMS),
        of("reported", parts.reported, WALL_OHMS),
        of("resistance", report.resistance, WALL_OHMS),
        of("own scar", report.own_scar, WALL_OHMS),
        of("error rate", report.error_rate, 1.0),
        of("momentum", report.momentum, f64::MAX),
        of("limit", report.limit, f64::MAX),
        of("ground", report.ground_volts, WALL_OHMS),
        of("floor", report.gate.floor_ohms, f64::MAX),
        of("free zone", report.gate.free_zone, f64::MAX),
        of("queue", report.gate.queue, f64::MAX),
        of("passing", report.gate.passing, 1.0),
        optional("parallelism", report.parallelism, f64::MAX),
        optional("service time", report.service_secs, 1e6),
        optional("capacity", report.capacity_rate, f64::MAX),
    ];
    let name = &report.name;
    for Domain { name: what, value, max } in &all {
        if !value.is_finite() || *value < 0.0 || *value > max * (1.0 + ROUNDING) {
            return Err(format!("{name}: {what} is {value}, allowed is 0 to {max}"));
        }
    }
    if let Some(decision) = &report.reported {
        let ohms = decision.resistance().get();
        if !ohms.is_finite() {
            return Err(format!("{name}: the reported resistance is {ohms}"));
        }
    }
    Ok(all.len() as u64)
}

/// The highest limits of a route in the last while.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// With the moments when they held; what is lower than a later one is left out.
    highest: VecDeque<(Timestamp, f64)>,
    /// Until when no limit is asked: the route was shadowed or closed by hand.
    unasked_until: Timestamp,
}

impl Limits {
    pub(crate) fn note(&mut self, report: &RouteReport) {
        let limit = report.limit_for(Priority::Critical);
        while self.highest.back().is_some_and(|(_, lower)| *lower <= limit) {
            self.highest.pop_back();
        }
        self.highest.push_back((report.at, limit));
        while self.highest.front().is_some_and(|(at, _)| report.at.since(*at) > LONGEST_REQUEST) {
            self.highest.pop_front();
        }
        let is_closed = report.forced.is_some_and(|forced| forced.force == Force::Closed);
        if is_closed || report.shadow {
            self.unasked_until = report.at.saturating_add(LONGEST_REQUEST);
        }
    }

    /// What may be in flight; `None` while nobody asks for a limit.
    pub(crate) fn allowed(&self, now: Timestamp) -> Option<f64> {
        let (_, highest) = self.highest.front().filter(|_| now > self.unasked_until)?;
        Some(highest * LIMIT_FACTOR + LIMIT_SLACK)
    }
}

/// A fixed route as the service watches it.
pub(crate) struct Watched {
    pub(crate) route: Route,
    pub(crate) book: Book,
    pub(crate) limits: Mutex<Limits>,
    base: Counted,
}

impl Watched {
    pub(crate) fn new(route: Route) -> Self {
        let base = Counted::of(&route.report());
        Self { route, book: Book::default(), limits: Mutex::default(), base }
    }

    fn note(&self, report: &RouteReport) -> Option<f64> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.note(report);
        limits.allowed(report.at)
    }
}

/// Notes the limits of fixed routes as each tick publishes them.
pub(crate) struct TickWatch(pub(crate) Arc<Vec<Watched>>);

impl Observer for TickWatch {
    fn event(&self, event: &Event) {
        if let Event::Ticked { route, .. } = event
            && let Some(watched) = self.0.iter().find(|watched| watched.route == *route)
        {
            watched.note(&route.report());
        }
    }

    fn interest(&self) -> Interest {
        Interest::TICKS
    }
}

/// Looks at everything once.
pub(crate) fn look(atrion: &Atrion, fixed: &[Watched], ledger: &mut Ledger) {
    let config = atrion.config();
    let scar_max = config.law().scar_max_ohms();
    atrion.visit_reports(|report| {
        let found = numbers(&report);
        ledger.check(Invariant::Numbers, found.is_ok(), || found.err().unwrap_or_default());
        // A configuration may have lowered the bound a moment ago.
        let most = if scar_max < 500.0 { 500.0 } else { scar_max };
        let holds = (0.0..=most * (1.0 + ROUNDING)).contains(&report.own_scar);
        ledger.check(Invariant::Scars, holds, || {
            format!("{}: own scar {} of {most} ohm", report.name, report.own_scar)
        });
    });
    for watched in fixed {
        let report = watched.route.report();
        if let Some(allowed) = watched.note(&report) {
            let in_flight = f64::from(report.counts.in_flight);
            ledger.check(Invariant::InFlightLimit, in_flight <= allowed, || {
                format!("{}: {in_flight} in flight, allowed {allowed:.1}", report.name)
            });
        }
        conservation(watched, ledger);
        for tier in Priority::ALL {
            let explained = watched.route.explain(tier);
            let ohms = explained.parts.total();
            ledger.check(Invariant::Numbers, ohms.is_finite() && ohms >= 0.0, || {
                format!("{}: explained as {ohms} ohm", watched.route.name())
            });
        }
    }
    bounds(atrion, ledger);
}

/// Compares the books if nothing moved while they were read.
fn conservation(watched: &Watched, ledger: &mut Ledger) {
    let before = watched.book.read();
    let counted = Counted::of(&watched.route.report());
    let again = Counted::of(&watched.route.report());
    let after = watched.book.read();
    // A request between middleware and engine would be on one side only.
    let is_still = before == after && counted == again && before.asked == before.over;
    if is_still {
        let found = conserved(before, counted, watched.base);
        ledger.check(Invariant::Conservation, found.is_ok(), || {
            format!("{}: {}", watched.route.name(), found.err().unwrap_or_default())
        });
    }
}

fn bounds(atrion: &Atrion, ledger: &mut Ledger) {
    let stats = atrion.stats();
    let limit = atrion.config().route_limit();
    ledger.check(Invariant::Bounds, stats.routes <= limit, || {
        format!("{} routes of {limit}", stats.routes)
    });
    ledger.check(Invariant::Bounds, stats.observer.panicked == 0, || {
        format!("{} events with a panic", stats.observer.panicked)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(admitted: u32, refused: u32) -> Counted {
        Counted { admitted, refused, tally_admitted: admitted, tally_refused: refused }
    }

    fn page(asked: u32, begun: u32, refused: u32) -> Page {
        Page { asked, begun, refused, over: asked }
    }

    #[test]
    fn what_was_asked_is_admitted_or_refused() {
        let none = counted(0, 0);
        assert_eq!(conserved(page(10, 7, 3), counted(7, 3), none), Ok(()));
        // A caller may hang up before its handler begins.
        assert_eq!(conserved(page(10, 6, 3), counted(7, 3), none), Ok(()));
        assert!(conserved(page(10, 7, 3), counted(7, 2), none).is_err());
        assert!(conserved(page(10, 8, 3), counted(7, 3), none).is_err());
        assert!(conserved(page(10, 7, 2), counted(7, 3), none).is_err());
        let tallies_lie = Counted { tally_refused: 4, ..counted(7, 3) };
        assert!(conserved(page(10, 7, 3), tallies_lie, none).is_err());
    }

    #[test]
    fn counters_wrap_and_need_not_begin_at_zero() {
        let base = counted(u32::MAX - 2, 5);
        assert_eq!(conserved(page(10, 7, 3), counted(4, 8), base), Ok(()));
    }

    #[test]
    fn an_untroubled_route_is_in_order() {
        let atrion = Atrion::builder().tally(true).build().expect("valid");
        let fixed = vec![Watched::new(atrion.route("shop"))];
        let mut ledger = Ledger::default();
        look(&atrion, &fixed, &mut ledger);
        assert_eq!(ledger.violations(), 0, "{ledger:?}");
        assert_eq!(ledger.line(Invariant::Conservation).checks, 1);
        assert_eq!(ledger.line(Invariant::InFlightLimit).checks, 1);
    }

    #[test]
    fn what_the_service_did_not_see_is_a_violation() {
        let atrion = Atrion::builder().tally(true).build().expect("valid");
        let fixed = vec![Watched::new(atrion.route("shop"))];
        let permit = fixed[0].route.admit(Priority::Normal).expect("calm");
        permit.success();
        let mut ledger = Ledger::default();
        look(&atrion, &fixed, &mut ledger);
        assert_eq!(ledger.line(Invariant::Conservation).violations, 1);
    }

    #[test]
    fn the_highest_limit_counts_for_as_long_as_a_request_may_take() {
        let atrion = Atrion::builder().build().expect("valid");
        let route = atrion.route("shop");
        let mut limits = Limits::default();
        assert_eq!(limits.allowed(Timestamp::ZERO), None);
        let report = route.report();
        limits.note(&report);
        let wide = limits.allowed(report.at).expect("known");
        let mut later = report.clone();
        later.gate.free_zone = 1.0;
        later.at = report.at.saturating_add(LONGEST_REQUEST);
        limits.note(&later);
        assert!(limits.allowed(later.at).is_some_and(|allowed| allowed >= wide));
        later.at = later.at.saturating_add(LONGEST_REQUEST);
        limits.note(&later);
        assert!(limits.allowed(later.at).is_some_and(|allowed| allowed < wide));
    }

    #[test]
    fn a_route_that_is_closed_by_hand_has_no_limit() {
        let atrion = Atrion::builder().build().expect("valid");
        let route = atrion.route("shop");
        route.force(Force::Closed, Duration::from_secs(60));
        let mut limits = Limits::default();
        let report = route.report();
        limits.note(&report);
        assert_eq!(limits.allowed(report.at), None);
    }
}
