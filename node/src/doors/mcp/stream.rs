//! An answer in pieces: what a call says while it runs, then what it comes to, on the stream of its own request.
//!
//! The call lives in the stream: a client that hangs up ends both, and what it wished is done once, because it repeats the
//! call with the same key.

use super::rpc::Request;
use comity_runtime as runtime;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Words that wait for a client to read them.
const WORDS_QUEUED: usize = 64;
/// After so long without a word the client hears that the call goes on.
const BEAT: Duration = Duration::from_secs(2);

/// What a stream says next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// A message.
    Message(Value),
    /// Nothing happened for a while.
    Pulse,
}

/// Where a running call says what it is at. Nobody hears it unless the client asked for that and can read a stream.
pub(super) struct Line {
    /// The name under which the client wants to hear of progress; null when it does not.
    token: Value,
    told: AtomicU64,
    words: Option<Sender<Value>>,
}

impl Line {
    /// For a call with one answer.
    pub(super) fn closed() -> Line {
        Line { token: Value::Null, told: AtomicU64::new(0), words: None }
    }

    /// Sends a message. One that finds no room is lost: what a call comes to never waits for a slow reader.
    pub(super) fn say(&self, message: Value) {
        if let Some(words) = &self.words {
            let _no_room = words.try_send(message);
        }
    }

    /// Says how far the call is.
    pub(super) fn progress(&self, words: &str) {
        if let Some(message) = self.step(words) {
            self.say(message);
        }
    }

    /// The next step. How many there will be nobody knows: only that there are more than before.
    fn step(&self, words: &str) -> Option<Value> {
        if self.token.is_null() {
            return None;
        }
        let step = self.told.fetch_add(1, Ordering::Relaxed) + 1;
        let params = json!({ "progressToken": self.token, "progress": step, "message": words });
        Some(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }))
    }
}

/// The name under which the client of a call wants to hear of its progress.
pub(super) fn token(request: &Request) -> Option<&Value> {
    let token = &request.params["_meta"]["progressToken"];
    let named = token.is_string() || token.is_u64() || token.is_i64();
    (request.method == "tools/call" && named).then_some(token)
}

/// What a call says, in order, its answer last.
pub struct Stream {
    line: Arc<Line>,
    words: Receiver<Value>,
    call: Option<BoxFuture<'static, Value>>,
    answer: Option<Value>,
}

impl Stream {
    /// Of a call that is given its line.
    pub(super) fn of(token: Option<Value>, call: impl FnOnce(Arc<Line>) -> BoxFuture<'static, Value>) -> Stream {
        let (sender, words) = channel(WORDS_QUEUED);
        let token = token.unwrap_or_default();
        let line = Arc::new(Line { token, told: AtomicU64::new(0), words: Some(sender) });
        Stream { call: Some(call(line.clone())), line, words, answer: None }
    }

    /// The next piece; `None` after the answer.
    pub async fn next(&mut self) -> Option<Next> {
        if let Ok(word) = self.words.try_recv() {
            return Some(Next::Message(word));
        }
        let Some(call) = &mut self.call else { return self.answer.take().map(Next::Message) };
        let words = &mut self.words;
        let heard = runtime::timeout(BEAT, async {
            tokio::select! {
                biased;
                Some(word) = words.recv() => Err(word),
                answer = call => Ok(answer),
            }
        });
        let heard = heard.await;
        match heard {
            Err(runtime::Elapsed) => Some(self.line.step("still at work").map_or(Next::Pulse, Next::Message)),
            Ok(Err(word)) => Some(Next::Message(word)),
            Ok(Ok(answer)) => {
                self.call = None;
                // What it said last comes before what it came to.
                match self.words.try_recv() {
                    Ok(word) => {
                        self.answer = Some(answer);
                        Some(Next::Message(word))
                    }
                    Err(_) => Some(Next::Message(answer)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_in_order_before_the_answer_and_count_upwards() {
        let mut stream = Stream::of(Some(json!("t")), |line| {
            Box::pin(async move {
                line.progress("one");
                line.progress("two");
                json!("answer")
            })
        });
        let said = crate::runtime::tests_world().block_on(async {
            let mut said = Vec::new();
            while let Some(next) = stream.next().await {
                said.push(next);
            }
            said
        });
        let progress = |step: u64, words: &str| {
            let params = json!({ "progressToken": "t", "progress": step, "message": words });
            Next::Message(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }))
        };
        assert_eq!(said, [progress(1, "one"), progress(2, "two"), Next::Message(json!("answer"))]);
    }
}
