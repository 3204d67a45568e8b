//! Changes the domain's state, with the transition that says so.

use fedsx_kernel::{
    definition::{Effect, EffectKind, Step},
    flow::SPACE,
};
use fedsx_proto::v1::{GetKvRequest, KvChange};
use serde_json::Value;

use super::{Undone, required};
use crate::{
    flows::{Engine, FlowError, commit::Written, run::Run},
    source,
};

impl Engine {
    pub(super) async fn put(
        &self,
        run: &mut Run,
        step: &Step,
        effect: &Effect,
    ) -> Result<Written, FlowError> {
        let key = match required(run, step, effect, "key") {
            Ok(key) => key,
            undone => {
                self.outcome(run, EffectKind::Put, step, undone.map(Value::from))?;
                return Ok(Written::Yes);
            }
        };
        // Written before this ends: a transition changes one key, so that nobody holds one lock and waits for another.
        let _lock = self.locks.lock(&key).await;
        let done = self.change(run, step, effect, &key).await;
        self.outcome(run, EffectKind::Put, step, done)?;
        run.think(self);
        Ok(self.writer.write(run).await?)
    }

    async fn change(&self, run: &mut Run, step: &Step, effect: &Effect, key: &str) -> Result<Value, Undone> {
        let mut client = self.source.client.clone();
        let request = GetKvRequest {
            space: SPACE.to_owned(),
            key: key.to_owned(),
        };
        let item = source::within(client.get_kv(request)).await?.into_inner().item;
        let current = match &item {
            Some(item) => serde_json::from_slice(&item.value).unwrap_or_default(),
            None => Value::Null,
        };
        let value = run.around(&step.id).put(effect, &current)?;
        if value != current {
            run.kv.push(KvChange {
                space: SPACE.to_owned(),
                key: key.to_owned(),
                value: (!value.is_null()).then(|| value.to_string().into()),
                expected_version: Some(item.map_or(0, |item| item.version)),
            });
        }
        Ok(value)
    }
}
