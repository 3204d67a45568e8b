//! Dead letters, sent again or dropped: page by page, the newest first, so that no transaction grows with their number.
//!
//! What is sent again goes to a replay lane, which is younger than where it was, so that a run never comes to it again even
//! where it is refused at once.

use fedsx_proto::v1::{DeadLettersRequest, DropDeadLettersResponse, ReplayDeadLettersResponse};
use fedsx_runtime::code::{Code, Refusal};

use super::{DeliveryService, MAX_PAGE, each, is_full, optional, refuse, some};
use crate::ledger::{DeliveryKey, Filter, PageToken, Replayed, query::DEAD_LETTERS};

impl DeliveryService {
    pub(super) async fn replay(
        &self,
        request: DeadLettersRequest,
    ) -> Result<ReplayDeadLettersResponse, Refusal> {
        let filter = self.which(request).await?;
        let (mut answer, mut after) = (ReplayDeadLettersResponse::default(), None);
        while let Some(page) = self.page(&filter, &mut after).await? {
            let Replayed { replayed, blocked } = self.ledger.replay(&page).await.map_err(refuse)?;
            answer.replayed += replayed;
            answer.blocked += blocked;
            self.wake.sweep.notify_one();
        }
        Ok(answer)
    }

    pub(super) async fn forget(
        &self,
        request: DeadLettersRequest,
    ) -> Result<DropDeadLettersResponse, Refusal> {
        let filter = self.which(request).await?;
        let (mut answer, mut after) = (DropDeadLettersResponse::default(), None);
        while let Some(page) = self.page(&filter, &mut after).await? {
            answer.dropped += self.ledger.forget(&page).await.map_err(refuse)?;
        }
        Ok(answer)
    }

    async fn which(&self, request: DeadLettersRequest) -> Result<Filter, Refusal> {
        let mut filter = Filter {
            states: each("states", &request.states)?,
            origin: optional("origin", &request.origin)?,
            cid: some(request.cid),
            address: some(request.inbox),
        };
        let is_narrow = !filter.states.is_empty()
            || filter.origin.is_some()
            || filter.cid.is_some()
            || filter.address.is_some();
        let malformed = |why: &str| Err(Refusal::new(Code::Malformed, why));
        if is_narrow == request.all {
            return malformed("say which dead letters, or `all` and nothing else");
        }
        if filter.states.is_empty() {
            filter.states = DEAD_LETTERS.to_vec();
        }
        if !filter.is_dead_letters() {
            return malformed("`states`: dead letters are refused or dead");
        }
        if let Some(origin) = &filter.origin {
            self.known(origin).await?;
        }
        Ok(filter)
    }

    /// The next page of a run; none: the run is over.
    async fn page(
        &self,
        filter: &Filter,
        after: &mut Option<Option<PageToken>>,
    ) -> Result<Option<Vec<DeliveryKey>>, Refusal> {
        if *after == Some(None) {
            return Ok(None);
        }
        let rows = self.ledger.list(filter, after.flatten(), MAX_PAGE).await;
        let rows = rows.map_err(refuse)?;
        let last = rows.last().filter(|_| is_full(&rows, MAX_PAGE));
        *after = Some(last.map(crate::ledger::Recorded::token));
        let page: Vec<_> = rows.iter().map(crate::ledger::Recorded::key).collect();
        Ok((!page.is_empty()).then_some(page))
    }
}
