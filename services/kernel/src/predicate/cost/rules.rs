//! One rule for each kind of node.

use super::{Declared, Field, Form, Invalid, Item, Known, Node, OBJECT, Rules, TEXT, fuel, unbounded};
use crate::predicate::{
    eval::{CONTAINS, TIMESTAMP},
    profile::{Function, Macro, Search},
    syntax::{Literal, Operator},
};

impl Rules {
    pub(super) fn of(&mut self, node: &Node) -> Result<Known, Invalid> {
        Ok(match node {
            Node::Literal(literal) => leaf(Form::fixed_at(literal_weight(literal)), true),
            Node::Variable(_) => leaf(Form::fixed_at(OBJECT), true),
            Node::Item(place) => {
                let plain = self.items.get(*place).is_some_and(|item| item.plain);
                leaf(Form::item(*place), plain)
            }
            Node::Member(of, _, field) => self.member(of, *field)?,
            Node::Has(of, _) | Node::Not(of) | Node::Negate(of) => Known::scalar(self.of(of)?.cost.and(1)),
            Node::Index(pair) => self.index(pair)?,
            Node::List(elements) => self.list(elements)?,
            Node::Map(entries) => self.map(entries)?,
            Node::Binary(operator, pair) => self.binary(*operator, pair)?,
            Node::Chain(_, operands) => {
                let mut cost = Form::fixed_at(1);
                for operand in operands {
                    cost = cost.plus(&self.of(operand)?.cost);
                }
                Known::scalar(cost)
            }
            Node::Choose(three) => self.choose(three)?,
            Node::Function(function, of) => self.function(*function, of)?,
            Node::Search(search, pair) => self.search(*search, pair)?,
            Node::Macro(repeated, pair, column) => self.repeat(*repeated, pair, *column)?,
        })
    }

    /// What it weighs if it is a text.
    fn text(&self, known: &Known) -> Form {
        match known.plain {
            true => known.weight.clone().least(Form::fixed_at(TEXT), &self.items),
            false => known.weight.clone(),
        }
    }

    /// The lesser text of two.
    fn lesser(&self, first: &Known, second: &Known) -> Form {
        self.text(first).least(self.text(second), &self.items)
    }

    fn member(&mut self, of: &Node, field: Option<Field>) -> Result<Known, Invalid> {
        let of = self.of(of)?;
        let declared = field.map(Declared::from).unwrap_or_default();
        Ok(Known {
            cost: of.cost.and(1 + declared.check),
            weight: declared.weight.map_or(of.weight, Form::fixed_at),
            items: declared.items,
            plain: of.plain,
        })
    }

    fn index(&mut self, (of, index): &(Node, Node)) -> Result<Known, Invalid> {
        let (of, index) = (self.of(of)?, self.of(index)?);
        let key = self.text(&index);
        Ok(Known {
            cost: of.cost.plus(&index.cost).plus(&key).and(1),
            weight: of.weight,
            items: None,
            plain: of.plain,
        })
    }

    fn list(&mut self, elements: &[Node]) -> Result<Known, Invalid> {
        let count = fuel::count(elements.len());
        let mut list = Known {
            items: Some(count),
            ..Known::scalar(Form::fixed_at(count + 1))
        };
        for element in elements {
            let element = self.of(element)?;
            list.cost = list.cost.plus(&element.cost);
            list.weight = list.weight.plus(&element.weight);
            list.plain &= element.plain;
        }
        Ok(list)
    }

    fn map(&mut self, entries: &[(Node, Node)]) -> Result<Known, Invalid> {
        let count = fuel::count(entries.len());
        let mut map = Known {
            items: Some(count),
            ..Known::scalar(Form::fixed_at(count + 1))
        };
        map.weight = Form::fixed_at(count + 1);
        for (key, value) in entries {
            let (key, value) = (self.of(key)?, self.of(value)?);
            let named = self.text(&key);
            map.cost = map.cost.plus(&key.cost).plus(&value.cost).plus(&named);
            map.weight = map.weight.plus(&named).plus(&value.weight);
            map.plain &= key.plain && value.plain;
        }
        Ok(map)
    }

    fn choose(&mut self, (condition, chosen, otherwise): &(Node, Node, Node)) -> Result<Known, Invalid> {
        let (condition, chosen, otherwise) = (self.of(condition)?, self.of(chosen)?, self.of(otherwise)?);
        Ok(Known {
            cost: condition.cost.plus(&chosen.cost.most(&otherwise.cost)).and(1),
            weight: chosen.weight.most(&otherwise.weight),
            items: chosen
                .items
                .zip(otherwise.items)
                .map(|(one, other)| one.max(other)),
            plain: chosen.plain && otherwise.plain,
        })
    }

    fn binary(&mut self, operator: Operator, (left, right): &(Node, Node)) -> Result<Known, Invalid> {
        let is_list = matches!(right, Node::List(_));
        let (left, right) = (self.of(left)?, self.of(right)?);
        let operands = left.cost.plus(&right.cost).and(1);
        let own = match operator {
            Operator::Equal | Operator::NotEqual => left.weight.least(right.weight, &self.items),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                self.lesser(&left, &right)
            }
            Operator::In => self.within(&left, right, is_list),
            Operator::Add => {
                let weight = left.weight.plus(&right.weight);
                return Ok(Known {
                    cost: operands.plus(&weight),
                    weight,
                    items: left
                        .items
                        .zip(right.items)
                        .map(|(one, other)| one.saturating_add(other)),
                    plain: false,
                });
            }
            Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
                Form::default()
            }
        };
        Ok(Known::scalar(operands.plus(&own)))
    }

    /// Every element against `value`, or `value` as a key.
    fn within(&self, value: &Known, within: Known, is_list: bool) -> Form {
        let mut elements = within.weight;
        if let Some(count) = within.items {
            elements = elements.least(value.weight.times(count), &self.items);
        }
        match is_list {
            true => elements,
            false => elements.most(&self.text(value)),
        }
    }

    fn function(&mut self, function: Function, of: &Node) -> Result<Known, Invalid> {
        let of = self.of(of)?;
        let own = match function {
            Function::Size | Function::Int => self.text(&of),
            Function::Timestamp => Form::fixed_at(TIMESTAMP),
            Function::Text => Form::fixed_at(1),
        };
        Ok(Known::scalar(of.cost.plus(&own).and(1)))
    }

    fn search(&mut self, search: Search, (text, part): &(Node, Node)) -> Result<Known, Invalid> {
        let (text, part) = (self.of(text)?, self.of(part)?);
        let own = match search {
            Search::StartsWith | Search::EndsWith => self.lesser(&text, &part),
            Search::Contains => self.text(&text).plus(&self.text(&part)).times(CONTAINS),
        };
        Ok(Known::scalar(text.cost.plus(&part.cost).plus(&own).and(1)))
    }

    fn repeat(
        &mut self,
        repeated: Macro,
        (over, body): &(Node, Node),
        column: u16,
    ) -> Result<Known, Invalid> {
        let over = self.of(over)?;
        let Some(count) = over.items else {
            return unbounded(column);
        };
        let place = self.items.len();
        self.items.push(Item {
            share: over.weight.at_shares(&self.items).div_ceil(count.max(1)),
            plain: over.plain,
        });
        let body = self.of(body);
        self.items.pop();
        let body = body?;
        let builds = u64::from(matches!(repeated, Macro::Filter | Macro::Map));
        let each = body.cost.and(1 + builds).over(place, count, &over.weight);
        // The keys of a map are sorted first.
        let cost = over.cost.plus(&each).and(1).and(count);
        let (weight, plain) = match repeated {
            Macro::Filter => (over.weight, over.plain),
            Macro::Map => (body.weight.over(place, count, &over.weight).and(1), body.plain),
            Macro::All | Macro::Exists | Macro::ExistsOne => return Ok(Known::scalar(cost)),
        };
        let items = Some(count);
        Ok(Known {
            cost,
            weight,
            items,
            plain,
        })
    }
}

fn leaf(weight: Form, plain: bool) -> Known {
    Known {
        weight,
        plain,
        ..Known::scalar(Form::fixed_at(1))
    }
}

fn literal_weight(literal: &Literal) -> u64 {
    match literal {
        Literal::Text(text) => fuel::text(text.len()),
        Literal::Null | Literal::Bool(_) | Literal::Int(_) => 1,
    }
}
