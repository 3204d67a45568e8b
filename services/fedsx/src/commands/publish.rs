//! `fedsx publish`: an activity of a local actor, from words or from a file.

use std::io::Read as _;

use anyhow::Context as _;
use clap::{Args, builder::NonEmptyStringValueParser};
use fedsx_kernel::{activity::PUBLIC, json, slug};
use serde_json::{Map, Value};

use super::{
    blobs::{Attach, attach},
    connect::{Running, Target},
};
use crate::{drafts, markdown};

/// Publishes `Create` of an object made from the flags, or any draft from a file.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Who publishes: name or id; none: the domain's own actor
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// A draft in JSON, an activity without id, published and proof; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "name", "content", "markdown", "url", "to", "followers_only", "direct"])]
    file: Option<String>,
    /// Type of the object
    #[arg(long = "type", value_name = "TYPE", default_value = "Note", value_parser = NonEmptyStringValueParser::new())]
    kind: String,
    /// The object's name or title
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The object's content, HTML
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["file", "name", "markdown", "attach"])]
    content: Option<String>,
    /// A file in Markdown that becomes the object's source and, as HTML, its content; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "content")]
    markdown: Option<String>,
    /// The object's id at this domain, /objects/<PATH>: of letters, digits, `-`, `_`, `.`, `~` and `/`; none: one that begins
    /// with the words of its name
    #[arg(long = "object", value_name = "PATH", value_parser = drafts::object_path)]
    url: Option<String>,
    /// A file that the object is to have with it; its media type is what its name ends in, unless it is said. Repeatable
    #[arg(long, value_name = "FILE[=TYPE]", value_parser = Attach::parse)]
    attach: Vec<Attach>,
    /// An addressee beside the followers and the public. Repeatable
    #[arg(long, value_name = "URL", value_parser = drafts::actor_id)]
    to: Vec<String>,
    /// Only for the followers and those named by --to
    #[arg(long)]
    followers_only: bool,
    /// Only for those named by --to
    #[arg(long, requires = "to", conflicts_with = "followers_only")]
    direct: bool,
    /// Idempotency key: the same again publishes nothing
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    key: String,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(publish: Publish) -> anyhow::Result<()> {
    let mut domain = publish.target.open().await?;
    let actor = domain.actor(publish.actor.as_deref());
    let mut draft = match &publish.file {
        Some(file) => read(file)?,
        None => publish.draft(&domain, &actor)?,
    };
    attach(&mut domain, &publish.attach, &mut draft).await?;
    let published = domain.publish(&actor, &draft, &publish.key).await?;
    domain.output.one(&published, || {
        let verb = if published.duplicate {
            "published before:"
        } else {
            "published"
        };
        format!("{verb} {} at position {}", published.id, published.position)
    })
}

fn read(file: &str) -> anyhow::Result<Value> {
    json::parse(&bytes_of(file)?).with_context(|| file.to_owned())
}

/// A file's bytes, or standard input's.
fn bytes_of(file: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match file {
        "-" => std::io::stdin()
            .read_to_end(&mut bytes)
            .context("standard input")?,
        path => std::fs::File::open(path)
            .with_context(|| path.to_owned())?
            .read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

impl Publish {
    fn draft(&self, domain: &Running, actor: &str) -> anyhow::Result<Value> {
        let mut object = Map::new();
        object.insert("type".to_owned(), self.kind.clone().into());
        object.insert("attributedTo".to_owned(), actor.into());
        for (key, value) in [("name", &self.name), ("content", &self.content)] {
            if let Some(value) = value {
                object.insert(key.to_owned(), value.clone().into());
            }
        }
        if let Some(file) = &self.markdown {
            let text = String::from_utf8(bytes_of(file)?).with_context(|| file.clone())?;
            markdown::put(&mut object, &text);
        }
        let path = self.url.clone().unwrap_or_else(|| self.new_path());
        object.insert("id".to_owned(), domain.origin.object(&path).into());
        let (to, cc) = self.addressees(actor);
        object.insert("to".to_owned(), to.clone());
        object.insert("cc".to_owned(), cc.clone());
        Ok(serde_json::json!({ "type": "Create", "object": object, "to": to, "cc": cc }))
    }

    /// An object without an id could never be answered, updated or deleted. Names may be alike, ids may not: a slug that is
    /// nobody else's is the log's to find.
    fn new_path(&self) -> String {
        match &self.name {
            Some(name) => format!("{}-{:08x}", slug::derive(name), rand::random::<u32>()),
            None => format!("{:016x}", rand::random::<u64>()),
        }
    }

    /// `to` and `cc`: the public first, those named, and the followers for information.
    fn addressees(&self, actor: &str) -> (Value, Value) {
        let (named, followers) = (self.to.clone(), drafts::followers_of(actor));
        let (to, cc) = if self.direct {
            (named, vec![])
        } else if self.followers_only {
            (named, vec![followers])
        } else {
            ([vec![PUBLIC.to_owned()], named].concat(), vec![followers])
        };
        (to.into(), cc.into())
    }
}
