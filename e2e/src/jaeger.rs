//! Jaeger itself, where its binary is at hand: a collector of traces, and the query service that shows them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use fedsx_testing::Port;
use tempfile::TempDir;

use crate::{eventually, process::Process};

/// It starts within this time, or not at all.
const START: Duration = Duration::from_secs(60);
/// What the binary is called by those who package it.
const NAMES: [&str; 2] = ["jaeger-all-in-one", "all-in-one"];
/// Listeners that nobody here asks take whatever port is free.
const UNUSED: [&str; 9] = [
    "admin.http",
    "collector.grpc-server",
    "collector.http-server",
    "collector.otlp.http",
    "http-server",
    "processor.jaeger-binary.server",
    "processor.jaeger-compact.server",
    "processor.zipkin-compact.server",
    "query.grpc-server",
];

/// A running Jaeger 1, which keeps traces in memory.
#[derive(Debug)]
pub struct Jaeger {
    query: Port,
    collector: Port,
    _process: Process,
    _folder: TempDir,
}

impl Jaeger {
    /// Starts the one that `FEDSX_TEST_JAEGER` names, or else that is on the path; none: there is none.
    pub async fn start() -> Option<Self> {
        let (program, folder) = (find()?, tempfile::tempdir().expect("a folder"));
        let (query, collector) = (Port::reserve(), Port::reserve());
        let mut command = Command::new(program);
        let unused = UNUSED.map(|listener| (listener, "127.0.0.1:0".to_owned()));
        let asked = [
            ("query.http-server", query.address().to_string()),
            ("collector.otlp.grpc", collector.address().to_string()),
        ];
        for (listener, address) in unused.into_iter().chain(asked) {
            command
                .arg(format!("--{listener}{}", host_port(listener)))
                .arg(address);
        }
        // It would tell all about traces of its own.
        command
            .arg("--log-level=warn")
            .env("OTEL_TRACES_SAMPLER", "always_off");
        let mut process = Process::new("Jaeger".to_owned(), folder.path().join("jaeger.log"));
        process.spawn(command);
        let page = format!("{}/api/services", query.origin());
        eventually("Jaeger answers", START, async || {
            process.assert_runs();
            let answer = crate::answer::send(crate::answer::client().get(&page)).await;
            let answer = answer.map_err(|error| error.to_string())?;
            answer.status.is_success().then_some(()).ok_or(answer.to_string())
        })
        .await;
        Some(Self {
            query,
            collector,
            _process: process,
            _folder: folder,
        })
    }

    /// What `--jaeger` takes.
    pub fn query(&self) -> String {
        self.query.origin()
    }

    /// What `--otlp` takes.
    pub fn otlp(&self) -> String {
        self.collector.origin()
    }
}

fn host_port(listener: &str) -> &'static str {
    if listener.starts_with("processor.") {
        "-host-port"
    } else {
        ".host-port"
    }
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("FEDSX_TEST_JAEGER") {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    candidates
        .into_iter()
        .find(|candidate: &PathBuf| Path::is_file(candidate))
}
