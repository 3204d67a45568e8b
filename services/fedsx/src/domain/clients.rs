//! Typed clients of a domain's services.

use fedsx_proto::v1::{
    delivery_client::DeliveryClient as Delivery, flows_client::FlowsClient as Flows,
    log_client::LogClient as Log, projection_client::ProjectionClient as Projection,
};
use fedsx_runtime::{
    token::Credentials,
    transport::{Authorised, Channel, MAX_MESSAGE},
};
use tonic_health::pb::health_client::HealthClient;

pub(crate) type LogClient = Log<Authorised>;
pub(crate) type ProjectionClient = Projection<Authorised>;
pub(crate) type FlowsClient = Flows<Authorised>;
pub(crate) type DeliveryClient = Delivery<Authorised>;
pub(crate) type Health = HealthClient<Authorised>;

/// One caller's clients. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) log: LogClient,
    pub(crate) projection: ProjectionClient,
    /// Where the projection answers.
    pub(crate) flows: FlowsClient,
    pub(crate) delivery: DeliveryClient,
    /// The health of the processes where log, projection and delivery answer.
    pub(crate) health: [Health; 3],
}

impl Clients {
    pub(crate) fn new(
        log_at: Channel,
        projection_at: Channel,
        delivery_at: Channel,
        credentials: &Credentials,
    ) -> Self {
        let health = [&log_at, &projection_at, &delivery_at]
            .map(|at| Health::new(Authorised::new(at.clone(), credentials.clone())));
        let delivery = Delivery::new(Authorised::new(delivery_at, credentials.clone()));
        Self {
            log: log(log_at, credentials),
            flows: flows(projection_at.clone(), credentials),
            projection: projection(projection_at, credentials),
            health,
            delivery: delivery.max_decoding_message_size(MAX_MESSAGE),
        }
    }
}

pub(super) fn log(channel: Channel, credentials: &Credentials) -> LogClient {
    Log::new(Authorised::new(channel, credentials.clone())).max_decoding_message_size(MAX_MESSAGE)
}

pub(super) fn projection(channel: Channel, credentials: &Credentials) -> ProjectionClient {
    Projection::new(Authorised::new(channel, credentials.clone())).max_decoding_message_size(MAX_MESSAGE)
}

pub(super) fn flows(channel: Channel, credentials: &Credentials) -> FlowsClient {
    Flows::new(Authorised::new(channel, credentials.clone())).max_decoding_message_size(MAX_MESSAGE)
}
