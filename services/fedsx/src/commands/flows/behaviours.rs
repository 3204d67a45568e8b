//! `fedsx flows behaviours`

use clap::Args;
use fedsx_proto::{
    flows,
    v1::{Behaviour, FlowRunner, ListBehavioursRequest},
};
use fedsx_runtime::code::Refusal;

use super::super::{
    connect::Target,
    output::{print, table},
};

#[derive(Debug, Args)]
pub(crate) struct Behaviours {
    #[command(flatten)]
    target: Target,
}

impl Behaviours {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let told = domain
            .clients
            .flows
            .list_behaviours(ListBehavioursRequest {})
            .await;
        let told = told.map_err(Refusal::from)?.into_inner();
        if domain.output.json {
            return print(&flows::behaviours(&told).to_string());
        }
        print(&as_tables(&told.behaviours, &told.runners))
    }
}

fn as_tables(behaviours: &[Behaviour], runners: &[FlowRunner]) -> String {
    let behaviour = |behaviour: &Behaviour| {
        let types = match behaviour.types.as_slice() {
            [] => String::new(),
            types => format!(" of {}", types.join(", ")),
        };
        let steps = match behaviour.steps.as_slice() {
            [] => "none: switched off".to_owned(),
            steps => steps.join(", "),
        };
        [
            behaviour.name.clone(),
            format!("{}{types}", behaviour.verbs.join(", ")),
            behaviour.position.to_string(),
            steps,
        ]
    };
    let behaviours = table(
        ["BEHAVIOUR", "ON", "SINCE", "STEPS"],
        behaviours.iter().map(behaviour).collect(),
    );
    let runner = |runner: &FlowRunner| [runner.name.clone(), runner.kinds.join(", ")];
    let runners = table(["RUNNER", "EFFECTS"], runners.iter().map(runner).collect());
    format!("{behaviours}\n\n{runners}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaviours_are_listed_with_who_runs_them() {
        let behaviour = |name: &str, types: &[&str], steps: &[&str]| Behaviour {
            name: name.to_owned(),
            position: 31,
            verbs: vec!["Create".to_owned(), "Update".to_owned()],
            types: types.iter().map(|text| (*text).to_owned()).collect(),
            steps: steps.iter().map(|text| (*text).to_owned()).collect(),
            ..Behaviour::default()
        };
        let runner = FlowRunner {
            name: "projection-0".to_owned(),
            kinds: ["emit", "put"].map(str::to_owned).to_vec(),
        };
        let behaviours = [
            behaviour("digest", &["Article"], &["check: validate", "release: suspend"]),
            behaviour("welcome", &[], &[]),
        ];
        insta::assert_snapshot!(as_tables(&behaviours, &[runner]), @r"
        BEHAVIOUR  ON                         SINCE  STEPS
        digest     Create, Update of Article  31     check: validate, release: suspend
        welcome    Create, Update             31     none: switched off

        RUNNER        EFFECTS
        projection-0  emit, put
        ");
    }
}
