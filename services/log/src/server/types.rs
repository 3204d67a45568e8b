//! Types by their CIDs: those defined here, and peers'.

use fedsx_kernel::{
    cid::Cid,
    definition::{MAX_OBJECTS, MAX_RECORD, TypeRecord},
    origin::Origin,
};
use fedsx_proto::v1::{
    EvictPeerTypeRequest, EvictPeerTypeResponse, GetTypeRequest, KeepPeerTypeRequest, KeepPeerTypeResponse,
    KnownType, ListPeerTypesRequest, ListPeerTypesResponse, MissingTypesRequest, MissingTypesResponse,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    database::StoreError,
    token::Role,
};

use super::LogService;
use crate::{
    authority::{self, Action},
    limits,
    peer_types::MAX_FOR_ONE,
    refusal::malformed,
    store::PeerTypeRow,
};

pub(super) async fn get(log: &LogService, request: GetTypeRequest) -> Result<KnownType, Refusal> {
    let cid = cid(&request.cid)?;
    if let Some(own) = own(log, &cid) {
        return Ok(own);
    }
    if let Some(row) = log.types.get(&cid).await.map_err(refuse)? {
        return Ok(known(row));
    }
    // Perhaps another replica has defined it a moment ago.
    log.follow().await?;
    own(log, &cid).ok_or_else(|| Refusal::new(Code::NotFound, "the log has no such type"))
}

pub(super) async fn missing(
    log: &LogService,
    request: MissingTypesRequest,
) -> Result<MissingTypesResponse, Refusal> {
    if request.cids.len() > MAX_OBJECTS {
        let count = request.cids.len();
        return Err(malformed(format!(
            "`cids` has {count}, at most {MAX_OBJECTS} are looked up"
        )));
    }
    let roots = request
        .cids
        .iter()
        .map(|text| cid(text))
        .collect::<Result<Vec<_>, _>>()?;
    let chains = async || {
        let registry = log.registry.get();
        let chains = log.types.chains(&registry, roots.clone(), MAX_FOR_ONE).await;
        chains.map_err(|error| error.refuse())
    };
    let mut missing = chains().await?.missing;
    if !missing.is_empty() {
        log.follow().await?;
        missing = chains().await?.missing;
    }
    Ok(MissingTypesResponse {
        cids: missing.iter().map(ToString::to_string).collect(),
    })
}

pub(super) async fn keep(
    log: &LogService,
    role: Role,
    request: KeepPeerTypeRequest,
) -> Result<KeepPeerTypeResponse, Refusal> {
    authority::check(role, Action::KeepPeerType)?;
    if request.body.len() > MAX_RECORD {
        let detail = format!(
            "`body` has {} bytes, at most {MAX_RECORD} are taken",
            request.body.len()
        );
        return Err(Refusal::new(Code::TooLarge, detail));
    }
    let origin: Origin = request
        .origin
        .parse()
        .map_err(|error| malformed(format!("`origin` {error}")))?;
    let record = TypeRecord::parse(&request.body)
        .map_err(|error| Refusal::new(Code::SchemaRefused, format!("no type record: {error}")))?;
    let registry = log.registry.get();
    let kept = match registry.type_record(record.cid()) {
        Some(_) => false,
        None => log
            .types
            .keep(&registry, &record, &origin)
            .await
            .map_err(refuse)?,
    };
    Ok(KeepPeerTypeResponse {
        cid: record.cid().to_string(),
        name: record.name().to_owned(),
        kept,
    })
}

pub(super) async fn list(
    log: &LogService,
    request: ListPeerTypesRequest,
) -> Result<ListPeerTypesResponse, Refusal> {
    let limit = limits::page(request.limit)?;
    let rows = log.types.list(&request.after, limit).await.map_err(refuse)?;
    Ok(ListPeerTypesResponse {
        types: rows.into_iter().map(known).collect(),
    })
}

pub(super) async fn evict(
    log: &LogService,
    role: Role,
    request: EvictPeerTypeRequest,
) -> Result<EvictPeerTypeResponse, Refusal> {
    authority::check(role, Action::EvictPeerType)?;
    let cid = cid(&request.cid)?;
    log.follow().await?;
    let registry = log.registry.get();
    if registry.type_record(&cid).is_some() {
        let detail = "it was defined here, and what was said by it stays readable";
        return Err(Refusal::new(Code::Forbidden, detail));
    }
    if let Some(name) = log
        .types
        .spared(&registry)
        .await
        .map_err(refuse)?
        .get(cid.as_str())
    {
        let detail = format!("the type `{name}`, which was defined here, stands on it");
        return Err(Refusal::new(Code::Forbidden, detail));
    }
    match log.types.evict(&cid).await.map_err(refuse)? {
        true => Ok(EvictPeerTypeResponse {}),
        false => Err(Refusal::new(
            Code::NotFound,
            "the log keeps no such type of a peer",
        )),
    }
}

fn own(log: &LogService, cid: &Cid) -> Option<KnownType> {
    let registry = log.registry.get();
    let record = registry.type_record(cid)?;
    Some(KnownType {
        cid: record.cid().to_string(),
        name: record.name().to_owned(),
        bytes: u64::try_from(record.canonical().len()).unwrap_or(u64::MAX),
        body: record.canonical().to_vec().into(),
        ..KnownType::default()
    })
}

fn known(row: PeerTypeRow) -> KnownType {
    KnownType {
        cid: row.cid,
        name: row.name,
        body: row.body,
        bytes: row.bytes,
        origin: row.origin,
        fetched_at_us: row.fetched_at.as_microsecond(),
        used_at_us: row.used_at.as_microsecond(),
    }
}

fn cid(text: &str) -> Result<Cid, Refusal> {
    text.parse().map_err(|error| malformed(format!("`cid`: {error}")))
}

fn refuse(error: StoreError) -> Refusal {
    error.refuse()
}
