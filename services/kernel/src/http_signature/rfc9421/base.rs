//! The signature base (RFC 9421, section 2.5): what is actually signed.

use std::borrow::Cow;

use sfv::{InnerList, Item, ItemSerializer, ListSerializer};

use super::{Request, SignatureError, malformed};
use crate::origin::Origin;

/// One line for each covered component, then the parameters in the order received: `params`, the serialisation of the
/// input.
pub(super) fn signature_base(
    request: &Request<'_>,
    input: &InnerList,
    params: &str,
) -> Result<String, SignatureError> {
    let mut base = String::with_capacity(512);
    for (index, item) in input.items.iter().enumerate() {
        let name = plain_name(item).ok_or_else(|| SignatureError::MissingComponent(identifier(item)))?;
        if input.items[..index]
            .iter()
            .any(|item| plain_name(item) == Some(name))
        {
            return Err(malformed(format!("{name:?} is covered twice")));
        }
        let value =
            component(request, name)?.ok_or_else(|| SignatureError::MissingComponent(name.to_owned()))?;
        if value.contains(['\n', '\r']) || !value.is_ascii() {
            return Err(malformed(format!("{name:?} has a value that cannot be signed")));
        }
        // A name that the request has needs no escapes.
        base.extend(["\"", name, "\": ", &value, "\n"]);
    }
    base.extend(["\"@signature-params\": ", params]);
    Ok(base)
}

fn identifier(item: &Item) -> String {
    ItemSerializer::new()
        .bare_item(&item.bare_item)
        .parameters(&item.params)
        .finish()
}

/// A component's name where it has no parameters; those (`req`, `bs`, `sf`, …) are not understood here.
pub(super) fn plain_name(item: &Item) -> Option<&str> {
    item.bare_item
        .as_string()
        .filter(|_| item.params.is_empty())
        .map(sfv::StringRef::as_str)
}

/// The serialisation of one inner list with its parameters.
pub(super) fn serialize(input: &InnerList) -> String {
    let mut serializer = ListSerializer::new();
    let mut list = serializer.inner_list();
    list.items(&input.items);
    let _ = list.finish().parameters(&input.params);
    serializer.finish().unwrap_or_default()
}

/// A component's value; none where the request does not have it.
fn component<'a>(request: &Request<'a>, name: &str) -> Result<Option<Cow<'a, str>>, SignatureError> {
    if !name.starts_with('@') {
        return Ok(field(request, name));
    }
    let derived = || target(request.target_uri);
    Ok(match name {
        "@method" => Some(request.method.into()),
        "@target-uri" => Some(request.target_uri.into()),
        "@scheme" => Some(derived()?.0.into()),
        "@authority" => Some(derived()?.1.into()),
        "@path" => Some(derived()?.2.into()),
        "@query" => Some(derived()?.3.into()),
        _ => None,
    })
}

/// A field's value: of several lines, all, each without the white space around it (section 2.1).
fn field<'a>(request: &Request<'a>, name: &str) -> Option<Cow<'a, str>> {
    let mut lines = request
        .headers
        .iter()
        .filter(|(header, _)| *header == name)
        .map(|(_, line)| line.trim());
    let first = lines.next()?;
    let Some(second) = lines.next() else {
        return Some(first.into());
    };
    let all: Vec<&str> = [first, second].into_iter().chain(lines).collect();
    Some(all.join(", ").into())
}

/// Scheme, authority, path and query as derived components have them (sections 2.2.3 to 2.2.7).
fn target(uri: &str) -> Result<(String, String, String, String), SignatureError> {
    let origin = Origin::of(uri).map_err(|_| malformed("the target URI is not an http or https URL"))?;
    let (scheme, authority) = origin.as_str().split_once("://").unwrap_or_default();
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let rest = rest.find(['/', '?']).map_or("", |start| &rest[start..]);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = if path.is_empty() { "/" } else { path };
    Ok((
        scheme.to_owned(),
        authority.to_owned(),
        path.to_owned(),
        format!("?{query}"),
    ))
}

#[cfg(test)]
mod tests {
    use sfv::{Dictionary, ListEntry, Parser};

    use super::*;

    fn base(request: &Request<'_>, input: &str) -> Result<String, SignatureError> {
        let dictionary: Dictionary = Parser::new(&format!("a={input}")).parse().unwrap();
        match &dictionary["a"] {
            ListEntry::InnerList(list) => signature_base(request, list, &serialize(list)),
            ListEntry::Item(_) => panic!("{input} is no inner list"),
        }
    }

    fn value(target_uri: &str, name: &str) -> String {
        let base = base(
            &Request {
                method: "GET",
                target_uri,
                headers: &[],
            },
            &format!("(\"{name}\")"),
        )
        .unwrap();
        let line = base.lines().next().unwrap();
        line.strip_prefix(&format!("\"{name}\": ")).unwrap().to_owned()
    }

    #[test]
    fn components_derive_from_the_target_uri() {
        let uri = "https://Events.Example:443/a%2fb/?x=1&y=?#z";
        assert_eq!(value(uri, "@method"), "GET");
        assert_eq!(value(uri, "@scheme"), "https");
        assert_eq!(value(uri, "@authority"), "events.example");
        assert_eq!(value(uri, "@path"), "/a%2fb/");
        assert_eq!(value(uri, "@query"), "?x=1&y=?");
        assert_eq!(value("http://127.0.0.1:8001", "@authority"), "127.0.0.1:8001");
        assert_eq!(value("http://127.0.0.1:8001", "@path"), "/");
        assert_eq!(value("http://127.0.0.1:8001?a", "@path"), "/");
        assert_eq!(value("http://127.0.0.1:8001/a", "@query"), "?");
    }

    #[test]
    fn parameters_keep_the_order_and_the_types_received() {
        let input = r#"("@method");keyid="k";x;created=1;tag="a\"b";expires=2;n=1.0;t=tok;b=:AA==:"#;
        let request = Request {
            method: "POST",
            target_uri: "https://a.example/",
            headers: &[],
        };
        assert_eq!(
            base(&request, input).unwrap(),
            format!("\"@method\": POST\n\"@signature-params\": {input}")
        );
    }

    #[test]
    fn lines_of_one_field_are_joined() {
        let headers = [("a", " 1 "), ("b", "x"), ("a", "2")];
        let request = Request {
            method: "POST",
            target_uri: "https://a.example/",
            headers: &headers,
        };
        assert_eq!(
            base(&request, r#"("a")"#).unwrap(),
            "\"a\": 1, 2\n\"@signature-params\": (\"a\")"
        );
    }

    #[test]
    fn what_is_not_there_or_not_understood_is_refused() {
        let headers = [("date", "now"), ("fold", "a\r\n\"@method\": GET"), ("latin", "é")];
        let request = Request {
            method: "POST",
            target_uri: "https://a.example/",
            headers: &headers,
        };
        for missing in [
            r#""etag""#,
            r#""@status""#,
            r#""@query-param";name="a""#,
            r#""date";bs"#,
            r#""Date""#,
            "date",
        ] {
            let error = base(&request, &format!("({missing})")).unwrap_err();
            assert!(
                matches!(error, SignatureError::MissingComponent(_)),
                "{missing}: {error}"
            );
        }
        for unsound in [r#""date" "date""#, r#""fold""#, r#""latin""#] {
            let error = base(&request, &format!("({unsound})")).unwrap_err();
            assert!(
                matches!(error, SignatureError::Malformed(_)),
                "{unsound}: {error}"
            );
        }
    }
}
