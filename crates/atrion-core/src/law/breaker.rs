//! Error memory: the plastic part of resistance, and the breaker that probes its way back.
//!
//! Latency and saturation are elastic, they vanish with their cause. Only errors scar. A scar
//! grows per *second* of trauma, so the number of calls and the length of the tick do not matter,
//! and whether there is trauma depends on the error *rate*, so neither does the amount of traffic.

use super::LawConfig;
use super::demand::Demand;
use super::prober::Prober;
use crate::math;
use crate::merge::EVIDENCE_HALF_LIFE_SECS;
use crate::time::Timestamp;

/// Trauma is never extrapolated over more than this: a process that was suspended for an hour
/// was not wounded for an hour. Short enough that one tick alone never opens the breaker.
const LONGEST_TRAUMA_SECS: f64 = 0.1;

/// Whether requests flow by voltage, or only as probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BreakerMode {
    /// Requests flow if their voltage exceeds the resistance.
    #[default]
    Closed,
    /// Nothing flows but probes.
    Open,
}

/// Scar tissue, error rate and probing of one route.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    error_rate: f64,
    scar: f64,
    /// Recent successes and failures, halved every few seconds and by each of the other kind.
    seen_ok: f64,
    seen_failed: f64,
    demand: Demand,
    prober: Prober,
    mode: BreakerMode,
}

/// A closed [`Breaker`] in less space: no probes are due.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RestedBreaker {
    error_rate: f32,
    scar: f32,
    seen_ok: f32,
    seen_failed: f32,
}

/// What ended since the last tick, as far as the breaker cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    /// Ordinary requests that succeeded or failed.
    pub completed: u32,
    /// How many of those failed.
    pub failed: u32,
    /// Probes that succeeded.
    pub probes_ok: u32,
    /// Probes that failed.
    pub probes_failed: u32,
    /// Probes that ended without a result.
    pub probes_cancelled: u32,
}

impl Breaker {
    /// A route without a past.
    pub fn new(config: &LawConfig) -> Self {
        Self {
            error_rate: 0.0,
            scar: 0.0,
            seen_ok: 0.0,
            seen_failed: 0.0,
            demand: Demand::default(),
            prober: Prober::new(config),
            mode: BreakerMode::Closed,
        }
    }

    /// The present mode.
    pub const fn mode(&self) -> BreakerMode {
        self.mode
    }

    /// Scar tissue as of the last tick, in ohms.
    pub const fn scar(&self) -> f64 {
        self.scar
    }

    /// The moving error rate, 0 to 1.
    pub const fn error_rate(&self) -> f64 {
        self.error_rate
    }

    /// E: evidence for the present claim, in requests. Recent successes while the scar is healed;
    /// recent failures, or arrivals if those are more, while it is not: an open breaker keeps its
    /// vote for as long as somebody asks. Halves every 3 s, successes and failures also with every
    /// contradiction (blending study, section 2). Zero means that nobody has looked.
    pub fn evidence(&self, config: &LawConfig) -> f64 {
        if self.scar < config.close_ohms() {
            self.seen_ok
        } else {
            math::max(self.seen_failed, self.demand.recent())
        }
    }

    /// How much the route is asked for; counted only where somebody wants to know.
    pub const fn demand(&self) -> &Demand {
        &self.demand
    }

    /// Arrivals are counted from `now` on, when their counter stands at `arrivals`.
    pub const fn count_from(&mut self, arrivals: u32, now: Timestamp) {
        self.demand = Demand::new(arrivals, now);
    }

    /// The counter of arrivals, which wraps, stands at `arrivals` now.
    pub fn count_to(&mut self, arrivals: u32, now: Timestamp) {
        self.demand.update(arrivals, now);
    }

    fn see(&mut self, endings: &Endings, dt_secs: f64) {
        let failed = f64::from(endings.failed) + f64::from(endings.probes_failed);
        let ok =
            f64::from(endings.completed) - f64::from(endings.failed) + f64::from(endings.probes_ok);
        let ok = math::max(ok, 0.0);
        if self.seen_ok > 0.0 || self.seen_failed > 0.0 {
            const FADING_PER_SEC: f64 = core::f64::consts::LN_2 / EVIDENCE_HALF_LIFE_SECS;
            let fade = 1.0 - math::lost_share(FADING_PER_SEC * dt_secs);
            self.seen_ok *= fade;
            self.seen_failed *= fade;
        }
        self.seen_ok += ok;
        self.seen_failed += failed;
        // Most ticks see no contradiction, and an exponential is the dearest thing in a tick.
        let halved = |seen: f64, by: f64| {
            if seen > 0.0 && by > 0.0 {
                seen * math::exp(-core::f64::consts::LN_2 * by)
            } else {
                seen
            }
        };
        self.seen_ok = halved(self.seen_ok, failed);
        self.seen_failed = halved(self.seen_failed, ok);
    }

    /// When an open route lets the next probe pass.
    pub fn next_probe(&self) -> Timestamp {
        self.prober.next()
    }

    /// The schedule of probes.
    pub const fn prober(&self) -> &Prober {
        &self.prober
    }

    /// T: how long a round of probing takes, s; longer while other nodes look too.
    pub const fn set_round(&mut self, secs: f64) {
        self.prober.set_round(secs);
    }

    /// Another node's probe succeeded: an open route looks no later than `at`.
    pub fn invite(&mut self, at: Timestamp) {
        if self.mode == BreakerMode::Open {
            self.prober.invite(at);
        }
    }

    /// Requests of a closed route that looked into what others say: each moves the error rate by
    /// half, as a probe does.
    pub fn verified(&mut self, ok: u32, failed: u32) {
        for _ in 0..ok.min(u32::from(u8::MAX)) {
            self.error_rate *= 0.5;
        }
        for _ in 0..failed.min(u32::from(u8::MAX)) {
            self.error_rate += (1.0 - self.error_rate) * 0.5;
        }
    }

    /// Applies what ended during the last `dt_secs`. `draw`, uniform in `[0, 1)`, jitters the
    /// next probe so that many nodes do not probe together. Returns the new mode if it changed.
    pub fn tick(
        &mut self,
        endings: &Endings,
        dt_secs: f64,
        now: Timestamp,
        draw: f64,
        config: &LawConfig,
    ) -> Option<BreakerMode> {
        self.see(endings, dt_secs);
        match self.mode {
            BreakerMode::Closed => self.tick_closed(endings, dt_secs, now, draw, config),
            BreakerMode::Open => self.tick_open(endings, dt_secs, now, draw, config),
        }
    }

    fn tick_closed(
        &mut self,
        endings: &Endings,
        dt_secs: f64,
        now: Timestamp,
        draw: f64,
        config: &LawConfig,
    ) -> Option<BreakerMode> {
        if endings.completed > 0 && (endings.failed > 0 || self.error_rate > 0.0) {
            let rate = f64::from(endings.failed) / f64::from(endings.completed);
            let weight = math::ewma_weight(config.error_samples(), f64::from(endings.completed));
            self.error_rate += weight * (rate - self.error_rate);
        }
        self.scar_over(dt_secs, config);
        // A wounded route that nobody gets through any more would never learn that the cause is
        // gone: on a quiet route scars heal between two requests and may never reach the
        // threshold, yet refuse. Opening it is what lets it look.
        let starved = endings.completed == 0
            && dt_secs > LONGEST_TRAUMA_SECS
            && self.scar >= config.close_ohms();
        if self.is_wounded(config) && (self.scar >= config.open_ohms() || starved) {
            self.open(now, draw, config);
            return Some(BreakerMode::Open);
        }
        None
    }

    fn tick_open(
        &mut self,
        endings: &Endings,
        dt_secs: f64,
        now: Timestamp,
        draw: f64,
        config: &LawConfig,
    ) -> Option<BreakerMode> {
        // Ordinary completions belong to requests sent before the trip: they are old news.
        self.scar *= math::decay(config.healing_per_sec(), dt_secs);
        if endings.probes_cancelled > 0 {
            self.prober.cancelled(endings.probes_cancelled, now);
        }
        for _ in 0..endings.probes_ok.min(u32::from(u8::MAX)) {
            self.probe_succeeded(now, config);
        }
        // Failures last: among results of the same moment the bad ones decide.
        if endings.probes_failed > 0 {
            self.error_rate += (1.0 - self.error_rate) * 0.5;
            // Deepest scar, full wait, start over with one probe.
            self.scar = config.scar_max_ohms();
            self.prober.failed(endings.probes_failed, now, draw);
            return None;
        }
        if self.scar < config.close_ohms() && self.error_rate < config.error_critical() / 2.0 {
            self.close();
            return Some(BreakerMode::Closed);
        }
        None
    }

    /// `S' = min(S_max, S·exp(−λ·dt) + σ·dt·[e > e_crit])` (control law, tick).
    fn scar_over(&mut self, dt_secs: f64, config: &LawConfig) {
        if self.scar > 0.0 {
            self.scar *= math::decay(config.healing_per_sec(), dt_secs);
        }
        if self.is_wounded(config) {
            self.scar += config.trauma_ohms_per_sec() * math::min(dt_secs, LONGEST_TRAUMA_SECS);
        }
        self.scar = math::min(self.scar, config.scar_max_ohms());
    }

    fn is_wounded(&self, config: &LawConfig) -> bool {
        self.error_rate > config.error_critical()
    }

    fn open(&mut self, now: Timestamp, draw: f64, config: &LawConfig) {
        self.mode = BreakerMode::Open;
        self.scar = config.scar_max_ohms();
        self.prober.start(now, draw, config);
    }

    fn probe_succeeded(&mut self, now: Timestamp, config: &LawConfig) {
        self.prober.succeeded(now);
        self.error_rate *= 0.5;
        self.scar *= config.probe_heal();
    }

    /// Back to flow, without residue: a scar left behind would keep the lowest tiers out for
    /// about ten seconds after the cause is gone.
    fn close(&mut self) {
        self.mode = BreakerMode::Closed;
        self.scar = 0.0;
        self.prober.stop();
    }

    /// Whether an open route would let a probe pass at `now`.
    pub fn probe_due(&self, now: Timestamp) -> bool {
        self.mode == BreakerMode::Open && self.prober.is_due(now)
    }

    /// Takes the place of a probe if one is due. A probe that never returns is given up after a
    /// while: a hung or leaked one must not keep the route open for ever.
    pub fn try_probe(&mut self, now: Timestamp) -> bool {
        self.mode == BreakerMode::Open && self.prober.try_take(now)
    }

    /// Applies an error rate measured elsewhere, over `count` requests.
    pub fn report_rate(&mut self, rate: f64, count: f64, config: &LawConfig) {
        let weight = math::ewma_weight(config.error_samples(), count);
        self.error_rate += weight * (rate - self.error_rate);
    }

    /// The clock stepped back to `now`.
    pub(super) fn rebase(&mut self, now: Timestamp) {
        self.prober.rebase(now);
    }

    /// Forgets everything, as if nothing had ever failed.
    pub fn reset(&mut self, config: &LawConfig) {
        *self = Self::new(config);
    }

    /// Adopts a scar remembered from before, at `now`. Unless it is as good as healed the route
    /// opens with its first probe due at once: what the past says is to be looked at, not obeyed.
    pub fn restore_scar(&mut self, ohms: f64, now: Timestamp, config: &LawConfig) {
        if ohms < config.close_ohms() || self.mode == BreakerMode::Open {
            return;
        }
        self.open(now, 0.5, config);
        self.scar = math::min(ohms, config.scar_max_ohms());
        self.prober.invite(now);
    }
}

impl Breaker {
    pub(super) const fn rest(&self) -> RestedBreaker {
        RestedBreaker {
            error_rate: self.error_rate as f32,
            scar: self.scar as f32,
            seen_ok: self.seen_ok as f32,
            seen_failed: self.seen_failed as f32,
        }
    }

    pub(super) fn woken(rested: &RestedBreaker, config: &LawConfig) -> Self {
        Self {
            error_rate: f64::from(rested.error_rate),
            scar: f64::from(rested.scar),
            seen_ok: f64::from(rested.seen_ok),
            seen_failed: f64::from(rested.seen_failed),
            ..Self::new(config)
        }
    }
}

#[cfg(test)]
impl Breaker {
    /// A closed breaker with this scar, ohm.
    pub(super) fn restore_scar_of(&mut self, ohms: f64) {
        self.scar = ohms;
    }

    /// Has seen so many successes just now.
    pub(super) fn see_for_test(&mut self, ok: f64) {
        self.seen_ok += ok;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DT: f64 = 0.05;

    fn at(tick: u32) -> Timestamp {
        Timestamp::ZERO.add_secs(f64::from(tick) * DT)
    }

    fn failing(per_tick: u32) -> Endings {
        Endings { completed: per_tick, failed: per_tick, ..Endings::default() }
    }

    fn tripped(config: &LawConfig) -> (Breaker, u32) {
        let mut b = Breaker::new(config);
        for tick in 1..1000 {
            if b.tick(&failing(10), DT, at(tick), 0.5, config) == Some(BreakerMode::Open) {
                return (b, tick);
            }
        }
        panic!("a dead dependency must trip the breaker");
    }

    #[test]
    fn opens_within_a_few_ticks_of_a_dead_dependency() {
        let (b, tick) = tripped(&LawConfig::default());
        assert!(tick <= 6, "took {tick} ticks");
        assert!((b.scar() - 500.0).abs() < 1e-9);
    }

    #[test]
    fn a_small_error_rate_at_any_traffic_never_scars() {
        let config = LawConfig::default();
        let mut b = Breaker::new(&config);
        for tick in 1..10_000 {
            let failed = u32::from(tick % 10 == 0);
            let endings = Endings { completed: 50, failed, ..Endings::default() };
            assert_eq!(b.tick(&endings, DT, at(tick), 0.5, &config), None);
        }
        assert!(b.scar() < 1e-12, "0.2 % errors left {} ohm", b.scar());
    }

    #[test]
    fn one_request_per_second_failing_always_opens() {
        let config = LawConfig::default();
        let mut b = Breaker::new(&config);
        let opened = (1..60)
            .find(|s| b.tick(&failing(1), 1.0, Timestamp::from_secs(*s), 0.5, &config).is_some());
        assert!(opened.is_some_and(|s| s <= 20), "{opened:?}");
    }

    #[test]
    fn a_quiet_route_is_not_locked_out_by_a_scar_below_the_threshold() {
        let config = LawConfig::default();
        let mut b = Breaker::new(&config);
        let mut now = Timestamp::ZERO;
        let mut opened = false;
        // One request every 20 s at 20 V: it fails, or it is refused for the scar.
        for _ in 0..100 {
            now = now.add_secs(20.0);
            let refused = b.tick(&Endings::default(), 20.0, now, 0.5, &config).is_some();
            opened |= refused;
            if opened {
                break;
            }
            if b.scar() < 20.0 {
                b.tick(&failing(1), 0.0, now, 0.5, &config);
            }
        }
        assert!(opened, "scar {}", b.scar());
        assert!(b.probe_due(now.add_secs(20.0)));
    }

    #[test]
    fn a_cancelled_probe_waits_before_the_next() {
        let config = LawConfig::default();
        let (mut b, tick) = tripped(&config);
        let later = at(tick).add_secs(1.0);
        assert!(b.try_probe(later));
        let cancelled = Endings { probes_cancelled: 1, ..Endings::default() };
        b.tick(&cancelled, DT, later, 0.5, &config);
        assert!(!b.probe_due(later) && b.probe_due(later.add_secs(0.5)));
    }

    #[test]
    fn heals_by_probing_within_a_second_and_keeps_no_residue() {
        let config = LawConfig::default();
        let (mut b, mut tick) = tripped(&config);
        let healed_at = at(tick);
        while b.mode() == BreakerMode::Open {
            tick += 1;
            let mut endings = Endings::default();
            while b.try_probe(at(tick)) {
                endings.probes_ok += 1;
            }
            b.tick(&endings, DT, at(tick), 0.5, &config);
            assert!(tick < 1000, "never closed");
        }
        assert!(at(tick).secs_since(healed_at) <= 1.0);
        assert!(b.scar().abs() < 1e-12);
    }

    #[test]
    fn a_lost_probe_does_not_block_the_next_for_ever() {
        let config = LawConfig::default();
        let (mut b, tick) = tripped(&config);
        let first = at(tick).add_secs(1.0);
        assert!(b.try_probe(first));
        assert!(!b.try_probe(first.add_secs(0.5)), "one at a time");
        assert!(b.try_probe(first.add_secs(1.5)), "the lost one is given up");
    }

    #[test]
    fn suspension_is_not_an_hour_of_trauma() {
        let config = LawConfig::default();
        let mut b = Breaker::new(&config);
        b.report_rate(1.0, 15.0, &config);
        b.tick(&failing(1), 3600.0, Timestamp::from_secs(3600), 0.5, &config);
        assert_eq!(b.mode(), BreakerMode::Closed);
        assert!(b.scar() <= 80.0 + 1e-9, "{}", b.scar());
    }

    #[test]
    fn failures_without_a_success_fade_as_well() {
        let config = LawConfig::default();
        let (mut b, tick) = tripped(&config);
        let before = b.evidence(&config);
        assert!(before > 10.0, "{before}");
        b.tick(&Endings::default(), 3.0, at(tick).add_secs(3.0), 0.5, &config);
        assert!((b.evidence(&config) / before - 0.5).abs() < 1e-9, "{}", b.evidence(&config));
    }

    #[test]
    fn a_healed_scar_does_not_close_while_half_of_the_critical_errors_are_left() {
        let config = LawConfig::default();
        let mut b = Breaker::new(&config);
        b.restore_scar(18.0, Timestamp::ZERO, &config);
        b.report_rate(0.9, 1e6, &config);
        let good = Endings { probes_ok: 1, ..Endings::default() };
        // 18 ohm become 4.5 and an error rate of 0.9 becomes 0.45, then 0.225.
        assert_eq!(b.tick(&good, 0.0, at(1), 0.5, &config), None);
        assert!(b.scar() < config.close_ohms());
        assert_eq!(b.tick(&good, 0.0, at(2), 0.5, &config), Some(BreakerMode::Closed));
    }

    #[test]
    fn a_remembered_scar_at_the_closing_threshold_opens() {
        let config = LawConfig::default();
        for (ohms, mode) in [(4.9, BreakerMode::Closed), (5.0, BreakerMode::Open)] {
            let mut b = Breaker::new(&config);
            b.restore_scar(ohms, Timestamp::ZERO, &config);
            assert_eq!(b.mode(), mode, "{ohms} ohm");
        }
    }

    #[test]
    fn rest_keeps_what_failed() {
        let config = LawConfig::default();
        let mut b = Breaker { scar: 3.0, error_rate: 0.25, seen_ok: 2.0, ..Breaker::new(&config) };
        b.seen_failed = 4.0;
        let woken = Breaker::woken(&b.rest(), &config);
        assert_eq!(woken, b, "these numbers are exact in half of the space");
    }

    #[test]
    fn closing_wants_less_than_the_closing_scar_and_half_of_the_critical_errors() {
        let config = LawConfig::default();
        let good = Endings { probes_ok: 1, ..Endings::default() };
        // A good probe leaves a quarter of the scar and half of the errors.
        for (scar, error_rate, mode) in [
            (20.0, 0.0, BreakerMode::Open),
            (19.9, 0.5, BreakerMode::Open),
            (19.9, 0.49, BreakerMode::Closed),
        ] {
            let mut b = Breaker::new(&config);
            b.restore_scar(scar, Timestamp::ZERO, &config);
            b.error_rate = error_rate;
            b.tick(&good, 0.0, at(1), 0.5, &config);
            assert_eq!(b.mode(), mode, "{scar} ohm, {error_rate}");
        }
    }

    #[test]
    fn a_wounded_route_starves_only_after_longer_than_one_tick() {
        let config = LawConfig::default();
        for (secs, mode) in [(LONGEST_TRAUMA_SECS, BreakerMode::Closed), (0.11, BreakerMode::Open)]
        {
            let mut b = Breaker { error_rate: 0.9, scar: 10.0, ..Breaker::new(&config) };
            b.tick(&Endings::default(), secs, at(1), 0.5, &config);
            assert_eq!(b.mode(), mode, "{secs} s");
        }
    }
}
