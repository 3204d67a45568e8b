//! Markdown as HTML that anybody may be shown.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, html};
use serde_json::{Map, Value, json};

/// The media type of a `source` that `content` is made from (RFC 7763).
pub(crate) const MARKDOWN: &str = "text/markdown";

/// CommonMark with tables, strikethrough and footnotes, as HTML. What is HTML in it is shown as the text it is, and a link or
/// an image leads to http, https, mailto, or a place beside it, or nowhere.
pub(crate) fn html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
    let events = Parser::new_ext(markdown, options).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => Event::Start(Tag::Link {
            link_type,
            dest_url: harmless(dest_url),
            title,
            id,
        }),
        Event::Start(Tag::Image {
            link_type,
            dest_url,
            title,
            id,
        }) => Event::Start(Tag::Image {
            link_type,
            dest_url: harmless(dest_url),
            title,
            id,
        }),
        event => event,
    });
    let mut page = String::new();
    html::push_html(&mut page, events);
    page
}

/// A URL as it is, where nothing runs when it is followed.
fn harmless(url: CowStr<'_>) -> CowStr<'_> {
    // Browsers pass over what is no letter of a scheme.
    let shown: String = url
        .chars()
        .filter(|letter| !letter.is_control() && !letter.is_whitespace())
        .collect();
    let scheme = match shown.split_once(':') {
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => scheme.to_ascii_lowercase(),
        _ => return url,
    };
    match matches!(scheme.as_str(), "http" | "https" | "mailto") {
        true => url,
        false => CowStr::Borrowed(""),
    }
}

/// Gives an object its `source` (ActivityPub 3.3), and the `content` that is made from it.
pub(crate) fn put(object: &mut Map<String, Value>, markdown: &str) {
    object.insert("content".to_owned(), html(markdown).into());
    let source = json!({ "content": markdown, "mediaType": MARKDOWN });
    object.insert("source".to_owned(), source);
}

/// Makes the `content` of an object that has only a `source` in Markdown.
pub(crate) fn complete(object: &mut Map<String, Value>) {
    if object.contains_key("content") {
        return;
    }
    let source = object
        .get("source")
        .filter(|source| source["mediaType"] == MARKDOWN);
    if let Some(text) = source.and_then(|source| source["content"].as_str()) {
        let content = html(text);
        object.insert("content".to_owned(), content.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_shown() {
        assert_eq!(
            html("*Gig* **Night**\n"),
            "<p><em>Gig</em> <strong>Night</strong></p>\n"
        );
        assert_eq!(
            html("[a](https://a.example/?x=1&y=2) [b](/b:c) [c](mailto:c@c.example)"),
            "<p><a href=\"https://a.example/?x=1&amp;y=2\">a</a> <a href=\"/b:c\">b</a> \
             <a href=\"mailto:c@c.example\">c</a></p>\n"
        );
    }

    #[test]
    fn nothing_of_a_script_survives() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<div onclick='x'>\n\n*a*\n\n</div>",
            "[a](javascript:alert(1))",
            "[a](JaVaScRiPt:alert(1))",
            "[a](java&#10;script:alert(1))",
            "[a](<java\tscript:alert(1)>)",
            "![a](data:text/html;base64,PHNjcmlwdD4=)",
            "[a](vbscript:x)",
            "<javascript:alert(1)>",
            "[a][b]\n\n[b]: javascript:alert(1)",
            "[a](https://a.example/\"onmouseover=\"x)",
            "``` \"><script>\nx\n```",
        ] {
            let page = html(text);
            // Of tags there are only those that Markdown has, with only its attributes.
            let mut tags = page.split('<').skip(1).map(|tag| tag.split('>').next().unwrap());
            let is_harmless = tags.all(|tag| {
                let name = tag.trim_start_matches('/').split(' ').next().unwrap();
                let known = ["p", "a", "img", "em", "pre", "code"].contains(&name);
                known && !tag.contains("script:") && !tag.contains(" on")
            });
            assert!(is_harmless, "{text:?} is {page:?}");
        }
    }

    #[test]
    fn content_is_made_from_its_source_unless_it_is_there() {
        let completed = |object: Value| {
            let mut object = object.as_object().cloned().unwrap();
            complete(&mut object);
            object.get("content").cloned()
        };
        let source = json!({"mediaType": MARKDOWN, "content": "*a*"});
        assert_eq!(
            completed(json!({"source": source})),
            Some("<p><em>a</em></p>\n".into())
        );
        assert_eq!(
            completed(json!({"source": source, "content": "b"})),
            Some("b".into())
        );
        assert_eq!(completed(json!({"source": {"content": "*a*"}})), None);
    }
}
