//! The projection's flows as a test writes them, and what was asked of them.

use std::sync::{Arc, Mutex};

use fedsx_proto::v1::{
    CancelFlowRequest, Flow, FlowMoved, FlowStep, FlowTransition, GetFlowRequest, GetFlowResponse,
    ListBehavioursRequest, ListBehavioursResponse, ListFlowsRequest, ListFlowsResponse, ResumeFlowRequest,
    RetryFlowRequest, StartFlowRequest, flows_server::Flows,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    token::{Role, role},
};
use tonic::{Request, Response, Status};

/// Flows by hand. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct FlowsByHand(Arc<State>);

#[derive(Default)]
struct State {
    flows: Mutex<Vec<Flow>>,
    asked: Mutex<Vec<(Role, String)>>,
}

impl FlowsByHand {
    /// A flow with a step that waits, and quotes something that is not for all.
    pub(crate) fn put(&self, id: &str, public: bool) {
        let release = FlowStep {
            id: "release".to_owned(),
            kind: "suspend".to_owned(),
            stand: "waiting".to_owned(),
            person: "Read the secret".to_owned(),
            ..FlowStep::default()
        };
        self.0.flows.lock().unwrap().push(Flow {
            id: id.to_owned(),
            behaviour: "link".to_owned(),
            status: "waiting".to_owned(),
            cause: "of a secret".to_owned(),
            object: "https://blog.example/objects/gig-night".to_owned(),
            started_at_us: 1_763_721_600_000_000,
            steps: vec![release],
            public,
            ..Flow::default()
        });
    }

    /// The role and the call of each that was asked.
    pub(crate) fn asked(&self) -> Vec<(Role, String)> {
        self.0.asked.lock().unwrap().clone()
    }

    /// Notes a call; who may make it is decided as the projection decides.
    fn ask<T: std::fmt::Debug>(&self, request: Request<T>, moves: bool) -> Result<T, Status> {
        let role = role(&request)?;
        let request = request.into_inner();
        self.0.asked.lock().unwrap().push((role, format!("{request:?}")));
        let admitted = match role {
            Role::Operator | Role::Site => true,
            Role::Gateway => !moves,
            _ => false,
        };
        let refusal = || Refusal::new(Code::Forbidden, format!("the role {} may not", role.as_str()));
        admitted.then_some(request).ok_or_else(|| refusal().into())
    }

    fn flow(&self, id: &str) -> Result<Flow, Status> {
        let flows = self.0.flows.lock().unwrap();
        let flow = flows.iter().find(|flow| flow.id == id).cloned();
        flow.ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no flow {id:?}")).into())
    }

    fn moved(&self, id: &str, status: &str) -> Result<Response<FlowMoved>, Status> {
        let flow = Flow {
            status: status.to_owned(),
            ..self.flow(id)?
        };
        Ok(Response::new(FlowMoved {
            flow: Some(flow),
            existed: false,
        }))
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Flows for FlowsByHand {
    async fn list_flows(&self, request: Request<ListFlowsRequest>) -> Answer<ListFlowsResponse> {
        let request = self.ask(request, false)?;
        let flows = self.0.flows.lock().unwrap();
        let shown = flows.iter().filter(|flow| flow.public || !request.public_only);
        Ok(Response::new(ListFlowsResponse {
            flows: shown.cloned().collect(),
            next: "7.abc".to_owned(),
        }))
    }

    async fn get_flow(&self, request: Request<GetFlowRequest>) -> Answer<GetFlowResponse> {
        let request = self.ask(request, false)?;
        let transition = FlowTransition {
            version: 1,
            events: "[]".into(),
            ..FlowTransition::default()
        };
        Ok(Response::new(GetFlowResponse {
            flow: Some(self.flow(&request.id)?),
            transitions: if request.brief {
                Vec::new()
            } else {
                vec![transition]
            },
        }))
    }

    async fn list_behaviours(
        &self,
        request: Request<ListBehavioursRequest>,
    ) -> Answer<ListBehavioursResponse> {
        self.ask(request, false)?;
        Ok(Response::new(ListBehavioursResponse::default()))
    }

    async fn start_flow(&self, request: Request<StartFlowRequest>) -> Answer<FlowMoved> {
        let request = self.ask(request, true)?;
        let known = self.0.flows.lock().unwrap().first().cloned();
        Ok(Response::new(FlowMoved {
            existed: known
                .as_ref()
                .is_some_and(|flow| flow.behaviour == request.behaviour),
            flow: known,
        }))
    }

    async fn resume_flow(&self, request: Request<ResumeFlowRequest>) -> Answer<FlowMoved> {
        self.moved(&self.ask(request, true)?.id, "running")
    }

    async fn retry_flow(&self, request: Request<RetryFlowRequest>) -> Answer<FlowMoved> {
        self.ask(request, true)?;
        Err(Refusal::new(Code::FlowState, "no step has failed").into())
    }

    async fn cancel_flow(&self, request: Request<CancelFlowRequest>) -> Answer<FlowMoved> {
        self.moved(&self.ask(request, true)?.id, "cancelled")
    }
}
