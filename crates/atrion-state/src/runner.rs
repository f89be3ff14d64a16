//! What all drivers of the pulse share: it carries out what the machine asks for, and decides
//! nothing.

use std::sync::Arc;

use crate::clock::Clock;
use crate::contain::{Guarded, GuardedStream, contain};
use crate::entropy::Draws;
use crate::provider::{BoxStream, Health, ProviderError, RemoteVector, RouteVector, StateProvider};
use crate::pulse::{OperationId, Pulse, PulseConfig, PulseSource, Request};

/// What a call of the provider gives.
pub(crate) enum Reply {
    Done,
    Snapshot(Vec<RouteVector>),
    Subscription(Option<BoxStream<RemoteVector>>),
}

/// A call of the provider under way.
pub(crate) struct Call {
    pub(crate) id: OperationId,
    pub(crate) future: Guarded<Reply>,
}

pub(crate) struct Runner<C> {
    pub(crate) pulse: Pulse,
    pub(crate) clock: C,
    provider: Arc<dyn StateProvider>,
    source: Arc<dyn PulseSource>,
    draws: Draws,
}

impl<C: Clock> Runner<C> {
    pub(crate) fn new(
        provider: Arc<dyn StateProvider>,
        source: Arc<dyn PulseSource>,
        clock: C,
        config: PulseConfig,
        draws: Draws,
    ) -> Self {
        Self { pulse: Pulse::new(config, clock.now()), clock, provider, source, draws }
    }

    pub(crate) fn time_out(&mut self) {
        self.pulse.handle_timeout(self.clock.now(), self.draws.draw());
    }

    /// Drains the machine: visits the source, starts the next call, tells what there is to tell.
    pub(crate) fn drain(&mut self) -> Option<Call> {
        self.visit();
        let call = self.next_call();
        self.tell();
        call
    }

    fn visit(&mut self) {
        let now = self.clock.now();
        let Some(mut collector) = self.pulse.poll_collect() else {
            return;
        };
        if contain(|| self.source.collect(now, &mut collector)).is_err() {
            self.pulse.handle_source_panic();
        }
        // A provider that panics here will fail in its calls too, where it is counted.
        if let Ok((health, trouble)) = contain(|| {
            let health = self.provider.health();
            (health, (health != Health::Healthy).then(|| self.provider.trouble()).flatten())
        }) {
            self.pulse.handle_health(health, trouble.as_deref(), now, self.draws.draw());
        }
        if let Ok(recalled) = contain(|| self.provider.recalled())
            && !recalled.is_empty()
        {
            self.warm_start(recalled);
        }
    }

    fn warm_start(&mut self, vectors: Vec<RouteVector>) {
        let now = self.clock.now();
        let vectors = self.pulse.handle_snapshot(vectors, now);
        if contain(|| self.source.warm_start(vectors, now)).is_err() {
            self.pulse.handle_source_panic();
        }
    }

    fn next_call(&mut self) -> Option<Call> {
        let transmit = self.pulse.poll_transmit(self.clock.now())?;
        Some(Call { id: transmit.id, future: self.call(transmit.request) })
    }

    /// The call of the provider that answers `request`. It starts when first polled.
    pub(crate) fn call(&self, request: Request) -> Guarded<Reply> {
        let provider = Arc::clone(&self.provider);
        let operation = request.name();
        Guarded::new(
            operation,
            Box::pin(async move {
                match request {
                    Request::Connect => provider.connect().await.map(|()| Reply::Done),
                    Request::WarmStart => provider.snapshot().await.map(Reply::Snapshot),
                    Request::Subscribe => Ok(Reply::Subscription(provider.subscribe())),
                    Request::Push(batch) => {
                        provider.update_vectors(&batch).await.map(|()| Reply::Done)
                    }
                    Request::Disconnect => provider.disconnect().await.map(|()| Reply::Done),
                }
            }),
        )
    }

    /// Reports the end of a call. Returns the subscription if that is what it gave.
    pub(crate) fn finish(
        &mut self,
        id: OperationId,
        result: &mut Result<Reply, ProviderError>,
    ) -> Option<GuardedStream<RemoteVector>> {
        let now = self.clock.now();
        let done = match result {
            Ok(Reply::Subscription(stream)) => {
                let stream = stream.take().map(GuardedStream::new);
                self.pulse.handle_subscribed(id, stream.is_some(), now);
                return stream;
            }
            Ok(Reply::Snapshot(vectors)) => {
                self.warm_start(std::mem::take(vectors));
                Ok(())
            }
            Ok(Reply::Done) => Ok(()),
            Err(error) => Err(&*error),
        };
        self.pulse.handle_completed(id, done, now, self.draws.draw());
        None
    }

    /// Passes on what the subscription delivered; `None` is its end.
    pub(crate) fn hear(&mut self, item: Option<RemoteVector>) {
        let now = self.clock.now();
        let Some(remote) = item else {
            self.pulse.handle_stream_end(now, self.draws.draw());
            return;
        };
        if let Some(remote) = self.pulse.handle_remote(remote, now)
            && contain(|| self.source.apply_remote(&remote, now)).is_err()
        {
            self.pulse.handle_source_panic();
        }
    }

    /// Hands the machine's events to the source.
    pub(crate) fn tell(&mut self) {
        while let Some(event) = self.pulse.poll_event() {
            if contain(|| self.source.on_event(&event)).is_err() {
                self.pulse.handle_source_panic();
            }
        }
    }
}
