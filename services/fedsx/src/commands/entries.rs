//! `fedsx entries`: the log's last entries, and those that come.

use clap::Args;
use fedsx_kernel::stream::Stream;
use fedsx_proto::v1::{Entry, ReadRequest, SubscribeRequest};
use fedsx_runtime::code::Refusal;
use serde_json::{Value, json};

use super::{connect::Target, output::print};

#[derive(Debug, Args)]
pub(crate) struct Entries {
    /// Only this stream: outbox/<local actor> (name or id), inbox/<remote actor's id>, domain
    #[arg(long, value_name = "STREAM", value_parser = parse_stream)]
    stream: Option<Stream>,
    /// The last this many entries
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Begin after this position instead
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(wanted: Entries) -> anyhow::Result<()> {
    let mut domain = wanted.target.open().await?;
    let stream = match wanted.stream {
        Some(Stream::Outbox(actor)) => Stream::Outbox(domain.actor(Some(&actor))).to_string(),
        Some(stream) => stream.to_string(),
        None => String::new(),
    };
    let request = ReadRequest {
        stream: stream.clone(),
        descending: wanted.after.is_none(),
        from: wanted.after.unwrap_or_default(),
        limit: wanted.limit,
        ..ReadRequest::default()
    };
    let page = domain
        .clients
        .log
        .read(request)
        .await
        .map_err(Refusal::from)?
        .into_inner();
    let mut entries = page.entries;
    entries.sort_by_key(|entry| entry.position);
    for entry in &entries {
        print(&line(entry, domain.output.json))?;
    }
    if !wanted.follow {
        return Ok(());
    }
    // A full page of `--after` may have stopped short of the head: go on where it ended.
    let after = if wanted.after.is_some() {
        entries.last().map_or(page.head, |last| last.position)
    } else {
        page.head
    };
    let mut live = domain
        .clients
        .log
        .subscribe(SubscribeRequest { after })
        .await
        .map_err(Refusal::from)?
        .into_inner();
    while let Some(batch) = live.message().await.map_err(Refusal::from)? {
        for entry in batch
            .entries
            .iter()
            .filter(|entry| stream.is_empty() || entry.stream == stream)
        {
            print(&line(entry, domain.output.json))?;
        }
    }
    Ok(())
}

fn parse_stream(name: &str) -> Result<Stream, String> {
    Stream::parse(name)
        .ok_or_else(|| "a stream is outbox/<actor>, inbox/<actor>, flow/<id> or domain".to_owned())
}

/// One entry on one line.
fn line(entry: &Entry, as_json: bool) -> String {
    let activity: Value = serde_json::from_slice(&entry.body).unwrap_or_default();
    if as_json {
        let meta = entry.meta.clone().unwrap_or_default();
        return json!({
            "position": entry.position, "stream": entry.stream, "version": entry.version, "cid": entry.cid,
            "id": entry.activity_id, "public": entry.public, "appendedAtMicros": entry.appended_at_us,
            "meta": meta, "activity": activity,
        })
        .to_string();
    }
    let object = &activity["object"];
    let about = ["name", "content", "id"]
        .iter()
        .find_map(|key| object[*key].as_str())
        .or(object.as_str())
        .unwrap_or_default();
    let kind = object["type"].as_str().unwrap_or_default();
    let verb = activity["type"].as_str().unwrap_or("-");
    let words = format!("{verb} {kind} {about}")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let remarks = entry.meta.iter().flat_map(|meta| &meta.remarks);
    let remarks: String = remarks.map(|remark| format!(" [{remark}]")).collect();
    format!(
        "#{:<6} {:<40} {}{remarks}",
        entry.position,
        entry.stream,
        shorten(&words, 100)
    )
}

fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use fedsx_proto::v1::Meta;

    use super::*;

    #[test]
    fn what_was_remarked_stands_behind_what_was_said() {
        let said = json!({"type": "Create", "object": {"type": "Post", "name": "Gig Night"}});
        let entry = Entry {
            position: 7,
            stream: "inbox/https://blog.example/actors/author".to_owned(),
            body: said.to_string().into(),
            meta: Some(Meta {
                remarks: vec!["forwarded".to_owned(), "validation_skipped".to_owned()],
                ..Meta::default()
            }),
            ..Entry::default()
        };
        let line = line(&entry, false);
        assert!(
            line.ends_with("Create Post Gig Night [forwarded] [validation_skipped]"),
            "{line}"
        );
    }
}
