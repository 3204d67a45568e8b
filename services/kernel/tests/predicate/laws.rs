//! Laws for every source over every object: no panic, no cost beyond the budget, none beyond the bound, the same again.

use std::env;

use fedsx_kernel::predicate::{Failure, Field, MAX_BOUND, Program, Scope, Verdict};
use proptest::{prelude::*, test_runner::Config};
use serde_json::Value;

use crate::{generated, typed};

/// So many cases, or as many as `PROPTEST_CASES` has it.
pub(crate) fn cases(default: u32) -> Config {
    let cases = env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    Config {
        cases: cases.unwrap_or(default),
        failure_persistence: None,
        ..Config::default()
    }
}

fn scopes() -> [Scope; 3] {
    let field = |max_items, max_length| Field {
        max_items,
        max_length,
    };
    let tags = ("tags", field(Some(4), None));
    let name = ("name", field(None, Some(20)));
    [
        Scope::strict([tags, name]),
        Scope::strict([
            ("tags", field(Some(4), Some(20))),
            ("a", field(Some(0), None)),
            name,
        ]),
        Scope::local(["object"]),
    ]
}

fn holds(source: &str, object: &Value, budget: u64) -> Result<(), TestCaseError> {
    for scope in scopes() {
        let program = match Program::compile(source, &scope) {
            Ok(program) => program,
            Err(invalid) => {
                prop_assert!(
                    invalid.column >= 1 && usize::from(invalid.column) <= source.chars().count() + 1
                );
                prop_assert!(invalid.to_string().len() < 60);
                continue;
            }
        };
        let decided = program.decide(&[object], MAX_BOUND);
        prop_assert_eq!(decided, program.decide(&[object], MAX_BOUND));
        if let Some(bound) = program.bound() {
            prop_assert!(
                bound <= MAX_BOUND && decided.cost <= bound,
                "{} of {bound}",
                decided.cost
            );
            prop_assert_ne!(decided.verdict, Verdict::Failed(Failure::BudgetExceeded));
        }
        affordable(&program, object, budget)?;
    }
    Ok(())
}

/// With the budget that it needs an evaluation ends as with any larger one, with less it is over budget.
fn affordable(program: &Program, object: &Value, budget: u64) -> Result<(), TestCaseError> {
    let whole = program.decide(&[object], MAX_BOUND);
    let part = program.decide(&[object], budget);
    if budget >= whole.cost && whole.verdict != Verdict::Failed(Failure::BudgetExceeded) {
        prop_assert_eq!(part, whole);
    } else if budget < whole.cost {
        prop_assert_eq!(part.verdict, Verdict::Failed(Failure::BudgetExceeded));
        prop_assert_eq!(part.cost, budget);
    }
    let evaluated = program.evaluate(&[object], budget);
    prop_assert!(evaluated.cost <= budget);
    Ok(())
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn what_the_grammar_makes_is_bounded(
        source in generated::expression(), object in generated::object(), budget in 0_u64..2_000
    ) {
        holds(&source, &object, budget)?;
    }

    #[test]
    fn what_has_types_is_bounded(source in typed::boolean(3), object in typed::object(), budget in 0_u64..2_000) {
        holds(&source, &object, budget)?;
    }

    #[test]
    fn words_in_no_order_are_bounded(
        source in generated::soup(), object in generated::object(), budget in 0_u64..200
    ) {
        holds(&source, &object, budget)?;
    }

    #[test]
    fn any_bytes_are_bounded(source in generated::bytes(), object in generated::object(), budget in 0_u64..200) {
        holds(&source, &object, budget)?;
    }
}
