use std::sync::Arc;

use atrion_core::units::Ohms;
use atrion_core::vector::PhysicsVector;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000);

struct Fixture {
    own: OwnWords,
    outbox: Outbox,
}

impl Fixture {
    fn new(max_changes: usize) -> Self {
        Self { own: OwnWords::new(1_000), outbox: Outbox::new(1_000, max_changes) }
    }

    fn write(&mut self, id: u64, age: Duration) {
        let at = Timestamp::from_nanos(NOW.as_nanos() - age.as_nanos() as u64);
        let vector = PhysicsVector::idle(Ohms::ZERO, at);
        self.own.write(RouteId(id), &format!("r{id}"), vector);
        self.outbox.changed(RouteId(id));
    }

    fn cut(&mut self) -> Vec<u64> {
        let portion = self.outbox.cut(&self.own, 1, NOW);
        portion.changes.iter().map(|id| id.0).collect()
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_busy_route_keeps_its_place_and_is_sent_once() {
    let mut f = Fixture::new(2);
    for id in [3, 1, 3, 2, 3, 1] {
        f.write(id, ms(0));
    }
    assert_eq!(f.outbox.waiting(), 3);
    assert_eq!(f.cut(), [3, 1]);
    f.outbox.confirm();
    assert_eq!(f.cut(), [2]);
    f.outbox.confirm();
    assert!(f.outbox.is_empty());
    assert_eq!(f.cut(), [0_u64; 0]);
}

#[test]
fn words_of_one_frame_are_about_equally_old() {
    let mut f = Fixture::new(100);
    for (id, age) in [(1, 0), (2, 90), (3, 110), (4, 500), (5, 100), (6, 590)] {
        f.write(id, ms(age));
    }
    let portion = f.outbox.cut(&f.own, 1, NOW);
    assert_eq!(portion.changes, [1, 2, 5].map(RouteId));
    assert_eq!(NOW.since(portion.oldest), ms(100));
    assert_eq!(f.cut(), [3]);
    assert_eq!(f.cut(), [4, 6]);
    // A minute old, two seconds are within the slack; ten are not.
    for (id, age) in [(7, 60_000), (8, 62_000), (9, 70_000)] {
        f.write(id, ms(age));
    }
    assert_eq!(f.cut(), [7, 8]);
    assert_eq!(f.cut(), [9]);
}

#[test]
fn what_failed_waits_again_in_front_unless_it_is_gone() {
    let mut f = Fixture::new(3);
    for id in 1..=5 {
        f.write(id, ms(0));
    }
    assert_eq!(f.cut(), [1, 2, 3]);
    f.write(2, ms(0)); // changed while it was on its way
    f.own.forget(RouteId(3), "r3");
    f.outbox.forget(RouteId(3));
    f.outbox.restore(&f.own);
    let portion = f.outbox.cut(&f.own, 1, NOW);
    assert_eq!(portion.changes, [1, 2, 4].map(RouteId));
    assert_eq!(portion.forgotten, [RouteId(3)]);
    f.outbox.restore(&f.own);
    assert_eq!(f.outbox.waiting(), 5);
    f.write(3, ms(0));
    assert_eq!(f.cut(), [1, 2, 4]);
    assert!(f.outbox.cut(&f.own, 1, NOW).forgotten.is_empty(), "it is back");
}

#[test]
fn everything_anew_begins_with_the_newest() {
    let mut f = Fixture::new(10);
    for (id, age) in [(1, 5_000), (2, 0), (3, 4_900), (4, 50)] {
        f.write(id, ms(age));
    }
    f.outbox.confirm();
    f.outbox.all(&f.own);
    assert_eq!(f.cut(), [2, 4]);
    assert_eq!(f.cut(), [3, 1]);
}

#[test]
fn long_names_fill_a_frame_early_and_are_told_once_per_session() {
    let mut f = Fixture::new(4_096);
    for id in 0..900_u64 {
        let name = format!("{id:0>512}");
        let vector = PhysicsVector::idle(Ohms::ZERO, NOW);
        f.own.write(RouteId(id), &name, vector);
        f.outbox.changed(RouteId(id));
    }
    let first = f.cut();
    assert!((300..400).contains(&first.len()), "{}", first.len());
    for id in first {
        assert!(f.own.announce(RouteId(id), 1));
        assert!(!f.own.announce(RouteId(id), 1));
    }
    f.outbox.all(&f.own);
    for id in 0..900 {
        f.own.announce(RouteId(id), 1);
    }
    assert_eq!(f.cut().len(), 900);
    assert!(f.own.announce(RouteId(0), 2));
}

#[test]
fn a_name_with_anothers_id_takes_its_place() {
    let mut own = OwnWords::new(2);
    let vector = PhysicsVector::idle(Ohms::ZERO, NOW);
    own.write(RouteId(1), "a", vector);
    own.write(RouteId(1), "b", vector);
    assert_eq!(own.read(RouteId(1), "a"), None);
    assert_eq!(own.read(RouteId(1), "b"), Some(vector));
    assert_eq!(own.snapshot_names(), [Arc::from("b")]);
}

#[test]
fn forgotten_routes_are_bounded() {
    let mut outbox = Outbox::new(10, 5);
    for id in 0..1_000 {
        outbox.forget(RouteId(id));
    }
    assert_eq!(outbox.waiting(), 10);
    assert_eq!(outbox.cut(&OwnWords::new(1), 1, NOW).forgotten.len(), 5);
}

impl OwnWords {
    fn snapshot_names(&self) -> Vec<Arc<str>> {
        self.iter().map(|(_, word)| Arc::clone(&word.name)).collect()
    }
}

#[test]
fn an_empty_portion_is_as_old_as_now() {
    let mut f = Fixture::new(10);
    assert_eq!(f.outbox.cut(&f.own, 1, NOW), Portion { oldest: NOW, ..Portion::default() });
}

#[test]
fn what_was_confirmed_does_not_come_back_and_clearing_leaves_nothing() {
    let mut f = Fixture::new(10);
    f.write(1, ms(0));
    assert_eq!(f.cut(), [1]);
    f.outbox.confirm();
    f.outbox.restore(&f.own);
    assert!(f.outbox.is_empty());
    f.write(2, ms(0));
    f.outbox.forget(RouteId(3));
    f.outbox.clear();
    assert!(f.outbox.is_empty());
}

#[test]
fn twice_as_many_as_fit_are_looked_at() {
    let mut f = Fixture::new(3);
    (90..95).for_each(|gone| f.outbox.changed(RouteId(gone)));
    f.write(1, ms(0));
    assert_eq!(f.cut(), [1]);
}

#[test]
fn forgotten_routes_that_failed_to_be_sent_are_bounded_as_well() {
    let own = OwnWords::new(10);
    let mut outbox = Outbox::new(2, 10);
    outbox.forget(RouteId(1));
    outbox.forget(RouteId(2));
    assert_eq!(outbox.cut(&own, 1, NOW).forgotten, [1, 2].map(RouteId));
    outbox.forget(RouteId(3));
    outbox.restore(&own);
    assert_eq!(outbox.waiting(), 2);
}
