//! A2A over gRPC on this door: the same operations, framed by tonic, for whoever speaks HTTP/2 on the same port. Which agent
//! is spoken to stands in the message, as its tenant.

use super::{
    BODY_BYTES_MAX, a2a as bindings,
    own::{header_text, media_type, url},
};
use crate::{
    doors::a2a::{self, Events, Method, Next, Refusal, Reply, Target, Wrong},
    node::Node,
    service::custody::Bearer,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::BufMut;
use futures::{
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt},
};
use serde_json::Value;
use std::sync::Arc;
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, ServerStreamingService, UnaryService},
};

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new().route("/lf.a2a.v1.A2AService/{method}", post(take))
}

fn status(wrong: &Wrong) -> Status {
    let Refusal { code, message, details } = Refusal::from(wrong);
    Status::with_details(Code::from_i32(code), message, details.into())
}

fn answered(response: axum::http::Response<tonic::body::Body>) -> Response {
    response.map(Body::new)
}

async fn take(State(node): State<Arc<Node>>, Path(name): Path<String>, request: Request) -> Response {
    let kind = media_type(request.headers());
    if kind != "application/grpc" && kind != "application/grpc+proto" {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send `Content-Type: application/grpc`").into_response();
    }
    let (parts, body) = request.into_parts();
    let caller = match bindings::caller(&node, &parts.headers) {
        Ok(caller) => caller,
        Err(wrong) => return answered(status(&wrong).into_http()),
    };
    let Some(method) = Method::named(&name) else {
        return answered(Status::unimplemented(format!("no method is called {name}")).into_http());
    };
    let version = header_text(&parts.headers, &HeaderName::from_static("a2a-version")).map(str::to_owned);
    let base = url(&node, &parts, "");
    let call = Call { node, caller, version, base, method: method.name.clone() };
    let streams = method.streams;
    let mut grpc = Grpc::new(Json(method)).max_decoding_message_size(BODY_BYTES_MAX);
    let request = Request::from_parts(parts, body);
    answered(match streams {
        true => grpc.server_streaming(call, request).await,
        false => grpc.unary(call, request).await,
    })
}

/// One call of an authenticated agent.
#[derive(Clone)]
struct Call {
    node: Arc<Node>,
    caller: Bearer,
    version: Option<String>,
    base: String,
    method: String,
}

impl Call {
    async fn run(self, params: Value) -> Result<Reply, Wrong> {
        a2a::check_version(self.version.as_deref())?;
        let target = Target::of_call(&self.node, &params)?;
        a2a::run(&self.node, &self.caller, &target, &self.base, &self.method, params).await
    }
}

type Answer<T> = BoxFuture<'static, Result<tonic::Response<T>, Status>>;

impl UnaryService<Value> for Call {
    type Response = Value;
    type Future = Answer<Value>;

    fn call(&mut self, request: tonic::Request<Value>) -> Self::Future {
        let call = self.clone();
        Box::pin(async move {
            match call.run(request.into_inner()).await.map_err(|wrong| status(&wrong))? {
                Reply::One(answer) => Ok(tonic::Response::new(answer)),
                Reply::Stream(_) => Err(Status::internal("this method has one answer")),
            }
        })
    }
}

impl ServerStreamingService<Value> for Call {
    type Response = Value;
    type ResponseStream = BoxStream<'static, Result<Value, Status>>;
    type Future = Answer<Self::ResponseStream>;

    fn call(&mut self, request: tonic::Request<Value>) -> Self::Future {
        let call = self.clone();
        Box::pin(async move {
            match call.run(request.into_inner()).await.map_err(|wrong| status(&wrong))? {
                Reply::Stream(events) => Ok(tonic::Response::new(stream::unfold(events, event).boxed())),
                Reply::One(_) => Err(Status::internal("this method answers with a stream")),
            }
        })
    }
}

/// The next event. HTTP/2 finds out by itself who is gone.
async fn event(mut events: Events) -> Option<(Result<Value, Status>, Events)> {
    loop {
        match events.next().await? {
            Next::Event(event) => return Some((Ok(event), events)),
            Next::Pulse => {}
        }
    }
}

/// Messages of one method, as JSON here.
struct Json(Method);

impl Codec for Json {
    type Encode = Value;
    type Decode = Value;
    type Encoder = Json;
    type Decoder = Json;

    fn encoder(&mut self) -> Json {
        Json(self.0.clone())
    }

    fn decoder(&mut self) -> Json {
        Json(self.0.clone())
    }
}

impl Encoder for Json {
    type Item = Value;
    type Error = Status;

    fn encode(&mut self, item: Value, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let bytes = self.0.write(&item).map_err(|wrong| status(&wrong))?;
        to.put_slice(&bytes);
        Ok(())
    }
}

impl Decoder for Json {
    type Item = Value;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Value>, Status> {
        self.0.read(from).map(Some).map_err(|wrong| status(&wrong))
    }
}
