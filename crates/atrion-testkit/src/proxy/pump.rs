//! Moves bytes one way, as the switches say.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use super::{Direction, Event, Fault, Switches};

const BUFFER: usize = 16 * 1024;

/// Why a direction is over.
#[derive(PartialEq)]
enum End {
    /// Nothing more comes, or is let through; the other direction may go on.
    Half,
    /// The whole connection is over.
    Whole,
}

struct Pump {
    number: u64,
    direction: Direction,
    switch: watch::Receiver<Fault>,
    events: broadcast::Sender<Event>,
}

/// Serves one connection until both directions are over or it is cut.
pub(super) async fn connection(
    number: u64,
    mut client: TcpStream,
    mut server: TcpStream,
    switches: Switches,
) {
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
        // Whatever ends this task resets both sides, unless they were closed properly before.
        let _ = stream.set_zero_linger();
    }
    // Borrowed halves: dropping an owned one would close it properly.
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let pump = |direction, switch: &watch::Sender<Fault>| Pump {
        number,
        direction,
        switch: switch.subscribe(),
        events: switches.events.clone(),
    };
    let up = pump(Direction::ToServer, &switches.to_server).run(from_client, to_server);
    let down = pump(Direction::ToClient, &switches.to_client).run(from_server, to_client);
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    tokio::select! {
        end = &mut up => if end == End::Half { down.await; },
        end = &mut down => if end == End::Half { up.await; },
    }
    let _ = switches.events.send(Event::Closed(number));
}

impl Pump {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> End {
        let mut buffer = vec![0; BUFFER];
        loop {
            let fault = *self.switch.borrow_and_update();
            match fault {
                Fault::Cut => return self.met(fault, End::Whole),
                Fault::HalfClose => {
                    let _ = to.shutdown().await;
                    let _ = self.met(fault, End::Half);
                    return self.swallow(from).await;
                }
                _ => {}
            }
            let count = tokio::select! {
                changed = self.switch.changed() => {
                    if changed.is_err() {
                        return End::Whole;
                    }
                    continue;
                }
                read = from.read(&mut buffer) => match read {
                    Ok(0) => {
                        let _ = to.shutdown().await;
                        return End::Half;
                    }
                    Ok(count) => count,
                    Err(_) => return End::Whole,
                },
            };
            let bytes = buffer.get_mut(..count).unwrap_or_default();
            if let Err(end) = self.pass_on(bytes, &mut to).await {
                return end;
            }
        }
    }

    /// Passes bytes on as the switch says, also when it is switched meanwhile.
    async fn pass_on(&mut self, bytes: &mut [u8], to: &mut WriteHalf<'_>) -> Result<(), End> {
        loop {
            let fault = *self.switch.borrow_and_update();
            match fault {
                Fault::Pass => return self.write(bytes, to).await,
                Fault::Slow(rate) => return self.write_slowly(bytes, rate.max(1), to).await,
                Fault::Corrupt => {
                    for byte in bytes.iter_mut() {
                        *byte = !*byte;
                    }
                    let _ = self.met(fault, End::Half);
                    return self.write(bytes, to).await;
                }
                Fault::Stall => {
                    let _ = self.met(fault, End::Half);
                    self.switch.changed().await.map_err(|_| End::Whole)?;
                }
                Fault::HalfClose => {
                    let _ = to.shutdown().await;
                    return Err(self.met(fault, End::Half));
                }
                Fault::Cut => return Err(self.met(fault, End::Whole)),
            }
        }
    }

    async fn write(&self, bytes: &[u8], to: &mut WriteHalf<'_>) -> Result<(), End> {
        to.write_all(bytes).await.map_err(|_| End::Whole)?;
        let _ = self.events.send(Event::Passed(self.number, self.direction, bytes.len()));
        Ok(())
    }

    async fn write_slowly(
        &self,
        bytes: &[u8],
        rate: u32,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), End> {
        let _ = self.met(Fault::Slow(rate), End::Half);
        for byte in bytes.chunks(1) {
            sleep(Duration::from_secs(1) / rate).await;
            self.write(byte, to).await?;
        }
        Ok(())
    }

    /// After a half-close: what still comes is taken and thrown away, so that the sender notices
    /// nothing.
    async fn swallow(&mut self, mut from: ReadHalf<'_>) -> End {
        let mut buffer = vec![0; BUFFER];
        loop {
            let cut = async {
                // An error: the proxy is gone.
                let _ = self.switch.wait_for(|fault| *fault == Fault::Cut).await;
            };
            tokio::select! {
                () = cut => return End::Whole,
                read = from.read(&mut buffer) => match read {
                    Ok(0) => return End::Half,
                    Ok(_) => {}
                    Err(_) => return End::Whole,
                },
            }
        }
    }

    fn met(&self, fault: Fault, end: End) -> End {
        let _ = self.events.send(Event::Met(self.number, self.direction, fault));
        end
    }
}
