//! Waiting for what happens in other processes and on other threads, and tells nobody: looking again
//! and again, under one long deadline. The only waiting by the clock in tests.

use std::thread;
use std::time::Duration;

use crate::Failure;

/// How long anything is waited for. A slow machine under full load needs its time.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between two looks, where looking costs next to nothing.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks every two milliseconds until `look` says yes.
///
/// # Panics
/// With `what`, if that takes longer than [`PATIENCE`].
pub async fn until(what: &str, mut look: impl FnMut() -> bool) {
    until_some(what, PAUSE, || look().then_some(())).await;
}

/// Looks once in every `pause` until there is something to see, and gives that.
///
/// # Panics
/// With `what`, if that takes longer than [`PATIENCE`].
pub async fn until_some<T>(what: &str, pause: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(pause).await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, waiting).await;
    seen.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// The same for tests without a runtime, every few milliseconds.
///
/// # Panics
/// With `what`, if that takes longer than [`PATIENCE`].
pub fn until_some_blocking<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    wait_for(what, || Ok(look())).unwrap_or_else(|failure| panic!("{failure}"))
}

/// The same, and ends with the error of `look` if there is one.
pub(crate) fn wait_for<T>(
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    const PAUSE: Duration = Duration::from_millis(5);
    // Counted in looks: a machine that stood still meanwhile does not use up the patience.
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        thread::sleep(PAUSE);
    }
    Err(Failure::new(format!("{what}: not within {PATIENCE:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_what_was_seen() {
        let mut looks = 0;
        let mut third = || {
            looks += 1;
            (looks == 3).then_some(looks)
        };
        assert_eq!(wait_for("the third look", || Ok(third())), Ok(3));
        looks = 0;
        let mut third = || {
            looks += 1;
            (looks == 3).then_some(looks)
        };
        assert_eq!(until_some_blocking("the third look", &mut third), 3);
    }

    #[test]
    fn a_wait_ends_with_the_first_error() {
        let failed = wait_for("nothing", || Err::<Option<()>, _>(Failure::new("no")));
        assert_eq!(failed, Err(Failure::new("no")));
    }
}
