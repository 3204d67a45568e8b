//! Flows, from a driver's rows.

use fedsx_kernel::flow::Status;
use jiff::Timestamp;

use super::{Columns, corrupt, unsigned};
use crate::store::{
    Result,
    flows::{FlowRow, KeptBehaviour},
};

/// A row of `behaviour`.
pub(in crate::store) fn behaviour(row: &impl Columns) -> Result<KeptBehaviour> {
    let cid = row.text("cid")?;
    Ok(KeptBehaviour {
        position: unsigned(row, "behaviour", "position", &cid)?,
        name: row.text("name")?,
        record: row.bytes("record")?,
        cid,
    })
}

/// A row of `flow`.
pub(in crate::store) fn flow(row: &impl Columns) -> Result<FlowRow> {
    let id = row.text("id")?;
    let number = |column| unsigned(row, "flow", column, &id);
    let moment = |column| time(row.integer(column)?, column, &id);
    let due = row.optional_integer("due")?;
    let status = Status::parse(&row.text("status")?);
    let waits = serde_json::from_slice(&row.bytes("waits")?);
    Ok(FlowRow {
        name: row.text("name")?,
        behaviour: row.text("behaviour")?,
        activity: row.text("activity")?,
        activity_id: row.text("activity_id")?,
        position: number("position")?,
        verb: row.text("verb")?,
        actor: row.text("actor")?,
        object: row.text("object")?,
        public: row.boolean("public")?,
        started_at: moment("started_at")?,
        version: number("version")?,
        last_position: number("last_position")?,
        moved_at: moment("moved_at")?,
        status: status.ok_or_else(|| corrupt("flow", "status", &id, "is none of ours"))?,
        state: row.bytes("state")?,
        cause: row.text("cause")?,
        needs: row.text("needs")?,
        due: due.map(|due| time(due, "due", &id)).transpose()?,
        waits: waits.map_err(|_| corrupt("flow", "waits", &id, "is no list of steps and keys"))?,
        id,
    })
}

fn time(micros: i64, column: &'static str, id: &str) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|_| corrupt("flow", column, id, "is no time"))
}

/// The id and owner of a row of `flow`.
pub(in crate::store) fn owner(row: &impl Columns) -> Result<(String, String)> {
    Ok((row.text("id")?, row.text("owner")?))
}

/// The id and version of a row of `flow`.
pub(in crate::store) fn version(row: &impl Columns) -> Result<(String, u64)> {
    let id = row.text("id")?;
    let version = unsigned(row, "flow", "version", &id)?;
    Ok((id, version))
}

/// A row of `runner`.
pub(in crate::store) fn runner(row: &impl Columns) -> Result<(String, Vec<String>)> {
    let owner = row.text("owner")?;
    let kinds = serde_json::from_slice(&row.bytes("kinds")?);
    let kinds = kinds.map_err(|_| corrupt("runner", "kinds", &owner, "is no list of kinds"))?;
    Ok((owner, kinds))
}
