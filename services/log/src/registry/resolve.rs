//! From what an object says of its type to the records that it is checked by.

use std::sync::Arc;

use fedsx_kernel::{
    activity::types_of,
    cid::Cid,
    definition::{self, MAX_CHAIN, TypeRecord, is_activitystreams},
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Map, Value};

use super::stages::{Speaker, Stages};

impl Stages<'_> {
    /// The type that an object names, by CID or, where a local actor speaks, by a name that is bound here.
    pub(super) fn resolve(
        &self,
        object: &Map<String, Value>,
        speaker: Speaker<'_>,
    ) -> Result<Result<(Arc<TypeRecord>, Resolved), Resolved>, Refusal> {
        if let Some(cid) = type_cid(object)? {
            let Some(record) = self.record(&cid) else {
                return Ok(Err(Resolved::Unknown));
            };
            if !types_of(object).any(|name| name == record.name()) {
                let detail = format!(
                    "`object.typeCid` is that of `{}`, which `type` does not name",
                    record.name()
                );
                return Err(Refusal::new(Code::SchemaRefused, detail));
            }
            return Ok(Ok((Arc::clone(record), Resolved::Known)));
        }
        if speaker != Speaker::Remote
            && let Some(record) = types_of(object).find_map(|name| self.registry.type_named(name))
        {
            return Ok(Ok((Arc::clone(record), Resolved::Named(record.cid().clone()))));
        }
        let is_known = types_of(object).all(is_activitystreams);
        Ok(Err(if is_known {
            Resolved::Known
        } else {
            Resolved::Unknown
        }))
    }

    /// A record and those whose rules hold too.
    pub(super) fn chain(&self, first: Arc<TypeRecord>) -> Result<Vec<Arc<TypeRecord>>, Broken> {
        let mut chain = vec![first];
        while let Some(parent) = chain.last().and_then(|record| record.parent()) {
            if chain.len() == MAX_CHAIN {
                return Err(Broken::TooLong);
            }
            let parent = self
                .record(parent)
                .ok_or_else(|| Broken::Missing(parent.clone()))?;
            chain.push(Arc::clone(parent));
        }
        Ok(chain)
    }

    fn record(&self, cid: &Cid) -> Option<&Arc<TypeRecord>> {
        self.registry.type_record(cid).or_else(|| self.fetched.get(cid))
    }
}

/// What became of an object's type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resolved {
    /// By the CID that it names, or ActivityStreams' own.
    Known,
    /// By a name that stands for this record here.
    Named(Cid),
    Unknown,
}

/// Why a chain of `instanceType` cannot be followed to its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Broken {
    Missing(Cid),
    TooLong,
}

impl Broken {
    pub(super) fn refuse(&self, name: &str) -> Refusal {
        match self {
            Self::Missing(cid) => Refusal::new(
                Code::TypeUnknown,
                format!("`{name}` is an instance of {cid}, which is not known here"),
            ),
            Self::TooLong => Refusal::new(
                Code::SchemaRefused,
                format!("`{name}` stands on more than {MAX_CHAIN} records"),
            ),
        }
    }
}

/// Of the types that an object has all at once, none declares a term otherwise than another.
pub(super) fn one_meaning(chain: &[Arc<TypeRecord>]) -> Result<(), Refusal> {
    let Some((first, others)) = chain.split_first() else {
        return Ok(());
    };
    for other in others {
        if let Some(term) = first.terms().conflict(other.terms()) {
            let detail = format!(
                "`context.{term}` of `{}` is not what `{}` declares, which it is an instance of",
                first.name(),
                other.name()
            );
            return Err(Refusal::new(Code::SchemaRefused, detail));
        }
    }
    Ok(())
}

pub(super) fn type_cid(object: &Map<String, Value>) -> Result<Option<Cid>, Refusal> {
    definition::type_cid(object)
        .map_err(|_| Refusal::new(Code::SchemaRefused, "`object.typeCid` is no CID of a record"))
}
