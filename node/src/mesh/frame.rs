//! Length-prefixed frames on a stream: four bytes of length (little endian), then the frame.
//!
//! The length is checked before memory is taken. Reading is safe to interrupt: what was read stays in the reader.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use comity_runtime as runtime;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const HEADER_BYTES: usize = 4;
const READ_CHUNK_BYTES: usize = 16 * 1024;

/// What a stream did wrong, or what happened to it.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The neighbour announced a frame above the limit of the stream. Nothing of it was read.
    #[error("frame of {announced} bytes is over the limit of {limit}")]
    TooLarge {
        /// As the neighbour said.
        announced: usize,
        /// What this stream allows.
        limit: usize,
    },
    /// The frame is no message of this stream.
    #[error("malformed frame: {0}")]
    Malformed(&'static str),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
    /// The neighbour took no byte for too long.
    #[error("the neighbour took no byte for {0:?}")]
    Stalled(Duration),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Cuts frames out of a stream.
pub(crate) struct FrameReader<R> {
    inner: R,
    buffer: BytesMut,
    chunk: Box<[u8]>,
    limit: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// `limit` in bytes, the four of the length not counted.
    pub(crate) fn new(inner: R, limit: usize) -> FrameReader<R> {
        FrameReader { inner, buffer: BytesMut::new(), chunk: vec![0; READ_CHUNK_BYTES].into_boxed_slice(), limit }
    }

    /// The next frame; `None` at a clean end. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.cut()? {
                return Ok(Some(frame));
            }
            let read = self.inner.read(&mut self.chunk).await?;
            if read == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Truncated) };
            }
            self.buffer.extend_from_slice(&self.chunk[..read]);
        }
    }

    fn cut(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let announced = u32::from_le_bytes(*header) as usize;
        if announced > self.limit {
            return Err(FrameError::TooLarge { announced, limit: self.limit });
        }
        if self.buffer.len() < HEADER_BYTES + announced {
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        Ok(Some(self.buffer.split_to(announced).freeze()))
    }
}

/// Writes one frame into a buffered writer; the caller flushes.
pub(crate) async fn write_frame<W: AsyncWrite + Unpin>(writer: &mut W, frame: &[u8]) -> Result<(), FrameError> {
    let length = u32::try_from(frame.len()).map_err(|_| FrameError::Malformed("a frame over 4 GiB"))?;
    writer.write_all(&length.to_le_bytes()).await?;
    writer.write_all(frame).await?;
    Ok(())
}

/// Gives `write` at most `limit`: a neighbour that stopped reading must not hold a task for ever.
pub(crate) async fn unless_stalled<F>(limit: Duration, write: F) -> Result<(), FrameError>
where
    F: Future<Output = Result<(), FrameError>>,
{
    match runtime::timeout(limit, write).await {
        Ok(done) => done,
        Err(runtime::Elapsed) => Err(FrameError::Stalled(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;

    #[test]
    fn frames_come_out_as_they_went_in_and_the_end_is_clean() {
        let mut wire = Vec::new();
        block_on(write_frame(&mut wire, b"one")).expect("a vector takes all");
        block_on(write_frame(&mut wire, b"")).expect("a vector takes all");
        let mut reader = FrameReader::new(Cursor::new(wire), 3);
        assert_eq!(block_on(reader.next()).expect("whole"), Some(Bytes::from_static(b"one")));
        assert_eq!(block_on(reader.next()).expect("whole"), Some(Bytes::new()));
        assert_eq!(block_on(reader.next()).expect("clean end"), None);
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_from_its_length_alone() {
        // Only the header is there: the refusal needs none of the announced bytes.
        let mut reader = FrameReader::new(Cursor::new(u32::MAX.to_le_bytes().to_vec()), 1024);
        let refused = block_on(reader.next()).expect_err("over the limit");
        assert!(matches!(refused, FrameError::TooLarge { announced: 0xffff_ffff, limit: 1024 }), "{refused}");
        assert!(reader.buffer.capacity() <= READ_CHUNK_BYTES);
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_truncated() {
        let mut reader = FrameReader::new(Cursor::new(vec![5, 0, 0, 0, 1]), 1024);
        assert!(matches!(block_on(reader.next()), Err(FrameError::Truncated)));
    }
}
