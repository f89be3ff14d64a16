//! The contract suite (feature `test-util`): each clause of
//! [`StateProvider`] as a test that any adapter can run.
//!
//! The suite needs no particular runtime. It is handed a factory that makes a [`Fixture`] with a
//! fresh, empty store for each clause, and reports every clause that does not hold:
//!
//! ```
//! use std::num::NonZeroUsize;
//! use std::sync::Arc;
//! use atrion_state::{blocking::block_on, contract, in_memory::InMemoryProvider};
//!
//! let report = block_on(contract::run_all(|| async {
//!     let provider = InMemoryProvider::with_capacity(NonZeroUsize::new(64).unwrap());
//!     let peer = provider.peer();
//!     contract::Fixture::new(Arc::new(provider))
//!         .with_peer(Arc::new(peer))
//!         .with_capacity(64)
//! }));
//! report.assert_holds();
//! assert_eq!(report.skipped().count(), 0);
//! ```
//!
//! [`provider_contract!`](crate::provider_contract) makes a `#[test]` of each clause instead.
//!
//! Delivery to subscribers is awaited for as long as it takes. Against a store that can lose
//! messages or hang, put your runtime's timeout around each call.

mod clauses;
mod sharing;
mod vectors;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::provider::StateProvider;

/// A provider to be tested, over a store of its own.
#[derive(Clone)]
pub struct Fixture {
    /// Not connected, over an empty store.
    pub provider: Arc<dyn StateProvider>,
    /// Another node over the same store, not connected, if the provider shares.
    pub peer: Option<Arc<dyn StateProvider>>,
    /// The most routes that the provider keeps, if that is small enough to be tried out.
    pub capacity: Option<usize>,
}

impl Fixture {
    /// A provider that does not share and whose bound is not tried.
    pub fn new(provider: Arc<dyn StateProvider>) -> Self {
        Self { provider, peer: None, capacity: None }
    }

    /// Adds another node over the same store, for clauses 16 to 18.
    #[must_use]
    pub fn with_peer(mut self, peer: Arc<dyn StateProvider>) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Says how many routes the provider keeps, for clauses 14 and 18. At least 16; a few hundred
    /// are plenty.
    #[must_use]
    pub fn with_capacity(mut self, routes: usize) -> Self {
        self.capacity = Some(routes);
        self
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("health", &self.provider.health())
            .field("shares", &self.peer.is_some())
            .field("capacity", &self.capacity)
            .finish()
    }
}

/// What a clause's test found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The clause holds.
    Holds,
    /// The fixture lacks what the clause needs: a peer or a known capacity.
    Skipped(&'static str),
    /// The clause does not hold.
    Broken(String),
}

/// A future of a clause's test.
pub type Check = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// One clause of the contract.
#[derive(Clone, Copy)]
pub struct Clause {
    /// Its number in the documentation of [`StateProvider`].
    pub number: u8,
    /// What it says, in short.
    pub title: &'static str,
    /// Its test.
    pub check: fn(Fixture) -> Check,
}

impl fmt::Debug for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clause {} ({})", self.number, self.title)
    }
}

macro_rules! clauses {
    ($($number:literal $title:literal $check:path),+ $(,)?) => {
        /// All clauses, in order.
        pub const CLAUSES: &[Clause] = &[$(Clause {
            number: $number,
            title: $title,
            check: |fixture| Box::pin(async move { vectors::verdict($check(fixture).await) }),
        }),+];
    };
}

clauses! {
    1 "before connect nothing works, and says so" clauses::before_connect,
    2 "connect is idempotent" clauses::connect_twice,
    3 "disconnect is idempotent" clauses::disconnect_twice,
    4 "after disconnect it is as before connect" clauses::after_disconnect,
    5 "a route nobody wrote is None" clauses::cold_start,
    6 "read your writes, bit for bit" clauses::read_your_writes,
    7 "older vectors are ignored" clauses::older_is_ignored,
    8 "duplicates are harmless, equal timestamps: the later call" clauses::duplicates,
    9 "calls for one route take effect in order" clauses::ordering,
    10 "a batch does what its elements do" clauses::batches,
    11 "hostile route names" clauses::hostile_names,
    12 "concurrent use" clauses::concurrent_use,
    13 "cancellation" clauses::cancellation,
    14 "bounded memory" clauses::bounded_memory,
    15 "the snapshot agrees with get_vector" clauses::snapshot,
    16 "a subscription delivers the newest state in the end" sharing::delivery,
    17 "no echo of own vectors" sharing::no_echo,
    18 "a slow reader delays nobody, gaps end the stream" sharing::slow_reader,
}

/// The verdict on every clause.
#[derive(Clone, Debug)]
#[must_use = "a report says nothing until it is read"]
pub struct Report(Vec<(Clause, Verdict)>);

impl Report {
    /// Clauses that do not hold, with what was found.
    pub fn broken(&self) -> impl Iterator<Item = (&Clause, &str)> {
        self.0.iter().filter_map(|(clause, verdict)| match verdict {
            Verdict::Broken(what) => Some((clause, what.as_str())),
            Verdict::Holds | Verdict::Skipped(_) => None,
        })
    }

    /// Clauses that could not be tried, with what was missing.
    pub fn skipped(&self) -> impl Iterator<Item = (&Clause, &'static str)> {
        self.0.iter().filter_map(|(clause, verdict)| match verdict {
            Verdict::Skipped(why) => Some((clause, *why)),
            Verdict::Holds | Verdict::Broken(_) => None,
        })
    }

    /// Panics unless every clause that could be tried holds.
    ///
    /// # Panics
    /// With the list of the clauses that do not hold and what was found.
    pub fn assert_holds(&self) {
        assert!(
            self.broken().next().is_none(),
            "the StateProvider contract does not hold:\n{self}"
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (clause, verdict) in &self.0 {
            match verdict {
                Verdict::Holds => writeln!(f, "{clause}: holds")?,
                Verdict::Skipped(why) => writeln!(f, "{clause}: skipped, {why}")?,
                Verdict::Broken(what) => writeln!(f, "{clause}: BROKEN, {what}")?,
            }
        }
        Ok(())
    }
}

/// Tries every clause, each on a fixture of its own.
pub async fn run_all<F, Made>(make: F) -> Report
where
    F: Fn() -> Made,
    Made: Future<Output = Fixture>,
{
    let mut verdicts = Vec::with_capacity(CLAUSES.len());
    for clause in CLAUSES {
        let verdict = (clause.check)(make().await).await;
        verdicts.push((*clause, verdict));
    }
    Report(verdicts)
}

/// Tries the clause of that number.
///
/// # Panics
/// If the clause does not hold, with what was found, or if there is no such clause.
pub async fn assert_clause<F, Made>(number: u8, make: F)
where
    F: FnOnce() -> Made,
    Made: Future<Output = Fixture>,
{
    let clause = CLAUSES.iter().find(|clause| clause.number == number);
    let clause = clause.unwrap_or_else(|| panic!("the contract has no clause {number}"));
    if let Verdict::Broken(what) = (clause.check)(make().await).await {
        panic!("StateProvider contract, {clause}: {what}");
    }
}

/// Makes a module with one `#[test]` for each clause of the contract.
///
/// It takes the module's name, a function that runs a future to its end, and an expression that
/// makes a factory of fixtures (see [`run_all`]):
///
/// ```
/// use std::sync::Arc;
/// use atrion_state::contract::Fixture;
/// use atrion_state::in_memory::InMemoryProvider;
///
/// atrion_state::provider_contract!(
///     in_memory,
///     atrion_state::blocking::block_on,
///     || async { Fixture::new(Arc::new(InMemoryProvider::new())) }
/// );
/// ```
#[macro_export]
macro_rules! provider_contract {
    ($module:ident, $block_on:path, $make:expr) => {
        $crate::provider_contract!(@tests $module, $block_on, $make;
            1 clause_01_before_connect,
            2 clause_02_connect_twice,
            3 clause_03_disconnect_twice,
            4 clause_04_after_disconnect,
            5 clause_05_cold_start,
            6 clause_06_read_your_writes,
            7 clause_07_older_is_ignored,
            8 clause_08_duplicates,
            9 clause_09_ordering,
            10 clause_10_batches,
            11 clause_11_hostile_names,
            12 clause_12_concurrent_use,
            13 clause_13_cancellation,
            14 clause_14_bounded_memory,
            15 clause_15_snapshot,
            16 clause_16_delivery,
            17 clause_17_no_echo,
            18 clause_18_slow_reader,
        );
    };
    (@tests $module:ident, $block_on:path, $make:expr; $($number:literal $name:ident,)+) => {
        mod $module {
            use super::*;
            $(
                #[test]
                fn $name() {
                    $block_on($crate::contract::assert_clause($number, $make));
                }
            )+
        }
    };
}
