//! Which flows are listed: the statement, the same in every backend.

use fedsx_kernel::flow::Status;
use fedsx_runtime::database::integer;
use sqlx::{Database, Encode, QueryBuilder, Type};

use super::{FlowQuery, written::digest};

/// What a part of the list is found by.
#[derive(Debug, Clone, Copy)]
enum By<'q> {
    Latest,
    Prefix(&'q str),
    Activity(&'q str),
    ActivityId(&'q str),
    Object(&'q str),
    Status(Status),
}

/// Each part in the order of an index that begins with what it is found by, and no further than the list, which is made of
/// them: so that a list costs what it shows, however many flows there are.
pub(in crate::store) fn listing<DB: Database>(query: &FlowQuery) -> QueryBuilder<DB>
where
    for<'t> &'t str: Encode<'t, DB> + Type<DB>,
    for<'t> String: Encode<'t, DB> + Type<DB>,
    for<'t> i64: Encode<'t, DB> + Type<DB>,
    for<'t> Vec<u8>: Encode<'t, DB> + Type<DB>,
{
    let mut builder = QueryBuilder::new("");
    for (number, by) in parts(query).into_iter().enumerate() {
        let begin = if number == 0 { "" } else { " UNION ALL " };
        builder
            .push(begin)
            .push("SELECT * FROM (SELECT * FROM flow WHERE ");
        part(&mut builder, query, by);
        builder.push(" ORDER BY position DESC, id LIMIT ");
        builder.push_bind(i64::from(query.limit)).push(") AS part");
    }
    builder.push(" ORDER BY position DESC, id LIMIT ");
    builder.push_bind(i64::from(query.limit));
    builder
}

/// Whether there can be such flows: of texts with NUL, and of none, nothing is kept.
pub(in crate::store) fn is_kept(query: &FlowQuery) -> bool {
    let texts = [&query.name, &query.activity, &query.object, &query.prefix];
    let mut texts = texts.into_iter().flatten();
    texts.all(|text| !text.is_empty() && !text.contains('\0'))
}

fn parts(query: &FlowQuery) -> Vec<By<'_>> {
    match (&query.activity, &query.object) {
        (Some(activity), _) => vec![By::Activity(activity), By::ActivityId(activity)],
        (_, Some(object)) => vec![By::Object(object)],
        _ if query.prefix.is_some() => query.prefix.iter().map(|prefix| By::Prefix(prefix)).collect(),
        _ if query.statuses.is_empty() => vec![By::Latest],
        _ => {
            let mut statuses = query.statuses.clone();
            statuses.sort_unstable();
            statuses.dedup();
            statuses.into_iter().map(By::Status).collect()
        }
    }
}

fn part<DB: Database>(builder: &mut QueryBuilder<DB>, query: &FlowQuery, by: By<'_>)
where
    for<'t> &'t str: Encode<'t, DB> + Type<DB>,
    for<'t> String: Encode<'t, DB> + Type<DB>,
    for<'t> i64: Encode<'t, DB> + Type<DB>,
    for<'t> Vec<u8>: Encode<'t, DB> + Type<DB>,
{
    match by {
        By::Latest => builder.push("TRUE"),
        By::Prefix(prefix) => begins(builder, prefix),
        By::Activity(cid) => builder.push("activity = ").push_bind(cid),
        By::ActivityId(id) => {
            builder.push("activity_id_hash = ").push_bind(digest(id));
            // Those with this CID are of the other part.
            builder.push(" AND activity <> ").push_bind(id);
            builder.push(" AND activity_id = ").push_bind(id)
        }
        By::Object(id) => {
            builder.push("object_hash = ").push_bind(digest(id));
            builder.push(" AND object = ").push_bind(id)
        }
        // Said, not bound: how many there are of each is known when the statement is planned.
        By::Status(status) => builder.push("status = '").push(status).push("'"),
    };
    if let Some(prefix) = query.prefix.as_ref().filter(|_| !matches!(by, By::Prefix(_))) {
        builder.push(" AND ");
        begins(builder, prefix);
    }
    if let (Some(_), Some(object)) = (&query.activity, &query.object) {
        builder.push(" AND object = ").push_bind(object.as_str());
    }
    if let Some(name) = &query.name {
        builder.push(" AND name = ").push_bind(name.as_str());
    }
    if query.public_only {
        builder.push(" AND public");
    }
    if !matches!(by, By::Status(_)) && !query.statuses.is_empty() {
        let statuses: Vec<&str> = query.statuses.iter().map(|status| status.as_str()).collect();
        builder
            .push(" AND status IN ('")
            .push(statuses.join("', '"))
            .push("')");
    }
    if let Some((position, id)) = &query.after {
        let position = integer(*position);
        // No id has NUL: those after this part are those after the whole.
        let id = id.split('\0').next().unwrap_or_default();
        builder.push(" AND position <= ").push_bind(position);
        builder.push(" AND (position < ").push_bind(position);
        builder.push(" OR id > ").push_bind(id).push(")");
    }
}

/// What begins so comes before whatever goes on with the character after `z`.
fn begins<'b, DB: Database>(builder: &'b mut QueryBuilder<DB>, prefix: &str) -> &'b mut QueryBuilder<DB>
where
    for<'t> String: Encode<'t, DB> + Type<DB>,
{
    builder.push("id >= ").push_bind(prefix.to_owned());
    builder.push(" AND id < ").push_bind(format!("{prefix}{{"))
}
