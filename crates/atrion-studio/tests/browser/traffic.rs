//! Requests, as a service would have them: calm, overloaded, broken, and of every priority.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, OwnedPermit, Route};

/// How long a request is worked on, and how often new ones come.
const BEAT: Duration = Duration::from_millis(20);

/// What a service does with its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Works on whatever comes at once.
    Fine,
    /// Works on so many requests in a beat; the others wait for their turn.
    Narrow(usize),
    /// Fails, all of them.
    Broken,
}

/// A route, how many requests come to it in each beat, and how they end.
pub(crate) type Load = (String, usize, Behaviour);

/// The callers of an instance; gone when dropped.
pub(crate) struct Traffic {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// A calm route, an overloaded one, a broken one, and some more.
    pub(crate) fn usual(atrion: &Atrion) -> Self {
        let fine = |name: &str, requests| (name.to_owned(), requests, Behaviour::Fine);
        let mut loads = vec![
            fine("api/checkout", 4),
            ("api/search".to_owned(), 14, Behaviour::Narrow(4)),
            ("api/pay".to_owned(), 12, Behaviour::Broken),
        ];
        for (i, name) in ["cart", "login", "profile", "recommend", "stock"].iter().enumerate() {
            loads.push(fine(&format!("api/{name}"), 1 + i));
        }
        Self::of(atrion, loads)
    }

    /// The usual one, and routes of these names.
    pub(crate) fn usual_and(atrion: &Atrion, names: &[&str]) -> Self {
        let mut loads: Vec<Load> =
            names.iter().map(|&name| (name.to_owned(), 2, Behaviour::Fine)).collect();
        loads.push(("api/search".to_owned(), 14, Behaviour::Narrow(4)));
        loads.push(("api/pay".to_owned(), 12, Behaviour::Broken));
        Self::of(atrion, loads)
    }

    pub(crate) fn of(atrion: &Atrion, loads: Vec<Load>) -> Self {
        Self::spread(atrion, loads, 1)
    }

    /// Each route has its requests once in so many beats, evenly spread: many routes, little work.
    pub(crate) fn spread(atrion: &Atrion, loads: Vec<Load>, beats: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let routes: Vec<(Route, usize, Behaviour)> = loads
            .into_iter()
            .map(|(name, requests, behaviour)| (atrion.route(&name), requests, behaviour))
            .collect();
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || run(&routes, beats, &ends));
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().expect("the callers do not panic");
        }
    }
}

fn run(routes: &[(Route, usize, Behaviour)], beats: usize, over: &AtomicBool) {
    let mut at_work: Vec<VecDeque<OwnedPermit>> = routes.iter().map(|_| VecDeque::new()).collect();
    let mut turn = 0_usize;
    let mut beat = 0_usize;
    while !over.load(Relaxed) {
        let mine = |at: usize| at % beats == beat % beats;
        for (at, ((route, requests, _), waiting)) in routes.iter().zip(&mut at_work).enumerate() {
            for _ in 0..if mine(at) { *requests } else { 0 } {
                turn = turn.wrapping_add(1);
                let priority = Priority::ALL[turn % Priority::ALL.len()];
                waiting.extend(route.admit_owned(priority));
            }
        }
        thread::park_timeout(BEAT);
        for (at, ((_, _, behaviour), waiting)) in routes.iter().zip(&mut at_work).enumerate() {
            let done = match behaviour {
                _ if !mine(at) => 0,
                Behaviour::Narrow(width) => waiting.len().min(*width),
                Behaviour::Fine | Behaviour::Broken => waiting.len(),
            };
            for permit in waiting.drain(..done) {
                if *behaviour == Behaviour::Broken {
                    permit.failure();
                } else {
                    permit.success();
                }
            }
        }
        beat += 1;
    }
}
