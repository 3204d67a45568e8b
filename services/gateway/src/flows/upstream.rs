//! The projection's flows, for everybody and on behalf of who shows a token.

use fedsx_proto::v1::{
    CancelFlowRequest, Flow, FlowMoved, GetFlowRequest, GetFlowResponse, ListBehavioursRequest,
    ListBehavioursResponse, ListFlowsRequest, ListFlowsResponse, ResumeFlowRequest, RetryFlowRequest,
    StartFlowRequest,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::on_behalf,
};
use http::HeaderValue;
use tonic::Request;

use crate::{
    FlowsClient,
    upstream::{ask, ask_for},
};

const SERVICE: &str = "projection";

/// A client of the flows. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Flows(FlowsClient);

impl Flows {
    pub(crate) fn new(client: FlowsClient) -> Self {
        Self(client)
    }

    pub(super) async fn page(&self, request: ListFlowsRequest) -> Result<ListFlowsResponse, Refusal> {
        ask(SERVICE, self.0.clone().list_flows(request)).await
    }

    pub(super) async fn brief(&self, id: String) -> Result<Option<Flow>, Refusal> {
        let request = GetFlowRequest { id, brief: true };
        Ok(ask(SERVICE, self.0.clone().get_flow(request)).await?.flow)
    }

    pub(super) async fn page_for(
        &self,
        token: &HeaderValue,
        request: ListFlowsRequest,
    ) -> Result<ListFlowsResponse, Refusal> {
        let mut client = self.0.clone();
        ask_for(SERVICE, client.list_flows(carrying(token, request)?)).await
    }

    pub(super) async fn whole_for(
        &self,
        token: &HeaderValue,
        id: String,
    ) -> Result<GetFlowResponse, Refusal> {
        let request = GetFlowRequest { id, brief: false };
        let mut client = self.0.clone();
        ask_for(SERVICE, client.get_flow(carrying(token, request)?)).await
    }

    pub(super) async fn behaviours_for(
        &self,
        token: &HeaderValue,
    ) -> Result<ListBehavioursResponse, Refusal> {
        let mut client = self.0.clone();
        let request = carrying(token, ListBehavioursRequest {})?;
        ask_for(SERVICE, client.list_behaviours(request)).await
    }

    pub(super) async fn start(
        &self,
        token: &HeaderValue,
        request: StartFlowRequest,
    ) -> Result<FlowMoved, Refusal> {
        let mut client = self.0.clone();
        ask_for(SERVICE, client.start_flow(carrying(token, request)?)).await
    }

    pub(super) async fn resume(
        &self,
        token: &HeaderValue,
        request: ResumeFlowRequest,
    ) -> Result<FlowMoved, Refusal> {
        let mut client = self.0.clone();
        ask_for(SERVICE, client.resume_flow(carrying(token, request)?)).await
    }

    pub(super) async fn retry(
        &self,
        token: &HeaderValue,
        request: RetryFlowRequest,
    ) -> Result<FlowMoved, Refusal> {
        let mut client = self.0.clone();
        ask_for(SERVICE, client.retry_flow(carrying(token, request)?)).await
    }

    pub(super) async fn cancel(
        &self,
        token: &HeaderValue,
        request: CancelFlowRequest,
    ) -> Result<FlowMoved, Refusal> {
        let mut client = self.0.clone();
        ask_for(SERVICE, client.cancel_flow(carrying(token, request)?)).await
    }
}

/// A call with the caller's token, never with ours.
fn carrying<T>(token: &HeaderValue, message: T) -> Result<Request<T>, Refusal> {
    let token = token.to_str().ok().filter(|token| token.starts_with("Bearer "));
    let token = token.ok_or_else(|| Refusal::new(Code::Unauthenticated, "the token is none: `Bearer …`"))?;
    Ok(on_behalf(message, token))
}
