//! `fedsx demo`: two domains on loopback, and the story of how they federate.

mod flows;
mod narrator;
mod story;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;
use fedsx_runtime::{
    code::Refusal,
    shutdown::{self, Deadline},
    telemetry,
};

use crate::{
    asked,
    domain::{Domain, Settings},
};
use narrator::Narrator;

/// How long a step may take before the story counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer, or the step has failed.
async fn eventually<T>(
    step: &str,
    ask: impl AsyncFnMut() -> Result<Option<T>, Refusal>,
) -> anyhow::Result<T> {
    asked::eventually(step, PATIENCE, ask).await
}

/// Starts the domains blog and events in one process and tells how an article gets from one to the other.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the two domains keep their state; a second demo on the same folder continues
    #[arg(
        long,
        env = "FEDSX_DEMO_DATA",
        value_name = "DIR",
        default_value = "fedsx-demo"
    )]
    data: PathBuf,
    /// End when the story is complete
    #[arg(long)]
    exit: bool,
    /// Loopback port of blog
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    blog_port: u16,
    /// Loopback port of events
    #[arg(long, value_name = "PORT", default_value_t = 8002)]
    events_port: u16,
    /// Export traces by OTLP over gRPC: http://127.0.0.1:4317
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Log directives: info, or warn,fedsx_delivery=debug
    #[arg(long, value_name = "DIRECTIVES", default_value = "warn")]
    log: String,
}

/// Runs the demo; the error names the step that failed.
pub(crate) async fn run(demo: Demo) -> anyhow::Result<()> {
    let telemetry = telemetry::start(&telemetry::Settings {
        otlp: demo.otlp.clone(),
        service: "fedsx-demo".to_owned(),
        filter: demo.log.clone(),
        ..telemetry::Settings::default()
    })?;
    let narrator = Narrator::default();
    reserve(&[("blog", demo.blog_port), ("events", demo.events_port)])?;
    let blog = start(&demo, "blog", demo.blog_port).await?;
    let events = start(&demo, "events", demo.events_port).await?;
    narrator.title("fed-sx: two domains, one process, nothing shared but HTTP");
    for domain in [&blog, &events] {
        narrator.plain(&format!(
            "{:<7} {}  {}",
            domain.bundle.name,
            domain.origin,
            domain.data().display()
        ));
    }
    narrator.plain("");

    let told = tokio::select! {
        told = story::tell(&narrator, &blog, &events) => told,
        interrupted = shutdown::signal() => interrupted.context("signals").and_then(|_| Err(anyhow::anyhow!("interrupted"))),
    };
    if told.is_ok() {
        narrator.look_at(&blog, &events);
        if !demo.exit {
            narrator.plain("\nBoth domains go on running; Ctrl-C ends them.");
            shutdown::signal().await?;
        }
    }
    let deadline = Deadline::promised();
    let (blog, events) = tokio::join!(blog.stop(deadline), events.stop(deadline));
    telemetry.shutdown(deadline);
    told?;
    anyhow::ensure!(
        blog && events,
        "a domain did not end in time; nothing that was acknowledged is lost"
    );
    Ok(())
}

/// Shows that every port is free, before a domain writes a log that is bound to its port for ever.
fn reserve(ports: &[(&str, u16)]) -> anyhow::Result<()> {
    let bind = |(name, port): &(&str, u16)| {
        std::net::TcpListener::bind(("127.0.0.1", *port))
            .with_context(|| format!("127.0.0.1:{port} cannot be bound"))
            .with_context(|| failed(name, *port))
    };
    ports
        .iter()
        .map(bind)
        .collect::<anyhow::Result<Vec<_>>>()
        .map(drop)
}

async fn start(demo: &Demo, name: &str, port: u16) -> anyhow::Result<Domain> {
    let origin = format!("http://127.0.0.1:{port}").parse()?;
    let mut settings = Settings::embedded(origin, name, demo.data.join(name))?;
    // The two know each other as trusted: the spans of a delivery are one trace.
    settings.trusted_origins = [demo.blog_port, demo.events_port]
        .into_iter()
        .map(|port| format!("http://127.0.0.1:{port}").parse())
        .collect::<Result<_, _>>()?;
    Domain::start(settings).await.with_context(|| failed(name, port))
}

fn failed(name: &str, port: u16) -> String {
    format!("step \"start {name}\" failed (--{name}-port {port})")
}
