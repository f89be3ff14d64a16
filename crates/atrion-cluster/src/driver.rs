//! Carries out what the machine asks of the transport. Decides nothing.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_state::provider::BoxFuture;

use crate::gate::Gate;
use crate::machine::{Call, CallId, ClusterCore, Reply, Request};
use crate::shared::Shared;
use crate::transport::{Arrivals, Inbox, Incoming, Session, Transport, TransportError};

/// Frames that may wait to be looked at. A pulse of a large cluster fits; what does not is read
/// from the store.
const INBOX_FRAMES: usize = 4_096;
/// Frames taken in before anything else gets its turn.
const FRAMES_AT_ONCE: usize = 64;
/// How often the licence is looked at.
const LICENSE_CHECKED_EVERY: Duration = Duration::from_secs(60);

type Outcome = Result<Done, TransportError>;

/// What a call brought.
enum Done {
    Session(Arc<dyn Session>),
    Reply(Reply),
}

struct Running {
    id: CallId,
    future: BoxFuture<'static, Outcome>,
}

/// The link's I/O.
struct Driver {
    number: u64,
    transport: Arc<dyn Transport>,
    session: Option<Arc<dyn Session>>,
    arrivals: Option<Arrivals>,
    running: Option<Running>,
}

/// What woke the driver.
enum Input {
    Completed(CallId, Outcome),
    Arrived(Option<Incoming>),
    Timeout,
    Woken,
    LicenseDue,
}

/// Says so if a driver ends although the link is wanted: its runtime was shut down.
struct Watch<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let draw = self.shared.draw();
        self.shared.let_go(self.number, |core, now| {
            let why = "the runtime that drove the link has ended".to_owned();
            core.handle_lost(&TransportError::Unreachable(why), now, draw);
        });
        // A wake-up that this one has taken was for whoever drives now.
        self.shared.wake.notify_one();
    }
}

/// Drives the link until the provider is disconnected or another driver, with a higher number, has
/// taken over. Dropping the future closes the link.
pub(crate) async fn drive(
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    gate: Arc<Gate>,
    number: u64,
) {
    let _watch = Watch { shared: &shared, number };
    let mut driver = Driver { number, transport, session: None, arrivals: None, running: None };
    let mut license_due = tokio::time::Instant::now() + LICENSE_CHECKED_EVERY;
    while shared.is_driven_by(number) {
        driver.start(&shared);
        if driver.is_done(&shared) {
            return;
        }
        let timeout = shared.read(ClusterCore::poll_timeout);
        let wait = timeout.map(|at| at.since(shared.now()));
        match driver.next_input(&shared, wait, license_due).await {
            Input::Completed(id, outcome) => driver.complete(&shared, id, outcome),
            Input::Arrived(first) => driver.take_in(&shared, first),
            Input::Timeout => {
                let draw = shared.draw();
                shared.change_as(number, |core, now| core.handle_timeout(now, draw));
            }
            Input::Woken => {}
            Input::LicenseDue => {
                license_due = tokio::time::Instant::now() + LICENSE_CHECKED_EVERY;
                gate.check(&shared);
            }
        }
    }
}

impl Driver {
    /// Whether the machine was disconnected and has nothing left to do.
    fn is_done(&self, shared: &Shared) -> bool {
        self.running.is_none() && shared.read(ClusterCore::is_closed)
    }

    /// Drops a call whose deadline has passed, and starts the next.
    fn start(&mut self, shared: &Shared) {
        let in_flight = shared.read(ClusterCore::in_flight);
        if self.running.as_ref().is_some_and(|running| Some(running.id) != in_flight) {
            self.running = None;
        }
        while self.running.is_none()
            && let Some(call) = shared.poll_call(self.number)
        {
            self.make(call);
        }
    }

    fn make(&mut self, Call { id, request }: Call) {
        let future: BoxFuture<'static, Outcome> = match request {
            Request::Close => {
                (self.session, self.arrivals) = (None, None);
                return;
            }
            Request::Open => {
                let (inbox, arrivals) = Inbox::new(INBOX_FRAMES);
                (self.session, self.arrivals) = (None, Some(arrivals));
                let transport = Arc::clone(&self.transport);
                Box::pin(async move {
                    let session = transport.open(inbox).await?;
                    Ok(Done::Session(Arc::from(session)))
                })
            }
            request => {
                let session = self.session.clone();
                Box::pin(async move {
                    let session = session.ok_or_else(|| {
                        TransportError::Unreachable("there is no session".to_owned())
                    })?;
                    ask(&*session, request).await.map(Done::Reply)
                })
            }
        };
        self.running = Some(Running { id, future });
    }

    async fn next_input(
        &mut self,
        shared: &Shared,
        wait: Option<Duration>,
        license_due: tokio::time::Instant,
    ) -> Input {
        let running = async {
            match &mut self.running {
                Some(running) => (running.id, (&mut running.future).await),
                None => pending().await,
            }
        };
        let arrivals = async {
            match &mut self.arrivals {
                Some(arrivals) => arrivals.next().await,
                None => pending().await,
            }
        };
        let timeout = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            (id, outcome) = running => Input::Completed(id, outcome),
            () = timeout => Input::Timeout,
            () = tokio::time::sleep_until(license_due) => Input::LicenseDue,
            // Last but for the wake-up, which only repeats the loop: a flood holds up nothing.
            incoming = arrivals => Input::Arrived(incoming),
            () = shared.wake.notified() => Input::Woken,
        }
    }

    fn complete(&mut self, shared: &Shared, id: CallId, outcome: Outcome) {
        self.running = None;
        let reply = outcome.map(|done| match done {
            Done::Session(session) => {
                self.session = Some(session);
                Reply::Opened
            }
            Done::Reply(reply) => reply,
        });
        let draw = shared.draw();
        shared.change_as(self.number, |core, now| core.handle_completed(id, reply, now, draw));
    }

    /// Takes in what arrived, and what else has.
    fn take_in(&mut self, shared: &Shared, first: Option<Incoming>) {
        let draw = shared.draw();
        let mut next = first;
        let arrivals = &mut self.arrivals;
        shared.change_as(self.number, |core, now| {
            for waiting in (0..FRAMES_AT_ONCE).rev() {
                match next.take() {
                    Some(Incoming::Frame(frame)) => core.handle_frame(&frame, now, draw),
                    Some(Incoming::Lost(error)) => core.handle_lost(&error, now, draw),
                    None => break,
                }
                // What is taken out is also looked at: the last one of a turn is not asked for.
                next = arrivals.as_mut().filter(|_| waiting > 0).and_then(Arrivals::try_next);
            }
            core.handle_too_long(arrivals.as_ref().map_or(0, Arrivals::take_too_long));
            core.handle_dropped(arrivals.as_ref().map_or(0, Arrivals::take_dropped), now);
        });
        if self.arrivals.as_ref().is_some_and(Arrivals::is_closed) {
            self.arrivals = None;
        }
    }
}

async fn ask(session: &dyn Session, request: Request) -> Result<Reply, TransportError> {
    Ok(match request {
        Request::ServerMillis => Reply::Millis(session.server_millis().await?),
        Request::Commit(commit) => {
            if session.commit(&commit).await? {
                Reply::Committed
            } else {
                Reply::CommittedAnew
            }
        }
        Request::Nodes { since_millis, limit } => {
            Reply::Nodes(session.nodes(since_millis, limit).await?)
        }
        Request::State { key, limit, .. } => Reply::State(session.state(&key, limit).await?),
        Request::Register { register, member, now_millis, since_millis } => {
            Reply::Registered(session.register(&register, &member, now_millis, since_millis).await?)
        }
        Request::Open | Request::Close => Reply::Opened,
    })
}

impl Shared {
    fn poll_call(&self, driver: u64) -> Option<Call> {
        let now: Timestamp = self.now();
        self.write(|core| if self.is_driven_by(driver) { core.poll_call(now) } else { None })
    }
}
