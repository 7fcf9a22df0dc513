//! A long way on one machine: what one end reads arrives later than it was sent.

use futures::{AsyncRead, AsyncWrite};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use comity_runtime::{Instant, Sleep, sleep_until};

/// Bytes under way in one direction; more wait at the sender, as on a full line.
const UNDER_WAY_MAX: usize = 4 * 1024 * 1024;
/// Bytes taken from the line at once.
const TAKE: usize = 64 * 1024;

/// A byte stream whose reader sees everything `one_way` after it came. Both ends must agree on it.
pub(super) struct Far<S> {
    line: S,
    one_way: Duration,
    /// What came, with the time at which it may be seen; ascending. `None` is the end.
    under_way: VecDeque<(Instant, Option<Vec<u8>>)>,
    /// Bytes of the front that were read already.
    read: usize,
    bytes: usize,
    ended: bool,
    /// Wakes the reader when the front may be seen.
    alarm: Option<(Instant, Sleep)>,
}

impl<S> Far<S> {
    pub(super) fn new(line: S, one_way: Duration) -> Far<S> {
        Far { line, one_way, under_way: VecDeque::new(), read: 0, bytes: 0, ended: false, alarm: None }
    }

    /// Hands out of the front what fits.
    fn hand_out(&mut self, into: &mut [u8]) -> usize {
        let Some((_, Some(front))) = self.under_way.front() else { return 0 };
        let left = &front[self.read..];
        let count = left.len().min(into.len());
        into[..count].copy_from_slice(&left[..count]);
        self.read += count;
        self.bytes -= count;
        if self.read == front.len() {
            self.under_way.pop_front();
            self.read = 0;
        }
        count
    }
}

impl<S: AsyncRead + Unpin> Far<S> {
    /// Takes from the line all that has come.
    fn take_in(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while !self.ended && self.bytes < UNDER_WAY_MAX {
            let mut some = vec![0; TAKE];
            let Poll::Ready(came) = Pin::new(&mut self.line).poll_read(context, &mut some) else { break };
            let seen_at = comity_runtime::now() + self.one_way;
            let count = came?;
            some.truncate(count);
            self.bytes += count;
            self.ended = count == 0;
            self.under_way.push_back((seen_at, (count > 0).then_some(some)));
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Far<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let far = &mut *self;
        far.take_in(context)?;
        // The line wakes the task for what comes next.
        let Some((seen_at, some)) = far.under_way.front() else { return Poll::Pending };
        let (seen_at, ends) = (*seen_at, some.is_none());
        if comity_runtime::now() < seen_at {
            let alarm = far.alarm.take().filter(|(at, _)| *at == seen_at);
            let (_, alarm) = far.alarm.insert(alarm.unwrap_or_else(|| (seen_at, sleep_until(seen_at))));
            ready!(Pin::new(alarm).poll(context));
        }
        far.alarm = None;
        Poll::Ready(Ok(if ends { 0 } else { far.hand_out(into) }))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Far<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{AsyncReadExt as _, io::Cursor};

    #[test]
    fn bytes_come_whole_and_not_before_their_time() {
        crate::runtime::tests_world().block_on(async {
            let begun = comity_runtime::now();
            let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
            let mut far = Far::new(Cursor::new(sent.clone()), Duration::from_millis(30));
            let mut first = [0; 1];
            far.read_exact(&mut first).await.expect("a byte");
            assert!(begun.elapsed() >= Duration::from_millis(30));
            let mut rest = Vec::new();
            far.read_to_end(&mut rest).await.expect("the rest, and the end");
            assert_eq!((first[0], &rest[..]), (sent[0], &sent[1..]));
        });
    }
}
