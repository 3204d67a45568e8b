//! Sources that have brought other implementations down.

use fedsx_kernel::{
    json,
    predicate::{Failure, MAX_BOUND, Program, Scope, Verdict},
};
use serde_json::{Value, json};

fn refused(source: &str) -> &'static str {
    let invalid = Program::compile(source, &Scope::local(["object"])).unwrap_err();
    invalid.refusal.code()
}

/// Over budget, and as dear as the budget.
fn is_stopped(source: &str, object: &Value) {
    let program = Program::compile(source, &Scope::local(["object"])).unwrap();
    let decided = program.decide(&[object], MAX_BOUND);
    assert_eq!(
        decided.verdict,
        Verdict::Failed(Failure::BudgetExceeded),
        "{source}"
    );
    assert_eq!(decided.cost, MAX_BOUND);
}

#[test]
fn long_chains_are_refused() {
    assert_eq!(refused(&format!("1{}", "+1".repeat(2000))), "too_long");
    for chain in ["+1", "-1", "*1", "==1", " in 1", ".a", ".size()", "[0]", "?1:1"] {
        let source = format!("1{}", chain.repeat(1000 / chain.len()));
        assert_eq!(refused(&source), "too_deep", "{chain}");
    }
    for chain in ["&&1", "||1"] {
        let source = format!("1{}", chain.repeat(1000 / chain.len()));
        assert_eq!(refused(&source), "too_many_nodes", "{chain}");
    }
}

#[test]
fn deep_nesting_is_refused_before_it_is_read() {
    for opening in [
        "(", "!", "-", "[", "{", "{'a':", "[[", "a[", "size(", "-!", "1?", "1?1:", "(-",
    ] {
        let source = opening.repeat(1024 / opening.len());
        let refusal = refused(&source);
        assert!(
            refusal == "too_deep" || refusal == "syntax",
            "{opening}: {refusal}"
        );
    }
    for opening in ["(", "!", "-", "[", "size(", "{'a':"] {
        assert_eq!(
            refused(&opening.repeat(1024 / opening.len())),
            "too_deep",
            "{opening}"
        );
    }
}

#[test]
fn doubling_is_stopped_by_the_budget() {
    let object = json!({"a": "x".repeat(1 << 16)});
    is_stopped(&format!("[object.a]{}", ".map(x, x + x)".repeat(27)), &object);
    is_stopped(&format!("['a']{}", ".map(x, x + x)".repeat(27)), &object);
    is_stopped(&format!("[['a']]{}", ".map(x, x + x)".repeat(27)), &object);
}

#[test]
fn shared_lists_are_not_compared_for_nothing() {
    let shared = format!("[1]{}", ".map(x, [x, x])".repeat(25));
    is_stopped(&format!("{shared} == {shared}"), &json!({}));
    assert!(Program::compile(&format!("{shared} == {shared}"), &Scope::strict::<&str>([])).is_err());
}

#[test]
fn nested_macros_are_stopped_by_the_budget() {
    let object: Value = json!({"a": (0..100).collect::<Vec<_>>()});
    is_stopped(
        "object.a.all(w, object.a.all(x, object.a.all(y, object.a.all(z, w + x + y + z >= 0))))",
        &object,
    );
}

#[test]
fn an_error_in_any_column_is_told_in_one_short_line() {
    for source in [
        " ".repeat(1000) + "#",
        "é".repeat(500),
        "'".to_owned() + &"\u{1f600}".repeat(250),
    ] {
        let invalid = Program::compile(&source, &Scope::local(["object"])).unwrap_err();
        assert!(invalid.to_string().starts_with("column "));
        assert!(invalid.to_string().len() < 40);
    }
    assert_eq!(refused(&"x".repeat(100_000)), "too_long");
}

#[test]
fn json_deeper_than_any_document_is_not_compared() {
    let deep = (0..120).fold(json!(1), |inner, _| json!([inner]));
    let object = json!({"a": deep, "b": deep});
    let program = Program::compile("object.a == object.b", &Scope::strict::<&str>([])).unwrap();
    assert_eq!(
        program.decide(&[&object], 10_000).verdict,
        Verdict::Failed(Failure::TooNested)
    );
    let copied = Program::compile("object.a", &Scope::local(["object"])).unwrap();
    assert_eq!(copied.evaluate(&[&object], 10_000).value, Err(Failure::TooNested));
}

#[test]
fn a_variable_without_a_value_fails() {
    let program = Program::compile("b", &Scope::local(["a", "b"])).unwrap();
    assert_eq!(
        program.decide(&[&json!(true)], 10).verdict,
        Verdict::Failed(Failure::Unbound)
    );
}

#[test]
fn a_failure_says_nothing_of_the_object() {
    let program = Program::compile("object.secret + 1 == 2", &Scope::strict::<&str>([])).unwrap();
    let decided = program.decide(&[&json!({"secret": "very private"})], MAX_BOUND);
    assert_eq!(
        format!("{decided:?}"),
        "Decided { verdict: Failed(TypeMismatch), cost: 5 }"
    );
}

#[test]
fn the_largest_documents_cost_no_more_than_the_bound() {
    let members: Vec<String> = (0..json::MAX_VALUES - 2)
        .map(|n| format!("\"{n:032}\":0"))
        .collect();
    let mut document = format!("{{{},\"text\":\"", members.join(","));
    document.extend(std::iter::repeat_n('x', json::MAX_BYTES - document.len() - 2));
    document.push_str("\"}");
    let object = json::parse(document.as_bytes()).unwrap();
    for source in [
        "object == object",
        "object in [1, object]",
        "size(object.text) > 0 && object.text <= object.text",
        "object.text.contains('y')",
        "[object].map(o, o.text).exists(t, t == object.text)",
    ] {
        let program = Program::compile(source, &Scope::strict::<&str>([])).unwrap();
        let decided = program.decide(&[&object], MAX_BOUND);
        let bound = program.bound().unwrap();
        assert!(
            decided.cost > 100 && decided.cost <= bound,
            "{source}: {decided:?} of {bound}"
        );
    }
}
