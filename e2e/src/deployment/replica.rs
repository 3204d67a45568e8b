//! One process of one role.

use std::{
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

use fedsx_runtime::token::Role;
use fedsx_testing::Port;

use crate::{Answer, answer, binary, domain::clean, eventually, process::Process};

/// Nine debug processes that start together on a busy machine are ready within this time, or not at all.
const START: Duration = Duration::from_secs(90);

/// A process of a role, which runs or can.
#[derive(Debug)]
pub struct Replica {
    role: Role,
    name: String,
    environment: Vec<(String, String)>,
    process: Process,
    // Where it answers HTTP for peers or gRPC, and where it tells its health.
    port: Port,
    admin: Port,
}

impl Replica {
    pub(super) fn new(
        role: Role,
        number: usize,
        origin: &str,
        port: Port,
        environment: Vec<(String, String)>,
        folder: &Path,
    ) -> Self {
        let name = format!("{}-{number}", role.as_str());
        let log = folder.join(format!("{name}.log"));
        Self {
            role,
            process: Process::new(format!("{name} of {origin}"), log),
            name,
            environment,
            port,
            admin: Port::reserve(),
        }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// `delivery-0`
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it answers gRPC, or HTTP for peers.
    pub fn url(&self) -> String {
        self.port.origin()
    }

    /// One more setting, or another value, from the next start on.
    pub fn set(&mut self, key: &str, value: &str) {
        let variable = format!("FEDSX_{}", key.to_uppercase());
        self.environment.push((variable, value.to_owned()));
    }

    pub(super) fn runs(&self) -> bool {
        self.process.runs()
    }

    /// Starts the process and waits until it is ready.
    pub async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// Starts the process.
    pub fn spawn(&mut self) {
        let command = self.command();
        self.process.spawn(command);
    }

    /// Starts the process, which ends by itself.
    pub async fn fails(&mut self) -> ExitStatus {
        self.spawn();
        self.process.end(START).await
    }

    fn command(&self) -> Command {
        let mut command = clean(binary());
        command
            .arg(self.role.as_str())
            .envs(self.environment.iter().cloned())
            .env("FEDSX_ADMIN_LISTEN", self.admin.address().to_string())
            .env("FEDSX_REPLICA", &self.name)
            .env("FEDSX_LOG", "info");
        let listen = match self.role {
            Role::Gateway => "FEDSX_LISTEN",
            _ => "FEDSX_GRPC_LISTEN",
        };
        command.env(listen, self.port.address().to_string());
        command
    }

    /// Waits until the process is ready.
    pub async fn ready(&mut self) {
        eventually(&format!("{} is ready", self.name), START, async || {
            self.process.assert_runs();
            let answer = self.try_admin("/readyz").await?;
            answer.status.is_success().then_some(()).ok_or(answer.to_string())
        })
        .await;
    }

    /// Waits until the process says that it lacks this part: `store`, `log`.
    pub async fn lacks(&mut self, part: &str, within: Duration) {
        let what = format!("{} says that it lacks the {part}", self.name);
        eventually(&what, within, async || {
            self.process.assert_runs();
            let answer = self.try_admin("/readyz").await?;
            let told = answer.status == 503 && answer.json()["lacking"][part].is_string();
            told.then_some(()).ok_or(answer.to_string())
        })
        .await;
    }

    /// GETs a path of its internal HTTP listener: `/readyz`, `/metrics`.
    pub async fn admin(&self, path: &str) -> Answer {
        let answer = self.try_admin(path).await;
        answer.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// A counter of its metrics, over all labels; 0 where nothing was counted yet.
    pub async fn counted(&self, metric: &str) -> f64 {
        let metrics = self.admin("/metrics").await.to_string();
        let samples = metrics.lines().filter_map(|line| {
            // `name{label="value"} 7`, or `name 7`
            let labels = line.strip_prefix(metric)?;
            let sample = labels.starts_with(['{', ' ']).then_some(labels)?;
            sample.rsplit_once(' ')?.1.parse::<f64>().ok()
        });
        samples.sum()
    }

    async fn try_admin(&self, path: &str) -> Result<Answer, String> {
        let url = format!("{}{path}", self.admin.origin());
        let answer = answer::send(answer::client().get(url)).await;
        answer.map_err(|error| format!("{error:?}"))
    }

    /// Kills it as a power cut would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Stops it where it is (SIGSTOP): its connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.signal("CONT");
    }
}
