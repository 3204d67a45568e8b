//! The macros: each goes over a list once.

use super::{Absorbing, Evaluation, Failure, List, Node, Value, range};
use crate::predicate::profile::Macro;

impl<'v> Evaluation<'v> {
    pub(super) fn repeat(
        &mut self,
        repeated: Macro,
        over: &'v Node,
        body: &'v Node,
    ) -> Result<Value<'v>, Failure> {
        let over = self.value(over)?;
        let list = range(over, &mut self.fuel)?;
        match repeated {
            Macro::All => self.absorbing(&list, body, false),
            Macro::Exists => self.absorbing(&list, body, true),
            Macro::ExistsOne => self.exists_one(&list, body),
            Macro::Filter => self.filter(&list, body),
            Macro::Map => self.mapped(&list, body),
        }
    }

    fn with(&mut self, item: Value<'v>, body: &'v Node) -> Result<Value<'v>, Failure> {
        self.fuel.pay(1)?;
        self.items.push(item);
        let value = self.value(body);
        self.items.pop();
        value
    }

    fn absorbing(&mut self, list: &List<'v>, body: &'v Node, decisive: bool) -> Result<Value<'v>, Failure> {
        let mut verdict = Absorbing::new(decisive);
        for item in list.iter() {
            let holds = self.with(item, body).and_then(|value| value.boolean());
            if verdict.is_decided_by(holds)? {
                break;
            }
        }
        verdict.end()
    }

    /// To the end: a failure after the second hit counts, as CEL has it.
    fn exists_one(&mut self, list: &List<'v>, body: &'v Node) -> Result<Value<'v>, Failure> {
        let mut hits = 0_usize;
        for item in list.iter() {
            hits += usize::from(self.with(item, body)?.boolean()?);
        }
        Ok(Value::Bool(hits == 1))
    }

    fn filter(&mut self, list: &List<'v>, body: &'v Node) -> Result<Value<'v>, Failure> {
        let mut kept = Vec::new();
        for item in list.iter() {
            if self.with(item.clone(), body)?.boolean()? {
                self.fuel.pay(1)?;
                kept.push(item);
            }
        }
        Ok(Value::built(kept))
    }

    fn mapped(&mut self, list: &List<'v>, body: &'v Node) -> Result<Value<'v>, Failure> {
        let mut results = Vec::new();
        for item in list.iter() {
            let result = self.with(item, body)?;
            self.fuel.pay(1)?;
            results.push(result);
        }
        Ok(Value::built(results))
    }
}
