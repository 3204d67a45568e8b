//! Limits by client address and by origin: how often, and how many at once.
//!
//! Each gateway counts for itself: behind a balancer that spreads a client's requests over several, the limits hold as
//! many times as there are gateways.

pub(crate) mod rate;
pub(crate) mod share;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::Response,
};
use fedsx_kernel::origin::Origin;
use fedsx_runtime::{
    code::{Code, Refusal},
    serve::network,
};
use http::HeaderName;

use crate::{App, problem::Problem, settings::Settings};
use rate::Limiter;
use share::Shares;

/// How often keys that have recovered are dropped from memory.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// How long giving back may take at the end.
const LAST: Duration = Duration::from_secs(2);

/// The limits of a gateway.
#[derive(Debug)]
pub(crate) struct Limits {
    clients: Limiter<IpAddr>,
    under_way: Shares<IpAddr>,
    senders: Limiter<Origin>,
    authors: Limiter<Origin>,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            clients: Limiter::new(settings.client_rate),
            under_way: Shares::new(settings.client_requests),
            senders: Limiter::new(settings.origin_rate),
            authors: Limiter::new(settings.origin_rate),
        }
    }

    /// Counts an activity that its own origin sent: its HTTP signature holds, so that a claim costs its victim nothing.
    pub(crate) fn sent_by(&self, origin: &Origin) -> Result<(), Problem> {
        self.senders
            .check(origin)
            .map_err(|wait| slow_down("the origin", wait))
    }

    /// Counts an activity whose proof holds and whose sender was not verified: whether it may pass so. Where others have
    /// used this up by forwarding what the origin said, it can still show that it is the sender.
    pub(crate) fn said_by(&self, origin: &Origin) -> bool {
        self.authors.check(origin).is_ok()
    }

    fn forget_recovered(&self) {
        self.clients.forget_recovered();
        self.senders.forget_recovered();
        self.authors.forget_recovered();
    }
}

/// Drops what has recovered and gives back what is not needed, until shutdown.
pub(crate) async fn housekeeping(app: App) {
    let stop = app.context.shutdown.token();
    while stop
        .run_until_cancelled(tokio::time::sleep(HOUSEKEEPING))
        .await
        .is_some()
    {
        app.limits.forget_recovered();
        app.peers.forget_recovered();
        app.quota.give_back_idle(&app.log).await;
    }
    let _ = tokio::time::timeout(LAST, app.quota.give_back_all(&app.log)).await;
}

/// Whom a request comes from, as far as limits go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) IpAddr);

impl Client {
    /// Of a request that has passed [`by_client`]; all that have not count as one.
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        extensions
            .get()
            .copied()
            .unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }
}

/// Limits requests by client address before anything is read from them.
pub(crate) async fn by_client(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let client = client(&request, app.settings.client_address_header.as_ref());
    request.extensions_mut().insert(Client(client));
    app.limits
        .clients
        .check(&client)
        .map_err(|wait| slow_down("the client's address", wait))?;
    let Some(_under_way) = app.limits.under_way.try_take(client) else {
        let detail = "the client's address has too many requests under way";
        return Err(Problem::new(Code::RateLimited, detail));
    };
    Ok(next.run(request).await)
}

fn slow_down(who: &str, wait: Duration) -> Problem {
    Problem::after(
        Refusal::new(Code::RateLimited, format!("{who} sends faster than is read here")),
        wait,
    )
}

/// The client's address, as a proxy names it or as it connected.
fn client(request: &Request, header: Option<&HeaderName>) -> IpAddr {
    let named = header
        .and_then(|name| request.headers().get_all(name).iter().next_back())
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit(',').next())
        .and_then(|address| parse_address(address.trim()));
    let connected = || {
        request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip())
    };
    network(
        named
            .or_else(connected)
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    )
}

fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(forwarded: &[&str]) -> Request {
        let mut builder = Request::builder();
        for value in forwarded {
            builder = builder.header("x-forwarded-for", *value);
        }
        let mut request = builder.body(Body::empty()).unwrap();
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 9))));
        request
    }

    #[test]
    fn the_last_forwarded_address_counts_only_behind_a_proxy() {
        let header = HeaderName::from_static("x-forwarded-for");
        let request = request(&["1.1.1.1", "2.2.2.2, 3.3.3.3"]);
        assert_eq!(
            client(&request, Some(&header)),
            "3.3.3.3".parse::<IpAddr>().unwrap()
        );
        assert_eq!(client(&request, None), "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn nonsense_from_a_proxy_falls_back_to_the_connection() {
        let header = HeaderName::from_static("x-forwarded-for");
        assert_eq!(
            client(&request(&["unknown"]), Some(&header)),
            "10.0.0.1".parse::<IpAddr>().unwrap()
        );
        assert_eq!(
            client(&request(&["[::ffff:9.9.9.9]:80"]), Some(&header)),
            "9.9.9.9".parse::<IpAddr>().unwrap()
        );
    }
}
