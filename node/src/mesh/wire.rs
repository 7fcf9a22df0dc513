//! Frames of mesh streams. They are never signed: the connection is authenticated. What they carry is the schema's.
//!
//! Encoded as protobuf, so that a later version may add a field; a body stays a slice of what was read.

use bytes::Bytes;

/// First frame of the hello stream, both ways.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Greeting {
    /// `comity.v1.Hello`.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) hello: Bytes,
    /// 16 random bytes of the sender's process: they differ after a restart.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) boot: Bytes,
}

/// Second frame of the hello stream, both ways: what the sender takes the other for.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Verdict {
    /// Name of a standing.
    #[prost(string, tag = "1")]
    pub(crate) standing: String,
    /// Why the certificate was refused; empty if it was not.
    #[prost(string, tag = "2")]
    pub(crate) refused: String,
}

/// One frame of a request stream.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Frame {
    /// Chosen by the caller; its answer carries the same.
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    /// A [`FrameKind`].
    #[prost(enumeration = "FrameKind", tag = "2")]
    pub(crate) kind: i32,
    /// Message of the class, or words of a refusal.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) body: Bytes,
    /// In a request: after so many milliseconds its caller has given up.
    #[prost(uint32, tag = "4")]
    pub(crate) deadline_ms: u32,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum FrameKind {
    /// Never sent.
    Unspecified = 0,
    /// From the caller.
    Request = 1,
    /// The handler's answer.
    Reply = 2,
    /// The handler refused; the body says why.
    Refused = 3,
    /// The class is not open to this neighbour; the body says why.
    NotPermitted = 4,
}
