//! Work that is done if a route admits it: admission, outcome and error in one call.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use atrion_core::units::Volts;
use thiserror::Error;

use crate::permit::{AsOutcome, Outcome, Permit};
use crate::route::Route;
use crate::shed::Shed;

/// A call that was refused before it was made. The service behind it was not touched, so repeating
/// the call after [`retry_after`](Self::retry_after) is safe even if it is not idempotent.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("route {:?}: {shed}", .route.name())]
pub struct Overloaded {
    shed: Shed,
    route: Route,
}

impl Overloaded {
    /// The refusal of a route.
    pub const fn new(shed: Shed, route: Route) -> Self {
        Self { shed, route }
    }

    /// Why, by how much, and when to try again.
    pub const fn shed(&self) -> &Shed {
        &self.shed
    }

    /// The route that refused.
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// When this voltage is expected to pass; see [`Shed::retry_after`].
    pub const fn retry_after(&self) -> Duration {
        self.shed.retry_after()
    }

    /// The refusal behind an error, however deep below it and whatever its type: boxed, wrapped by a
    /// transport, or part of a [`CallError`]. `None` if there is none.
    pub fn find_in<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut at = Some(error);
        while let Some(error) = at {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            at = error.source();
        }
        None
    }
}

/// How a protected call ends badly: refused here, or made and failed.
///
/// An [`Error`] if `E` is one, so that `?` works. Each variant is the
/// [`source`](Error::source) of this error; [`Overloaded::find_in`] finds a refusal in a boxed one.
#[derive(Debug, Error)]
pub enum CallError<E> {
    /// Refused by Atrion; the work was not begun.
    #[error("the call was refused before it was made")]
    Overloaded(#[from] Overloaded),
    /// The work's own error.
    #[error("the protected call failed")]
    Inner(#[source] E),
}

impl<E> CallError<E> {
    /// The refusal, if it was one.
    pub const fn overloaded(&self) -> Option<&Overloaded> {
        match self {
            Self::Overloaded(refusal) => Some(refusal),
            Self::Inner(_) => None,
        }
    }

    /// The work's own error, if it was one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Overloaded(_) => None,
            Self::Inner(error) => Some(error),
        }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> CallError<E> {
    /// Forgets the type, for stacks whose errors are boxed already: either [`Overloaded`] or the inner
    /// error itself, to be found again by `downcast_ref`. Where `E` is an [`Error`], `?` and `into`
    /// make a box of the whole.
    pub fn into_boxed(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Overloaded(refusal) => refusal.into(),
            Self::Inner(error) => error.into(),
        }
    }
}

impl Route {
    /// Does `work` if the route lets priority or voltage `v` flow, and records how it ended: `Ok` is
    /// a success, `Err` and a panic are failures.
    ///
    /// For synchronous work; [`call`](Self::call) is for futures, and
    /// [`run_with`](Self::run_with) for results that need judgement. Costs what
    /// [`admit`](Self::admit) and [`Permit::record`] cost.
    ///
    /// ```
    /// use atrion_core::flow::Priority;
    /// use atrion_engine::{Atrion, CallError};
    ///
    /// let atrion = Atrion::builder().build()?;
    /// let numbers = atrion.route("numbers");
    /// match numbers.run(Priority::High, || "42".parse::<u32>()) {
    ///     Ok(number) => assert_eq!(number, 42),
    ///     Err(CallError::Overloaded(refusal)) => println!("try again in {:?}", refusal.retry_after()),
    ///     Err(CallError::Inner(why)) => println!("failed: {why}"),
    /// }
    /// # Ok::<(), atrion_engine::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// [`CallError::Overloaded`] if the route refuses: then `work` was not begun.
    /// [`CallError::Inner`] with the error of `work`.
    ///
    /// # Panics
    /// If `work` does.
    #[inline]
    pub fn run<T, E>(
        &self,
        v: impl Into<Volts>,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CallError<E>> {
        self.run_with(v, work, AsOutcome::as_outcome)
    }

    /// Like [`run`](Self::run), with a judge of the result: not every error speaks against the service,
    /// and not every `Ok` for it.
    ///
    /// ```
    /// use std::io::{self, ErrorKind};
    ///
    /// use atrion_core::flow::Priority;
    /// use atrion_engine::{Atrion, Outcome};
    ///
    /// let atrion = Atrion::builder().build()?;
    /// let disk = atrion.route("disk");
    /// let read = || std::fs::read("no/such/file");
    /// // A file that is not there is the caller's mistake, and was answered in time.
    /// let judge = |result: &io::Result<_>| match result {
    ///     Err(error) if error.kind() != ErrorKind::NotFound => Outcome::Failure,
    ///     _ => Outcome::Success,
    /// };
    /// assert!(disk.run_with(Priority::Normal, read, judge).is_err());
    /// assert_eq!(disk.explain(Priority::Normal).error_rate, 0.0);
    /// # Ok::<(), atrion_engine::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// If `work` or `judge` does; that counts as a failure.
    #[inline]
    pub fn run_with<T, E>(
        &self,
        v: impl Into<Volts>,
        work: impl FnOnce() -> Result<T, E>,
        judge: impl FnOnce(&Result<T, E>) -> Outcome,
    ) -> Result<T, CallError<E>> {
        let mut guard = Guard::new(self, v.into())?;
        guard.on_drop = Outcome::Failure;
        let result = work();
        guard.on_drop = judge(&result);
        drop(guard);
        result.map_err(CallError::Inner)
    }

    /// Awaits the future that `work` makes, if the route lets priority or voltage `v` flow, and
    /// records how it ended: `Ok` is a success, `Err` and a panic are failures.
    ///
    /// Needs no particular runtime. Asks the route when it is first polled, and makes the future only
    /// then, so what is refused costs nothing.
    ///
    /// ```
    /// use atrion_core::flow::Priority;
    /// use atrion_engine::{Atrion, CallError};
    ///
    /// async fn stock(item: u32) -> Result<u32, std::io::Error> {
    ///     Ok(3 * item)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let atrion = Atrion::builder().build()?;
    /// let stocks = atrion.route("stocks");
    /// match stocks.call(Priority::Normal, || stock(7)).await {
    ///     Ok(items) => assert_eq!(items, 21),
    ///     Err(CallError::Overloaded(refusal)) => println!("try again in {:?}", refusal.retry_after()),
    ///     Err(CallError::Inner(why)) => println!("failed: {why}"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Cancellation
    /// May be dropped at any time. Before it is first polled nothing has happened; afterwards the work
    /// is dropped, and then its place is given back as cancelled work, from which nothing is learned.
    /// So put a time limit *inside* the work, where running out of it is an error and counts, and not
    /// around this.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// If the work does.
    pub async fn call<T, E, F>(
        &self,
        v: impl Into<Volts>,
        work: impl FnOnce() -> F,
    ) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.call_with(v, work, AsOutcome::as_outcome).await
    }

    /// Like [`call`](Self::call), with a judge of the result, as [`run_with`](Self::run_with) has.
    /// An HTTP client, for one, has answers that are failures of the service, and errors that are none.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// If the work or `judge` does; that counts as a failure.
    pub async fn call_with<T, E, F>(
        &self,
        v: impl Into<Volts>,
        work: impl FnOnce() -> F,
        judge: impl FnOnce(&Result<T, E>) -> Outcome,
    ) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut guard = Guard::new(self, v.into())?;
        let result = {
            guard.on_drop = Outcome::Failure;
            // Dropped before the guard: the place is given back when the work is gone.
            let mut work = pin!(work());
            poll_fn(|cx| {
                // What drops this while it is polled is a panic; in between it is whoever gave up.
                guard.on_drop = Outcome::Failure;
                let polled = work.as_mut().poll(cx);
                guard.on_drop = Outcome::Cancelled;
                polled
            })
            .await
        };
        guard.on_drop = Outcome::Failure;
        guard.on_drop = judge(&result);
        drop(guard);
        result.map_err(CallError::Inner)
    }
}

/// A permit that is ended with what being dropped means at that point.
struct Guard<'r> {
    permit: Option<Permit<'r>>,
    on_drop: Outcome,
}

impl<'r> Guard<'r> {
    #[inline]
    fn new(route: &'r Route, v: Volts) -> Result<Self, Overloaded> {
        match route.admit(v) {
            Ok(permit) => Ok(Self { permit: Some(permit), on_drop: Outcome::Cancelled }),
            Err(shed) => Err(Overloaded::new(shed, route.clone())),
        }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.record(&self.on_drop);
        }
    }
}
