//! What an instance's observer was told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use atrion_engine::{Event, Observer};
use atrion_state::peers::Notice;
use atrion_state::pulse::PulseEvent;

/// An observer that keeps all it is told.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Vec<Event>>);

impl Observer for Seen {
    fn event(&self, event: &Event) {
        self.events().push(event.clone());
    }
}

impl Seen {
    /// Everything so far.
    pub fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said of the cluster.
    pub fn notices(&self) -> Vec<Notice> {
        let events = self.events();
        let notices = events.iter().filter_map(|event| match event {
            Event::Cluster(notice) => Some(notice.clone()),
            _ => None,
        });
        notices.collect()
    }

    /// How many of these notices there were.
    pub fn count(&self, wanted: impl Fn(&Notice) -> bool) -> usize {
        self.notices().iter().filter(|notice| wanted(notice)).count()
    }

    /// Whether this route was held.
    pub fn held(&self, name: &str) -> bool {
        self.events().iter().any(
            |event| matches!(event, Event::Held { route, held: true, .. } if route.name() == name),
        )
    }

    /// What was said of the store's troubles.
    pub fn complaints(&self) -> Vec<String> {
        let events = self.events();
        let said = events.iter().filter_map(|event| match event {
            Event::Pulse(PulseEvent::Unhealthy { reason, .. }) => Some(reason.clone()),
            _ => None,
        });
        said.collect()
    }
}
