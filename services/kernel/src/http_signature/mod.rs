//! Signatures over HTTP requests, and the digests that bind them to a body.

pub mod digest;
pub mod rfc9421;
