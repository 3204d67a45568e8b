//! Reads rows of a view that has seen the flow's activity.

use std::time::Duration;

use fedsx_kernel::definition::{Effect, Step};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Value, json};

use super::{Undone, required, text};
use crate::{
    flows::{Engine, FlowError, run::Run},
    store::{PageQuery, Row},
};

/// How long the view is waited for, before the flow is put off.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rows where the behaviour does not say, and most bytes of their values.
const ROWS: u32 = 100;
const MAX_ROWS: u32 = 1000;
const MAX_BYTES: u64 = (fedsx_kernel::flow::MAX_VALUE / 2) as u64;

impl Engine {
    pub(super) async fn query(&self, run: &Run, step: &Step, effect: &Effect) -> Result<Value, Undone> {
        let view = required(run, step, effect, "view")?;
        let at_least = run.trigger.position;
        if effect.with("key").is_none() {
            let query = PageQuery {
                view,
                prefix: text(run, step, effect, "prefix")?.unwrap_or_default(),
                after: String::new(),
                limit: limit(run, step, effect)?,
                max_bytes: MAX_BYTES,
                count: false,
            };
            let page = self.serving.page(&query, at_least, PATIENCE).await;
            let rows = page.map_err(behind)?.rows.into_iter();
            let rows = rows.map(|row| json!({ "key": row.key, "value": value(&row) }));
            return Ok(rows.collect());
        }
        // Nothing has no row; what is not there in an activity must not turn into the rows of everybody.
        let Some(key) = text(run, step, effect, "key")? else {
            return Ok(Value::Null);
        };
        let row = self.serving.row(&view, &key, at_least, PATIENCE).await;
        let (row, _) = row.map_err(behind)?;
        let value = row.as_ref().map_or(Value::Null, value);
        if value.to_string().len() > fedsx_kernel::flow::MAX_VALUE {
            return Err(Undone::wrong("the row is larger than a step's value may be"));
        }
        Ok(value)
    }
}

fn limit(run: &Run, step: &Step, effect: &Effect) -> Result<u32, Undone> {
    let said = run.around(&step.id).said(effect, "limit")?;
    let limit = match &said {
        None => Some(ROWS),
        Some(said) => said.as_u64().and_then(|limit| u32::try_from(limit).ok()),
    };
    limit
        .filter(|limit| (1..=MAX_ROWS).contains(limit))
        .ok_or_else(|| Undone::wrong(format!("`limit` is none of 1 to {MAX_ROWS}")))
}

fn value(row: &Row) -> Value {
    serde_json::from_slice(&row.value).unwrap_or_default()
}

fn behind(refusal: Refusal) -> Undone {
    match refusal.code {
        Code::Unavailable => Undone::Away(FlowError::Views(refusal)),
        _ => Undone::refused(&refusal),
    }
}
