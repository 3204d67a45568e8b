//! One attempt at one delivery: the inbox found, the activity or webhook posted, the answer understood.

use std::{sync::Arc, time::Instant};

use fedsx_kernel::delivery::outcome::Outcome;
use fedsx_runtime::{
    clock::Clock,
    code::{Code, Refusal},
    fetch::Fetcher,
    telemetry,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, field};

use crate::{
    bodies::{Bodies, Body},
    keys::{ActorKey, Keys},
    lane::AddressKind,
    ledger::{Attempt, Claim, Owed},
    metrics::{Metrics, label},
    post::{Brought, post},
    resolve::Resolver,
    schedule::pulse::Pulse,
    watch::Stopwatch,
    wellness::{Failed, Wellness},
};

/// What an attempt needs.
#[derive(Debug)]
pub(crate) struct Attempts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fetcher: Fetcher,
    pub(crate) keys: Keys,
    pub(crate) bodies: Bodies,
    pub(crate) resolver: Resolver,
    pub(crate) wellness: Wellness,
    pub(crate) metrics: Metrics,
    pub(crate) stop: CancellationToken,
}

type Ours = Result<(Arc<Body>, Arc<ActorKey>), Brought>;

impl Attempts {
    /// Makes one attempt. `ahead`: what the lane owes next. None: there is no time for a POST within the claim, or shutdown
    /// has begun.
    ///
    /// # Errors
    /// A [`Refusal`] where something of this domain was missing; the peer was not asked.
    pub(crate) async fn make(
        &self,
        claim: &Claim,
        owed: &Owed,
        ahead: &[Owed],
        watch: &Stopwatch,
        pulse: &Pulse,
    ) -> Result<Option<Attempt>, Arc<Refusal>> {
        waited(claim, owed, watch);
        let span = self.span(claim, owed);
        telemetry::continue_trace(&span, &owed.trace);
        let sent = self
            .send(claim, owed, ahead, watch, pulse)
            .instrument(span.clone());
        let sent = sent.await.inspect_err(|fault| telemetry::refused(&span, fault));
        let Some((brought, asked)) = sent? else {
            return Ok(None);
        };
        let (at, failed) = (watch.now(claim), Instant::now());
        let actor = if brought.outcome == Outcome::OriginFailed {
            // Shutdown does not wait for more answers: unasked, the failure counts for no delivery.
            let asked = self.wellness.ask(&claim.lane, asked, failed);
            self.stop.run_until_cancelled(asked).await.flatten()
        } else {
            None
        };
        Ok(Some(Attempt {
            position: owed.position,
            outcome: brought.outcome,
            at,
            actor,
            status: brought.status,
            cause: brought.cause,
            jitter: rand::random(),
        }))
    }

    /// What came back, and for what.
    async fn send(
        &self,
        claim: &Claim,
        owed: &Owed,
        ahead: &[Owed],
        watch: &Stopwatch,
        pulse: &Pulse,
    ) -> Result<Option<(Brought, Failed)>, Arc<Refusal>> {
        let began = Instant::now();
        let lane = &claim.lane;
        let ours = self.stop.run_until_cancelled(self.ours(claim, owed, ahead)).await;
        let (body, key) = match ours.transpose()? {
            Some(Ok(ours)) => ours,
            Some(Err(brought)) => {
                self.tell(claim, &brought, began);
                return Ok(Some((brought, Failed::Inbox)));
            }
            None => return Ok(None),
        };
        Span::current().record("activitypub.activity.id", body.id.as_str());
        let waiting = pulse.wait();
        let inbox = match lane.kind {
            // A webhook's URL is taken as it is, whatever else goes by this lane.
            _ if body.webhook.is_some() => Arc::from(lane.address.as_str()),
            AddressKind::Inbox => Arc::from(lane.address.as_str()),
            AddressKind::Actor => match self.resolver.inbox(&lane.address, self.clock.now()).await {
                Ok(inbox) => inbox,
                Err(brought) => {
                    self.tell(claim, &brought, began);
                    return Ok(Some(((*brought).clone(), Failed::Actor)));
                }
            },
        };
        Span::current().record("url.full", &*inbox);
        let traceparent = telemetry::current_traceparent();
        if self.stop.is_cancelled() || !watch.may_post(claim) {
            return Ok(None);
        }
        let now = self.clock.now();
        let brought = post(&self.fetcher, &inbox, &body, &key, traceparent.as_deref(), now).await?;
        if brought.status > 0 {
            waiting.answered();
        }
        if lane.kind == AddressKind::Actor && body.webhook.is_none() && matches!(brought.status, 404 | 410) {
            self.resolver.forget(&lane.address).await;
        }
        self.tell(claim, &brought, began);
        Ok(Some((brought, Failed::Inbox)))
    }

    /// What an attempt needs of this domain; or what it brings at once, where a webhook can never be posted.
    async fn ours(&self, claim: &Claim, owed: &Owed, ahead: &[Owed]) -> Result<Ours, Arc<Refusal>> {
        let body = self.bodies.at(owed.position, ahead).await?;
        let lane = &claim.lane;
        if let Some(webhook) = &body.webhook
            && !webhook.is_for(&lane.actor, &lane.address)
        {
            return Ok(Err(Brought::refused(webhook.unfit())));
        }
        match self.keys.of(&lane.actor).await {
            Ok(key) => Ok(Ok((body, key))),
            // A flow may name an actor that there is not.
            Err(fault) if fault.code == Code::NotFound && body.webhook.is_some() => {
                Ok(Err(Brought::refused(fault.to_string())))
            }
            Err(fault) => Err(fault),
        }
    }

    fn span(&self, claim: &Claim, owed: &Owed) -> Span {
        tracing::info_span!(
            "activitypub.send_activity",
            "otel.kind" = "client",
            "http.request.method" = "POST",
            "http.request.resend_count" = owed.tries,
            "server.address" = claim.lane.origin.authority(),
            "url.full" = field::Empty,
            "http.response.status_code" = field::Empty,
            "messaging.operation.type" = "process",
            "messaging.destination.name" = "deliver",
            "activitypub.activity.id" = field::Empty,
            "activitypub.actor.id" = claim.lane.actor,
        )
    }

    fn tell(&self, claim: &Claim, brought: &Brought, began: Instant) {
        let (span, name) = (Span::current(), label(brought.outcome));
        if brought.status > 0 {
            span.record("http.response.status_code", brought.status);
        }
        if brought.outcome != Outcome::Delivered {
            telemetry::fail(&span, name, brought.cause.clone());
            tracing::debug!(
                inbox = claim.lane.address,
                outcome = name,
                cause = brought.cause,
                "not delivered"
            );
        }
        let seconds = began.elapsed().as_secs_f64();
        self.metrics
            .attempted(&claim.lane.origin, brought.outcome, brought.status, seconds);
    }
}

/// Shows in the delivery's trace how long it waited since it was due: in the queue, for a worker, and for those before it in
/// its lane.
fn waited(claim: &Claim, owed: &Owed, watch: &Stopwatch) {
    let wait = watch.now(claim).duration_since(owed.next_at);
    let attributes = [
        ("messaging.operation.type", "receive"),
        ("messaging.destination.name", "deliver"),
        ("server.address", claim.lane.origin.authority()),
    ];
    telemetry::waited(
        "queue wait",
        &owed.trace,
        wait.try_into().unwrap_or_default(),
        &attributes,
    );
}
