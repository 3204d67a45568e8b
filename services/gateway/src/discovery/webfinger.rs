//! `GET /.well-known/webfinger` (RFC 7033): from `acct:alice@blog.example` to the actor's id.

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use fedsx_kernel::origin::Origin;
use fedsx_runtime::code::{Code, Refusal};
use http::HeaderValue;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    App,
    local_actor::{find, is_name},
    media::{self, Keep},
    problem::Problem,
};

pub(crate) async fn webfinger(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref().unwrap_or_default())?;
    let actor = subject(&app.settings.origin, &query.resource)?;
    find(&app, &actor.id).await?;
    let document = descriptor(&app.settings.origin, &actor, &query.relations);
    Ok(media::typed(
        HeaderValue::from_static("application/jrd+json"),
        Keep::Minutes,
        document.to_string(),
    ))
}

#[derive(Debug, PartialEq, Eq)]
struct Query {
    resource: String,
    /// Only links of these relations; empty: all.
    relations: Vec<String>,
}

impl Query {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let (mut resources, mut relations) = (Vec::new(), Vec::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "resource" => resources.push(value.into_owned()),
                "rel" => relations.push(value.into_owned()),
                _ => {}
            }
        }
        match (resources.pop(), resources.is_empty()) {
            (Some(resource), true) => Ok(Self { resource, relations }),
            _ => Err(Refusal::new(
                Code::Malformed,
                "exactly one `resource` is needed (RFC 7033, section 4.2)",
            )),
        }
    }
}

/// Whom a resource means, if there is such an actor.
#[derive(Debug, PartialEq, Eq)]
struct Subject {
    id: String,
    account: String,
}

impl Subject {
    fn named(origin: &Origin, name: &str) -> Self {
        Self {
            id: origin.actor(name),
            account: format!("acct:{name}@{}", origin.authority()),
        }
    }

    /// The base goes by the domain's own name.
    fn base(origin: &Origin) -> Self {
        let authority = origin.authority();
        Self {
            id: origin.base(),
            account: format!("acct:{authority}@{authority}"),
        }
    }
}

fn subject(origin: &Origin, resource: &str) -> Result<Subject, Refusal> {
    let scheme = resource
        .split_once(':')
        .map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    let found = match scheme.as_ref().map(|(scheme, rest)| (scheme.as_str(), *rest)) {
        Some(("acct", account)) => {
            let (name, authority) = account
                .rsplit_once('@')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| malformed(resource))?;
            let ours = authority.eq_ignore_ascii_case(origin.authority());
            ours.then(|| of_name(origin, &name.to_ascii_lowercase()))
                .flatten()
        }
        Some(("http" | "https", _)) if origin.is_base(resource) => Some(Subject::base(origin)),
        Some(("http" | "https", _)) => {
            let name = origin.actor_name(resource).filter(|name| is_name(name));
            name.map(|name| Subject::named(origin, name))
        }
        _ => return Err(malformed(resource)),
    };
    found.ok_or_else(|| Refusal::new(Code::NotFound, "there is no such actor here"))
}

fn of_name(origin: &Origin, name: &str) -> Option<Subject> {
    if name == origin.authority() {
        return Some(Subject::base(origin));
    }
    is_name(name).then(|| Subject::named(origin, name))
}

fn malformed(resource: &str) -> Refusal {
    Refusal::new(
        Code::Malformed,
        format!("`resource` is {resource:?}, neither acct:name@host nor an actor's URL"),
    )
}

fn descriptor(origin: &Origin, subject: &Subject, relations: &[String]) -> Value {
    let links = [json!({ "rel": "self", "type": "application/activity+json", "href": subject.id })];
    let wanted = |link: &&Value| {
        relations.is_empty()
            || relations
                .iter()
                .any(|relation| link["rel"].as_str() == Some(relation))
    };
    let mut aliases = vec![subject.id.clone()];
    if origin.is_base(&subject.id) {
        aliases.push(origin.to_string());
    }
    json!({
        "subject": subject.account,
        "aliases": aliases,
        "links": links.iter().filter(wanted).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin() -> Origin {
        "http://127.0.0.1:8001".parse().unwrap()
    }

    fn id(resource: &str) -> Result<String, Code> {
        subject(&origin(), resource)
            .map(|subject| subject.id)
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn accounts_and_urls_lead_to_ids() {
        let alice = Ok("http://127.0.0.1:8001/actors/alice".to_owned());
        let base = Ok("http://127.0.0.1:8001/".to_owned());
        assert_eq!(id("acct:alice@127.0.0.1:8001"), alice);
        assert_eq!(id("ACCT:Alice@127.0.0.1:8001"), alice);
        assert_eq!(id("http://127.0.0.1:8001/actors/alice"), alice);
        assert_eq!(id("acct:127.0.0.1:8001@127.0.0.1:8001"), base);
        assert_eq!(id("http://127.0.0.1:8001"), base);
        assert_eq!(id("http://127.0.0.1:8001/"), base);
    }

    #[test]
    fn others_are_not_found_and_nonsense_is_malformed() {
        for resource in [
            "acct:alice@blog.example",
            "acct:a/b@127.0.0.1:8001",
            "https://blog.example/actors/alice",
            "http://127.0.0.1:8001/objects/1",
        ] {
            assert_eq!(id(resource), Err(Code::NotFound), "{resource}");
        }
        for resource in [
            "",
            "alice",
            "acct:alice",
            "acct:@127.0.0.1:8001",
            "mailto:alice@127.0.0.1:8001",
        ] {
            assert_eq!(id(resource), Err(Code::Malformed), "{resource}");
        }
    }

    #[test]
    fn one_resource_is_needed() {
        assert_eq!(Query::parse("").unwrap_err().code, Code::Malformed);
        assert_eq!(
            Query::parse("resource=a&resource=b").unwrap_err().code,
            Code::Malformed
        );
        let query = Query::parse("resource=acct%3Aa%40b&rel=self&rel=x").unwrap();
        assert_eq!(
            query,
            Query {
                resource: "acct:a@b".to_owned(),
                relations: vec!["self".to_owned(), "x".to_owned()]
            }
        );
    }

    #[test]
    fn a_relation_filters_links() {
        let alice = Subject::named(&origin(), "alice");
        assert_eq!(
            descriptor(&origin(), &alice, &[]),
            json!({
                "subject": "acct:alice@127.0.0.1:8001",
                "aliases": ["http://127.0.0.1:8001/actors/alice"],
                "links": [{
                    "rel": "self",
                    "type": "application/activity+json",
                    "href": "http://127.0.0.1:8001/actors/alice",
                }],
            })
        );
        assert_eq!(
            descriptor(&origin(), &alice, &["avatar".to_owned()])["links"],
            json!([])
        );
    }

    proptest! {
        #[test]
        fn no_resource_makes_it_panic(resource in "\\PC*") {
            let _ = subject(&origin(), &resource);
            let _ = subject(&origin(), &format!("acct:{resource}@127.0.0.1:8001"));
        }
    }
}
