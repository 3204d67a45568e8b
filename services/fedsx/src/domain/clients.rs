//! Typed clients of a domain's services.

use fedsx_proto::v1::{
    delivery_client::DeliveryClient as Delivery, log_client::LogClient as Log,
    projection_client::ProjectionClient as Projection,
};
use fedsx_runtime::{token::Credentials, transport::MAX_MESSAGE};
use tonic::{service::interceptor::InterceptedService, transport::Channel};

type Authorised = InterceptedService<Channel, Credentials>;
pub(crate) type LogClient = Log<Authorised>;
pub(crate) type ProjectionClient = Projection<Authorised>;
pub(crate) type DeliveryClient = Delivery<Authorised>;

/// One caller's clients. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) log: LogClient,
    pub(crate) projection: ProjectionClient,
    pub(crate) delivery: DeliveryClient,
}

impl Clients {
    /// Clients over one channel, on which all services answer.
    pub(crate) fn new(channel: &Channel, credentials: &Credentials) -> Self {
        let authorised = || InterceptedService::new(channel.clone(), credentials.clone());
        Self {
            log: Log::new(authorised()).max_decoding_message_size(MAX_MESSAGE),
            projection: Projection::new(authorised()).max_decoding_message_size(MAX_MESSAGE),
            delivery: Delivery::new(authorised()).max_decoding_message_size(MAX_MESSAGE),
        }
    }
}
