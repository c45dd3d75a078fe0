//! StreamService: the whole contract, the core and every directive.

use std::future::pending;
use std::pin::Pin;

use async_stream::try_stream;
use tokio::time::sleep;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::directive::{abort, cut, duration, number, point_of, response};
use crate::proto::stream_service_server::StreamService;
use crate::proto::{StreamPoint, StreamRequest, StreamResponse};
use crate::watch::{Watch, Watches};

const LIST_RESPONSES: i32 = 7;
const RECORD_NAME: &str = "gRPC Stream Server: Record";
const ROUTE_NAME: &str = "gRPC Stream Server: Route";

type Responses = Pin<Box<dyn Stream<Item = Result<StreamResponse, Status>> + Send>>;

#[derive(Default)]
pub struct Service {
    watches: Watches,
}

#[tonic::async_trait]
impl StreamService for Service {
    type ListStream = Responses;
    type RouteStream = Responses;

    async fn list(&self, request: Request<StreamRequest>) -> Result<Response<Responses>, Status> {
        let point = point_of(request.into_inner())?;
        let watches = self.watches.clone();
        let mut watch = watches.begin();
        Ok(Response::new(Box::pin(try_stream! {
            let (first, count, end) = list(&point, &watches, &mut watch).await?;
            for k in 0..count {
                yield response(&point.name, first, k);
            }
            watch.end();
            end?;
        })))
    }

    async fn record(&self, request: Request<Streaming<StreamRequest>>) -> Result<Response<StreamResponse>, Status> {
        let mut watch = self.watches.begin();
        let answer = record(request.into_inner(), &mut watch).await;
        let answer = watch.settle(answer)?;
        watch.end();
        Ok(Response::new(answer))
    }

    async fn route(&self, request: Request<Streaming<StreamRequest>>) -> Result<Response<Responses>, Status> {
        let mut requests = request.into_inner();
        let mut watch = self.watches.begin();
        Ok(Response::new(Box::pin(try_stream! {
            let mut sent: i32 = 0;
            loop {
                let step = route(&mut requests, sent, &mut watch).await;
                let Some((name, first, count)) = watch.settle(step)? else { break };
                for k in 0..count {
                    yield response(&name, first, k);
                    sent = sent.wrapping_add(1);
                }
            }
            watch.end();
        })))
    }
}

/// What a List sends: the first value, how many responses, and how it ends.
async fn list(
    point: &StreamPoint,
    watches: &Watches,
    watch: &mut Watch,
) -> Result<(i32, i32, Result<(), Status>), Status> {
    let (word, rest) = cut(&point.name);
    Ok(match word {
        "!abort" => {
            let (count, status) = abort(rest, point.value)?;
            (0, count, Err(status))
        }
        "!finish" => (0, 0, Ok(())),
        "!repeat" => (point.value, number(rest)?, Ok(())),
        "!sleep" => {
            sleep(duration(rest)?).await;
            (point.value, LIST_RESPONSES, Ok(()))
        }
        "!watch" => {
            watch.mark(rest);
            pending().await
        }
        "!cancelled" => (watches.saw(rest).into(), 1, Ok(())),
        _ => (point.value, LIST_RESPONSES, Ok(())),
    })
}

/// Reads requests up to the half-close; returns the one response.
async fn record(mut requests: Streaming<StreamRequest>, watch: &mut Watch) -> Result<StreamResponse, Status> {
    let mut texts = Vec::new();
    let (mut received, mut echo) = (0, false);
    while let Some(request) = requests.message().await? {
        let point = point_of(request)?;
        received += 1;
        let (word, rest) = cut(&point.name);
        match word {
            "!abort" => return Err(abort(rest, point.value)?.1),
            "!finish" => break,
            "!echo" => {
                echo = true;
                texts.push(rest.to_owned());
            }
            "!sleep" => sleep(duration(rest)?).await,
            "!watch" => watch.mark(rest),
            _ => texts.push(point.name),
        }
    }
    Ok(if echo { response(&texts.join(","), received, 0) } else { response(RECORD_NAME, 1, 0) })
}

/// Reads one request of a Route; returns the name, the first value and the number of the responses to it, or None if the
/// Route ends with OK.
async fn route(
    requests: &mut Streaming<StreamRequest>,
    sent: i32,
    watch: &mut Watch,
) -> Result<Option<(String, i32, i32)>, Status> {
    let Some(request) = requests.message().await? else { return Ok(None) };
    let point = point_of(request)?;
    let (word, rest) = cut(&point.name);
    match word {
        "!abort" => return Err(abort(rest, point.value)?.1),
        "!finish" => return Ok(None),
        "!repeat" => {
            let count = number(rest)?;
            return Ok(Some((point.name, point.value, count)));
        }
        "!echo" => return Ok(Some((point.name, point.value, 1))),
        "!sleep" => sleep(duration(rest)?).await,
        "!watch" => watch.mark(rest),
        _ => {}
    }
    Ok(Some((ROUTE_NAME.to_owned(), sent, 1)))
}
