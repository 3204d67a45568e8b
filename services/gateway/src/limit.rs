//! Limits by client address, by verified origin and by the target of a fetch.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::Response,
};
use fedsx_kernel::origin::Origin;
use fedsx_runtime::code::{Code, Refusal};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DashMapStateStore,
};
use http::HeaderName;

use crate::{App, problem::Problem, settings::Rate, settings::Settings};

/// How often keys that have recovered are dropped from memory.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// A token bucket for each key. One without a rate lets everything through.
#[derive(Debug)]
pub(crate) struct Limiter<K: Hash + Eq + Clone>(Option<RateLimiter<K, DashMapStateStore<K>, DefaultClock>>);

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self(
            rate.map(|rate| RateLimiter::dashmap(Quota::per_second(rate.per_second).allow_burst(rate.burst))),
        )
    }

    /// Takes one; the error is how long to wait.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter
            .check_key(key)
            .map_err(|denied| denied.wait_time_from(limiter.clock().now()))
    }

    pub(crate) fn forget_recovered(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// The limits of a gateway.
#[derive(Debug)]
pub(crate) struct Limits {
    clients: Limiter<IpAddr>,
    origins: Limiter<Origin>,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            clients: Limiter::new(settings.client_rate),
            origins: Limiter::new(settings.origin_rate),
        }
    }

    /// Counts an activity of an origin whose signature holds: a claim costs its victim nothing.
    pub(crate) fn verified(&self, origin: &Origin) -> Result<(), Problem> {
        self.origins
            .check(origin)
            .map_err(|wait| slow_down("the origin", wait))
    }

    fn forget_recovered(&self) {
        self.clients.forget_recovered();
        self.origins.forget_recovered();
    }
}

/// Drops what has recovered, until shutdown.
pub(crate) async fn housekeeping(app: App) {
    let stop = app.context.shutdown.token();
    while stop
        .run_until_cancelled(tokio::time::sleep(HOUSEKEEPING))
        .await
        .is_some()
    {
        app.limits.forget_recovered();
        app.peers.forget_recovered();
    }
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

/// What one client holds: an IPv4 address, or an IPv6 /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
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
    fn a_burst_passes_and_what_follows_waits() {
        let limiter = Limiter::new(Some(Rate::new(1, 2)));
        assert_eq!(limiter.check(&"a"), Ok(()));
        assert_eq!(limiter.check(&"a"), Ok(()));
        let wait = limiter.check(&"a").unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(limiter.check(&"b"), Ok(()));
    }

    #[test]
    fn without_a_rate_everything_passes() {
        let limiter = Limiter::new(None);
        assert!((0..10_000).all(|_| limiter.check(&"a").is_ok()));
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

    #[test]
    fn a_whole_ipv6_network_is_one_client() {
        assert_eq!(
            network("2001:db8:1:2:3::4".parse().unwrap()),
            network("2001:db8:1:2::9".parse().unwrap())
        );
        assert_ne!(
            network("2001:db8:1:2::1".parse().unwrap()),
            network("2001:db8:1:3::1".parse().unwrap())
        );
    }
}
