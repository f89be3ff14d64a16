//! What came of a run, and the means over several.

use atrion_core::math;

/// What one class of callers got within the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Served {
    /// The class.
    pub name: String,
    /// What its requests are worth.
    pub volts: f64,
    /// Requests, those asked again included.
    pub asked: u64,
    /// Requests that went on to the service.
    pub admitted: u64,
    /// Requests answered well and in time.
    pub good: u64,
}

impl Served {
    /// Percent of the requests that were refused; 0 if there were none.
    pub fn shed_percent(&self) -> f64 {
        if self.asked == 0 { 0.0 } else { 100.0 - 100.0 * self.admitted as f64 / self.asked as f64 }
    }
}

/// Quantiles of the latency of admitted requests that succeeded, in seconds since they asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// Half are faster.
    pub p50_secs: f64,
    /// Nine of ten are faster.
    pub p90_secs: f64,
    /// 99 of 100 are faster.
    pub p99_secs: f64,
    /// 999 of 1000 are faster.
    pub p999_secs: f64,
    /// The slowest.
    pub max_secs: f64,
}

/// Work that was asked for within one short stretch of time, in requests of cost 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Asked for, again included.
    pub asked: f64,
    /// Asked for the first time.
    pub fresh: f64,
    /// Of `asked`: refused.
    pub refused: f64,
    /// Of `asked`: done well and in time.
    pub good: f64,
    /// 99th percentile of the latency of what succeeded, within the window.
    pub p99_secs: Option<f32>,
}

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// The run's seed.
    pub seed: u64,
    /// Requests simulated, refused and repeated ones included.
    pub requests: u64,
    /// Requests that went on to the service.
    pub admitted: u64,
    /// Work done well and in time within the window, in requests of cost 1.
    pub good_work: f64,
    /// The most that anybody could have done: what was asked for the first time, fits, and takes
    /// no longer than the deadline on an idle service.
    pub ideal_work: f64,
    /// Capacity of the undisturbed service, in requests of cost 1 per second.
    pub capacity_per_sec: f64,
    /// An answer within this time is a good one.
    pub deadline_secs: f64,
    /// What each class got within the window.
    pub classes: Vec<Served>,
    /// Latency of what was admitted and succeeded; `None` if nothing did.
    pub latency: Option<Latency>,
    /// Harm in calm times: percent refused while the load fits and nothing has happened yet.
    /// `None` if there is no such time.
    pub calm_refused: Option<f64>,
    /// Percent refused when everything is over and has settled; `None` if the run ends before.
    pub settled_refused: Option<f64>,
    /// Requests that were let through to a dead dependency.
    pub sent_to_dead: u64,
    /// Seconds from the end of the last fault until requests were served again: infinite if they
    /// were not, `None` if there was no fault or the run ends too soon after it.
    pub recovery_secs: Option<f64>,
    /// How often the policy changed its mode.
    pub transitions: u32,
    /// Width of the bins in seconds.
    pub bin_secs: f64,
    /// The run over time.
    pub bins: Vec<Bin>,
}

impl Report {
    /// Work done well and in time, in percent of what was possible. Slightly more than 100 is
    /// luck: arrivals are random.
    pub fn goodput(&self) -> f64 {
        if self.ideal_work > 0.0 { 100.0 * self.good_work / self.ideal_work } else { 0.0 }
    }

    /// Percent of all requests within the window that were refused.
    pub fn shed(&self) -> f64 {
        let asked: u64 = self.classes.iter().map(|c| c.asked).sum();
        let admitted: u64 = self.classes.iter().map(|c| c.admitted).sum();
        Served { asked, admitted, ..Served::default() }.shed_percent()
    }

    /// Percent refused of the requests of the least and of the most valuable class.
    pub fn shed_by_worth(&self) -> (f64, f64) {
        let by_worth = |a: &&Served, b: &&Served| a.volts.total_cmp(&b.volts);
        let shed = |c: Option<&Served>| c.map_or(0.0, Served::shed_percent);
        (shed(self.classes.iter().min_by(by_worth)), shed(self.classes.iter().max_by(by_worth)))
    }

    /// Percent of what the most valuable class asked for that was done well and in time; `None` if
    /// all classes are worth the same.
    pub fn critical_served(&self) -> Option<f64> {
        let by_worth = |a: &&Served, b: &&Served| a.volts.total_cmp(&b.volts);
        let (least, most) =
            (self.classes.iter().min_by(by_worth)?, self.classes.iter().max_by(by_worth)?);
        let differ = least.volts < most.volts && most.asked > 0;
        differ.then(|| 100.0 * most.good as f64 / most.asked as f64)
    }

    /// A number that two runs share only if everything counted is the same, to the last bit.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut mix = |word: u64| {
            hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
            hash ^= hash >> 29;
        };
        for word in [self.requests, self.admitted, self.sent_to_dead, u64::from(self.transitions)] {
            mix(word);
        }
        mix(self.good_work.to_bits());
        for bin in &self.bins {
            for value in [bin.asked, bin.fresh, bin.refused, bin.good] {
                mix(value.to_bits());
            }
            mix(u64::from(bin.p99_secs.unwrap_or(-1.0).to_bits()));
        }
        let latency = self.latency.unwrap_or_default();
        mix(latency.p50_secs.to_bits());
        mix(latency.max_secs.to_bits());
        hash
    }
}

/// Mean and standard deviation of a figure over seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Spread {
    /// The mean; infinite if one of the values is.
    pub mean: f64,
    /// Standard deviation of the sample; 0 for a single value.
    pub sd: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let n = values.clone().count() as f64;
        if n < 1.0 {
            return None;
        }
        let mean = values.clone().sum::<f64>() / n;
        let square = values.map(|x| (x - mean) * (x - mean)).sum::<f64>();
        let sd = if n > 1.0 && mean.is_finite() { math::sqrt(square / (n - 1.0)) } else { 0.0 };
        Some(Self { mean, sd })
    }
}

/// One policy in one scenario, over several seeds. Figures are `None` where they make no sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The scenario's name.
    pub scenario: String,
    /// The policy's name.
    pub policy: String,
    /// Runs behind the figures.
    pub runs: usize,
    /// Percent of what was possible.
    pub goodput: Spread,
    /// 99th percentile of the latency of what was admitted, in deadlines.
    pub p99_deadlines: Option<Spread>,
    /// The median, in deadlines.
    pub p50_deadlines: Option<Spread>,
    /// Percent refused within the window, of all and by class.
    pub shed: Spread,
    /// The classes' names, and percent refused of each.
    pub shed_by_class: Vec<(String, Spread)>,
    /// Percent refused in calm times.
    pub calm_refused: Option<Spread>,
    /// Percent refused after everything had settled.
    pub settled_refused: Option<Spread>,
    /// Seconds until requests were served again.
    pub recovery_secs: Option<Spread>,
    /// Requests that were let through to a dead dependency.
    pub sent_to_dead: Spread,
    /// Changes of mode.
    pub transitions: Spread,
}

impl Summary {
    /// The means of reports of one scenario; `None` if there are none.
    pub fn of(policy: impl Into<String>, reports: &[Report]) -> Option<Self> {
        let first = reports.first()?;
        let figure = |f: fn(&Report) -> f64| Spread::of(reports.iter().map(f)).unwrap_or_default();
        let maybe = |f: fn(&Report) -> Option<f64>| Spread::of(reports.iter().filter_map(f));
        let class = |(index, served): (usize, &Served)| {
            let shed = reports.iter().filter_map(|r| r.classes.get(index));
            let spread = Spread::of(shed.map(Served::shed_percent)).unwrap_or_default();
            (served.name.clone(), spread)
        };
        Some(Self {
            scenario: first.scenario.clone(),
            policy: policy.into(),
            runs: reports.len(),
            goodput: figure(Report::goodput),
            p99_deadlines: maybe(|r| r.latency.map(|l| l.p99_secs / r.deadline_secs)),
            p50_deadlines: maybe(|r| r.latency.map(|l| l.p50_secs / r.deadline_secs)),
            shed: figure(Report::shed),
            shed_by_class: first.classes.iter().enumerate().map(class).collect(),
            calm_refused: maybe(|r| r.calm_refused),
            settled_refused: maybe(|r| r.settled_refused),
            recovery_secs: maybe(|r| r.recovery_secs),
            sent_to_dead: figure(|r| r.sent_to_dead as f64),
            transitions: figure(|r| f64::from(r.transitions)),
        })
    }
}
