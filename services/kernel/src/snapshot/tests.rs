use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn state(position: u64) -> State {
    let shard = |shard| ShardAt {
        shard,
        position,
        count: 3,
        digest: "0a".repeat(32),
    };
    State {
        origin: "https://blog.example".parse().unwrap(),
        view: "objects".to_owned(),
        shards: (0..8).map(shard).collect(),
    }
}

/// A snapshot as it is carried about.
#[derive(Debug, Clone, PartialEq)]
struct Carried {
    manifest: Manifest,
    chunks: Vec<Vec<u8>>,
}

fn written(rows: &[Row]) -> Carried {
    let mut writer = Writer::default();
    let mut chunks = Vec::new();
    for row in rows {
        chunks.extend(writer.push(row.clone()).unwrap());
    }
    let (last, manifest) = writer.finish(state(u64::from(u32::MAX))).unwrap();
    chunks.extend(last);
    let chunks: Vec<_> = chunks.into_iter().map(|chunk| chunk.bytes).collect();
    assert!(chunks.iter().all(|chunk| chunk.len() <= MAX_CHUNK));
    Carried { manifest, chunks }
}

fn read(manifest: &[u8], chunks: &[Vec<u8>]) -> Result<Vec<Row>, SnapshotError> {
    let mut reader = Reader::new(Manifest::parse(manifest)?);
    let mut rows = Vec::new();
    for chunk in chunks {
        rows.extend(reader.chunk(chunk)?);
    }
    reader.finish().map(|_| rows)
}

fn row(key: &str, value: &Value) -> Row {
    Row {
        key: key.to_owned(),
        position: 7,
        value: value.to_string().into_bytes(),
    }
}

/// Enough for several chunks, whichever way they end.
fn many() -> Vec<Row> {
    let numbered = |number: u32| row(&format!("key-{number:05}"), &json!({"number": number}));
    let large = |number: u32| {
        row(
            &format!("large-{number}"),
            &json!("x".repeat(400_000 + number as usize)),
        )
    };
    (0..5000).map(numbered).chain((0..7).map(large)).collect()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f32>()
            .prop_filter("finite", |number| number.abs() < 1e15)
            .prop_map(|number| json!(number)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::btree_map(".{0,20}", (1..u64::from(u32::MAX), value()), 0..40).prop_map(
        |rows: BTreeMap<String, _>| {
            let row = |(key, (position, value)): (String, (u64, Value))| Row {
                position,
                ..row(&key, &value)
            };
            rows.into_iter().map(row).collect()
        },
    )
}

/// The value as the canonical form has it, and no otherwise.
fn canonical(row: &Row) -> Row {
    let value = crate::json::parse(&row.value).unwrap();
    Row {
        value: crate::canonical::to_vec(&value).unwrap(),
        ..row.clone()
    }
}

proptest! {
    #[test]
    fn rows_come_back(rows in rows()) {
        let carried = written(&rows);
        let back = read(carried.manifest.bytes(), &carried.chunks).unwrap();
        let expected: Vec<Row> = rows.iter().map(canonical).collect();
        prop_assert_eq!(&back, &expected);
        prop_assert_eq!(written(&back), carried.clone());
        prop_assert_eq!(carried.manifest.rows(), rows.len() as u64);
    }

    #[test]
    fn another_state_has_another_name(rows in rows(), which in any::<prop::sample::Index>()) {
        prop_assume!(!rows.is_empty());
        let name = |rows: &[Row]| written(rows).manifest.cid().clone();
        let named = name(&rows);
        let mut other = rows.clone();
        let place = which.index(rows.len());
        other[place].position += 1;
        prop_assert_ne!(name(&other), named.clone());
        other[place].position -= 1;
        other[place].value = json!({"another": "value"}).to_string().into_bytes();
        prop_assume!(other != rows);
        prop_assert_ne!(name(&other), named.clone());
        other.remove(place);
        prop_assert_ne!(name(&other), named.clone());
    }

    #[test]
    fn what_was_touched_is_refused(
        rows in rows(), which in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut carried = written(&rows);
        let mut documents = vec![carried.manifest.bytes().to_vec()];
        documents.append(&mut carried.chunks);
        let touched = which.index(documents.len());
        let length = documents[touched].len();
        let at = place.index(length);
        prop_assume!(documents[touched][at] != byte);
        documents[touched][at] = byte;
        let manifest = Manifest::parse(&documents[0]);
        // Another digest or position is another snapshot, which has another name.
        if let (0, Ok(manifest)) = (touched, &manifest) {
            prop_assert_ne!(manifest.cid(), carried.manifest.cid());
        } else {
            prop_assert!(read(&documents[0], &documents[1..]).is_err());
        }
    }

    #[test]
    fn nothing_that_anybody_sends_breaks_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Manifest::parse(&bytes);
        let _ = Chunk::rows(&bytes);
        let _ = Chunk::rows(&[b"[[".as_slice(), &bytes].concat());
    }
}

#[test]
fn large_views_are_cut_and_a_change_leaves_most_chunks_as_they_are() {
    let rows = many();
    let before = written(&rows);
    assert!(before.chunks.len() > 5, "{}", before.chunks.len());
    assert_eq!(read(before.manifest.bytes(), &before.chunks).unwrap(), rows);
    let mut more = rows;
    more.insert(1, row("key-00000-new", &json!(1)));
    let after = written(&more);
    let kept = before
        .chunks
        .iter()
        .filter(|chunk| after.chunks.contains(chunk))
        .count();
    assert_eq!(kept, before.chunks.len() - 1);
}

#[test]
fn chunks_count_in_their_order_all_of_them_and_no_others() {
    let carried = written(&many());
    let manifest = carried.manifest.bytes();
    let mut turned = carried.chunks.clone();
    turned.swap(0, 1);
    assert!(matches!(read(manifest, &turned), Err(SnapshotError::Chunk(..))));
    let (_, fewer) = carried.chunks.split_last().unwrap();
    assert!(matches!(
        read(manifest, fewer),
        Err(SnapshotError::Missing { .. })
    ));
    let more = [carried.chunks.clone(), vec![b"[]".to_vec()]].concat();
    assert!(matches!(read(manifest, &more), Err(SnapshotError::Beyond(_))));
}

/// A manifest over these chunks, as somebody would make it who wants them to be read.
fn forged(chunks: &[&str]) -> Manifest {
    let name = |chunk: &&str| ChunkName {
        cid: Cid::of_canonical(chunk.as_bytes()),
        rows: chunk.matches("[\"").count() as u64,
        bytes: chunk.len() as u64,
    };
    Manifest::new(state(9), chunks.iter().map(name).collect()).unwrap()
}

#[test]
fn what_no_writer_would_have_written_is_refused() {
    let cases: [(&[&str], &str); 13] = [
        (&[r#"[["b",1,2],["a",1,2]]"#], "is not behind"),
        (&[r#"[["a",1,2],["a",1,2]]"#], "is not behind"),
        (&[r#"[["a",1,2]]"#, r#"[["b",1,2]]"#], "ends where no writer"),
        (&[r#"[["a",1, 2]]"#], "not that of its rows"),
        (&[r#"[["\u0061",1,2]]"#], "not in canonical form"),
        (&[r#"[["a",1,{"b":1,"a":1}]]"#], "not that of its rows"),
        (&[r#"[["a",1,1.0]]"#], "not that of its rows"),
        (&[r#"[["a",1,{"a":1,"a":1}]]"#], "stands twice"),
        (&[r#"[["a",10,2]]"#], "have not reached"),
        (&[r#"[["a",0,2]]"#], "have not reached"),
        (&[r#"[["a",1]]"#], "is no row"),
        (&[r#"[["a",1,2]"#], "does not go on"),
        (&[r#"{"a":[["a",1,2]]}"#], "is no array"),
    ];
    for (chunks, why) in cases {
        let bytes: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.as_bytes().to_vec()).collect();
        let error = read(forged(chunks).bytes(), &bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{chunks:?}: {error}");
    }
}

#[test]
fn rows_beyond_the_limits_are_not_written() {
    let push = |row: Row| Writer::default().push(row).unwrap_err().to_string();
    let long = "k".repeat(MAX_KEY + 1);
    assert!(push(row(&long, &json!(1))).contains("none has more than"));
    assert!(push(row("a", &json!("x".repeat(1 << 20)))).contains("at most"));
    let deep = (0..65).fold(json!(1), |inner, _| json!([inner]));
    assert!(push(row("a", &deep)).contains("nested deeper"));
    let damaged = Row {
        value: b"{".to_vec(),
        ..row("a", &json!(1))
    };
    assert!(push(damaged).contains("not JSON"));
}

#[test]
fn a_manifest_is_refused_for_what_it_says() {
    let sound: Value = serde_json::from_slice(written(&[row("a", &json!(1))]).manifest.bytes()).unwrap();
    let mut cases: Vec<(&str, Value, &str)> = vec![
        ("/format", json!("fedsx-snapshot-2"), "another format"),
        ("/origin", json!("blog"), "no origin"),
        ("/view", json!("a\0"), "no view"),
        ("/shards", json!([]), "no shards"),
        ("/shards/1/shard", json!(0), "out of order"),
        ("/shards/0/digest", json!("AB".repeat(32)), "a digest"),
        ("/shards/0/position", json!(-1), "cannot be read"),
        ("/shards/0/position", json!(1_u64 << 53), "2^53"),
        ("/rows", json!(2), "canonical form"),
        ("/chunks/0/rows", json!(0), "without rows"),
        ("/chunks/0/bytes", json!(u64::MAX), "too many"),
        ("/chunks/0/cid", json!("bafy"), "cannot be read"),
    ];
    cases.push(("/shards/0", json!({"shard": 0}), "cannot be read"));
    for (pointer, value, why) in cases {
        let mut document = sound.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        let bytes = crate::canonical::to_vec(&document).unwrap_or_else(|_| document.to_string().into_bytes());
        let error = Manifest::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{pointer}: {error}");
    }
}
