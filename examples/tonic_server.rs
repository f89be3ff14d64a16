//! A tonic server behind Atrion, and a protected client in the same program.
//!
//! ```sh
//! cargo run -p atrion-examples --features tonic_server --bin tonic_server
//! ```
//!
//! Each method is a route. Somebody closes one by hand: the server refuses with `UNAVAILABLE` and says
//! when to come back. Then the client's own route is closed, and nothing is sent at all.

// Stands in for what tonic generates from `echo.proto`: the service `demo.Echo` with its method `Say`.
#[allow(unreachable_pub, reason = "the module is shared with tests")]
#[path = "../crates/atrion-tower/tests/support/echo.rs"]
mod echo;

use std::error::Error;
use std::time::Duration;

use atrion::tower::AtrionLayer;
use atrion::{Atrion, Force, Overloaded};
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let atrion = Atrion::builder().build()?;

    // The server: one layer in front of all services.
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let addr = incoming.local_addr()?;
    let server = Server::builder()
        .layer(AtrionLayer::server(&atrion))
        .add_service(echo::Echo)
        .serve_with_incoming(incoming);
    tokio::spawn(server);

    // A client: the channel behind a layer, with names of its own.
    let channel = Channel::builder(format!("http://{addr}").parse()?).connect().await?;
    let protection = AtrionLayer::client(&atrion).prefix("to ");
    let client = ServiceBuilder::new().layer(protection).service(channel);
    let say = async |text| echo::call(client.clone(), echo::SAY, text).await;

    println!("say hello:      {:?}", say("hello").await?);
    if let Err(status) = say("fail").await {
        println!("say fail:       {:?}: {}", status.code(), status.message());
    }

    let asked = atrion.route(echo::SAY);
    asked.force(Force::Open, Duration::from_secs(5));
    if let Err(status) = say("hello").await {
        println!("server refuses: {:?}: {}", status.code(), status.message());
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        println!("  come back in: {} ms", pushback.map_or("?", |ms| ms.to_str().unwrap_or("?")));
    }
    asked.release();

    let sent = atrion.route("to /demo.Echo/Say");
    sent.force(Force::Open, Duration::from_secs(5));
    if let Err(status) = say("hello").await {
        // However deep it is wrapped.
        let refusal = Overloaded::find_in(&status);
        println!("client refuses: {}", refusal.map(ToString::to_string).unwrap_or_default());
    }
    sent.release();

    println!("say it again:   {:?}", say("hello again").await?);
    for route in [asked, sent] {
        let counts = route.counts();
        println!("{}: {} with a result, {} refused", route.name(), counts.completed, counts.shed);
    }
    Ok(())
}
