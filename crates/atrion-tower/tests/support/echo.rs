//! A gRPC service written out by hand, so that nothing has to be generated: `demo.Echo/Say`
//! returns what it is told, and fails if it is told to.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::{Service, service_fn};

/// The path of the only method.
pub const SAY: &str = "/demo.Echo/Say";

/// The service.
#[derive(Clone, Debug)]
pub struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "demo.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != SAY {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let say = service_fn(async |request: tonic::Request<Bytes>| {
                let message = request.into_inner();
                match &*message {
                    b"fail" => Err(Status::new(Code::Internal, "as you wish")),
                    _ => Ok(tonic::Response::new(message)),
                }
            });
            Ok(tonic::server::Grpc::new(Raw).unary(say, request).await)
        })
    }
}

/// Calls `method` with a message through any gRPC transport.
pub async fn call<T>(transport: T, method: &'static str, message: &str) -> Result<Bytes, Status>
where
    T: tonic::client::GrpcService<Body>,
    T::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let mut client = tonic::client::Grpc::new(transport);
    let unready = |error: T::Error| Status::from_error(error.into());
    client.ready().await.map_err(unready)?;
    let request = tonic::Request::new(Bytes::copy_from_slice(message.as_bytes()));
    let path = PathAndQuery::from_static(method);
    Ok(client.unary(request, path, Raw).await?.into_inner())
}

/// Messages as they are.
#[derive(Clone, Copy, Debug)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
