//! `extends`: services that begin with another one, of the same file or of another of the bundle.

use crate::assemble::{Assembly, Scope};
use crate::merge;
use crate::paths;
use crate::problem::Problem;
use crate::schema::{self, SERVICE, Shape};
use crate::short;
use crate::yaml::{Data, Map, Node, child};

/// The longest chain of services that extend each other.
const MAX_CHAIN: usize = 32;

/// Replaces every service of a document that extends another one with what comes out.
pub(crate) fn apply(assembly: &mut Assembly<'_>, document: &mut Node, file: &str, scope: &Scope<'_>) {
    let Some(services) = document.get_mut("services").and_then(Node::as_map_mut) else { return };
    let names: Vec<String> =
        services.iter().filter(|(_, entry)| entry.node.get("extends").is_some()).map(|(name, _)| name.clone()).collect();
    for name in names {
        let mut chain = Vec::new();
        Extender { assembly, scope }.resolve(services, &name, file, &scope.folder, &mut chain);
    }
}

struct Extender<'e, 'a> {
    assembly: &'e mut Assembly<'a>,
    scope: &'e Scope<'e>,
}

impl Extender<'_, '_> {
    /// Resolves one service in place. `folder` is what paths in this file are relative to.
    fn resolve(&mut self, services: &mut Map, name: &str, file: &str, folder: &str, chain: &mut Vec<(String, String)>) -> Option<()> {
        let service = services.get(name)?.node.clone();
        let path = format!("services.{name}");
        let Some(extends) = service.get("extends") else { return Some(()) };
        let place = extends.span.at(child(&path, "extends"));
        let here = (file.to_owned(), name.to_owned());
        if chain.contains(&here) || chain.len() >= MAX_CHAIN {
            let names: Vec<_> = chain.iter().map(|(_, name)| name.as_str()).chain([name]).collect();
            let message = format!("services extend each other in a circle: {}", names.join(" → "));
            self.assembly.problems.push(Problem::invalid(&place, message).hint("Break the circle."));
            self.give_up(services, name);
            return None;
        }
        let target = extends.get("service").unwrap_or(extends);
        let Some(target) = target.as_text().map(str::to_owned) else {
            self.give_up(services, name);
            return None;
        };
        chain.push(here);
        let base = match extends.get("file") {
            Some(from) => self.base_of_file(from, &path, &target, folder, chain, extends),
            None => self.base_of_here(services, &target, file, folder, chain, extends, &path),
        };
        chain.pop();
        self.give_up(services, name);
        let mut base = base?;
        self.assembly.spend(base.count(), &place)?;
        let entry = services.get_mut(name)?;
        let mut over = std::mem::replace(&mut entry.node, Node::null(service.span.clone()));
        merge::apply_directives(&mut over, &mut base);
        entry.node = merge::merge(base, over, &path, self.assembly.problems);
        Some(())
    }

    /// Takes `extends` off a service.
    fn give_up(&mut self, services: &mut Map, name: &str) {
        if let Some(entry) = services.get_mut(name) {
            entry.node.remove("extends");
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn base_of_here(
        &mut self,
        services: &mut Map,
        target: &str,
        file: &str,
        folder: &str,
        chain: &mut Vec<(String, String)>,
        extends: &Node,
        path: &str,
    ) -> Option<Node> {
        if !services.contains_key(target) {
            self.unknown(services, target, file, extends, path);
            return None;
        }
        self.resolve(services, target, file, folder, chain)?;
        Some(services.get(target)?.node.clone())
    }

    fn base_of_file(
        &mut self,
        from: &Node,
        path: &str,
        target: &str,
        folder: &str,
        chain: &mut Vec<(String, String)>,
        extends: &Node,
    ) -> Option<Node> {
        let file = self.assembly.file(from, &format!("{path}.extends.file"), folder)?;
        let mut services = match self.assembly.extended.remove(&file) {
            Some(services) => services,
            None => self.services_of(&file, from, path)?,
        };
        let result = if services.contains_key(target) {
            self.extended(&mut services, target, &file, folder, chain)
        } else {
            self.unknown(&services, target, &file, extends, path);
            None
        };
        self.assembly.extended.insert(file, services);
        result
    }

    /// A service of another file, resolved, its paths relative to `folder`.
    fn extended(&mut self, services: &mut Map, target: &str, file: &str, folder: &str, chain: &mut Vec<(String, String)>) -> Option<Node> {
        let path = format!("services.{target}");
        let own = file.rsplit_once('/').map(|(own, _)| own).unwrap_or_default().to_owned();
        if let Some(entry) = services.get(target) {
            schema::check_value(&entry.node, &path, Shape::Object(&SERVICE), self.assembly.problems);
        }
        self.resolve(services, target, file, &own, chain)?;
        let mut node = services.get(target)?.node.clone();
        short::service(&mut node, &path, self.assembly.problems);
        paths::rebase_service(&mut node, &paths::between(folder, &own));
        Some(node)
    }

    fn services_of(&mut self, file: &str, from: &Node, path: &str) -> Option<Map> {
        let documents = self.assembly.documents(file, self.scope.variables)?;
        let mut services = Map::new();
        for document in documents {
            let Data::Map(mut sections) = document.data else { continue };
            if let Some(Data::Map(map)) = sections.shift_remove("services").map(|entry| entry.node.data) {
                services.extend(map);
            }
        }
        if services.is_empty() {
            let place = from.span.at(format!("{path}.extends.file"));
            self.assembly.problems.push(Problem::invalid(&place, format!("{file} has no services")));
            return None;
        }
        Some(services)
    }

    fn unknown(&mut self, services: &Map, target: &str, file: &str, extends: &Node, path: &str) {
        let at = extends.get("service").unwrap_or(extends);
        let problem = Problem::invalid(&at.span.at(format!("{path}.extends")), format!("{file} has no service {target}"));
        let near = schema::nearest(target, services.keys().map(String::as_str));
        self.assembly.problems.push(match near {
            Some(near) => problem.hint(format!("Did you mean {near}?")),
            None => problem,
        });
    }
}
