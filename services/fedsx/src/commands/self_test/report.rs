//! What the self-test tells: a line a step, or all of them as one JSON document.

use std::time::Instant;

use serde::Serialize;

use crate::commands::output::{Output, try_print};

/// A step did not come out as it should.
#[derive(Debug, thiserror::Error)]
#[error("the self-test failed at \"{step}\"")]
pub(super) struct Failed {
    step: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    step: String,
    passed: bool,
    /// What was seen, or why it failed.
    detail: String,
    /// Where to look; null where it passed.
    look_at: Option<String>,
    milliseconds: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    passed: bool,
    steps: &'a [Step],
    /// The trace of the last activity that was published, in Jaeger; null where that is not named.
    trace: Option<&'a str>,
}

/// What the steps came to so far.
pub(super) struct Report {
    output: Output,
    steps: Vec<Step>,
    trace: Option<String>,
}

impl Report {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            steps: Vec::new(),
            trace: None,
        }
    }

    /// Goes one step: what comes of it, and what to say of that. `look_at`: where to look if it fails.
    pub(super) async fn step<T>(
        &mut self,
        step: &str,
        look_at: &str,
        work: impl Future<Output = anyhow::Result<(T, String)>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        let (value, detail) = match work.await {
            Ok((value, detail)) => (Ok(value), detail),
            Err(error) => (
                Err(Failed {
                    step: step.to_owned(),
                }),
                format!("{error:#}"),
            ),
        };
        self.tell(Step {
            step: step.to_owned(),
            passed: value.is_ok(),
            detail,
            look_at: value.is_err().then(|| look_at.to_owned()),
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })?;
        Ok(value?)
    }

    /// Where the last activity's way is shown.
    pub(super) fn trace(&mut self, link: String) {
        self.trace = Some(link);
    }

    fn tell(&mut self, step: Step) -> anyhow::Result<()> {
        if !self.output.json {
            let verdict = if step.passed { "ok" } else { "FAILED" };
            say(&format!("{verdict:<6}  {:<44}  {}", step.step, step.detail))?;
            if let Some(look_at) = &step.look_at {
                say(&format!("        look at: {look_at}"))?;
            }
        }
        self.steps.push(step);
        Ok(())
    }

    /// The end of it.
    pub(super) fn end(self, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
        let passed = outcome.is_ok();
        if self.output.json {
            let (steps, trace) = (&*self.steps, self.trace.as_deref());
            say(&serde_json::to_string(&Told { passed, steps, trace })?)?;
        } else {
            if let Some(trace) = &self.trace {
                say(&format!("trace   {trace}"))?;
            }
            if passed {
                say(&format!("passed  {} steps", self.steps.len()))?;
            }
        }
        outcome
    }
}

/// Who reads no more (`| head`) keeps the test from nothing: what was published is deleted all the same.
fn say(text: &str) -> anyhow::Result<()> {
    try_print(text).map(drop)
}
