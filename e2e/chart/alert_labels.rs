//! Labels that an alert's text names are those that its expression leaves.

use std::collections::BTreeSet;

use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector, parse};

use crate::{alerts::alerts, helm::text};

/// The labels of what an expression answers.
#[derive(Debug, Clone, PartialEq)]
enum Labels {
    /// Whatever the series has.
    Any,
    Only(BTreeSet<String>),
}

impl Labels {
    fn only<S: Into<String>>(labels: impl IntoIterator<Item = S>) -> Self {
        Self::Only(labels.into_iter().map(Into::into).collect())
    }

    fn has(&self, label: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(labels) => labels.contains(label),
        }
    }

    /// Those that both have: of `or`, either may answer.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, labels) | (labels, Self::Any) => labels,
            (Self::Only(one), Self::Only(other)) => Self::only(one.intersection(&other).cloned()),
        }
    }

    fn with(self, label: &str) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Only(labels) => Self::only(labels.into_iter().chain([label.to_owned()])),
        }
    }
}

fn left(expression: &Expr) -> Labels {
    match expression {
        Expr::Aggregate(aggregate) => grouped(aggregate),
        Expr::Binary(binary) => joined(binary),
        Expr::Call(call) => called(call),
        Expr::Paren(inner) => left(&inner.expr),
        Expr::Unary(inner) => left(&inner.expr),
        Expr::Subquery(inner) => left(&inner.expr),
        Expr::VectorSelector(_) | Expr::MatrixSelector(_) => Labels::Any,
        _ => Labels::only([""; 0]),
    }
}

fn grouped(aggregate: &AggregateExpr) -> Labels {
    match &aggregate.modifier {
        Some(LabelModifier::Include(by)) => Labels::only(by.labels.clone()).and(left(&aggregate.expr)),
        None => Labels::only([""; 0]),
        Some(LabelModifier::Exclude(_)) => panic!("no alert groups without labels so far: {aggregate}"),
    }
}

fn joined(binary: &BinaryExpr) -> Labels {
    let (one, other) = (left(&binary.lhs), left(&binary.rhs));
    match (&*binary.op.to_string(), &*binary.lhs) {
        ("or", _) => one.and(other),
        (_, Expr::NumberLiteral(_)) => other,
        _ => one,
    }
}

fn called(call: &Call) -> Labels {
    let arguments: Vec<&Expr> = call.args.args.iter().map(|argument| &**argument).collect();
    match (call.func.name, &*arguments) {
        ("label_replace", [inner, Expr::StringLiteral(label), ..]) => left(inner).with(&label.val),
        // It has the labels that its selector asks for, where it is one.
        ("absent", [Expr::VectorSelector(selector)]) => asked_for(selector),
        ("absent" | "scalar" | "vector" | "time", _) => Labels::only([""; 0]),
        (_, arguments) => arguments.last().map_or(Labels::Any, |inner| left(inner)),
    }
}

fn asked_for(selector: &VectorSelector) -> Labels {
    let equal = selector.matchers.matchers.iter();
    let equal = equal.filter(|matcher| matcher.op.to_string() == "=");
    Labels::only(equal.map(|matcher| matcher.name.clone()))
}

/// The labels that a text names: `$labels.role`.
fn named(text: &str) -> Vec<&str> {
    let names = text.split("$labels.").skip(1);
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    names
        .map(|rest| &rest[..rest.find(|letter| !is_name(letter)).unwrap_or(rest.len())])
        .collect()
}

#[test]
fn a_label_that_a_text_names_is_one_that_its_alert_has() {
    let mut found = 0;
    for alert in alerts() {
        let labels = left(&parse(text(&alert["expr"])).unwrap());
        for annotation in alert["annotations"].as_object().unwrap().values() {
            for label in named(text(annotation)) {
                assert!(labels.has(label), "{} has no {label}: {labels:?}", alert["alert"]);
                found += 1;
            }
        }
    }
    assert!(found > 8, "{found}");
}

#[test]
fn labels_are_those_that_prometheus_leaves() {
    let of = |expression: &str| left(&parse(expression).unwrap());
    let none = Labels::only([""; 0]);
    for (expression, expected) in [
        ("up", Labels::Any),
        ("absent(up{role=\"log\",job!=\"x\"})", Labels::only(["role"])),
        ("absent(up{role=\"log\"} == 1)", none.clone()),
        ("sum(up)", none.clone()),
        ("sum by (host) (rate(x[5m])) > 1", Labels::only(["host"])),
        ("max by (le) (x) or sum by (le, host) (x)", Labels::only(["le"])),
        ("2 * max by (host) (x)", Labels::only(["host"])),
        (
            "label_replace(absent(up == 1), \"role\", \"log\", \"\", \"\")",
            Labels::only(["role"]),
        ),
    ] {
        assert_eq!(of(expression), expected, "{expression}");
    }
}
