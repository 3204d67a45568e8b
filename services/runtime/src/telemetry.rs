//! Logs, traces and the W3C context that joins them across processes and domains.

use std::{collections::HashMap, io::IsTerminal as _};

use opentelemetry::{
    propagation::TextMapPropagator as _,
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// How a process tells what it does.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// OTLP over gRPC, `http://127.0.0.1:4317`; none: logs only.
    pub otlp: Option<String>,
    /// `service.name`: the role, or `fedsx`.
    pub service: String,
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
    /// Exports what is left. Call it last.
    pub fn shutdown(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown()
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
        .map(|url| exporter(url, &settings.service))
        .transpose()?;
    // Spans are wanted for their context even where nothing is exported: an entry carries its trace in any case.
    let tracer = provider
        .clone()
        .unwrap_or_else(|| SdkTracerProvider::builder().build())
        .tracer("fedsx");
    let spans = tracing_opentelemetry::layer().with_tracer(tracer).with_filter(EnvFilter::new("off,fedsx=info,fedsx_log=info,fedsx_gateway=info,fedsx_projection=info,fedsx_delivery=info,fedsx_runtime=info"));
    tracing_subscriber::registry().with(spans).with(text).try_init()?;
    Ok(Telemetry(provider))
}

fn exporter(url: &str, service: &str) -> Result<SdkTracerProvider, TelemetryError> {
    use opentelemetry_otlp::WithExportConfig as _;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(url)
        .build()?;
    let resource = Resource::builder().with_service_name(service.to_owned()).build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
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
