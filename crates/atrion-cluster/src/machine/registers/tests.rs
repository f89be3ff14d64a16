//! The join, its bounds, and what is read from it.

use atrion_core::merge::Stamp;
use atrion_core::time::Timestamp;
use atrion_core::vector::Stance;
use proptest::prelude::*;

use super::*;
use crate::machine::call::node_key;

const START: Elapsed = Elapsed::START;

fn secs(secs: u64) -> Elapsed {
    START.plus(Duration::from_secs(secs))
}

fn limits() -> Limits {
    Limits { max_nodes: 8, max_routes_per_node: 100, max_registers: 200, ..Limits::default() }
}

fn registers() -> Registers {
    Registers::new(limits(), Duration::from_secs(60), VotingRules::default())
}

fn change(route: u64, scar: f32, evidence: f32) -> Change {
    Change {
        route: RouteId(route),
        scar,
        evidence,
        demand: 3.0,
        momentum: 0.5,
        resistance: scar + 1.0,
        stance: Stance::CALM,
    }
}

fn frame(node: u64, incarnation: u64, sequence: u64, changes: &[Change]) -> Frame {
    let stamp = Stamp { incarnation, sequence };
    Frame { changes: changes.to_vec(), ..Frame::new(NodeId(node), stamp) }
}

fn named(mut frame: Frame) -> Frame {
    let name = |change: &Change| (change.route, Arc::from(format!("r{}", change.route.0)));
    frame.names = frame.changes.iter().map(name).collect();
    frame
}

impl Registers {
    fn hear(&mut self, frame: &Frame, now: Elapsed) -> Taken {
        self.take(frame, Source::Live, now)
    }

    /// Everything that is read, in an order of its own.
    fn state(&self) -> Vec<(RouteId, NodeId, u64, Change)> {
        let mut all: Vec<_> = self
            .routes
            .iter()
            .flat_map(|(id, route)| {
                route.words().map(|(r, change)| (*id, r.node, r.sequence, *change))
            })
            .collect();
        all.sort_by_key(|(route, node, ..)| (*route, *node));
        all
    }

    /// Whatever is counted or kept twice agrees.
    fn check(&self) {
        let all: usize = self.routes.values().map(|route| route.registers().len()).sum();
        assert_eq!(self.held, all);
        assert_eq!(self.peers.values().map(|peer| peer.routes.len()).sum::<usize>(), all);
        assert!(all <= self.limits.max_registers && self.peers.len() <= self.limits.max_nodes);
        for (id, route) in &self.routes {
            assert!(!route.is_empty());
            assert!(route.registers().is_sorted_by_key(|register| register.node));
            assert_eq!(route.in_troubled, self.troubled.contains(id));
            assert_eq!(route.in_changed, self.changed.contains(id));
            let until = route.registers().iter().filter_map(Register::complains_until).max();
            assert_eq!(route.complains_until, until.unwrap_or(Elapsed::NEVER));
            for register in route.registers() {
                let peer = &self.peers[&register.node];
                assert!(
                    peer.routes.contains(id)
                        && peer.routes.len() <= self.limits.max_routes_per_node
                );
            }
        }
        assert!(self.troubled.iter().all(|id| self.routes.contains_key(id)));
        assert!(self.changed.iter().all(|id| self.routes.contains_key(id)));
        assert!(self.graves.len() <= self.limits.max_registers + 1);
    }
}

#[test]
fn the_last_word_of_each_node_stands() {
    let mut r = registers();
    assert!(r.hear(&frame(1, 1, 1, &[change(7, 3.0, 2.0)]), START).joined);
    r.hear(&frame(2, 1, 1, &[change(7, 9.0, 4.0)]), START);
    r.hear(&frame(1, 1, 2, &[change(7, 5.0, 2.0)]), START);
    let mut reports = Vec::new();
    r.reports(RouteId(7), secs(2), &mut reports);
    let scars: Vec<f64> = reports.iter().map(|report| report.scar.get()).collect();
    assert_eq!(scars, [5.0, 9.0]);
    assert!(reports.iter().all(|report| (report.age_secs - 2.0).abs() < 1e-9));
    let voices = r.voices(RouteId(7), secs(2));
    assert_eq!(voices.iter().map(|(node, _)| node.0).collect::<Vec<_>>(), [1, 2]);
    assert!(voices.iter().zip(&reports).all(|((_, voice), report)| voice == report));
    r.reports(RouteId(8), secs(2), &mut reports);
    assert_eq!(reports.len(), 2);
    r.check();
}

#[test]
fn ages_are_those_of_the_sender_and_of_the_store() {
    let mut r = registers();
    let aged =
        |sequence| Frame { age_millis: 500, ..frame(1, 1, sequence, &[change(7, 3.0, 2.0)]) };
    let age = |r: &Registers| {
        let mut reports = Vec::new();
        r.reports(RouteId(7), secs(1), &mut reports);
        reports[0].age_secs
    };
    r.hear(&aged(1), START);
    assert!((age(&r) - 1.5).abs() < 1e-9);
    r.take(&aged(2), Source::Stored(Duration::from_secs(40)), START);
    assert!((age(&r) - 41.5).abs() < 1e-9);
    // Older than this machine, and than time itself.
    r.take(&aged(3), Source::Stored(Duration::MAX), START);
    assert!(age(&r) > 1e9);
}

#[test]
fn a_new_incarnation_replaces_all_of_the_old_one() {
    let mut r = registers();
    r.hear(&frame(1, 5, 900, &[change(1, 3.0, 2.0), change(2, 3.0, 2.0)]), START);
    r.hear(&frame(1, 6, 1, &[change(2, 4.0, 2.0)]), START);
    r.hear(&frame(1, 5, 901, &[change(1, 8.0, 2.0)]), START);
    assert_eq!(r.state(), [(RouteId(2), NodeId(1), 1, change(2, 4.0, 2.0))]);
    r.check();
}

#[test]
fn gaps_are_seen_and_counted() {
    let mut r = registers();
    assert_eq!(r.hear(&frame(1, 1, 1, &[]), START).gap, None);
    assert_eq!(r.hear(&frame(1, 1, 2, &[]), START).gap, None);
    assert_eq!(r.hear(&frame(1, 1, 6, &[]), START).gap, Some(Gap::Lost));
    assert_eq!((r.counts.lost, r.peers[&NodeId(1)].lost), (3, 3));
    assert_eq!(r.hear(&frame(1, 1, 6, &[]), START).gap, None);
    assert_eq!(r.counts.duplicates, 1);
    // Met in the middle of its life: nothing is lost, but its past has to be read.
    assert_eq!(r.hear(&frame(2, 1, 50, &[]), START).gap, Some(Gap::Unread));
    assert_eq!(r.counts.lost, 3);
    // What was missed between two sessions is read anyway.
    r.reconnected();
    r.read(NodeId(2), &HashSet::new(), None, true, START);
    assert_eq!(r.hear(&frame(2, 1, 70, &[]), START).gap, None);
    assert_eq!(r.hear(&frame(2, 1, 72, &[]), START).gap, Some(Gap::Lost));
}

#[test]
fn who_leaves_or_falls_silent_is_gone_with_its_words() {
    let mut r = registers();
    r.hear(&frame(1, 1, 1, &[change(7, 3.0, 2.0)]), START);
    r.hear(&frame(2, 1, 1, &[change(7, 4.0, 2.0)]), START);
    r.hear(&frame(2, 1, 2, &[]), secs(50));
    let farewell = Frame { leaving: true, ..frame(1, 1, 2, &[]) };
    assert!(r.hear(&farewell, START).left);
    assert!(!r.hear(&frame(1, 1, 1, &[change(7, 3.0, 2.0)]), START).joined, "a replay");
    assert_eq!((r.live(), r.len()), (1, 1));
    assert!(r.hear(&frame(1, 1, 3, &[change(7, 3.0, 2.0)]), START).joined, "it came back");
    r.check();
    let gone: Vec<NodeId> = r.sweep(secs(60)).into_iter().map(|(id, _)| id).collect();
    assert_eq!(gone, [NodeId(1)]);
    assert_eq!(r.state().len(), 1);
    assert_eq!(r.sweep(secs(110)).len(), 1);
    assert_eq!((r.live(), r.len(), r.routes.len()), (0, 0, 0));
    r.check();
}

#[test]
fn a_forgotten_route_stays_forgotten_when_older_words_arrive_late() {
    let mut r = registers();
    let forget = Frame { forgotten: vec![RouteId(7)], ..frame(1, 1, 2, &[]) };
    r.hear(&forget, START);
    r.take(&frame(1, 1, 1, &[change(7, 3.0, 2.0)]), Source::Stored(Duration::ZERO), START);
    assert_eq!(r.state(), []);
    r.check();
    r.sweep(secs(9));
    assert_eq!(r.len(), 1);
    r.sweep(secs(10));
    assert_eq!(r.len(), 0);
    r.check();
}

#[test]
fn what_a_full_node_let_go_of_makes_room_for_what_it_came_to() {
    let mut r = registers();
    let all: Vec<Change> = (0..100).map(|route| change(route, 1.0, 1.0)).collect();
    r.hear(&frame(1, 1, 1, &all), START);
    r.hear(&frame(2, 1, 1, &all[..50]), START);
    // One goes and one comes with every frame, as on a node that evicts; another node does likewise
    // far below its bound.
    for sequence in 2..400 {
        let forget = |node, oldest| {
            let forgotten = vec![RouteId(oldest)];
            Frame { forgotten, ..frame(node, 1, sequence, &[change(98 + sequence, 2.0, 1.0)]) }
        };
        r.hear(&forget(1, sequence - 2), START);
        r.hear(&forget(2, (sequence - 2) % 50 + 1_000), START);
        let newest = |node| {
            let is = |word: &(RouteId, NodeId, u64, Change)| {
                (word.0, word.1) == (RouteId(98 + sequence), NodeId(node))
            };
            r.state().iter().any(is)
        };
        assert!(newest(1), "frame {sequence}");
        r.check();
    }
    let held = r.state().iter().filter(|word| word.1 == NodeId(1)).count();
    assert_eq!(held, 100, "as many as it has");
}

#[test]
fn complaints_are_told_until_they_have_healed() {
    let mut r = registers();
    let open = Change { stance: Stance { open: true, ..Stance::CALM }, ..change(3, 0.0, 0.0) };
    r.hear(&frame(1, 1, 1, &[change(1, 0.4, 2.0), change(2, 5.0, 2.0), open]), START);
    let troubled = |r: &Registers, now| {
        let mut all: Vec<u64> = r.troubled(now).into_iter().map(|id| id.0).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(troubled(&r, START), [2, 3]);
    // 5 ohm heal to 0.5 in ln(10) / 0.1 s.
    assert_eq!(troubled(&r, secs(23)), [2, 3]);
    assert_eq!(troubled(&r, START.plus_secs(23.1)), [3]);
    assert_eq!(r.complaints(secs(1))[&NodeId(1)], 2);
    r.sweep(secs(24));
    r.check_swept();
    r.hear(&frame(1, 1, 2, &[change(3, 0.0, 5.0), change(2, 0.5, 1.0)]), secs(24));
    assert_eq!(troubled(&r, secs(24)), [0_u64; 0], "just healed: nothing left of it at once");
    r.check();
}

impl Registers {
    /// After a sweep, what has healed is no longer looked at.
    fn check_swept(&self) {
        assert_eq!(self.troubled.len(), 1);
    }
}

#[test]
fn the_end_of_a_complaint_agrees_with_the_core() {
    let voting = VotingRules::default();
    for scar in [0.0, 0.49, 0.5, 0.51, 1.0, 100.0, 1e6] {
        for age in [0.0, 1.0, 10.0, 60.0, 200.0] {
            let until = complains_until(&change(1, scar, 1.0), START, &voting);
            let healed = f64::from(scar) * atrion_core::math::decay(voting.healing_per_sec, age);
            if (healed - COMPLAINT_OHMS).abs() > 1e-6 {
                assert_eq!(until > START.plus_secs(age), healed >= COMPLAINT_OHMS, "{scar} {age}");
            }
        }
    }
    let report = |scar| Report::of(&change(1, scar, 1.0).vector(Timestamp::ZERO), 0.0);
    assert!(report(0.5).complains() && !report(0.499).complains());
}

#[test]
fn one_peers_word_is_shown_as_it_is() {
    let mut r = registers();
    let said = Change { stance: Stance { good: true, ..Stance::CALM }, ..change(7, 40.0, 0.1) };
    r.hear(&Frame { age_millis: 250, ..frame(1, 1, 1, &[said]) }, secs(5));
    let merged = r.merged(RouteId(7)).unwrap();
    assert_eq!(merged.vector, said.vector(Timestamp::ZERO));
    assert_eq!(secs(5).since(merged.observed_at), Duration::from_millis(250));
    assert_eq!(r.merged(RouteId(8)), None);
}

#[test]
fn of_several_the_lower_median_of_the_votes_is_shown() {
    let mut r = registers();
    for (node, scar, evidence) in [(1, 500.0, 9.0), (2, 2.0, 9.0), (3, 1.0, 9.0), (4, 0.0, 0.2)] {
        r.hear(&frame(node, 1, 1, &[change(7, scar, evidence)]), START);
    }
    let merged = r.merged(RouteId(7)).unwrap();
    assert!((merged.vector.scar_tissue.get() - 2.0).abs() < 1e-9, "{merged:?}");
    assert!((merged.vector.evidence.get() - f64::from(0.2_f32)).abs() < 1e-9, "the newest, by id");
    // Long after, one more word: the others' votes have expired against it.
    r.hear(&frame(4, 1, 2, &[change(7, 3.0, 0.2)]), secs(20));
    let merged = r.merged(RouteId(7)).unwrap();
    assert!((merged.vector.scar_tissue.get() - 3.0).abs() < 1e-9, "{merged:?}");
}

#[test]
fn a_changed_route_is_told_once_its_name_is_known() {
    let mut r = registers();
    r.hear(&frame(1, 1, 1, &[change(7, 3.0, 2.0)]), START);
    assert_eq!(r.pop_changed(), Some(RouteId(7)));
    assert_eq!(r.name(RouteId(7)), None);
    r.hear(&named(frame(2, 1, 1, &[change(7, 3.0, 2.0)])), START);
    r.hear(&frame(1, 1, 2, &[change(7, 4.0, 2.0)]), START);
    assert_eq!(r.pop_changed(), Some(RouteId(7)));
    assert_eq!(r.pop_changed(), None);
    assert_eq!(r.name(RouteId(7)).unwrap().as_ref(), "r7");
    // A name without a word is of no use, and not kept.
    let only = Frame { changes: Vec::new(), ..named(frame(3, 1, 1, &[change(9, 0.0, 0.0)])) };
    r.hear(&only, START);
    assert_eq!((r.pop_changed(), r.routes.len()), (None, 1));
}

#[test]
fn what_is_stored_no_more_is_dropped_when_it_has_no_vote() {
    let mut r = registers();
    r.hear(&frame(1, 1, 1, &[change(1, 3.0, 2.0), change(2, 3.0, 2.0)]), START);
    r.hear(&frame(1, 1, 2, &[change(3, 3.0, 2.0)]), secs(19));
    let horizon = r.horizon(NodeId(1));
    r.hear(&frame(1, 1, 3, &[change(4, 3.0, 2.0)]), secs(20));
    let stored = HashSet::from([RouteId(1)]);
    r.read(NodeId(1), &stored, horizon, false, secs(20));
    assert_eq!(r.len(), 4, "not all was read");
    r.read(NodeId(1), &stored, horizon, true, secs(20));
    let left: Vec<u64> = r.state().iter().map(|(route, ..)| route.0).collect();
    assert_eq!(left, [1, 3, 4], "younger than 10 s, or said since");
    r.check();
}

#[test]
fn a_hostile_node_exhausts_nothing_and_silences_nobody() {
    let mut r = registers();
    let mut sequence = 0;
    let honest = |r: &mut Registers, node, sequence| {
        r.hear(&frame(node, 1, sequence, &[change(node, 1.0, 2.0), change(99, 1.0, 2.0)]), START);
    };
    honest(&mut r, 1, 1);
    for first in (0..50_000_u64).step_by(1_000) {
        sequence += 1;
        let many: Vec<_> = (first..first + 1_000).map(|id| change(1_000 + id, 9.0, 1e30)).collect();
        r.hear(&frame(66, 1, sequence, &many), START);
        let forgotten = (first..first + 1_000).map(|id| RouteId(id + 500_000)).collect();
        sequence += 1;
        r.hear(&Frame { forgotten, ..frame(66, 1, sequence, &[]) }, START);
    }
    r.check();
    assert_eq!(r.peers[&NodeId(66)].routes.len(), 100);
    assert!(r.counts.refused_registers > 90_000);
    // A second one fills the table; whoever has less than a fair share still gets a place.
    let many: Vec<_> = (0..1_000).map(|id| change(10_000 + id, 9.0, 1.0)).collect();
    r.hear(&frame(67, 1, 1, &many), START);
    r.check();
    for node in 2..=5 {
        honest(&mut r, node, 1);
    }
    r.check();
    assert_eq!(r.len(), 200);
    for node in 1..=5 {
        assert_eq!(r.peers[&NodeId(node)].routes.len(), 2, "node {node}");
    }
    assert!(r.counts.evicted_registers >= 8);
    // Nodes, too, are bounded, and one that left makes room.
    for node in 100..200 {
        r.hear(&frame(node, 1, 1, &[]), START);
    }
    assert_eq!((r.live(), r.counts.refused_nodes), (8, 99));
    r.hear(&Frame { leaving: true, ..frame(66, 1, sequence + 1, &[]) }, START);
    assert!(r.hear(&frame(200, 1, 1, &[]), START).joined);
    r.check();
}

#[test]
fn coming_and_going_leaves_no_traces_behind() {
    let mut r = registers();
    for incarnation in 1..2_000 {
        let forgotten = (0..50).map(RouteId).collect();
        r.hear(&Frame { forgotten, ..frame(1, incarnation, 1, &[change(70, 1.0, 1.0)]) }, START);
        r.hear(&Frame { leaving: true, ..frame(1, incarnation, 2, &[]) }, START);
    }
    r.check();
    r.sweep(secs(60));
    r.check();
    assert_eq!((r.graves.len(), r.routes.len(), r.peers.len()), (0, 0, 0));
}

#[test]
fn numbers_at_their_ends_do_no_harm() {
    let mut r = registers();
    let max = u64::MAX;
    r.hear(&frame(1, max, max, &[change(1, f32::MAX, f32::MAX)]), START);
    r.hear(&frame(1, max, max, &[change(1, f32::MAX, f32::MAX)]), START);
    r.hear(&frame(2, 0, 0, &[change(1, f32::MIN_POSITIVE, 0.0)]), START);
    r.hear(&Frame { leaving: true, ..frame(1, max, max, &[]) }, START);
    r.hear(&Frame { age_millis: u32::MAX, ..frame(3, 1, max, &[change(1, 1.0, 1.0)]) }, START);
    r.hear(&frame(3, 1, 1, &[]), START);
    r.check();
    let _ = (r.merged(RouteId(1)), r.troubled(START), node_key(NodeId(max)));
}

/// A word, a farewell or something forgotten, of a few nodes, incarnations and routes.
fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let one = (1..4_u64, 1..4_u64, 1..9_u64, 0..8_u64, 0_u8..10);
    prop::collection::vec(one, 1..60).prop_map(|specs| {
        let build = |(node, incarnation, sequence, route, kind)| {
            // One frame has one content: it follows from its stamp.
            let mix = node * 31 + incarnation * 7 + sequence * 3;
            let (route, kind) = ((route + mix) % 4 + mix % 3, (u64::from(kind) + mix) % 10);
            (node, incarnation, sequence, route, kind)
        };
        let mut seen = HashMap::new();
        for spec in specs {
            let (node, incarnation, sequence, route, kind) = build(spec);
            seen.entry((node, incarnation, sequence)).or_insert_with(|| {
                let scar = (sequence * 10 + incarnation) as f32;
                let mut frame = frame(node, incarnation, sequence, &[]);
                match kind {
                    0 => frame.leaving = true,
                    1 | 2 => frame.forgotten = vec![RouteId(route)],
                    _ => {
                        frame.changes =
                            vec![change(route, scar, 2.0), change(route + 10, scar, 1.0)];
                    }
                }
                named(frame)
            });
        }
        seen.into_values().collect()
    })
}

proptest! {
    #[test]
    fn order_duplicates_and_replays_change_nothing(
        (all, order) in frames().prop_flat_map(|all| {
            let twice: Vec<usize> = (0..all.len()).chain(0..all.len()).collect();
            (Just(all), Just(twice).prop_shuffle())
        }),
        stored in any::<u64>(),
    ) {
        let (mut one, mut other) = (registers(), registers());
        for frame in &all {
            one.hear(frame, START);
        }
        for (step, index) in order.into_iter().enumerate() {
            let source = if stored >> (step % 64) & 1 == 1 { Source::Stored(Duration::ZERO) } else { Source::Live };
            other.take(&all[index], source, START);
            other.check();
        }
        prop_assert_eq!(one.state(), other.state());
        prop_assert_eq!(one.live(), other.live());
        let troubled = |r: &Registers| r.troubled(START).into_iter().collect::<HashSet<_>>();
        prop_assert_eq!(troubled(&one), troubled(&other));
        for id in one.routes() {
            prop_assert_eq!(one.merged(id), other.merged(id));
        }
    }

    #[test]
    fn two_halves_join_to_the_whole(all in frames(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(all.len());
        let (mut whole, mut halves) = (registers(), registers());
        for frame in &all {
            whole.hear(frame, START);
        }
        for frame in all[cut..].iter().chain(&all[..cut]) {
            halves.hear(frame, START);
        }
        prop_assert_eq!(whole.state(), halves.state());
    }
}

#[test]
fn what_is_heard_is_counted_and_the_counts_outlast_what_is_forgotten() {
    let mut r = registers();
    let words = [change(1, 0.0, 2.0), change(2, 0.0, 2.0)];
    r.hear(&frame(1, 5, 1, &words), START);
    assert!(!r.hear(&frame(1, 5, 1, &words), START).left, "a duplicate is no leave");
    r.hear(&frame(1, 4, 9, &words), START);
    // What is read may be of an older life: nothing was sent twice.
    r.take(&frame(1, 4, 9, &words), Source::Stored(Duration::ZERO), START);
    let counts = Counts { changes: 2, older: 2, duplicates: 2, ..Counts::default() };
    assert_eq!(r.counts, counts);
    assert!(r.graves.is_empty(), "a word is no trace of a forgotten route");
    assert!(r.troubled.is_empty(), "nobody complains");
    r.clear();
    assert_eq!((r.len(), r.live(), r.counts), (0, 0, counts));
}

#[test]
fn who_has_more_than_its_share_makes_room_for_who_has_less() {
    let limits = Limits { max_registers: 4, ..limits() };
    let mut r = Registers::new(limits, Duration::from_secs(60), VotingRules::default());
    let many = [1, 2, 3, 4].map(|route| change(route, 3.0, 2.0));
    r.hear(&frame(1, 1, 1, &many), START);
    r.hear(&frame(2, 1, 1, &[5, 6, 7].map(|route| change(route, 3.0, 2.0))), START);
    let holds = |r: &Registers, node| r.peer(NodeId(node)).map(|peer| peer.routes.len());
    assert_eq!((holds(&r, 1), holds(&r, 2)), (Some(2), Some(2)), "half of four each");
    assert_eq!((r.counts.evicted_registers, r.counts.refused_registers), (2, 1));
    r.hear(&frame(2, 1, 2, &[change(8, 3.0, 2.0), change(9, 3.0, 2.0)]), START);
    assert_eq!(r.counts.refused_registers, 3);
    r.check();
}

#[test]
fn a_leave_takes_its_own_words_along_and_the_store_may_bring_the_node_back() {
    let mut r = registers();
    assert!(
        r.hear(&frame(1, 1, 0, &[change(7, 3.0, 2.0)]), START).joined,
        "numbers may begin at 0"
    );
    r.hear(&frame(1, 1, 1, &[change(7, 3.0, 2.0)]), START);
    let leaving = Frame { leaving: true, ..frame(1, 1, 2, &[change(7, 9.0, 2.0)]) };
    assert!(r.hear(&leaving, START).left);
    assert_eq!((r.len(), r.live()), (0, 0));
    r.take(&frame(1, 1, 3, &[change(7, 4.0, 2.0)]), Source::Stored(Duration::ZERO), START);
    assert_eq!((r.len(), r.live()), (1, 1));
    assert_eq!(r.peer(NodeId(1)).map(|peer| peer.presence), Some(Presence::Stored));
}

#[test]
fn a_touched_route_is_told_again() {
    let mut r = registers();
    r.hear(&frame(1, 1, 1, &[change(7, 3.0, 2.0)]), START);
    assert_eq!((r.pop_changed(), r.pop_changed()), (Some(RouteId(7)), None));
    r.touch(RouteId(7));
    r.touch(RouteId(8));
    assert_eq!((r.pop_changed(), r.pop_changed()), (Some(RouteId(7)), None));
}

#[test]
fn only_what_was_read_in_full_and_of_this_life_says_what_is_gone() {
    let (node, nothing) = (NodeId(1), HashSet::new());
    let mut r = registers();
    r.hear(&frame(1, 1, 1, &[change(7, 3.0, 2.0)]), START);
    let before = r.horizon(node);
    r.read(node, &nothing, before, false, secs(60));
    assert_eq!(r.len(), 1, "a part says nothing");
    r.hear(&frame(1, 2, 1, &[change(7, 3.0, 2.0)]), START);
    r.read(node, &nothing, before, true, secs(60));
    assert_eq!(r.len(), 1, "that was another life");
    let now = r.horizon(node);
    r.read(node, &nothing, now, true, secs(60));
    assert_eq!(r.len(), 0);
}

#[test]
fn a_sweep_keeps_what_is_still_complained_about() {
    let mut r = registers();
    r.hear(&frame(1, 1, 1, &[change(7, 50.0, 2.0), change(8, 0.0, 2.0)]), START);
    r.sweep(secs(1));
    assert_eq!(r.troubled(secs(1)), [RouteId(7)]);
    r.check();
}
