//! The contracts between a domain's services, generated from `fedsx/v1/*.proto`.
//!
//! A new message or call goes into the `.proto` file of the service that answers it; fields are only ever added.

pub mod flows;

#[allow(
    clippy::all,
    missing_debug_implementations,
    unreachable_pub,
    rust_2018_idioms,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("fedsx.v1");
}

/// The contracts as an encoded `FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("fedsx.v1");
