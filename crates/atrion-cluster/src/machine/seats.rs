//! Places under a licence: who came first stays.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::call::Grant;
use super::time::Elapsed;
use crate::transport::Registered;

/// A cluster registers this often,
const CLUSTERS_EVERY: Duration = Duration::from_secs(3600);
/// and keeps its place for so long while it is away.
const CLUSTERS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// At most so many names are told.
const MAX_NAMES: usize = 32;

/// What places are counted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seat {
    /// Clusters under one licence.
    Cluster,
    /// Nodes of one cluster.
    Node,
}

/// The licence and this node's places under it.
#[derive(Debug)]
pub(crate) struct Seats {
    grant: Option<Grant>,
    /// Counts the licences.
    number: u64,
    lifetime: Duration,
    cluster_at: Elapsed,
    node_at: Elapsed,
    /// Whom the operator was told of last.
    told: Vec<String>,
}

impl Seats {
    pub(crate) const fn new(lifetime: Duration) -> Self {
        Self {
            grant: None,
            number: 0,
            lifetime,
            cluster_at: Elapsed::NEVER,
            node_at: Elapsed::NEVER,
            told: Vec::new(),
        }
    }

    pub(crate) const fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// Which licence it is.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Whether that is news.
    pub(crate) fn replace(&mut self, grant: Option<Grant>) -> bool {
        let news = self.grant != grant;
        if news {
            self.grant = grant;
            self.number += 1;
            self.told.clear();
            self.renew();
        }
        news
    }

    /// Every place is to be taken anew.
    pub(crate) fn renew(&mut self) {
        (self.cluster_at, self.node_at) = (Elapsed::NEVER, Elapsed::NEVER);
    }

    fn limit(&self, seat: Seat) -> Option<u32> {
        let grant = self.grant.as_ref()?;
        match seat {
            Seat::Cluster => grant.clusters,
            Seat::Node => grant.nodes,
        }
    }

    /// The first place that is counted, after that one.
    pub(crate) fn first_after(&self, seat: Option<Seat>) -> Option<Seat> {
        let counted = |seat: &Seat| self.limit(*seat).is_some();
        match seat {
            None => [Seat::Cluster, Seat::Node].into_iter().find(counted),
            Some(Seat::Cluster) => Some(Seat::Node).filter(counted),
            Some(Seat::Node) => None,
        }
    }

    /// The next place to be confirmed, and when.
    pub(crate) fn next(&self) -> Option<(Elapsed, Seat)> {
        let times = [(self.cluster_at, Seat::Cluster), (self.node_at, Seat::Node)];
        times.into_iter().filter(|(_, seat)| self.limit(*seat).is_some()).min()
    }

    /// How often a place is confirmed, and after how long it is lost. A node's place is free soon
    /// after the node is gone, so that restarts do not use places up.
    fn times(&self, seat: Seat) -> (Duration, Duration) {
        match seat {
            Seat::Cluster => (CLUSTERS_EVERY, CLUSTERS_KEPT),
            Seat::Node => (self.lifetime / 3, self.lifetime),
        }
    }

    pub(crate) fn kept(&self, seat: Seat) -> Duration {
        self.times(seat).1
    }

    /// Under which name the register is kept, in which cluster.
    pub(crate) fn register(&self, seat: Seat, cluster: &str) -> Arc<str> {
        let license = self.grant.as_ref().map_or("", |grant| &grant.license);
        match seat {
            Seat::Cluster => Arc::from(license),
            Seat::Node => Arc::from(format!("{license}/{cluster}")),
        }
    }

    /// Who is registered. The place is this member's, or else it is refused: then the time of the
    /// next attempt, and the names to be told if they are news.
    pub(crate) fn registered(
        &mut self,
        seat: Seat,
        member: &Bytes,
        mut all: Vec<Registered>,
        now: Elapsed,
    ) -> Result<(), (Elapsed, Option<Vec<String>>)> {
        let again = now.plus(self.times(seat).0.max(Duration::from_secs(1)));
        match seat {
            Seat::Cluster => self.cluster_at = again,
            Seat::Node => self.node_at = again,
        }
        all.sort_unstable_by(|one, other| {
            (one.first_millis, &one.member).cmp(&(other.first_millis, &other.member))
        });
        let place = all.iter().position(|one| one.member == *member).unwrap_or(all.len());
        let fits = self.limit(seat).is_none_or(|limit| place < limit as usize);
        if fits {
            self.told.clear();
            return Ok(());
        }
        let name = |one: &Registered| {
            String::from_utf8_lossy(&one.member).chars().take(128).collect::<String>()
        };
        let names: Vec<String> = all.iter().take(MAX_NAMES).map(name).collect();
        let news = self.told != names;
        self.told.clone_from(&names);
        Err((again, news.then_some(names)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(names: &[(&'static str, u64)]) -> Vec<Registered> {
        let one = |(name, first): &(&'static str, u64)| Registered {
            member: Bytes::from_static(name.as_bytes()),
            first_millis: *first,
            last_millis: 99,
        };
        names.iter().map(one).collect()
    }

    fn seats(clusters: Option<u32>, nodes: Option<u32>) -> Seats {
        let mut seats = Seats::new(Duration::from_secs(60));
        assert!(seats.replace(Some(Grant { license: Arc::from("L1"), clusters, nodes })));
        seats
    }

    #[test]
    fn the_newest_is_refused_and_ties_go_by_name() {
        let mut seats = seats(Some(2), None);
        let all = registered(&[("late", 30), ("b", 10), ("a", 10)]);
        let mut ask = |name: &'static str, all: &[Registered]| {
            seats.registered(
                Seat::Cluster,
                &Bytes::from_static(name.as_bytes()),
                all.to_vec(),
                Elapsed::START,
            )
        };
        assert_eq!(ask("a", &all), Ok(()));
        assert_eq!(ask("b", &all), Ok(()));
        let (again, names) = ask("late", &all).unwrap_err();
        assert_eq!(again, Elapsed::START.plus(Duration::from_secs(3600)));
        assert_eq!(names, Some(vec!["a".to_owned(), "b".to_owned(), "late".to_owned()]));
        assert_eq!(ask("late", &all).unwrap_err().1, None, "told once");
        assert!(ask("absent", &registered(&[("a", 1), ("b", 2)])).is_err());
        assert_eq!(ask("late", &registered(&[("a", 10), ("late", 30)])), Ok(()));
    }

    #[test]
    fn only_what_is_limited_is_counted() {
        assert_eq!(seats(None, None).first_after(None), None);
        assert_eq!(seats(None, Some(3)).first_after(None), Some(Seat::Node));
        let both = seats(Some(1), Some(3));
        assert_eq!(both.first_after(None), Some(Seat::Cluster));
        assert_eq!(both.first_after(Some(Seat::Cluster)), Some(Seat::Node));
        assert_eq!(both.first_after(Some(Seat::Node)), None);
        assert_eq!(&*both.register(Seat::Cluster, "shop"), "L1");
        assert_eq!(&*both.register(Seat::Node, "shop"), "L1/shop");
    }

    #[test]
    fn every_other_grant_has_a_number_of_its_own() {
        let mut seats = seats(Some(1), None);
        assert_eq!(seats.number(), 1);
        let same = seats.grant().cloned();
        assert!(!seats.replace(same));
        assert!(seats.replace(None));
        assert_eq!(seats.number(), 2);
        assert!(seats.replace(Some(Grant {
            license: Arc::from("L2"),
            clusters: None,
            nodes: None
        })));
        assert_eq!(seats.number(), 3);
    }
}
