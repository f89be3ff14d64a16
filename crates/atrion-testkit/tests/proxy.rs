//! Every fault of the proxy does what it says, and says when.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::Ipv4Addr;

use atrion_testkit::proxy::Events;
use atrion_testkit::{Direction, Event, Fault, FaultProxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that says back what it hears.
async fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    port
}

async fn lab() -> (FaultProxy, Events, TcpStream) {
    let proxy = FaultProxy::start(echo().await).await.unwrap();
    let events = proxy.events();
    let mut stream = connect(&proxy).await.unwrap();
    assert_eq!(say(&mut stream, b"hello").await.unwrap(), *b"hello");
    (proxy, events, stream)
}

async fn connect(proxy: &FaultProxy) -> std::io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await
}

async fn say(stream: &mut TcpStream, what: &[u8; 5]) -> std::io::Result<[u8; 5]> {
    stream.write_all(what).await?;
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await?;
    Ok(heard)
}

fn met(fault: Fault) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Met(_, _, f) if *f == fault)
}

#[tokio::test]
async fn bytes_are_passed_stalled_flipped_and_slowed() {
    let (proxy, mut events, mut stream) = lab().await;
    assert_eq!(events.until(|_| true).await, Ok(Event::Connected(0)));

    proxy.set(Direction::ToServer, Fault::Stall);
    tokio::select! {
        heard = say(&mut stream, b"stall") => panic!("through a stall: {heard:?}"),
        seen = events.until(met(Fault::Stall)) => drop(seen.unwrap()),
    }
    proxy.set_both(Fault::Pass);
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"stall");

    proxy.set(Direction::ToClient, Fault::Corrupt);
    assert_eq!(say(&mut stream, b"flip!").await.unwrap(), b"flip!".map(|byte| !byte));
    events.until(met(Fault::Corrupt)).await.unwrap();

    proxy.set(Direction::ToClient, Fault::Slow(1000));
    assert_eq!(say(&mut stream, b"slow!").await.unwrap(), *b"slow!");
    let single = |e: &Event| matches!(e, Event::Passed(_, Direction::ToClient, 1));
    for _ in 0..5 {
        events.until(single).await.unwrap();
    }
}

#[tokio::test]
async fn connections_are_cut_half_closed_refused_and_taken_again() {
    let (mut proxy, mut events, mut stream) = lab().await;
    proxy.set_both(Fault::Cut);
    events.until(|e| *e == Event::Closed(0)).await.unwrap();
    let error = stream.read_u8().await.expect_err("cut");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    proxy.set_both(Fault::Pass);
    let mut stream = connect(&proxy).await.unwrap();
    say(&mut stream, b"again").await.unwrap();
    proxy.set(Direction::ToClient, Fault::HalfClose);
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0);
    // The other direction is open still.
    stream.write_all(b"hello").await.unwrap();
    let passed = |e: &Event| matches!(e, Event::Passed(1, Direction::ToServer, 5));
    events.until(passed).await.unwrap();
    events.until(passed).await.unwrap();

    proxy.refuse().await;
    assert!(connect(&proxy).await.is_err());
    proxy.accept().await.unwrap();
    proxy.set_both(Fault::Pass);
    let mut stream = connect(&proxy).await.unwrap();
    say(&mut stream, b"there").await.unwrap();
    assert_eq!(proxy.connections(), 3);
}
