//! The domain's own types, for the effect `validate`.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use fedsx_kernel::{
    cid::Cid,
    definition::{BehaviourRecord, EffectKind, Kind, MAX_CHAIN, Step, TypeRecord, check},
};
use fedsx_proto::v1::GetTypeRequest;
use fedsx_runtime::code::Code;
use serde_json::{Value, json};

use crate::source::{self, Source, SourceError};

/// The types in effect. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    source: Source,
    known: Arc<RwLock<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The position of the last definition; none: it was never looked at.
    read: Option<u64>,
    /// The records that an object of each type is checked by.
    chains: HashMap<String, Arc<[TypeRecord]>>,
}

impl Types {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            known: Arc::default(),
        }
    }

    /// Learns what has been defined up to now, where one of the behaviours checks anything by it.
    ///
    /// # Errors
    /// [`SourceError`]
    pub(crate) async fn refresh(&self, behaviours: &[Arc<BehaviourRecord>]) -> Result<(), SourceError> {
        let steps = behaviours.iter().flat_map(|behaviour| behaviour.steps());
        let mut effects = steps.filter_map(Step::effect);
        if !effects.any(|effect| effect.kind == EffectKind::Validate) {
            return Ok(());
        }
        let known = self.known.read().ok().and_then(|known| known.read);
        let defined = self.source.definitions(known).await?;
        let chains = if known == Some(defined.position) {
            None
        } else {
            Some(self.chains(&defined.definitions).await?)
        };
        if let Ok(mut known) = self.known.write() {
            known.read = Some(defined.position);
            if let Some(chains) = chains {
                known.chains = chains;
            }
        }
        Ok(())
    }

    async fn chains(
        &self,
        definitions: &[fedsx_proto::v1::Definition],
    ) -> Result<HashMap<String, Arc<[TypeRecord]>>, SourceError> {
        let types = definitions
            .iter()
            .filter(|definition| definition.kind == Kind::Type.as_str());
        let records: Vec<TypeRecord> = types
            .filter_map(|definition| TypeRecord::parse(&definition.body).ok())
            .collect();
        let mut found: HashMap<Cid, TypeRecord> = records
            .iter()
            .map(|record| (record.cid().clone(), record.clone()))
            .collect();
        let mut chains = HashMap::new();
        for record in records {
            let name = record.name().to_owned();
            let mut chain = vec![record];
            while let Some(parent) = chain.last().and_then(TypeRecord::parent).cloned()
                && chain.len() < MAX_CHAIN
            {
                if let Some(record) = self.fetch(&mut found, &parent).await? {
                    chain.push(record);
                } else {
                    break;
                }
            }
            chains.insert(name, Arc::from(chain));
        }
        Ok(chains)
    }

    /// A record that is in effect no longer, or a peer's.
    async fn fetch(
        &self,
        found: &mut HashMap<Cid, TypeRecord>,
        cid: &Cid,
    ) -> Result<Option<TypeRecord>, SourceError> {
        if let Some(record) = found.get(cid) {
            return Ok(Some(record.clone()));
        }
        let mut client = self.source.client.clone();
        let request = GetTypeRequest { cid: cid.to_string() };
        let record = match source::within(client.get_type(request)).await {
            Ok(answer) => TypeRecord::parse(&answer.into_inner().body).ok(),
            Err(SourceError::Refused(refusal)) if refusal.code == Code::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(record) = &record {
            found.insert(cid.clone(), record.clone());
        }
        Ok(record)
    }

    /// Checks an object by a type of this domain: `{valid, problem}`. None: there is no such type.
    pub(crate) fn check(&self, name: &str, object: &Value) -> Option<Value> {
        let chain = self.known.read().ok()?.chains.get(name).cloned()?;
        let Some(object) = object.as_object() else {
            return Some(json!({ "valid": false, "problem": "it is no object" }));
        };
        let mut problems = chain
            .iter()
            .filter_map(|record| check(object, record.name(), record.schema()).err());
        Some(match problems.next() {
            None => json!({ "valid": true }),
            Some(violation) => json!({ "valid": false, "problem": violation.to_string() }),
        })
    }
}
