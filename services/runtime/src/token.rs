//! Who calls: every internal call carries a role's token, and the trace it belongs to.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    middleware::{self, Next},
    response::IntoResponse as _,
};
use subtle::ConstantTimeEq as _;
use tonic::{Request, Status, metadata::MetadataValue, service::Interceptor};

use crate::{
    code::{Code, Refusal},
    problem::Problem,
    telemetry,
};

/// The metadata key, and the header, that a token stands in.
const AUTHORIZATION: &str = "authorization";

/// The part that a caller plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    Gateway,
    Log,
    Projection,
    Delivery,
    Site,
    /// People at the command line, and the operator of custom resources.
    Operator,
}

impl Role {
    pub const ALL: [Self; 6] = [
        Self::Gateway,
        Self::Log,
        Self::Projection,
        Self::Delivery,
        Self::Site,
        Self::Operator,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Log => "log",
            Self::Projection => "projection",
            Self::Delivery => "delivery",
            Self::Site => "site",
            Self::Operator => "operator",
        }
    }
}

/// The tokens of a domain, one a role.
#[derive(Clone)]
pub struct Tokens(Arc<HashMap<Role, String>>);

impl Tokens {
    #[must_use]
    pub fn new(tokens: HashMap<Role, String>) -> Self {
        Self(Arc::new(tokens))
    }

    /// Random ones, for a domain that runs in one process.
    #[must_use]
    pub fn generate() -> Self {
        Self::new(HashMap::new()).complete()
    }

    /// With a random one for every role that has none, which only this process knows.
    #[must_use]
    pub fn complete(self) -> Self {
        let random = |role| (role, crate::keyring::MasterKey::generate().to_string());
        let mut tokens: HashMap<_, _> = Role::ALL.into_iter().map(random).collect();
        tokens.extend(self.0.iter().map(|(role, token)| (*role, token.clone())));
        Self::new(tokens)
    }

    /// A role's token.
    #[must_use]
    pub fn of(&self, role: Role) -> Option<&str> {
        self.0.get(&role).map(String::as_str)
    }

    /// The role whose token stands in an `Authorization` header, `Bearer …`.
    #[must_use]
    pub fn bearer(&self, header: Option<&str>) -> Option<Role> {
        self.role(header?.strip_prefix("Bearer ")?)
    }

    fn role(&self, presented: &str) -> Option<Role> {
        self.0
            .iter()
            .find(|(_, token)| bool::from(token.as_bytes().ct_eq(presented.as_bytes())))
            .map(|(role, _)| *role)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// The client's side: puts the token and the current trace context on every call. A call that carries somebody's token already
/// keeps it: who asks on another's behalf may do what the other may.
#[derive(Debug, Clone)]
pub struct Credentials(Option<MetadataValue<tonic::metadata::Ascii>>);

impl Credentials {
    /// Credentials of a token; one that cannot stand in a header is sent as none and refused by the server.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(MetadataValue::try_from(format!("Bearer {token}")).ok())
    }

    /// Credentials of a role.
    #[must_use]
    pub fn of(tokens: &Tokens, role: Role) -> Self {
        Self::new(tokens.of(role).unwrap_or_default())
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        if let Some(token) = self.0.as_ref().filter(|_| !metadata.contains_key(AUTHORIZATION)) {
            metadata.insert(AUTHORIZATION, token.clone());
        }
        if let Some(traceparent) = telemetry::current_traceparent()
            && let Ok(value) = MetadataValue::try_from(traceparent)
        {
            request.metadata_mut().insert("traceparent", value);
        }
        Ok(request)
    }
}

/// The server's side: refuses unknown tokens and tells the handler the [`Role`] (in the request's extensions).
#[derive(Debug, Clone)]
pub struct Guard(pub Tokens);

impl Guard {
    /// The same in front of HTTP.
    pub fn over(self, router: Router) -> Router {
        let check = move |mut request: http::Request<Body>, next: Next| {
            let presented = request.headers().get(http::header::AUTHORIZATION);
            let role = self.0.bearer(presented.and_then(|value| value.to_str().ok()));
            async move {
                match role {
                    Some(role) => {
                        request.extensions_mut().insert(role);
                        next.run(request).await
                    }
                    None => Problem::from(unknown()).into_response(),
                }
            }
        };
        router.layer(middleware::from_fn(check))
    }
}

fn unknown() -> Refusal {
    Refusal::new(Code::Unauthenticated, "a role's token is needed")
}

impl Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let presented = request.metadata().get(AUTHORIZATION);
        let role = self
            .0
            .bearer(presented.and_then(|value| value.to_str().ok()))
            .ok_or_else(unknown)?;
        request.extensions_mut().insert(role);
        Ok(request)
    }
}

/// The role of a request that [`Guard`] let through.
///
/// # Errors
/// [`Code::Unauthenticated`] where no guard stands before the handler.
pub fn role<T>(request: &Request<T>) -> Result<Role, Refusal> {
    request.extensions().get::<Role>().copied().ok_or_else(unknown)
}

/// The role of a request that [`Guard::over`] let through.
///
/// # Errors
/// As [`role`].
pub fn role_of(extensions: &http::Extensions) -> Result<Role, Refusal> {
    extensions.get::<Role>().copied().ok_or_else(unknown)
}

/// Lets a call be made with the token of who asks for it, as an `Authorization` header has it, instead of the client's own. One
/// that cannot stand in a header is sent as none that anybody knows.
pub fn on_behalf<T>(message: T, header: &str) -> Request<T> {
    let mut request = Request::new(message);
    let none = MetadataValue::from_static("Bearer");
    let token = MetadataValue::try_from(header).unwrap_or(none);
    request.metadata_mut().insert(AUTHORIZATION, token);
    request
}

/// The caller's trace context, empty where it sent none.
#[must_use]
pub fn traceparent<T>(request: &Request<T>) -> String {
    request
        .metadata()
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(request: &Request<()>) -> Option<&str> {
        request.metadata().get(AUTHORIZATION)?.to_str().ok()
    }

    #[test]
    fn a_call_on_anothers_behalf_carries_only_their_token() {
        let mut own = Credentials::new("gateways");
        let called = own.call(Request::new(())).unwrap();
        assert_eq!(shown(&called), Some("Bearer gateways"));
        let called = own.call(on_behalf((), "Bearer somebodys")).unwrap();
        assert_eq!(shown(&called), Some("Bearer somebodys"));
        let tokens = Tokens::generate();
        for strange in ["", "Bearer ", "Basic x", "Bearer \u{1}", "gateways"] {
            let called = own.call(on_behalf((), strange)).unwrap();
            assert_ne!(shown(&called), Some("Bearer gateways"), "{strange:?}");
            assert!(Guard(tokens.clone()).call(called).is_err(), "{strange:?}");
        }
    }
}
