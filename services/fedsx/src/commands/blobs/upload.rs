//! A file on its way to the domain.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use fedsx_kernel::{
    activity::CONTEXT,
    blob::{self, Hasher, MediaType},
};
use fedsx_proto::v1::PutBlobRequest;
use fedsx_runtime::{code::Refusal, transport::Streamed};
use serde_json::Value;
use tokio::{fs::File, io::AsyncReadExt as _, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::commands::connect::Running;

/// Bytes of one message.
const MESSAGE: usize = 1 << 20;
/// Of a file that is larger, what has been sent is told each time that it is so much more. Bytes.
const TOLD: u64 = 32 << 20;

/// A file, and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Attach {
    path: PathBuf,
    media_type: MediaType,
}

impl Attach {
    /// A file that is what is said, or else what its name ends in.
    pub(super) fn new(path: PathBuf, said: Option<MediaType>) -> anyhow::Result<Self> {
        let guessed = || mime_guess::from_path(&path).first_raw()?.parse().ok();
        let media_type = said.or_else(guessed).with_context(|| {
            let shown = path.display();
            format!(
                "{shown}: its name does not tell what it is; say it by --media-type, or --attach {shown}=TYPE"
            )
        })?;
        Ok(Self { path, media_type })
    }

    /// `FILE` or `FILE=TYPE`. What stands behind an `=` and is no media type is part of the file's name.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        match text.rsplit_once('=') {
            Some((path, said)) if !path.is_empty() && said.parse::<MediaType>().is_ok() => {
                Self::new(path.into(), said.parse().ok())
            }
            _ => Self::new(text.into(), None),
        }
    }
}

/// Puts files, and has the object of a draft name them.
pub(crate) async fn attach(domain: &mut Running, files: &[Attach], draft: &mut Value) -> anyhow::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    anyhow::ensure!(
        draft.get("object").is_some_and(Value::is_object),
        "the draft has no object in it to attach a file to"
    );
    let mut attachments = Vec::new();
    for file in files {
        attachments.push(upload(domain, file, "").await?);
    }
    name(draft, attachments);
    Ok(())
}

/// Adds what is attached to a draft's object, and the terms for it to the context.
fn name(draft: &mut Value, attachments: Vec<Value>) {
    if let Some(object) = draft.get_mut("object").and_then(Value::as_object_mut) {
        let attached = object.remove("attachment");
        object.insert(
            "attachment".to_owned(),
            [list(attached), attachments].concat().into(),
        );
    }
    if let Some(draft) = draft.as_object_mut() {
        let mut context = list(draft.remove("@context"));
        if context.is_empty() {
            context.push(CONTEXT.into());
        }
        if !context.contains(&blob::terms()) {
            context.push(blob::terms());
        }
        draft.insert("@context".to_owned(), context.into());
    }
}

/// One value or several, as ActivityStreams writes either.
fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
    }
}

/// Puts a file, and tells how an object names it.
pub(super) async fn upload(domain: &mut Running, file: &Attach, name: &str) -> anyhow::Result<Value> {
    let path = file.path.as_path();
    let shown = || path.display().to_string();
    let opened = File::open(path).await.with_context(shown)?;
    let size = opened.metadata().await.with_context(shown)?.len();
    let (sender, receiver) = mpsc::channel(2);
    let told = (!domain.output.json && size > TOLD).then(|| Told::new(path, size));
    let reading = tokio::spawn(read(opened, sender, told));
    let mut request = tonic::Request::new(ReceiverStream::new(receiver));
    request.extensions_mut().insert(Streamed);
    let put = domain.clients.log.put_blob(request).await.map_err(Refusal::from);
    // Why it could not be read says more than that it was broken off.
    let hasher = reading.await?.with_context(shown)?;
    let put = put.with_context(shown)?.into_inner();
    let cid = put.cid.parse()?;
    anyhow::ensure!(
        hasher.finish() == cid,
        "{}: the domain has other bytes, {cid}: the file was changed meanwhile, or they on their way",
        shown()
    );
    Ok(blob::attachment(
        &domain.origin,
        &cid,
        &file.media_type,
        put.size,
        name,
    ))
}

/// Sends what is in a file, until it ends or nobody takes it any more.
async fn read(
    mut file: File,
    sender: mpsc::Sender<PutBlobRequest>,
    mut told: Option<Told>,
) -> std::io::Result<Hasher> {
    let mut hasher = Hasher::default();
    loop {
        let mut data = Vec::with_capacity(MESSAGE);
        let mut next = (&mut file).take(u64::try_from(MESSAGE).unwrap_or(u64::MAX));
        let last = next.read_to_end(&mut data).await? == 0;
        hasher.update(&data);
        if let Some(told) = &mut told {
            told.sent(data.len());
        }
        let data = Bytes::from(data);
        if sender.send(PutBlobRequest { data, last }).await.is_err() || last {
            return Ok(hasher);
        }
    }
}

/// How far a large file is.
struct Told {
    name: String,
    size: u64,
    sent: u64,
    told: u64,
}

impl Told {
    fn new(path: &Path, size: u64) -> Self {
        Self {
            name: path.display().to_string(),
            size,
            sent: 0,
            told: 0,
        }
    }

    fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.sent.saturating_sub(self.told) >= TOLD {
            self.told = self.sent;
            eprintln!("{}: {} of {} MiB", self.name, self.sent >> 20, self.size >> 20);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_what_is_said_or_what_its_name_ends_in() {
        for (text, path, media_type) in [
            ("cow.JPG", "cow.JPG", "image/jpeg"),
            ("a=b.png", "a=b.png", "image/png"),
            ("cow=image/webp", "cow", "image/webp"),
            ("a=b.png=text/html", "a=b.png", "text/html"),
        ] {
            let file = Attach::parse(text).unwrap();
            assert_eq!(
                (file.path.to_str(), file.media_type.as_str()),
                (Some(path), media_type)
            );
        }
        for text in ["cow", "", "=image/png", "cow=image"] {
            let error = Attach::parse(text).unwrap_err().to_string();
            assert!(error.contains("--media-type"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_attached_comes_after_what_was() {
        let attached = |draft: Value| {
            let mut draft = draft;
            name(&mut draft, vec![json!({"type": "Image"})]);
            draft
        };
        let image = json!({"type": "Image"});
        let bare = attached(json!({"object": {}}));
        let expected = json!({"object": {"attachment": [image]}, "@context": [CONTEXT, blob::terms()]});
        assert_eq!(bare, expected);
        let twice = attached(bare);
        assert_eq!(twice["object"]["attachment"], json!([image, image]));
        assert_eq!(twice["@context"], json!([CONTEXT, blob::terms()]));
        let one =
            attached(json!({"@context": "https://x.example", "object": {"attachment": {"type": "Link"}}}));
        assert_eq!(one["object"]["attachment"], json!([{"type": "Link"}, image]));
        assert_eq!(one["@context"], json!(["https://x.example", blob::terms()]));
    }
}
