//! The page for people who open a domain's origin: its name, and where its JSON is.

use fedsx_kernel::origin::Origin;
use serde_json::Value;

/// A small page without script or style of others.
pub(crate) fn page(origin: &Origin, actor: &Value) -> String {
    let text = |member: &str| escape(actor.get(member).and_then(Value::as_str).unwrap_or_default());
    let (name, summary, authority) = (text("name"), text("summary"), escape(origin.authority()));
    let title = if name.is_empty() { authority.clone() } else { name };
    let links = [
        ("/activities", "public activities, newest first"),
        ("/outbox", "what the domain itself published"),
        ("/followers", "who follows the domain"),
        ("/following", "whom the domain follows"),
        ("/nodeinfo/2.1", "NodeInfo"),
    ];
    let items: String = links
        .iter()
        .map(|(path, what)| format!("<li><a href=\"{path}\">{path}</a> {what}</li>\n"))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <h1>{title}</h1>\n<p>{summary}</p>\n\
         <p>A fed-sx domain. Follow it as <code>@{authority}@{authority}</code>.</p>\n\
         <ul>\n{items}</ul>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_names_the_domain_and_trusts_no_text() {
        let origin = "http://127.0.0.1:8001".parse().unwrap();
        let page = page(
            &origin,
            &json!({"name": "Blog <script>alert(1)</script>", "summary": "a & b"}),
        );
        assert!(
            page.contains("<title>Blog &lt;script&gt;alert(1)&lt;/script&gt;</title>"),
            "{page}"
        );
        assert!(
            page.contains("a &amp; b") && page.contains("href=\"/activities\""),
            "{page}"
        );
        assert!(!page.contains("<script>"));
    }

    #[test]
    fn a_domain_without_a_name_goes_by_its_authority() {
        let page = page(&"https://blog.example".parse().unwrap(), &json!({}));
        assert!(page.contains("<title>blog.example</title>"), "{page}");
    }
}
