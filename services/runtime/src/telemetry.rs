//! Logs, traces and the W3C context that joins them across processes and domains.

use std::{collections::HashMap, io::IsTerminal as _, time::Duration};

use opentelemetry::{
    KeyValue, global,
    propagation::TextMapPropagator as _,
    trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{code::Refusal, shutdown::Deadline};
/// How long a span that has ended waits for others to be exported with it, unless `OTEL_BSP_SCHEDULE_DELAY` says otherwise.
pub const EXPORT_DELAY: Duration = Duration::from_secs(1);

/// How a process tells what it does.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// OTLP over gRPC, `http://127.0.0.1:4317`; none: logs only.
    pub otlp: Option<String>,
    /// `service.name`: the role and its domain, `log@blog.example`.
    pub service: String,
    /// `service.namespace`: the domain, `blog.example`; empty: left out, as all of these.
    pub domain: String,
    /// `service.instance.id`: the process among the replicas of its role.
    pub instance: String,
    /// One JSON object a line instead of readable text.
    pub json: bool,
    /// `tracing_subscriber::EnvFilter` directives, `info,fedsx_delivery=debug`.
    pub filter: String,
}

/// Telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the OTLP exporter: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("the log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("telemetry was started before")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Flushes what is still to be exported when the process ends.
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Exports what is left, as far as there is time for it. Call it last.
    pub fn shutdown(self, by: Deadline) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(by.export())
        {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Starts logs (to standard error) and, where an OTLP URL is given, the export of traces.
///
/// # Errors
/// [`TelemetryError`]
pub fn start(settings: &Settings) -> Result<Telemetry, TelemetryError> {
    let filter = if settings.filter.is_empty() {
        "warn"
    } else {
        &settings.filter
    };
    // The broker's outages are told once, by whom they concern, and not by each of its client's tasks.
    let filter = format!("lapin=off,{filter}");
    let text = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true);
    let text = if settings.json {
        text.json().boxed()
    } else {
        text.boxed()
    };
    let text = text.with_filter(EnvFilter::try_new(filter)?);
    let provider = settings
        .otlp
        .as_deref()
        .map(|url| exporter(url, resource(settings)))
        .transpose()?;
    if let Some(provider) = &provider {
        global::set_tracer_provider(provider.clone());
    }
    // Spans are wanted for their context even where nothing is exported: an entry carries its trace in any case.
    let tracer = provider
        .clone()
        .unwrap_or_else(|| SdkTracerProvider::builder().build())
        .tracer("fedsx");
    let spans = tracing_opentelemetry::layer().with_tracer(tracer).with_filter(EnvFilter::new("off,fedsx=info,fedsx_log=info,fedsx_gateway=info,fedsx_projection=info,fedsx_delivery=info,fedsx_runtime=info"));
    tracing_subscriber::registry().with(spans).with(text).try_init()?;
    Ok(Telemetry(provider))
}

/// Who exports, by OpenTelemetry's conventions for services.
fn resource(settings: &Settings) -> Resource {
    let known = [
        ("service.namespace", settings.domain.as_str()),
        ("service.instance.id", &settings.instance),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let known = known.into_iter().filter(|(_, value)| !value.is_empty());
    Resource::builder()
        .with_service_name(settings.service.clone())
        .with_attributes(known.map(|(key, value)| KeyValue::new(key, value.to_owned())))
        .build()
}

fn exporter(url: &str, resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
    use opentelemetry_otlp::WithExportConfig as _;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(url)
        .build()?;
    let mut batches = BatchConfigBuilder::default();
    if std::env::var_os("OTEL_BSP_SCHEDULE_DELAY").is_none() {
        batches = batches.with_scheduled_delay(EXPORT_DELAY);
    }
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches.build())
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_resource(resource)
        .build())
}

/// Marks a span as failed: of what kind (`error.type`), and why.
pub fn fail(span: &Span, kind: &str, cause: impl Into<String>) {
    span.set_attribute("error.type", kind.to_owned());
    span.set_status(Status::error(cause.into()));
}

/// Marks the span of a call that was refused. It has failed where that is the server's doing: a caller's mistake is no failure
/// of the server (OpenTelemetry's conventions for HTTP and RPC).
pub fn refused(span: &Span, refusal: &Refusal) {
    if refusal.code.http().is_server_error() {
        fail(span, refusal.code.as_str(), refusal.detail.clone());
    } else {
        span.set_attribute("error.type", refusal.code.as_str());
        span.set_attribute("error.message", refusal.detail.clone());
    }
}

/// Exports a span that ends now and took so long, in the trace that a `traceparent` names: a wait that nobody attended.
pub fn waited(name: &'static str, traceparent: &str, took: Duration, attributes: &[(&'static str, &str)]) {
    let Some(context) = remote_context(traceparent) else {
        return;
    };
    let now = opentelemetry::time::now();
    let attributes = attributes
        .iter()
        .map(|(key, value)| KeyValue::new(*key, (*value).to_owned()));
    let tracer = global::tracer("fedsx");
    tracer
        .span_builder(name)
        .with_kind(SpanKind::Consumer)
        .with_start_time(now.checked_sub(took).unwrap_or(now))
        .with_attributes(attributes)
        .start_with_context(&tracer, &context)
        .end_with_timestamp(now);
}

/// The current span's context as a `traceparent` header's value (W3C Trace Context, section 3.2).
#[must_use]
pub fn current_traceparent() -> Option<String> {
    traceparent(&Span::current())
}

/// A span's context as a `traceparent` header's value.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove("traceparent")
}

/// Makes a span part of the trace that a `traceparent` names: our own, or a trusted peer's. A malformed one is ignored.
pub fn continue_trace(span: &Span, traceparent: &str) {
    if let Some(context) = remote_context(traceparent) {
        let _ = span.set_parent(context);
    }
}

/// Links a span to a trace that it does not become part of: a stranger's.
pub fn link_trace(span: &Span, traceparent: &str) {
    if let Some(context) = remote_context(traceparent) {
        span.add_link(context.span().span_context().clone());
    }
}

/// The trace id in a `traceparent`, 32 hexadecimal digits; empty where it is malformed.
#[must_use]
pub fn trace_id(traceparent: &str) -> String {
    remote_context(traceparent)
        .map(|context| context.span().span_context().trace_id().to_string())
        .unwrap_or_default()
}

fn remote_context(traceparent: &str) -> Option<opentelemetry::Context> {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context =
        TraceContextPropagator::new().extract_with_context(&opentelemetry::Context::new(), &carrier);
    context.span().span_context().is_valid().then_some(context)
}
