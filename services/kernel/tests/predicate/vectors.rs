//! The published table. `FEDSX_UPDATE_VECTORS=1` fills in the costs, bounds and columns; verdicts are written by hand.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use fedsx_kernel::predicate::{Field, PROFILE, Program, Scope, Verdict};
use serde_json::{Map, Value, json};

const BUDGET: u64 = 1_000_000;

pub(crate) fn read() -> Vec<Map<String, Value>> {
    let table: Value = serde_json::from_slice(&fs::read(path()).unwrap()).unwrap();
    assert_eq!(table["profile"], PROFILE);
    let rows = table["vectors"].as_array().unwrap().iter();
    rows.map(|row| row.as_object().unwrap().clone()).collect()
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/vectors/predicate/vectors.json"]
        .iter()
        .collect()
}

pub(crate) fn fields(row: &Map<String, Value>) -> BTreeMap<String, Field> {
    let limit = |field: &Value, name: &str| field[name].as_u64().map(|limit| u32::try_from(limit).unwrap());
    let fields = row.get("fields").and_then(Value::as_object);
    let field = |(name, field): (&String, &Value)| {
        let (max_items, max_length) = (limit(field, "maxItems"), limit(field, "maxLength"));
        (
            name.clone(),
            Field {
                max_items,
                max_length,
            },
        )
    };
    fields.into_iter().flatten().map(field).collect()
}

/// What a row says must come out, as this implementation has it.
fn outcome(row: &Map<String, Value>) -> Map<String, Value> {
    let variables = row.get("variables").and_then(Value::as_object);
    let scope = match variables {
        Some(variables) => Scope::local(variables.keys()),
        None => Scope::strict(fields(row)),
    };
    let outcome = match Program::compile(row["expression"].as_str().unwrap(), &scope) {
        Err(invalid) => json!({"refused": invalid.refusal.code(), "column": invalid.column}),
        Ok(program) => evaluated(row, variables, &program),
    };
    outcome.as_object().unwrap().clone()
}

fn evaluated(row: &Map<String, Value>, variables: Option<&Map<String, Value>>, program: &Program) -> Value {
    let budget = row.get("budget").and_then(Value::as_u64).unwrap_or(BUDGET);
    let Some(variables) = variables else {
        let decided = program.decide(&[row.get("object").unwrap_or(&json!({}))], budget);
        let verdict = match decided.verdict {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::Failed(failure) => failure.code(),
        };
        let bound = program.bound().unwrap();
        assert!(decided.cost <= bound, "{row:?}: {decided:?} is over {bound}");
        return json!({"verdict": verdict, "cost": decided.cost, "bound": bound});
    };
    let evaluated = program.evaluate(&variables.values().collect::<Vec<_>>(), budget);
    match evaluated.value {
        Ok(value) => json!({"value": value, "cost": evaluated.cost}),
        Err(failure) => json!({"verdict": failure.code(), "cost": evaluated.cost}),
    }
}

#[test]
fn every_published_vector_holds() {
    let update = env::var_os("FEDSX_UPDATE_VECTORS").is_some();
    let mut rows = read();
    let mut wrong = Vec::new();
    for row in &mut rows {
        let outcome = outcome(row);
        for (name, value) in outcome {
            if row.get(&name) != Some(&value) {
                if update && ["cost", "bound", "column"].contains(&name.as_str()) {
                    row.insert(name, value);
                } else {
                    wrong.push(format!("{}: {name} is {value}", row["expression"]));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(rows.len() >= 120);
    if update {
        let lines: Vec<String> = rows.iter().map(|row| format!("    {}", json!(row))).collect();
        let table = format!(
            "{{\n  \"profile\": \"{PROFILE}\",\n  \"vectors\": [\n{}\n  ]\n}}\n",
            lines.join(",\n")
        );
        fs::write(path(), table).unwrap();
    }
}
