//! The metadata feature of the contract, as a layer around the service: tonic handlers cannot add trailers to OK.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::BodyExt;
use tonic::body::Body;
use tower::Service;

const INITIAL: HeaderName = HeaderName::from_static("x-grpc-test-echo-initial");
const TRAILING: HeaderName = HeaderName::from_static("x-grpc-test-echo-trailing-bin");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Echoes the two keys, whatever the status. Values are copied unchanged, so a binary one stays in base64.
#[derive(Clone)]
pub struct EchoMetadata<S> {
    pub inner: S,
}

impl<S> Service<Request<Body>> for EchoMetadata<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut initial = HeaderMap::new();
        copy(INITIAL, request.headers(), &mut initial);
        let mut trailing = HeaderMap::new();
        copy(TRAILING, request.headers(), &mut trailing);
        let answered = self.inner.call(request);
        Box::pin(async move {
            let mut response = answered.await?;
            response.headers_mut().extend(initial);
            if response.headers().contains_key(STATUS) {
                // In a trailers-only response the headers are also the trailers.
                response.headers_mut().extend(trailing);
                return Ok(response);
            }
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |mut frame| {
                    if let Some(trailers) = frame.trailers_mut() {
                        trailers.extend(trailing.clone());
                    }
                    frame
                }))
            }))
        })
    }
}

fn copy(key: HeaderName, from: &HeaderMap, to: &mut HeaderMap) {
    for value in from.get_all(&key) {
        to.append(key.clone(), value.clone());
    }
}
