//! From files to one tree: documents read, interpolated, checked, extended, included and merged.

use std::collections::HashMap;

use crate::extends;
use crate::files::{self, Files};
use crate::interpolate::{Variables, interpolate};
use crate::merge;
use crate::paths;
use crate::problem::{Place, Problem};
use crate::schema;
use crate::short;
use crate::yaml::{self, Data, Entry, Map, Node, Span};
use crate::{dotenv, yaml::item};

/// The most values that extended services and included files may add up to.
const MAX_COPIED: usize = 300_000;
/// The most definitions that may include each other, one in the other.
const MAX_INCLUDED: usize = 16;

/// What is shared by the reading of all files of a definition.
pub(crate) struct Assembly<'a> {
    pub(crate) files: &'a Files,
    pub(crate) problems: &'a mut Vec<Problem>,
    /// Documents that services were extended from, by file.
    pub(crate) extended: HashMap<String, Map>,
    /// How many values may still be copied.
    pub(crate) budget: usize,
    /// Files that are being included, from the outermost in.
    including: Vec<String>,
}

/// A definition: where it lies and what its variables are.
pub(crate) struct Scope<'a> {
    /// The file and those that override it.
    pub(crate) names: Vec<String>,
    /// The folder that its paths are relative to.
    pub(crate) folder: String,
    /// Its variables.
    pub(crate) variables: &'a Variables,
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(files: &'a Files, problems: &'a mut Vec<Problem>) -> Self {
        Self { files, problems, extended: HashMap::new(), budget: MAX_COPIED, including: Vec::new() }
    }

    /// The merged tree of a definition, short forms expanded, paths relative to its folder.
    pub(crate) fn definition(&mut self, scope: &Scope<'_>) -> Option<Node> {
        let mut tree: Option<Node> = None;
        for name in &scope.names {
            let documents = self.documents(name, scope.variables)?;
            if documents.is_empty() && tree.is_some() {
                continue;
            }
            if documents.is_empty() {
                let problem = Problem::invalid(&Place::start_of(name), "the file is empty");
                self.problems.push(problem.hint("Begin with services: and a service with an image."));
                return None;
            }
            for document in documents {
                tree = Some(self.over(tree, document, name, scope));
            }
        }
        tree
    }

    /// The documents of a file, interpolated. `None` when it cannot be read; the reason is told.
    pub(crate) fn documents(&mut self, name: &str, variables: &Variables) -> Option<Vec<Node>> {
        let content = self.files.get(name)?;
        let before = self.problems.len();
        let mut documents = yaml::read(name, content, self.problems);
        for document in &mut documents {
            interpolate(document, variables, self.problems);
            if document.as_map().is_none() {
                let message = format!("a definition is a mapping, and this is {}", document.kind());
                self.problems.push(Problem::invalid(&document.span.at(""), message).hint("Begin with services:."));
                return None;
            }
        }
        let broken = documents.is_empty() && self.problems.len() > before;
        (!broken).then_some(documents)
    }

    /// A document over what was read before it.
    fn over(&mut self, base: Option<Node>, mut document: Node, name: &str, scope: &Scope<'_>) -> Node {
        if let Some(base) = &base {
            merge::drop_empty(&mut document, base, "");
        }
        schema::check(&document, self.problems);
        extends::apply(self, &mut document, name, scope);
        let mut base = base.unwrap_or_else(|| Node::empty_map(Span::start_of(&name.into())));
        merge::apply_directives(&mut document, &mut base);
        self.include(&mut document, scope);
        document.remove("version");
        let mut tree = merge::merge(base, document, "", self.problems);
        merge::unify(&mut tree);
        schema::check_repeats(&tree, self.problems);
        short::expand(&mut tree, self.problems);
        merge::unify(&mut tree);
        tree
    }

    fn include(&mut self, document: &mut Node, scope: &Scope<'_>) {
        let Some(includes) = document.remove("include") else { return };
        let Data::List(entries) = includes.data else { return };
        for (index, entry) in entries.iter().enumerate() {
            if let Some(tree) = self.included(entry, &item("include", index), scope) {
                self.import(document, tree);
            }
        }
    }

    fn included(&mut self, entry: &Node, path: &str, scope: &Scope<'_>) -> Option<Node> {
        let listed = entry.get("path").unwrap_or(entry);
        let mut names = Vec::new();
        for node in texts(listed) {
            let name = self.file(node, path, &scope.folder)?;
            names.push(name);
        }
        let first = names.first()?.clone();
        let place = entry.span.at(path);
        if self.including.contains(&first) || scope.names.contains(&first) {
            self.problems.push(Problem::invalid(&place, format!("{first} includes itself")).hint("Break the circle."));
            return None;
        }
        if self.including.len() >= MAX_INCLUDED {
            self.problems.push(Problem::invalid(&place, "definitions include each other too deeply"));
            return None;
        }
        let folder = match entry.get("project_directory").and_then(Node::as_text) {
            Some(folder) => self.inside(folder, &place, &scope.folder)?,
            None => first.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default(),
        };
        let variables = self.variables_of(entry, path, scope, &folder)?;
        self.including.push(first);
        let tree = self.definition(&Scope { names, folder: folder.clone(), variables: &variables });
        self.including.pop();
        let mut tree = tree?;
        self.spend(tree.count(), &place)?;
        paths::rebase(&mut tree, &paths::between(&scope.folder, &folder));
        Some(tree)
    }

    /// The variables of an included definition: its own `.env` under those of the including one.
    fn variables_of(&mut self, entry: &Node, path: &str, scope: &Scope<'_>, folder: &str) -> Option<Variables> {
        let mut names = Vec::new();
        match entry.get("env_file") {
            Some(listed) => {
                for node in texts(listed) {
                    names.push(self.file(node, &format!("{path}.env_file"), &scope.folder)?);
                }
            }
            None => {
                let own = if folder.is_empty() { ".env".to_owned() } else { format!("{folder}/.env") };
                if self.files.has_file(&own) {
                    names.push(own);
                }
            }
        }
        let mut read = Variables::new();
        for name in names {
            let content = self.files.get(&name).unwrap_or_default();
            dotenv::read(&name, content, &|name| scope.variables.get(name).cloned(), &mut read, self.problems);
        }
        read.extend(scope.variables.clone());
        Some(read)
    }

    /// The file of the bundle that a node names.
    pub(crate) fn file(&mut self, node: &Node, path: &str, folder: &str) -> Option<String> {
        let place = node.span.at(path);
        let written = node.as_text()?;
        if written.contains("://") || written.starts_with("git@") {
            let problem = Problem::refused(&place, format!("{written} is not in the bundle"));
            self.problems.push(problem.hint("Put the file into the bundle; nothing is fetched from elsewhere."));
            return None;
        }
        let name = self.inside(written, &place, folder)?;
        if self.files.has_file(&name) {
            return Some(name);
        }
        let problem = Problem::invalid(&place, format!("the bundle has no file {name}"));
        let near = schema::nearest(&name, self.files.iter().map(|(file, _)| file));
        self.problems.push(match near {
            Some(near) => problem.hint(format!("Did you mean {near}?")),
            None => problem.hint("Add it to the bundle."),
        });
        None
    }

    /// The path in the bundle that a written path means, or a refusal.
    fn inside(&mut self, written: &str, place: &Place, folder: &str) -> Option<String> {
        match files::resolve(folder, written) {
            Ok(name) => Some(name),
            Err(outside) => {
                let problem = Problem::refused(place, format!("{written} {outside}"));
                self.problems.push(problem.hint("Put the file into the bundle, and write its path relative to compose.yaml."));
                None
            }
        }
    }

    pub(crate) fn spend(&mut self, nodes: usize, place: &Place) -> Option<()> {
        match self.budget.checked_sub(nodes) {
            Some(left) => {
                self.budget = left;
                Some(())
            }
            None => {
                self.problems.push(Problem::invalid(place, "the definition becomes too large by what it extends and includes"));
                None
            }
        }
    }

    /// Puts the resources of an included definition beside those of the including one.
    fn import(&mut self, document: &mut Node, tree: Node) {
        let Data::Map(sections) = tree.data else { return };
        for (section, entry) in sections {
            if !matches!(section.as_str(), "services" | "volumes" | "networks" | "secrets" | "configs" | "models") {
                continue;
            }
            let Data::Map(resources) = entry.node.data else { continue };
            if document.get(&section).is_none() {
                document.set(&section, Node::empty_map(entry.node.span));
            }
            let Some(own) = document.get_mut(&section).and_then(Node::as_map_mut) else { continue };
            for (name, resource) in resources {
                match own.get(&name) {
                    Some(other) if other.node != resource.node => self.conflict(&section, &name, other, &resource),
                    Some(_) => {}
                    None => {
                        own.insert(name, resource);
                    }
                }
            }
        }
    }

    fn conflict(&mut self, section: &str, name: &str, own: &Entry, included: &Entry) {
        let at = &included.key;
        let message = format!("{section}.{name} is also in {}, line {}, and differs", at.file, at.line);
        let problem = Problem::invalid(&own.key.at(format!("{section}.{name}")), message);
        self.problems.push(problem.hint("Rename one of the two, or override it in a file that include lists beside the other."));
    }
}

/// A text, or the texts of a list.
fn texts(node: &Node) -> &[Node] {
    node.as_list().unwrap_or(std::slice::from_ref(node))
}
