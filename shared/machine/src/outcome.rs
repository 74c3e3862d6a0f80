//! From the files of a bundle to a machine: the one door of this crate.

use orrery_compose::yaml::{self, Node};
use orrery_compose::{Files, Place, Problem, problem};

use crate::model::{Kind, Machine};
use crate::tree::At;
use crate::{check, decode, rules};

/// The names of a definition's file. There may be one of them.
pub const FILE_NAMES: [&str; 2] = ["machine.yaml", "machine.yml"];

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The machine. There when nothing is wrong.
    pub machine: Option<Machine>,
    /// Everything there is to say, sorted by severity, file and line.
    pub problems: Vec<Problem>,
    tree: Option<Node>,
}

impl Outcome {
    /// What is wrong.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.blocks())
    }

    /// What blocks nothing.
    pub fn notes(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| !problem.blocks())
    }

    /// Where the value at a path is written, such as `source.box` or `networks[0].bridge`; for what is not written, where the
    /// nearest thing around it is. With it, `Problem::refused` makes one more problem of the same kind.
    pub fn place(&self, path: &str) -> Place {
        let Some(tree) = &self.tree else { return Place::start_of(FILE_NAMES[0]).with_path(path) };
        let (mut node, mut rest) = (tree, path);
        while let Some((inner, after)) = step(node, rest) {
            (node, rest) = (inner, after);
        }
        node.span.at(path)
    }
}

/// The value that a path leads to first, and what is left of the path. Keys may have dots in them, so that the longest that
/// fits is taken.
fn step<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(&'n Node, &'p str)> {
    if let Some(inside) = path.strip_prefix('[') {
        let (index, after) = inside.split_once(']')?;
        let item = node.as_list()?.get(index.parse::<usize>().ok()?)?;
        return Some((item, after));
    }
    let path = path.strip_prefix('.').unwrap_or(path);
    let fits = |key: &&String| path.strip_prefix(key.as_str()).is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']));
    let key = node.as_map()?.keys().filter(fits).max_by_key(|key| key.len()).filter(|key| !key.is_empty())?;
    Some((node.get(key)?, path.strip_prefix(key.as_str())?))
}

/// Reads the definition of a bundle.
pub fn load(files: &Files) -> Outcome {
    let mut there = FILE_NAMES.into_iter().filter(|name| files.has_file(name));
    let problem = match (there.next(), there.next()) {
        (Some(name), None) => return read(files, name),
        (Some(name), Some(other)) => {
            let message = format!("{name} and {other} are both there, and a bundle has one definition");
            Problem::invalid(&Place::start_of(other), message).hint("Remove one of the two.")
        }
        (None, _) => missing(files),
    };
    Outcome { problems: vec![problem], ..Outcome::default() }
}

fn missing(files: &Files) -> Problem {
    let problem = Problem::invalid(&Place::start_of(FILE_NAMES[0]), "the bundle has no machine.yaml");
    let elsewhere = files.iter().find(|(path, _)| FILE_NAMES.iter().any(|name| path.ends_with(&format!("/{name}"))));
    match elsewhere {
        Some((path, _)) => problem.hint(format!("There is {path}; move it to the top of the bundle.")),
        None => problem.hint("Add a file machine.yaml with the keys kind and source."),
    }
}

/// Reads the definition that lies at a path of the bundle. Files that it names are looked for from the top of the bundle.
pub fn read(files: &Files, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let problems = &mut outcome.problems;
    let Some(content) = files.get(path) else {
        problems.push(Problem::invalid(&Place::start_of(path), format!("the bundle has no {path}")).hint("Add it."));
        return outcome;
    };
    if let Some(tree) = document(path, content, problems) {
        let root = At::root(&tree);
        let kind = root.text_of("kind").and_then(Kind::parse);
        check::check(&root, kind, files, problems);
        rules::check(&root, kind, files, problems);
        if !problems.iter().any(Problem::blocks) {
            outcome.machine = decode::machine(&root, files);
        }
        outcome.tree = Some(tree);
    }
    problem::sort(&mut outcome.problems);
    outcome
}

/// The one document of the file.
fn document(path: &str, content: &[u8], problems: &mut Vec<Problem>) -> Option<Node> {
    let before = problems.len();
    let mut documents = yaml::read(path, content, problems).into_iter();
    let first = documents.next();
    if let Some(second) = documents.next() {
        let problem = Problem::invalid(&second.span.at(""), "a second document begins here, and a file defines one machine");
        problems.push(problem.hint("Remove the line of dashes, or put each machine into a bundle of its own."));
    }
    if first.is_none() && problems.len() == before {
        let problem = Problem::invalid(&Place::start_of(path), "the file is empty");
        problems.push(problem.hint("Begin with kind: vm and source: {box: …}."));
    }
    first
}
