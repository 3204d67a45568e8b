//! Types that an activity's objects name and that are not here: fetched from its actor's origin, before the log checks the
//! objects by them.

use std::{collections::HashSet, time::Duration};

use fedsx_kernel::{
    cid::Cid,
    definition::{self, Kind},
};
use fedsx_runtime::code::{Code, Refusal};
use tokio::time::timeout;

use super::Received;
use crate::{App, problem::Problem};

/// Most types that are fetched for one activity, those that others stand on included.
const MAX_FETCHES: usize = 16;
/// Time for all of them. What was fetched by then stays, so that the next delivery gets further.
const TIME: Duration = Duration::from_secs(6);

/// Has the log keep the types that the activity's objects name, and those that stand behind them.
///
/// # Errors
/// [`Code::Unavailable`] where the log is away. In strict mode, where a type cannot be had: [`Code::FetchFailed`] and
/// [`Code::RateLimited`] where asking again may help, [`Code::TypeUnknown`] where it does not, [`Code::TypeFetchDisabled`]
/// where nothing is fetched. Else the log remarks that the object was not checked.
pub(super) async fn resolve(app: &App, received: &Received) -> Result<(), Problem> {
    let activity = &received.activity;
    if Kind::of_verb(activity.verb()).is_some() {
        return Ok(());
    }
    let named = definition::type_cids(activity.document());
    if named.is_empty() {
        return Ok(());
    }
    let missing = app.log.missing_types(&named).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let fetched = if app.settings.type_fetch {
        let late = |_| Err(failed("the types that it names could not be fetched in time"));
        let fetch = fetch(app, received, &named, missing);
        timeout(TIME, fetch).await.unwrap_or_else(late)
    } else {
        let detail = "it names a type that is not known here, and none are fetched";
        Err(Problem::new(Code::TypeFetchDisabled, detail))
    };
    match fetched {
        Err(problem) if app.settings.strict_object_schema => Err(problem),
        Err(problem) => {
            let Refusal { code, detail } = &problem.refusal;
            tracing::debug!(%code, %detail, "a type could not be had; its object is not checked");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Fetches what is missing, and then what turns out to stand behind it. One that cannot be had keeps no other away; the
/// first of those errors is answered.
async fn fetch(app: &App, received: &Received, named: &[Cid], mut missing: Vec<Cid>) -> Result<(), Problem> {
    let client = received.request.client;
    let (mut asked, mut outcome) = (HashSet::new(), Ok(()));
    loop {
        missing.retain(|cid| !asked.contains(cid));
        if missing.is_empty() {
            return outcome;
        }
        for cid in missing {
            if asked.len() == MAX_FETCHES {
                return outcome.and(Err(failed("it names more types than are fetched at once")));
            }
            let fetched = app.peers.fetch_type(&cid, &received.origin, client).await;
            asked.insert(cid);
            outcome = outcome.and(fetched);
        }
        missing = app.log.missing_types(named).await?;
    }
}

fn failed(why: &str) -> Problem {
    Problem::new(Code::FetchFailed, why)
}
