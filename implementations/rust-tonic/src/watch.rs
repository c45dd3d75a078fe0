//! Which marked RPCs ended by the client's going away.

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::Status;

/// The tokens of the RPCs whose client went away.
#[derive(Clone, Default)]
pub struct Watches(Arc<Mutex<HashSet<String>>>);

impl Watches {
    /// Starts watching an RPC that has no token yet.
    pub fn begin(&self) -> Watch {
        Watch { watches: self.clone(), tokens: Vec::new() }
    }

    /// Answers `!cancelled TOKEN`.
    pub fn saw(&self, token: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(token)
    }
}

/// One RPC. tonic drops the values of an RPC whose client went away, so a watch dropped before its end counts.
pub struct Watch {
    watches: Watches,
    tokens: Vec<String>,
}

impl Watch {
    pub fn mark(&mut self, token: &str) {
        self.tokens.push(token.to_owned());
    }

    /// The server ends the RPC.
    pub fn end(&mut self) {
        self.tokens.clear();
    }

    /// Passes a result on. An error ends the RPC, unless its source says that it came from the connection.
    pub fn settle<T>(&mut self, result: Result<T, Status>) -> Result<T, Status> {
        result.inspect_err(|status| {
            if status.source().is_none() {
                self.end();
            }
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watches.0.lock().unwrap_or_else(PoisonError::into_inner).extend(self.tokens.drain(..));
    }
}
