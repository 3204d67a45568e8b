//! What strangers post: each refusal with its status and code, nothing of it logged, and the process none the worse.

mod bodies;
mod replays;
mod signatures;

use fedsx_e2e::{Letter, Node, Stranger, settle, without_proof};
use serde_json::Value;

/// A node, a stranger, and a sound activity of the stranger's `mallory` to the node's `author`.
struct Scene {
    node: Node,
    stranger: Stranger,
    activity: Value,
}

impl Scene {
    async fn new() -> Self {
        let (node, stranger) = tokio::join!(Node::blog(), Stranger::new());
        // What the behaviours do about the first day is done.
        settle(&[&node]).await;
        let activity = stranger.note("mallory", "Hello", &[&node.actor("author")]);
        Self {
            node,
            stranger,
            activity,
        }
    }

    /// The activity as it is posted, signed by HTTP and by proof.
    fn letter(&self) -> Letter {
        self.stranger.letter(&self.node, &self.activity)
    }

    /// The same with no proof: the HTTP signature alone speaks for it.
    fn plain(&self) -> Letter {
        self.stranger.letter(&self.node, &without_proof(&self.activity))
    }

    /// Each letter is refused as it says, and none is logged; then the sound activity gets in.
    async fn refuses(self, letters: Vec<(&str, Letter, u16, &str)>) {
        let head = self.node.head().await;
        for (what, letter, status, code) in letters {
            eprintln!("{what}");
            letter.post().await.assert_refused(status, code);
            assert_eq!(self.node.head().await, head, "{what}: something was logged");
        }
        settle(&[&self.node]).await;
        assert_eq!(self.node.head().await, head, "something was logged");
        self.node.admin("/livez").await.assert_status(200);
        self.node.admin("/readyz").await.assert_status(200);
        self.letter().post().await.assert_status(202);
        assert_eq!(self.node.head().await, head + 1);
    }
}
