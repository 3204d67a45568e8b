//! What an expression says by its form alone, before there is anything to evaluate it of.

use std::collections::BTreeSet;

use super::{
    profile::{Macro, Node},
    syntax::{Literal, Operator},
};

/// The names of the members of a variable that an expression reads or asks for, as far as it says them itself.
pub(super) fn members(node: &Node, variable: usize) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    collect(node, variable, &mut found);
    found
}

fn collect<'n>(node: &'n Node, variable: usize, found: &mut BTreeSet<&'n str>) {
    let is_variable = |of: &Node| matches!(of, Node::Variable(place) if *place == variable);
    match node {
        Node::Member(of, name, _) | Node::Has(of, name) if is_variable(of) => {
            found.insert(name);
        }
        Node::Index(pair) => {
            if let (of, Node::Literal(Literal::Text(name))) = &**pair
                && is_variable(of)
            {
                found.insert(name);
            }
        }
        _ => {}
    }
    for operand in operands(node) {
        collect(operand, variable, found);
    }
}

/// What a node stands on.
fn operands(node: &Node) -> Vec<&Node> {
    match node {
        Node::Literal(_) | Node::Variable(_) | Node::Item(_) => Vec::new(),
        Node::Member(of, ..)
        | Node::Has(of, _)
        | Node::Not(of)
        | Node::Negate(of)
        | Node::Function(_, of) => {
            vec![of]
        }
        Node::Index(pair) | Node::Binary(_, pair) | Node::Search(_, pair) | Node::Macro(_, pair, _) => {
            vec![&pair.0, &pair.1]
        }
        Node::List(elements) | Node::Chain(_, elements) => elements.iter().collect(),
        Node::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
        Node::Choose(three) => vec![&three.0, &three.1, &three.2],
    }
}

/// Whether an expression could be true or false; one that could not is no predicate, whatever it is asked of.
pub(super) fn may_be_boolean(node: &Node) -> bool {
    match node {
        Node::Literal(literal) => matches!(literal, Literal::Bool(_)),
        Node::List(_) | Node::Map(_) | Node::Negate(_) | Node::Function(..) => false,
        Node::Binary(operator, _) => !matches!(
            operator,
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder
        ),
        Node::Macro(repeated, ..) => !matches!(repeated, Macro::Filter | Macro::Map),
        Node::Choose(three) => may_be_boolean(&three.1) || may_be_boolean(&three.2),
        Node::Variable(_)
        | Node::Item(_)
        | Node::Member(..)
        | Node::Has(..)
        | Node::Index(_)
        | Node::Not(_)
        | Node::Chain(..)
        | Node::Search(..) => true,
    }
}

#[cfg(test)]
mod tests {
    use crate::predicate::{Program, Scope};

    fn compile(source: &str) -> Program {
        Program::compile(source, &Scope::local(["activity", "steps"])).unwrap()
    }

    #[test]
    fn the_members_of_a_variable_are_found_wherever_they_are_read() {
        let all = "has(steps.a) && [steps.b, {'x': -steps.c.d}].exists(i, i == steps['e'] || activity.f) ? \
                   size(steps.g) : steps.h.contains(steps.i)";
        let program = compile(all);
        let members: Vec<_> = program.members_of(1).into_iter().collect();
        assert_eq!(members, ["a", "b", "c", "e", "g", "h", "i"]);
        assert!(compile("[activity].all(steps, steps.a)").members_of(1).is_empty());
    }

    #[test]
    fn what_can_never_be_true_or_false_is_seen_without_a_value() {
        for source in [
            "'x'",
            "1 + activity.a",
            "[true]",
            "size(activity)",
            "activity.a.filter(i, i)",
            "activity ? 'a' : 1",
        ] {
            assert!(!compile(source).may_be_boolean(), "{source}");
        }
        for source in [
            "true",
            "activity.a",
            "1 < 2",
            "activity ? 'a' : true",
            "!activity",
            "activity[0]",
        ] {
            assert!(compile(source).may_be_boolean(), "{source}");
        }
    }
}
