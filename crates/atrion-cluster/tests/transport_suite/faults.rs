//! Links that break, hang and lie.

use std::pin::pin;
use std::task::Poll;

use atrion_cluster::transport::{Inbox, Transport, TransportError};
use atrion_testkit::proxy::Events;
use atrion_testkit::{Direction, Event, Fault, FaultProxy, RedisServer};

use crate::harness::{
    Node, Which, for_each_transport, is_denied, is_unreachable, news, on, tight_lipped,
};

for_each_transport!(
    a_cut_during_a_commit_fails_it,
    a_cut_while_listening_is_reported,
    a_half_closed_link_is_reported,
    a_stalled_call_hangs_and_can_be_dropped,
    a_stalled_opening_hangs_and_can_be_dropped,
    a_stopped_server_hangs_and_goes_on,
    flipped_bits_are_an_error_and_not_a_panic,
    a_slow_link_works,
    a_refusing_port_works_again_later,
    a_killed_server_is_reported_and_its_successor_is_empty,
    a_killed_subscription_is_reported_while_commands_work,
    a_full_inbox_counts_and_still_tells_the_loss,
);

/// A server behind a proxy, and the transport to it.
struct Lab {
    server: RedisServer,
    proxy: FaultProxy,
    events: Events,
    transport: Box<dyn Transport>,
}

impl Lab {
    async fn new(which: Which) -> Self {
        let server = RedisServer::start().unwrap();
        let proxy = FaultProxy::start(server.port()).await.unwrap();
        let transport = which.transport(&on(proxy.port()));
        Self { events: proxy.events(), server, proxy, transport }
    }

    async fn node(&self) -> Node {
        let mut node = Node::open(&*self.transport).await;
        node.round_trip(b"before").await;
        node
    }

    async fn met(&mut self, direction: Direction, fault: Fault) {
        met(&mut self.events, direction, fault).await;
    }

    /// After the fault is over a fresh link works, and the old ones are gone.
    async fn recovers(&mut self) {
        let before = self.proxy.connections();
        self.proxy.set_both(Fault::Pass);
        let mut node = Node::open(&*self.transport).await;
        node.round_trip(b"after").await;
        drop(node);
        self.closed(self.proxy.connections() - before).await;
    }

    async fn closed(&mut self, count: u64) {
        for _ in 0..count {
            self.events.until(|e| matches!(e, Event::Closed(_))).await.unwrap();
        }
    }
}

async fn met(events: &mut Events, direction: Direction, fault: Fault) {
    let met = |e: &Event| matches!(e, Event::Met(_, d, f) if *d == direction && *f == fault);
    events.until(met).await.unwrap();
}

async fn a_cut_during_a_commit_fails_it(which: Which) {
    let mut lab = Lab::new(which).await;
    let mut node = lab.node().await;
    lab.proxy.set(Direction::ToServer, Fault::Stall);
    let commit = news(b"lost");
    let error = {
        let mut commit = pin!(node.commit(&commit));
        tokio::select! {
            result = &mut commit => panic!("passed a stalled link: {result:?}"),
            () = lab.met(Direction::ToServer, Fault::Stall) => {}
        }
        lab.proxy.set_both(Fault::Cut);
        commit.await.expect_err("cut")
    };
    assert!(is_unreachable(&error), "{error}");
    assert!(is_unreachable(&node.lost().await));
    lab.recovers().await;
}

async fn a_cut_while_listening_is_reported(which: Which) {
    let mut lab = Lab::new(which).await;
    let mut node = lab.node().await;
    lab.proxy.set_both(Fault::Cut);
    let error = node.lost().await;
    assert!(is_unreachable(&error), "{error}");
    let error = node.commit(&news(b"too late")).await.expect_err("cut");
    assert!(is_unreachable(&error), "{error}");
    lab.recovers().await;
}

async fn a_half_closed_link_is_reported(which: Which) {
    for direction in [Direction::ToClient, Direction::ToServer] {
        let mut lab = Lab::new(which).await;
        let mut node = lab.node().await;
        lab.proxy.set(direction, Fault::HalfClose);
        let error = node.lost().await;
        assert!(is_unreachable(&error), "{direction:?}: {error}");
        drop(node);
        lab.recovers().await;
    }
}

async fn a_stalled_call_hangs_and_can_be_dropped(which: Which) {
    let mut lab = Lab::new(which).await;
    let node = lab.node().await;
    lab.proxy.set(Direction::ToClient, Fault::Stall);
    let commit = news(b"unanswered");
    tokio::select! {
        result = node.commit(&commit) => panic!("answered through a stalled link: {result:?}"),
        () = lab.met(Direction::ToClient, Fault::Stall) => {}
    }
    // The call was dropped by that. The next answers must not be taken for others'.
    lab.proxy.set_both(Fault::Pass);
    let nodes = node.session.nodes(0, 10).await.unwrap();
    assert_eq!(nodes, ["n"]);
    assert!(node.session.server_millis().await.unwrap() > 1_600_000_000_000);
    drop(node);
    lab.recovers().await;
}

async fn a_stalled_opening_hangs_and_can_be_dropped(which: Which) {
    let mut lab = Lab::new(which).await;
    lab.proxy.set(Direction::ToClient, Fault::Stall);
    let (inbox, mut arrivals) = Inbox::new(1);
    tokio::select! {
        result = lab.transport.open(inbox) => panic!("opened: {:?}", result.err()),
        () = met(&mut lab.events, Direction::ToClient, Fault::Stall) => {}
    }
    assert_eq!(arrivals.next().await, None);
    lab.proxy.set_both(Fault::Pass);
    lab.closed(1).await;
    lab.recovers().await;
}

async fn a_stopped_server_hangs_and_goes_on(which: Which) {
    let mut lab = Lab::new(which).await;
    let mut node = lab.node().await;
    lab.server.stop().unwrap();
    let commit = news(b"late");
    {
        let mut commit = pin!(node.commit(&commit));
        let sent = |e: &Event| matches!(e, Event::Passed(_, Direction::ToServer, _));
        tokio::select! {
            result = &mut commit => panic!("answered while stopped: {result:?}"),
            sent = lab.events.until(sent) => drop(sent.unwrap()),
        }
        lab.server.cont().unwrap();
        commit.await.unwrap();
    }
    assert_eq!(node.frame().await, "late");
}

async fn flipped_bits_are_an_error_and_not_a_panic(which: Which) {
    let mut lab = Lab::new(which).await;
    let mut node = lab.node().await;
    lab.proxy.set(Direction::ToClient, Fault::Corrupt);
    let error = node.commit(&news(b"garbled")).await.expect_err("garbled");
    assert!(!is_denied(&error), "{error}");
    node.lost().await;
    let error = Node::try_open(&*lab.transport).await.err().expect("garbled");
    assert!(!is_denied(&error), "{error}");
    drop(node);
    lab.recovers().await;
}

async fn a_slow_link_works(which: Which) {
    let mut lab = Lab::new(which).await;
    let mut node = lab.node().await;
    lab.proxy.set(Direction::ToClient, Fault::Slow(1000));
    node.round_trip(b"slow").await;
    lab.met(Direction::ToClient, Fault::Slow(1000)).await;
}

async fn a_refusing_port_works_again_later(which: Which) {
    let mut lab = Lab::new(which).await;
    let mut node = lab.node().await;
    lab.proxy.refuse().await;
    assert!(is_unreachable(&node.lost().await));
    let error = Node::try_open(&*lab.transport).await.err().expect("refused");
    assert!(is_unreachable(&error), "{error}");
    lab.proxy.accept().await.unwrap();
    lab.recovers().await;
}

async fn a_killed_server_is_reported_and_its_successor_is_empty(which: Which) {
    let mut server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let mut node = Node::open(&*transport).await;
    node.round_trip(b"before").await;
    server.kill();
    assert!(is_unreachable(&node.lost().await));
    assert!(node.session.server_millis().await.map_err(tight_lipped).is_err());
    server.restart_empty().unwrap();
    // The old session stays dead.
    assert!(node.session.server_millis().await.is_err());
    let mut node = Node::open(&*transport).await;
    assert!(node.session.nodes(0, 10).await.unwrap().is_empty());
    assert!(node.session.state(b"n", 10).await.unwrap().is_empty());
    node.round_trip(b"after").await;
}

async fn a_killed_subscription_is_reported_while_commands_work(which: Which) {
    let server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let mut node = Node::open(&*transport).await;
    node.round_trip(b"before").await;
    server.command("CLIENT KILL TYPE pubsub").unwrap();
    assert!(is_unreachable(&node.lost().await));
    node.commit(&news(b"unheard")).await.unwrap();
    assert_eq!(node.arrivals.next().await, None);
}

async fn a_full_inbox_counts_and_still_tells_the_loss(which: Which) {
    let mut server = RedisServer::start().unwrap();
    let transport = which.transport(&on(server.port()));
    let (inbox, arrivals) = Inbox::new(1);
    let session = transport.open(inbox).await.unwrap();
    let mut listener = Node::open(&*transport).await;
    for _ in 0..50 {
        session.commit(&news(b"flood")).await.unwrap();
    }
    for _ in 0..50 {
        listener.frame().await;
    }
    // The other subscription has been served before or is about to be: look until it has.
    let mut dropped = 0;
    while dropped < 49 {
        dropped += arrivals.take_dropped();
        tokio::task::yield_now().await;
    }
    server.kill();
    let mut node = Node { session, arrivals };
    assert_eq!(node.frame().await, "flood");
    let error: TransportError = node.lost().await;
    assert!(is_unreachable(&error), "{error}");
    // Polled once more, it stays at its end.
    let mut next = pin!(node.arrivals.next());
    let polled = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
    assert!(!matches!(polled, Poll::Ready(Some(_))), "{polled:?}");
}
