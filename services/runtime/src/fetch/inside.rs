//! The way to a peer inside the cluster.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use http::header::HOST;
use reqwest::{
    Certificate, Client, ClientBuilder, Method, RequestBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
};
use url::{Position, Url};

use super::{
    FetcherError, builder,
    resolve::{Place, Service, Services, Trust, place},
};
use crate::tls::{Renewed, authorities};

/// The ways to the peers that are listed.
#[derive(Debug)]
pub(super) struct Inside(HashMap<Place, Way>);

/// The way to one of them.
#[derive(Debug)]
struct Way {
    is_plain: bool,
    /// Made anew when its authority is renewed.
    client: Renewed<Client, FetcherError>,
}

impl Inside {
    pub(super) fn new(services: &Services) -> Result<Self, FetcherError> {
        let ways = services.iter().map(|((host, port), service)| {
            let way = Way::new(host, service)?;
            Ok(((host.clone(), *port), way))
        });
        ways.collect::<Result<_, _>>().map(Self)
    }

    /// A request to a peer that is listed, as it is sent there; none to another.
    pub(super) fn request(&self, method: &Method, url: &Url) -> Option<RequestBuilder> {
        let way = self.0.get(&place(url)?)?;
        let mut sent = url.clone();
        // Without a port of its own it goes to the one that comes with the addresses.
        sent.set_port(None).ok()?;
        if way.is_plain {
            sent.set_scheme("http").ok()?;
        }
        let host = &url[Position::BeforeHost..Position::AfterPort];
        Some(way.client.get().request(method.clone(), sent).header(HOST, host))
    }
}

impl Way {
    fn new(host: &str, service: &Service) -> Result<Self, FetcherError> {
        let files = match &service.tls {
            Some(Trust::Authority(file)) => vec![file.clone()],
            _ => Vec::new(),
        };
        let (host, own) = (host.to_owned(), service.clone());
        Ok(Self {
            is_plain: service.tls.is_none(),
            client: Renewed::new(files, move || {
                let lookup = Lookup(Arc::new((own.host.clone(), own.port)));
                let builder = builder().dns_resolver(Arc::new(lookup));
                Ok(trusting(builder, &host, &own)?.build()?)
            })?,
        })
    }
}

/// A client that trusts whoever the entry says, and nobody else where it says so.
fn trusting(builder: ClientBuilder, host: &str, service: &Service) -> Result<ClientBuilder, FetcherError> {
    let Some(Trust::Authority(file)) = &service.tls else {
        return Ok(builder);
    };
    let authorities = authorities(file).map_err(|source| FetcherError::Authority {
        host: host.to_owned(),
        source,
    })?;
    let trusted = authorities
        .iter()
        .map(|authority| Certificate::from_der(authority));
    Ok(builder.tls_certs_only(trusted.collect::<Result<Vec<_>, _>>()?))
}

/// Whatever name is asked for is at the service's addresses, private or not, and at its port.
#[derive(Debug)]
struct Lookup(Arc<(String, u16)>);

impl Resolve for Lookup {
    fn resolve(&self, _: Name) -> Resolving {
        let service = self.0.clone();
        Box::pin(async move {
            let (host, port) = &*service;
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
