//! A tonic server behind Atrion, and a client in the same program that shows both sides.
//!
//! ```text
//! cargo run -p atrion-tower --example tonic_server
//! ```

#[allow(unreachable_pub, reason = "the module is shared with the tests")]
mod echo;

use std::time::Duration;

use atrion_engine::{Atrion, Force};
use atrion_tower::AtrionLayer;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tower::ServiceBuilder;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let atrion = Atrion::builder().build()?;
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let addr = incoming.local_addr()?;
    let server = Server::builder()
        .layer(AtrionLayer::server(&atrion))
        .add_service(echo::Echo)
        .serve_with_incoming(incoming);
    tokio::spawn(server);

    let channel = Channel::builder(format!("http://{addr}").parse()?).connect().await?;
    let call = async |message| echo::call(channel.clone(), echo::SAY, message).await;
    println!("say hello:      {:?}", call("hello").await?);
    println!("say fail:       {}", call("fail").await.err().map_or(0, |s| s.code() as i32));

    // From here on the server refuses, and tells when to come back.
    let route = atrion.route(echo::SAY);
    route.force(Force::Open, Duration::from_secs(5));
    if let Err(status) = call("hello again").await {
        println!("server refuses: {:?}, {}", status.code(), status.message());
        println!("retry in (ms):  {:?}", status.metadata().get("grpc-retry-pushback-ms"));
    }
    println!("server route:   {:?}", route.counts());

    // A client can be protected too: it refuses before anything is sent.
    let client = AtrionLayer::client(&atrion).prefix("to echo: ");
    let guarded = ServiceBuilder::new().layer(client).service(channel.clone());
    atrion.route("to echo: /demo.Echo/Say").force(Force::Open, Duration::from_secs(5));
    let refused = echo::call(guarded, echo::SAY, "hello").await;
    println!("client refuses: {:?}", refused.err());
    Ok(())
}
