//! A collector of traces: the OTLP server that domains export to.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::{ResourceSpans, status::StatusCode},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// A span that a domain exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// `service.name` of the process.
    pub service: String,
    pub name: String,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    pub span_id: Vec<u8>,
    /// Empty: the root of its trace.
    pub parent_id: Vec<u8>,
    /// Why what it tells of has failed.
    pub failure: Option<String>,
}

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    /// Starts one on a free loopback port, for as long as the test runs.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let spans = Arc::new(Mutex::new(Vec::new()));
        let service = TraceServiceServer::new(Receiver(Arc::clone(&spans)));
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { endpoint, spans }
    }

    /// What `--otlp` takes.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The spans of a trace that have arrived.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans
            .iter()
            .filter(|span| span.trace_id == trace_id)
            .cloned()
            .collect()
    }
}

struct Receiver(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let received = request.into_inner().resource_spans.into_iter().flat_map(spans);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(received);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn spans(of: ResourceSpans) -> impl Iterator<Item = Span> {
    let attributes = of.resource.unwrap_or_default().attributes.into_iter();
    let service = attributes
        .filter(|attribute| attribute.key == "service.name")
        .find_map(|attribute| match attribute.value?.value? {
            Value::StringValue(name) => Some(name),
            _ => None,
        });
    let service = service.unwrap_or_default();
    of.scope_spans
        .into_iter()
        .flat_map(|scope| scope.spans)
        .map(move |span| Span {
            service: service.clone(),
            name: span.name,
            trace_id: span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect(),
            span_id: span.span_id,
            parent_id: span.parent_span_id,
            failure: span
                .status
                .filter(|status| status.code() == StatusCode::Error)
                .map(|status| status.message),
        })
}
