//! How the link is, and what is said about it. Pure: told what happened and when.

use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_state::provider::Health;
use atrion_state::retry::{Alarm, Failing, Recovered};

/// The shortest time between two warnings.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// How often old rows are looked for,
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// and how long after the link was opened for the first time, so that pods that start together do
/// not all do so.
const PRUNE_AFTER: Duration = Duration::from_secs(60);
/// How often the licence is looked at.
const LICENSE_EVERY: Duration = Duration::from_secs(60);

/// Where the link stands.
///
/// ```text
///        connect                 opened                    tables changed, licence over
///  Off ------------> Wanted ----------------> Open ------------------------> Wanted
///   ^                  ^  \ no licence          |
///   |                  |   --> Resting          |
///   +--- disconnect ---+------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not wanted.
    Off,
    /// Wanted; the store was not read yet, or has to be looked at anew.
    Wanted,
    /// Wanted, but not licensed: memory serves.
    Resting,
    /// The store was read, and is written to.
    Open,
}

/// Something to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It works again.
    Up(Recovered),
    /// It does not work, and why.
    Down(Failing, String),
}

/// The link's state.
#[derive(Debug)]
pub(crate) struct Link {
    phase: Phase,
    /// Counts connections and disconnections, so that what began before one is told from after.
    epoch: u64,
    trouble: Option<String>,
    alarm: Alarm,
    prune_at: Option<Timestamp>,
    license_at: Timestamp,
}

impl Link {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            phase: Phase::Off,
            epoch: 0,
            trouble: None,
            alarm: Alarm::new(WARN_EVERY),
            prune_at: None,
            license_at: now,
        }
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn health(&self) -> Health {
        match self.phase {
            Phase::Off => Health::Disconnected,
            Phase::Open if self.trouble.is_none() => Health::Healthy,
            _ => Health::Degraded,
        }
    }

    /// What is wrong while the link is degraded.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref().filter(|_| self.health() == Health::Degraded)
    }

    /// The link is wanted from now on.
    pub(crate) fn want(&mut self) {
        if matches!(self.phase, Phase::Off | Phase::Resting) {
            self.phase = Phase::Wanted;
            self.epoch += 1;
        }
    }

    /// There is no licence for it.
    pub(crate) fn rest(&mut self, why: String) {
        if self.phase != Phase::Off {
            self.phase = Phase::Resting;
            self.epoch += 1;
            self.trouble = Some(why);
        }
    }

    /// The store was read, for whoever wanted it in `epoch`. `false` if nobody does any more.
    pub(crate) fn opened(&mut self, epoch: u64, now: Timestamp) -> bool {
        if self.epoch != epoch || self.phase != Phase::Wanted {
            return false;
        }
        self.phase = Phase::Open;
        self.prune_at.get_or_insert(now.saturating_add(PRUNE_AFTER));
        true
    }

    /// The link is not wanted any more.
    pub(crate) fn close(&mut self) {
        self.phase = Phase::Off;
        self.epoch += 1;
        self.trouble = None;
    }

    /// An exchange worked.
    pub(crate) fn succeeded(&mut self, epoch: u64, now: Timestamp) -> Option<News> {
        if self.epoch != epoch {
            return None;
        }
        self.trouble = None;
        self.alarm.succeed(now).map(News::Up)
    }

    /// An exchange failed; `reopen` if the store has to be looked at anew before the next.
    pub(crate) fn failed(
        &mut self,
        epoch: u64,
        reason: String,
        reopen: bool,
        now: Timestamp,
    ) -> Option<News> {
        if self.epoch != epoch {
            return None;
        }
        if reopen && self.phase == Phase::Open {
            self.phase = Phase::Wanted;
        }
        self.trouble = Some(reason.clone());
        self.alarm.fail(now).map(|failing| News::Down(failing, reason))
    }

    /// Whether old rows are to be looked for now.
    pub(crate) fn take_prune(&mut self, now: Timestamp) -> bool {
        let due = self.phase == Phase::Open && self.prune_at.is_some_and(|at| at <= now);
        if due {
            self.prune_at = Some(now.saturating_add(PRUNE_EVERY));
        }
        due
    }

    /// Whether the licence is to be looked at now.
    pub(crate) fn take_license_check(&mut self, now: Timestamp) -> bool {
        let due = self.phase != Phase::Off && self.license_at <= now;
        if due {
            self.license_at = now.saturating_add(LICENSE_EVERY);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn open() -> (Link, u64) {
        let mut link = Link::new(at(0));
        link.want();
        let epoch = link.epoch();
        assert!(link.opened(epoch, at(0)));
        (link, epoch)
    }

    #[test]
    fn health_follows_what_happens() {
        let mut link = Link::new(at(0));
        assert_eq!(link.health(), Health::Disconnected);
        link.want();
        assert_eq!(link.health(), Health::Degraded);
        let epoch = link.epoch();
        assert!(matches!(
            link.failed(epoch, "refused".to_owned(), false, at(1)),
            Some(News::Down(..))
        ));
        assert_eq!(link.trouble(), Some("refused"));
        assert!(link.opened(epoch, at(2)));
        assert!(matches!(link.succeeded(epoch, at(2)), Some(News::Up(_))));
        assert_eq!((link.health(), link.trouble()), (Health::Healthy, None));
        link.close();
        assert_eq!(link.health(), Health::Disconnected);
    }

    #[test]
    fn what_began_before_a_disconnection_says_nothing_after_it() {
        let (mut link, epoch) = open();
        link.close();
        link.want();
        assert!(!link.opened(epoch, at(1)));
        assert_eq!(link.failed(epoch, "late".to_owned(), true, at(1)), None);
        assert_eq!(link.trouble(), None);
        assert_eq!(link.succeeded(epoch, at(1)), None);
    }

    #[test]
    fn changed_tables_are_looked_at_anew() {
        let (mut link, epoch) = open();
        link.failed(epoch, "no such table".to_owned(), true, at(1));
        assert_eq!(link.phase(), Phase::Wanted);
        assert!(link.opened(epoch, at(2)));
        assert_eq!(link.health(), Health::Degraded, "until something works");
    }

    #[test]
    fn a_link_without_a_licence_rests_until_it_is_wanted_again() {
        let (mut link, _) = open();
        link.rest("no licence".to_owned());
        assert_eq!((link.health(), link.trouble()), (Health::Degraded, Some("no licence")));
        link.want();
        assert_eq!(link.phase(), Phase::Wanted);
    }

    #[test]
    fn warnings_are_rare_and_routine_work_is_paced() {
        let (mut link, epoch) = open();
        let said = (0..150).filter_map(|s| link.failed(epoch, String::new(), false, at(s))).count();
        assert_eq!(said, 3);
        assert_eq!((0..7_300).filter(|s| link.take_prune(at(*s))).count(), 3);
        assert_eq!((0..180).filter(|s| link.take_license_check(at(*s))).count(), 3);
    }
}
