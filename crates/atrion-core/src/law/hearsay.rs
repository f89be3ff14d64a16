//! Trust, then look: what a node does about what others say of a route.
//!
//! Hearsay binds a node only until a few of its own requests in a row succeed. Without that no
//! aggregate that warns anybody is safe against one broken node; with it every sane one is
//! (blending study, section 1).

use super::LawConfig;
use super::breaker::{Breaker, BreakerMode, Endings};
use super::prober::Prober;
use super::word::Word;
use crate::math;
use crate::merge::{blend, effective_gamma};
use crate::time::Timestamp;
use crate::units::{Evidence, Ohms, UnitInterval};

/// Less hearsay than this is none, ohm.
const AUDIBLE_OHMS: f64 = 0.5;
/// What was heard and not confirmed for this long was never said: whoever brings the news is gone.
const FORGOTTEN_AFTER_SECS: f64 = 2.0;
/// Held from this share of the opening threshold on, and until below that one.
const HELD_SHARE: (f64, f64) = (0.9, 0.5);
/// Refuted while the own error rate stays below this, or so much above what it was.
const REFUTED_BELOW_ERROR_RATE: f64 = 0.25;
const REFUTED_BELOW_RISE: f64 = 0.15;
/// One invitation per second is enough.
const INVITED_EVERY_SECS: f64 = 1.0;

/// When something is heard or ticked, and what goes with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// Requests in flight, which were sent before what is heard now was known.
    pub in_flight: u32,
    /// Uniform in `[0, 1)`: spreads looks.
    pub draw: f64,
}

/// One stretch of time in which others complained.
#[derive(Clone, Debug, PartialEq)]
struct Episode {
    /// Requests that were in flight when it began tell of the time before.
    earlier: u32,
    /// The error rate when it began.
    error_rate: f64,
    /// Successes in a row since.
    proof: f64,
    /// Since when nothing was heard.
    quiet_since: Option<Timestamp>,
}

/// The machine of one route that others complain about. It exists only while they do.
///
/// [`hear`](Self::hear) at every pulse, [`tick`](Self::tick) after every tick of the breaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Hearsay {
    word: Word,
    gamma: UnitInterval,
    heard_at: Timestamp,
    episode: Option<Episode>,
    prober: Prober,
    invited_at: Option<Timestamp>,
    held: bool,
    /// h as it acts, ohm.
    ohms: f64,
    /// The share of the own scar that counts.
    own_share: f64,
    /// S, ohm.
    blended: f64,
}

impl Hearsay {
    /// Nothing was heard yet.
    pub const fn new(config: &LawConfig) -> Self {
        Self {
            word: Word::SILENCE,
            gamma: UnitInterval::ZERO,
            heard_at: Timestamp::ZERO,
            episode: None,
            prober: Prober::new(config),
            invited_at: None,
            held: false,
            ohms: 0.0,
            own_share: 1.0,
            blended: 0.0,
        }
    }

    /// Takes in what the others say now.
    pub fn hear(
        &mut self,
        word: &Word,
        gamma: UnitInterval,
        breaker: &mut Breaker,
        moment: Moment,
        config: &LawConfig,
    ) {
        let Moment { now, draw, .. } = moment;
        self.word = *word;
        self.gamma = gamma;
        self.heard_at = now;
        let round = word.round_secs(config);
        self.prober.set_round(round);
        breaker.set_round(round);
        if word.invites && self.may_be_invited(now) {
            self.invited_at = Some(now);
            let at = now.add_secs(draw * config.hearsay_invitation_secs());
            self.prober.invite(at);
            breaker.invite(at);
        }
        self.follow(breaker, moment, config);
        self.act(breaker, config);
    }

    fn may_be_invited(&self, now: Timestamp) -> bool {
        self.invited_at.is_none_or(|at| now < at || now.secs_since(at) >= INVITED_EVERY_SECS)
    }

    /// Applies what ended since the last tick, after the breaker did. Verification probes count
    /// by half in the error rate, like any probe.
    pub fn tick(
        &mut self,
        endings: &Endings,
        breaker: &mut Breaker,
        moment: Moment,
        config: &LawConfig,
    ) {
        let Moment { now, draw, .. } = moment;
        if now < self.heard_at {
            self.rebase(now);
        }
        if now.secs_since(self.heard_at) > FORGOTTEN_AFTER_SECS {
            self.word = Word::SILENCE;
            breaker.set_round(config.probe_secs());
        }
        if breaker.mode() == BreakerMode::Closed {
            self.probed(endings, breaker, now, draw);
        }
        self.prove(endings, breaker);
        self.follow(breaker, moment, config);
        self.act(breaker, config);
    }

    fn probed(&mut self, endings: &Endings, breaker: &mut Breaker, now: Timestamp, draw: f64) {
        if endings.probes_cancelled > 0 {
            self.prober.cancelled(endings.probes_cancelled, now);
        }
        for _ in 0..endings.probes_ok.min(u32::from(u8::MAX)) {
            self.prober.succeeded(now);
        }
        if endings.probes_failed > 0 {
            self.prober.failed(endings.probes_failed, now, draw);
        }
        breaker.verified(endings.probes_ok, endings.probes_failed);
    }

    /// Counts successes in a row among requests that were sent since the episode began. Of
    /// successes and failures in one window the order is unknown: failures are taken to be
    /// spread evenly.
    fn prove(&mut self, endings: &Endings, breaker: &Breaker) {
        let Some(episode) = &mut self.episode else { return };
        let old = episode.earlier.min(endings.completed);
        episode.earlier -= old;
        let completed = endings.completed - old;
        let failed = endings.failed.min(completed);
        let ok = f64::from(completed - failed) + f64::from(endings.probes_ok);
        let bad = f64::from(failed) + f64::from(endings.probes_failed);
        episode.proof = if bad > 0.0 { ok / (bad + 1.0) } else { episode.proof + ok };
        if breaker.error_rate() >= episode.refuted_below() {
            episode.proof = 0.0;
        }
    }

    /// Begins and ends episodes.
    fn follow(&mut self, breaker: &Breaker, moment: Moment, config: &LawConfig) {
        let Moment { now, in_flight, draw } = moment;
        let audible = self.word_ohms(breaker, config) > AUDIBLE_OHMS;
        match &mut self.episode {
            None if audible => {
                self.episode = Some(Episode {
                    earlier: in_flight,
                    error_rate: breaker.error_rate(),
                    proof: 0.0,
                    quiet_since: None,
                });
                self.prober.start(now, draw, config);
            }
            Some(episode) if audible => episode.quiet_since = None,
            Some(episode) => {
                let since = *episode.quiet_since.get_or_insert(now);
                if now.secs_since(since) >= config.hearsay_quiet_secs() {
                    self.episode = None;
                }
            }
            None => {}
        }
    }

    fn effective_gamma(&self, breaker: &Breaker, config: &LawConfig) -> UnitInterval {
        let evidence = Evidence::computed(breaker.evidence(config));
        let half = Evidence::computed(config.hearsay_evidence_half());
        effective_gamma(self.gamma, evidence, half)
    }

    fn word_ohms(&self, breaker: &Breaker, config: &LawConfig) -> f64 {
        self.word.hearsay_ohms(self.gamma, self.effective_gamma(breaker, config), config)
    }

    /// Recomputes what acts.
    fn act(&mut self, breaker: &Breaker, config: &LawConfig) {
        let local = breaker.scar();
        let refuted = self.is_refuted(breaker, config);
        if refuted || self.word.peers == 0 || self.gamma.is_zero() {
            (self.own_share, self.ohms, self.blended) = (1.0, 0.0, local);
            self.held = false;
            return;
        }
        let effective = self.effective_gamma(breaker, config);
        self.own_share = effective.complement().get();
        self.ohms = self.word.hearsay_ohms(self.gamma, effective, config);
        self.blended = self.blend(effective, local, config);
        let (hold, release) = HELD_SHARE;
        let threshold = config.open_ohms() * if self.held { release } else { hold };
        self.held = breaker.mode() == BreakerMode::Closed
            && self.ohms > AUDIBLE_OHMS
            && self.blended >= threshold;
    }

    /// S: the founding formula, plus caution; see [`Word`].
    fn blend(&self, effective: UnitInterval, local: f64, config: &LawConfig) -> f64 {
        let local = Ohms::computed(local);
        if self.gamma == UnitInterval::ONE {
            return blend(UnitInterval::ONE, self.word.median, local).get();
        }
        let cluster = self.word.median.min(Ohms::computed(config.open_ohms()));
        let caution = self.ohms - effective.get() * cluster.get();
        blend(effective, cluster, local).get() + math::max(caution, 0.0)
    }

    /// Whether the node's own requests have shown that what is said is not true for it.
    pub fn is_refuted(&self, breaker: &Breaker, config: &LawConfig) -> bool {
        self.gamma != UnitInterval::ONE
            && self.episode.as_ref().is_some_and(|episode| {
                episode.proof >= config.hearsay_proofs()
                    && breaker.error_rate() < episode.refuted_below()
            })
    }

    /// Whether only probes pass, because of what others say.
    pub const fn is_held(&self) -> bool {
        self.held
    }

    /// S: the scar that acts, the others' share included, in ohms.
    pub const fn blended_ohms(&self) -> f64 {
        self.blended
    }

    /// h: the others' part of it.
    pub const fn hearsay_ohms(&self) -> f64 {
        self.ohms
    }

    /// The share of the own scar in it.
    pub const fn own_share(&self) -> f64 {
        self.own_share
    }

    /// What was heard last.
    pub const fn word(&self) -> &Word {
        &self.word
    }

    /// The schedule of verification probes.
    pub const fn prober(&self) -> &Prober {
        &self.prober
    }

    /// Whether a verification probe may pass.
    pub fn probe_due(&self, now: Timestamp) -> bool {
        self.episode.is_some() && self.prober.is_due(now)
    }

    /// Takes the place of a verification probe if one is due.
    pub fn try_probe(&mut self, now: Timestamp) -> bool {
        self.episode.is_some() && self.prober.try_take(now)
    }

    /// Whether there is nothing left to do: nobody complains, and the last episode is over.
    pub fn is_over(&self, breaker: &Breaker, now: Timestamp) -> bool {
        self.episode.is_none()
            && !self.word.complaint
            && breaker.mode() == BreakerMode::Closed
            && !self.prober.was_good(now)
    }

    fn rebase(&mut self, now: Timestamp) {
        self.heard_at = now;
        self.prober.rebase(now);
        if let Some(episode) = &mut self.episode {
            episode.quiet_since = episode.quiet_since.map(|since| since.min(now));
        }
    }
}

impl Episode {
    fn refuted_below(&self) -> f64 {
        math::max(REFUTED_BELOW_ERROR_RATE, self.error_rate + REFUTED_BELOW_RISE)
    }
}

#[cfg(test)]
#[path = "hearsay_tests.rs"]
mod tests;
