//! Reads rows of a view that has seen the flow's activity.

use std::time::Duration;

use fedsx_kernel::{
    definition::{Effect, MAX_ROWS, Step},
    flow::MAX_VALUE,
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Value, json};

use super::{Undone, required, text};
use crate::{
    flows::{Engine, FlowError, run::Run},
    store::{PageQuery, Row},
};

/// How long the view is waited for, before the flow is put off.
const PATIENCE: Duration = Duration::from_secs(5);

impl Engine {
    pub(super) async fn query(&self, run: &Run, step: &Step, effect: &Effect) -> Result<Value, Undone> {
        let view = required(run, step, effect, "view")?;
        let at_least = run.trigger.position;
        if effect.with("key").is_none() {
            return self.rows(run, step, effect, view).await;
        }
        // Nothing has no row; what is not there in an activity must not turn into the rows of everybody.
        let Some(key) = text(run, step, effect, "key")? else {
            return Ok(Value::Null);
        };
        let row = self.serving.row(&view, &key, at_least, PATIENCE).await;
        let (row, _) = row.map_err(behind)?;
        let value = row.as_ref().map_or(Value::Null, value);
        if value.to_string().len() > MAX_VALUE {
            return Err(Undone::wrong("the row is larger than a step's value may be"));
        }
        Ok(value)
    }

    /// As many as are asked for, or else all: nobody is left out without a word.
    async fn rows(&self, run: &Run, step: &Step, effect: &Effect, view: String) -> Result<Value, Undone> {
        let wanted = limit(run, step, effect)?;
        let query = PageQuery {
            view,
            prefix: text(run, step, effect, "prefix")?.unwrap_or_default(),
            after: String::new(),
            limit: wanted.unwrap_or(MAX_ROWS),
            max_bytes: MAX_VALUE as u64,
            count: true,
        };
        let page = self.serving.page(&query, run.trigger.position, PATIENCE).await;
        let page = page.map_err(behind)?;
        let wanted = wanted.map_or(page.total, |wanted| page.total.min(wanted.into()));
        if wanted > u64::from(MAX_ROWS) {
            let problem = format!("there are {wanted} rows, more than {MAX_ROWS}: ask for a `limit`");
            return Err(Undone::wrong(problem));
        }
        let found = page.rows.len() as u64;
        let rows = page.rows.into_iter();
        let rows: Value = rows
            .map(|row| json!({ "key": row.key, "value": value(&row) }))
            .collect();
        if found < wanted || rows.to_string().len() > MAX_VALUE {
            let problem = format!("the {wanted} rows have more than {MAX_VALUE} bytes: ask for fewer");
            return Err(Undone::wrong(problem));
        }
        Ok(rows)
    }
}

fn limit(run: &Run, step: &Step, effect: &Effect) -> Result<Option<u32>, Undone> {
    let Some(said) = run.around(&step.id).said(effect, "limit")? else {
        return Ok(None);
    };
    let limit = said.as_u64().and_then(|limit| u32::try_from(limit).ok());
    let limit = limit.filter(|limit| (1..=MAX_ROWS).contains(limit));
    limit
        .map(Some)
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
