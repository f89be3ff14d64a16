//! The licence of a running program: replaceable, watched over time, readable by anybody.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use thiserror::Error;

use crate::error::LicenseError;
use crate::guard::{ClockGuard, SetBack};
use crate::keyring::Keyring;
use crate::source::KeySource;
use crate::status::{Severity, Status};
use crate::tier::Feature;
use crate::time::WallTime;
use crate::verify::License;

/// What stands at the moment, as one consistent view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// How the licence stands.
    pub status: Status,
    /// The licence, if one has been verified, whether or not it still works.
    pub license: Option<Arc<License>>,
    /// Set while the clock is known to be set back.
    pub clock: Option<SetBack>,
}

impl Snapshot {
    /// Whether `feature` may work.
    pub fn permits(&self, feature: Feature) -> bool {
        self.status.is_usable() && self.license.as_ref().is_some_and(|l| l.includes(feature))
    }
}

/// Something worth a line in the log. Each is returned once, to whoever makes it happen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The licence stands otherwise than before, or another one was set.
    Changed {
        /// How it stood; none at the start.
        from: Option<Status>,
        /// How it stands.
        to: Status,
    },
    /// A warning that stands already has a day less to go.
    Reminder(Status),
    /// The clock was set back; time as the licence sees it stands still until it has caught up.
    ClockSetBack(SetBack),
    /// The clock has caught up.
    ClockCaughtUp,
}

impl Event {
    /// At which level to log it.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Changed { to: status, .. } | Self::Reminder(status) => status.severity(),
            Self::ClockSetBack(_) => Severity::Warning,
            Self::ClockCaughtUp => Severity::Info,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { to: status, .. } | Self::Reminder(status) => status.fmt(f),
            Self::ClockSetBack(SetBack { reads, secs }) => write!(
                f,
                "the machine's clock reads {reads}, {} h before a time that has been reached; the licence goes by the later one until the clock is right",
                secs / 3600
            ),
            Self::ClockCaughtUp => f.write_str("the machine's clock is right again"),
        }
    }
}

/// A replacement that was not taken because the licence in force works and the new one does not.
/// Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the licence in force stays, since the new one would not work: {offered}")]
pub struct ReplaceRefused {
    /// How the new one stands.
    pub offered: Status,
}

/// The licence of a running program.
///
/// It decides nothing by itself: [`check`](LicenseMonitor::check) has to be called now and then
/// (once an hour is plenty) and returns what is to be logged. Readers of
/// [`snapshot`](LicenseMonitor::snapshot) and [`permits`](LicenseMonitor::permits) never wait;
/// the other calls take a short lock and belong outside the request path.
///
/// ```
/// use atrion_license::{ClockGuard, Feature, Keyring, KeySource, LicenseMonitor, WallTime};
///
/// let now: WallTime = "2027-03-01".parse()?;
/// let none = KeySource::Env("NOT_SET_ANYWHERE".to_owned());
/// let (monitor, events) =
///     LicenseMonitor::start(Keyring::embedded(), ClockGuard::new(), &none, now);
/// assert_eq!(monitor.status(now).code(), "missing");
/// assert!(!monitor.permits(Feature::Cluster)); // falls back to memory, and that is all
/// assert!(events[0].to_string().contains("no licence key is set"));
/// # Ok::<(), atrion_license::DateError>(())
/// ```
#[derive(Debug)]
pub struct LicenseMonitor {
    keyring: Keyring,
    machine: Mutex<Machine>,
    published: ArcSwap<Snapshot>,
}

impl LicenseMonitor {
    /// Reads and verifies the key of `source` and begins to watch it.
    ///
    /// Whatever is wrong becomes the status and one event; nothing fails. `guard` may know of
    /// times from before, see [`ClockGuard::raise`].
    pub fn start(
        keyring: Keyring,
        guard: ClockGuard,
        source: &KeySource,
        now: WallTime,
    ) -> (Self, Vec<Event>) {
        let held = Held::read(source, &keyring);
        let mut machine = Machine { held, guard, told: None, told_set_back: false };
        let events = machine.check(now);
        let published = ArcSwap::from_pointee(machine.snapshot(now));
        (Self { keyring, machine: Mutex::new(machine), published }, events)
    }

    /// Puts the key of `source` in the place of the present one.
    ///
    /// It takes effect at once. A licence that works is never given up for one that does not;
    /// otherwise the new one is taken whatever its status, which then says what is wrong.
    ///
    /// # Errors
    ///
    /// [`ReplaceRefused`] with the status of what was offered.
    pub fn replace(&self, source: &KeySource, now: WallTime) -> Result<Vec<Event>, ReplaceRefused> {
        let offered = Held::read(source, &self.keyring);
        let mut machine = self.lock();
        let reading = machine.guard.observe(now).now;
        let offered_status = offered.status_at(reading);
        if machine.held.status_at(reading).is_usable() && !offered_status.is_usable() {
            return Err(ReplaceRefused { offered: offered_status });
        }
        if machine.held != offered {
            machine.held = offered;
            machine.told = machine.told.take().filter(|told| !told.is_usable());
        }
        Ok(self.tell(&mut machine, now))
    }

    /// Looks at the clock: returns what changed since anybody looked last.
    pub fn check(&self, now: WallTime) -> Vec<Event> {
        let mut machine = self.lock();
        self.tell(&mut machine, now)
    }

    /// How the licence stands at `now`. Events stay for [`check`](LicenseMonitor::check).
    pub fn status(&self, now: WallTime) -> Status {
        let mut machine = self.lock();
        let snapshot = machine.snapshot(now);
        let status = snapshot.status.clone();
        self.published.store(Arc::new(snapshot));
        status
    }

    /// What stood when somebody looked at the clock last.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Whether `feature` may work, as of the last look at the clock.
    pub fn permits(&self, feature: Feature) -> bool {
        self.published.load().permits(feature)
    }

    /// The latest time known to have been reached, to be kept for the next start.
    pub fn high_water(&self) -> WallTime {
        self.lock().guard.high_water()
    }

    fn tell(&self, machine: &mut Machine, now: WallTime) -> Vec<Event> {
        let events = machine.check(now);
        self.published.store(Arc::new(machine.snapshot(now)));
        events
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // The machine is consistent after every step, so a panic elsewhere does not spoil it.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was found at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Missing,
    Invalid(LicenseError),
    License(Arc<License>),
}

impl Held {
    fn read(source: &KeySource, keyring: &Keyring) -> Self {
        let read =
            source.read().and_then(|key| key.map(|key| keyring.verify(key.as_str())).transpose());
        match read {
            Ok(None) => Self::Missing,
            Ok(Some(licence)) => Self::License(Arc::new(licence)),
            Err(why) => Self::Invalid(why),
        }
    }

    fn status_at(&self, now: WallTime) -> Status {
        match self {
            Self::Missing => Status::Missing,
            Self::Invalid(why) => Status::Invalid(why.clone()),
            Self::License(licence) => licence.status_at(now),
        }
    }
}

/// The pure part: what is held, what time it is, and what has been told.
#[derive(Debug)]
struct Machine {
    held: Held,
    guard: ClockGuard,
    told: Option<Status>,
    told_set_back: bool,
}

impl Machine {
    fn snapshot(&mut self, now: WallTime) -> Snapshot {
        let reading = self.guard.observe(now);
        let license = match &self.held {
            Held::License(licence) => Some(Arc::clone(licence)),
            Held::Missing | Held::Invalid(_) => None,
        };
        Snapshot { status: self.held.status_at(reading.now), license, clock: reading.set_back }
    }

    fn check(&mut self, now: WallTime) -> Vec<Event> {
        let Snapshot { status, clock, .. } = self.snapshot(now);
        let mut events = Vec::new();
        match clock {
            Some(set_back) if !self.told_set_back => events.push(Event::ClockSetBack(set_back)),
            None if self.told_set_back => events.push(Event::ClockCaughtUp),
            _ => {}
        }
        self.told_set_back = clock.is_some();
        match self.told.take() {
            Some(told) if same_news(&told, &status) => {
                if status.severity() == Severity::Warning && told.days_left() != status.days_left()
                {
                    events.push(Event::Reminder(status.clone()));
                }
            }
            from => events.push(Event::Changed { from, to: status.clone() }),
        }
        self.told = Some(status);
        events
    }
}

/// Whether two statuses differ at most by the time that has passed.
fn same_news(a: &Status, b: &Status) -> bool {
    match (a, b) {
        (Status::Invalid(a), Status::Invalid(b)) => a.code() == b.code(),
        (a, b) => a.code() == b.code(),
    }
}
