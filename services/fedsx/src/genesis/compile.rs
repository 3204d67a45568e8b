//! From a bundle's files to complete records, in the order in which they depend on each other.

use anyhow::Context as _;
use fedsx_kernel::{cid::Cid, definition::Kind};
use serde_json::{Map, Value};

use super::{
    manifest::Manifest,
    names::{self, Undeclared},
    object::Object,
    problem::{Problem, Problems},
    record::Written,
    resolve::Resolver,
    source::{Document, MANIFEST, OBJECTS, Source, WRITTEN, parts},
};

/// Bundles that stand on each other, the first included.
const MAX_INCLUDES: usize = 8;

/// A bundle, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub(crate) source: Source,
    /// None: definitions alone.
    pub(crate) manifest: Option<Manifest>,
    /// Each after those that it names; those of the bundles that this one stands on first.
    pub(crate) records: Vec<Record>,
    /// What the domain has from the first day; of the bundle itself alone, like its actors.
    pub(crate) objects: Vec<Object>,
    /// What its own files name that neither it nor what it stands on declares.
    undeclared: Vec<Undeclared>,
}

/// A record of a bundle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// Of a link: `Child:Parent`.
    pub(crate) name: String,
    pub(crate) cid: Cid,
    pub(crate) document: Map<String, Value>,
    /// Records that stand below it, by `instanceType`.
    pub(crate) depth: usize,
    /// Whether the bundle itself has it, and not one that it stands on.
    pub(crate) is_own: bool,
}

impl Bundle {
    /// Opens a built-in bundle by its name, or one, or definitions alone, by the folder.
    ///
    /// # Errors
    /// A file that cannot be read; [`Problems`], naming file, line and key of everything that is wrong.
    pub(crate) fn open(name: &str) -> anyhow::Result<Self> {
        Self::compile(Source::open(name)?, 1)
    }

    /// Opens what a domain can be: a bundle with a manifest.
    ///
    /// # Errors
    /// As [`Self::open`]; also where it is definitions alone.
    pub(crate) fn of_domain(name: &str) -> anyhow::Result<(Self, Manifest)> {
        let bundle = Self::open(name).context("`bundle`")?;
        let manifest = bundle.manifest.clone();
        let manifest = manifest.with_context(|| format!("`bundle`: {} has no {MANIFEST}", bundle.source))?;
        Ok((bundle, manifest))
    }

    /// Whether all that its files name is declared, in it, in what it stands on, or by whom `elsewhere` asks. Definitions alone
    /// stand on what a domain has, so that nothing can be said of them without one.
    ///
    /// # Errors
    /// [`Problems`], naming file, line and key of every name that is not.
    pub(crate) fn declared(&self, elsewhere: impl Fn(&Undeclared) -> bool) -> Result<(), Problems> {
        Undeclared::refuse(&self.undeclared, elsewhere)
    }

    /// The same, where nobody else is asked.
    ///
    /// # Errors
    /// As [`Self::declared`].
    pub(crate) fn stands_alone(&self) -> Result<(), Problems> {
        self.declared(|_| self.manifest.is_none())
    }

    fn compile(source: Source, depth: usize) -> anyhow::Result<Self> {
        let mut problems = Problems::default();
        unknown(&source, &mut problems);
        let manifest = manifest(&source, &mut problems);
        let mut records: Vec<Record> = Vec::new();
        let includes = manifest.iter().flat_map(|(_, manifest)| &manifest.includes);
        for (index, name) in includes.enumerate() {
            let key = format!("includes[{index}]");
            let mut wrong = |text: String| {
                if let Some((document, _)) = &manifest {
                    problems.push(document.problem(&key, text));
                }
            };
            match source.include(name) {
                None => wrong(format!(
                    "is {name:?}: neither a folder beside this one nor a built-in bundle"
                )),
                Some(_) if depth == MAX_INCLUDES => {
                    wrong(format!("is the {depth}th bundle on the way: is there a circle?"));
                }
                Some(base) => {
                    for record in Self::compile(base?, depth + 1)?.records {
                        match records.iter().find(|other| other.has_name_of(&record)) {
                            None => records.push(Record {
                                is_own: false,
                                ..record
                            }),
                            Some(other) if other.cid == record.cid => {}
                            Some(_) => wrong(format!(
                                "has another {} {} than the bundles before it",
                                record.kind, record.name
                            )),
                        }
                    }
                }
            }
        }
        let written = written(&source, &records, &mut problems);
        let resolver = Resolver {
            records,
            problems,
            unresolved: written.clone(),
        };
        let manifest = manifest.map(|(_, manifest)| manifest);
        let (records, mut problems) = resolver.run();
        let objects = objects(&source, manifest.as_ref(), &records, &mut problems);
        let undeclared = names::undeclared(&written, &records, manifest.as_ref());
        let bundle = Self {
            source,
            manifest,
            records,
            objects,
            undeclared,
        };
        Ok(problems.or(bundle)?)
    }
}

impl Record {
    fn has_name_of(&self, other: &Self) -> bool {
        (self.kind, &self.name) == (other.kind, &other.name)
    }
}

/// Folders of files that nobody would read.
fn unknown(source: &Source, problems: &mut Problems) {
    for folder in source.unknown() {
        let known: Vec<_> = parts().map(|part| format!("{part}/")).collect();
        problems.push(Problem {
            file: source.shown(folder),
            line: 0,
            key: String::new(),
            text: format!("is no folder of a bundle: these are {}", known.join(", ")),
        });
    }
}

fn manifest(source: &Source, problems: &mut Problems) -> Option<(Document, Manifest)> {
    let text = source.text(MANIFEST)?;
    match Document::parse(&source.shown(MANIFEST), text) {
        Ok(document) => {
            let manifest = Manifest::read(&document, problems);
            Some((document, manifest))
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// Reads the files of types, verbs, projections and behaviours; of two of one name the second is wrong.
fn written(source: &Source, included: &[Record], problems: &mut Problems) -> Vec<Written> {
    let mut all: Vec<Written> = Vec::new();
    for kind in WRITTEN {
        for (path, text) in source.of_kind(kind) {
            let Some(document) = document(source, path, text, problems) else {
                continue;
            };
            let read = Written::read(kind, document, problems);
            let same = all
                .iter()
                .find(|other| other.kind == kind && other.name() == read.name());
            let below = included
                .iter()
                .find(|other| other.kind == kind && Some(&*other.name) == read.name());
            if let (Some(other), Some(_)) = (same, read.name()) {
                let text = format!(
                    "is a second {kind} of that name: the first is in {}",
                    other.document.file
                );
                problems.push(read.document.problem("name", text));
            } else if below.is_some() {
                let text = format!("is a {kind} of a bundle that this one stands on");
                problems.push(read.document.problem("name", text));
            } else {
                all.push(read);
            }
        }
    }
    all
}

/// Reads the files of objects.
fn objects(
    source: &Source,
    manifest: Option<&Manifest>,
    records: &[Record],
    problems: &mut Problems,
) -> Vec<Object> {
    let files: Vec<_> = source.of_folder(OBJECTS).collect();
    let read = files.into_iter().filter_map(|(path, text)| {
        let document = document(source, path, text, problems)?;
        let (_, file) = path.rsplit_once('/')?;
        let name = file.strip_suffix(".yaml")?;
        Object::read(name, &document, manifest, records, problems)
    });
    read.collect()
}

/// A file of a folder; what is wrong with it is noted.
fn document(source: &Source, path: &str, text: &str, problems: &mut Problems) -> Option<Document> {
    let file = source.shown(path);
    if !path.ends_with(".yaml") {
        problems.push(Problem {
            file,
            line: 0,
            key: String::new(),
            text: "is not named `….yaml`".to_owned(),
        });
        return None;
    }
    Document::parse(&file, text)
        .map_err(|problem| problems.push(problem))
        .ok()
}
