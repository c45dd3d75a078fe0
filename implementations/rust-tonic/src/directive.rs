//! The directives of the contract: what a name can request.

use std::time::Duration;

use tonic::{Code, Status};

use crate::proto::{StreamPoint, StreamRequest, StreamResponse};

/// The request's pt, or INVALID_ARGUMENT if it has none.
pub fn point_of(request: StreamRequest) -> Result<StreamPoint, Status> {
    request.pt.ok_or_else(|| Status::invalid_argument("a request must have a pt"))
}

/// A name in two parts: the text before the first space, and everything after it.
pub fn cut(name: &str) -> (&str, &str) {
    name.split_once(' ').unwrap_or((name, ""))
}

/// The number at the start of a directive's rest.
pub fn number(rest: &str) -> Result<i32, Status> {
    let (first, _) = cut(rest);
    // parse() would accept a sign.
    match first.parse::<i32>() {
        Ok(number) if first.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(Status::invalid_argument("a directive needs a number from 0 to 2147483647")),
    }
}

/// The duration that `!sleep MS` requests.
pub fn duration(rest: &str) -> Result<Duration, Status> {
    Ok(Duration::from_millis(number(rest)?.unsigned_abs().into()))
}

/// What `!abort K TEXT` requests: K responses, then this status.
pub fn abort(rest: &str, code: i32) -> Result<(i32, Status), Status> {
    let count = number(rest)?;
    if !(1..=16).contains(&code) {
        return Err(Status::invalid_argument(format!("!abort takes a status code from 1 to 16, not {code}")));
    }
    let (_, text) = cut(rest);
    Ok((count, Status::new(Code::from_i32(code), text)))
}

/// A response; the value wraps around at 2^31.
pub fn response(name: &str, first: i32, k: i32) -> StreamResponse {
    StreamResponse { pt: Some(StreamPoint { name: name.to_owned(), value: first.wrapping_add(k) }) }
}
