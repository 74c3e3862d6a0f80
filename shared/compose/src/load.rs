//! From the files of a bundle to a project: the one door of this crate.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::assemble::{Assembly, Scope};
use crate::decode::{self, Context};
use crate::files::Files;
use crate::interpolate::Variables;
use crate::model::Project;
use crate::problem::{self, Place, Problem};
use crate::yaml::Node;
use crate::{canonical, dotenv, envfiles, normalize, paths, profiles, used};

/// The names of a definition's file, in the order in which they are looked for.
pub const FILE_NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// What a definition is read with.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Name of the project: the stack's. A `name:` in the file gets a note and has no effect.
    pub project: String,
    /// The folder that relative paths have in the canonical form.
    pub project_dir: String,
    /// Variables for interpolation. They win over the bundle's `.env`.
    pub environment: BTreeMap<String, String>,
    /// Profiles to enable (`*` is all), beside `COMPOSE_PROFILES` of `.env`.
    pub profiles: Vec<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { project: "app".to_owned(), project_dir: "/bundle".to_owned(), environment: BTreeMap::new(), profiles: Vec::new() }
    }
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The project. There when the definition is valid Compose, even if Orrery refuses to run it.
    pub project: Option<Project>,
    /// The canonical form, as Compose's `config --format json` prints it. There with `project`.
    pub normalized: Option<Value>,
    /// Everything there is to say, sorted by severity, file and line.
    pub problems: Vec<Problem>,
}

impl Outcome {
    /// Whether it is valid Compose.
    pub fn is_valid(&self) -> bool {
        self.project.is_some() && !self.problems.iter().any(Problem::is_invalid)
    }

    /// The project, when it is valid and nothing in it is refused.
    pub fn runnable(&self) -> Option<&Project> {
        let blocked = self.problems.iter().any(Problem::blocks);
        self.project.as_ref().filter(|_| !blocked)
    }

    /// What makes it invalid (`errors` of a check).
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|p| p.is_invalid())
    }

    /// What Orrery refuses to run (`refusals` of a check).
    pub fn refusals(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|p| p.blocks() && !p.is_invalid())
    }

    /// What blocks nothing (`notes` of a check).
    pub fn notes(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|p| !p.blocks())
    }
}

/// Reads the definition of a bundle.
pub fn load(files: &Files, options: &LoadOptions) -> Outcome {
    let mut outcome = Outcome::default();
    let read = read(files, options, &mut outcome.problems);
    let broken = outcome.problems.iter().any(Problem::is_invalid);
    if let Some((project, normalized)) = read.filter(|_| !broken) {
        outcome.project = Some(project);
        outcome.normalized = Some(normalized);
    }
    problem::sort(&mut outcome.problems);
    outcome
}

fn read(files: &Files, options: &LoadOptions, problems: &mut Vec<Problem>) -> Option<(Project, Value)> {
    let names = names(files, problems)?;
    let variables = variables(files, options, problems);
    let scope = Scope { names, folder: String::new(), variables: &variables };
    let mut tree = Assembly::new(files, problems).definition(&scope)?;
    other_name(&mut tree, options, problems);
    normalize::normalize(&mut tree, &options.project, &variables);
    let disabled = profiles::split(&mut tree, options, &variables, problems);
    paths::relative(&mut tree, &options.project_dir);
    envfiles::resolve(&mut tree, files, &variables, problems);
    let context = Context { files, options, variables: &variables };
    let mut project = decode::project(&tree, &disabled, &context, problems);
    used::keep(&mut tree, &mut project);
    paths::absolute(&mut tree, &options.project_dir, variables.get("HOME").map(String::as_str));
    let normalized = canonical::canonical(&tree, &options.project);
    Some((project, normalized))
}

/// The definition's file and the one that overrides it.
fn names(files: &Files, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
    let Some(name) = FILE_NAMES.into_iter().find(|name| files.has_file(name)) else {
        let place = Place::start_of(FILE_NAMES[0]);
        let problem = Problem::invalid(&place, "the bundle has no compose.yaml");
        let elsewhere = files.iter().find(|(path, _)| FILE_NAMES.iter().any(|name| path.ends_with(&format!("/{name}"))));
        problems.push(match elsewhere {
            Some((path, _)) => problem.hint(format!("There is {path}; move it to the top of the bundle.")),
            None => problem.hint("Add a file compose.yaml with a key services."),
        });
        return None;
    };
    for other in FILE_NAMES.into_iter().filter(|other| *other != name && files.has_file(other)) {
        problems.push(Problem::note(&Place::start_of(other), format!("{other} is not read: {name} comes first")));
    }
    let mut names = vec![name.to_owned()];
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, "yaml"));
    let endings = if ending == "yml" { ["yml", "yaml"] } else { ["yaml", "yml"] };
    let over = ["compose", "docker-compose"]
        .into_iter()
        .filter(|other| *other == stem)
        .flat_map(|stem| endings.map(|ending| format!("{stem}.override.{ending}")))
        .find(|name| files.has_file(name));
    names.extend(over);
    Some(names)
}

/// The variables that a definition may use: the bundle's `.env` under what the caller gives.
fn variables(files: &Files, options: &LoadOptions, problems: &mut Vec<Problem>) -> Variables {
    let mut given = options.environment.clone();
    given.insert("COMPOSE_PROJECT_NAME".to_owned(), options.project.clone());
    let mut variables = Variables::new();
    if let Some(content) = files.get(".env") {
        dotenv::read(".env", content, &|name| given.get(name).cloned(), &mut variables, problems);
    }
    for ignored in ["COMPOSE_FILE", "COMPOSE_PROJECT_NAME"].into_iter().filter(|name| variables.contains_key(*name)) {
        problems.push(Problem::note(&Place::start_of(".env"), format!("{ignored} has no effect here")));
    }
    // Compose sets it too, whatever its own environment says.
    given.entry("PWD".to_owned()).or_insert_with(|| options.project_dir.clone());
    variables.extend(given);
    variables
}

/// `name:` in the file has no effect.
fn other_name(tree: &mut Node, options: &LoadOptions, problems: &mut Vec<Problem>) {
    let Some(name) = tree.remove("name") else { return };
    if name.as_text() != Some(&options.project) {
        let message = format!("the name in the file has no effect: the project is {}", options.project);
        problems.push(Problem::note(&name.span.at("name"), message).hint("The stack's name is the project's."));
    }
}
