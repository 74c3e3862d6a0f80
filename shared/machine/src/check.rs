//! The definition against the table: unknown keys, keys of the other kind, values that are not what they must be.

use orrery_compose::files::{self, Files, Outside};
use orrery_compose::schema::nearest;
use orrery_compose::yaml::{Node, Scalar};
use orrery_compose::{Problem, missing_file, units};

use crate::model::Kind;
use crate::schema::{Choice, Form, Key, Object, Only, Shape, TOP, object_of};
use crate::tree::At;
use crate::words::{expected, forbidden, size};

/// Checks a definition.
pub(crate) fn check(root: &At<'_>, kind: Option<Kind>, files: &Files, problems: &mut Vec<Problem>) {
    Checker { kind, files, problems }.value(root, Shape::Object(&TOP));
}

struct Checker<'a> {
    kind: Option<Kind>,
    files: &'a Files,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn say(&mut self, at: &At<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::invalid(&at.place(), message).hint(hint));
    }

    fn value(&mut self, at: &At<'_>, shape: Shape) {
        if at.node.directive.is_some() {
            return self.say(at, "a tag has no meaning here", "Remove it: there is only one file, and nothing to override.");
        }
        match shape {
            Shape::Object(object) => self.object(at, object),
            Shape::Short(form, object) => match at.text() {
                Some(text) => self.form(at, text, form),
                None if at.node.as_map().is_some() => self.object(at, object),
                None => self.wrong(at, shape),
            },
            Shape::List(inner, most) => self.list(at, shape, *inner, most),
            Shape::Words(form) => self.words(at, shape, form),
            Shape::Command => self.command(at),
            Shape::Map(form, inner) => self.map(at, shape, form, *inner),
            Shape::Text(form) => match at.text() {
                Some(text) => self.form(at, text, form),
                None => self.wrong(at, shape),
            },
            Shape::Prose => match at.text() {
                Some(text) => self.characters(at, text, true),
                None => self.wrong(at, shape),
            },
            Shape::Loose => self.loose(at),
            Shape::Choice(choices) => self.choice(at, shape, choices),
            Shape::Bool => match at.node.as_scalar() {
                Some(Scalar::Bool(_)) => {}
                Some(_) | None => self.wrong(at, shape),
            },
            Shape::True => match at.node.as_scalar() {
                Some(Scalar::Bool(true)) => {}
                Some(Scalar::Bool(false)) => {
                    let name = last(&at.path);
                    self.say(at, format!("{name}: false says nothing"), format!("Write {name}: true, or another key in its place."));
                }
                Some(_) | None => self.wrong(at, shape),
            },
            Shape::Whole(least, most) => self.whole(at, shape, least, most),
            Shape::Number(least, most) => self.number(at, shape, least, most),
            Shape::Bytes(least, most, step) => self.bytes(at, shape, (least, most, step)),
            Shape::Time(least, most) => self.time(at, shape, least, most),
            Shape::File => self.file(at),
        }
    }

    fn object(&mut self, at: &At<'_>, object: &'static Object) {
        if at.node.as_map().is_none() {
            return self.wrong(at, Shape::Object(object));
        }
        for (name, value) in at.entries() {
            match object.key(name) {
                Some(key) => {
                    self.fits(&value, key, object);
                    self.value(&value, key.shape);
                }
                None if std::ptr::eq(object, &TOP) && name.starts_with("x-") => {}
                None => self.unknown(&value, name, object),
            }
        }
        for name in object.required.iter().filter(|name| !at.has(name)) {
            let message = format!("{} needs {name}", object.what);
            let doc = object.key(name).map(|key| format!(" {}", key.doc)).unwrap_or_default();
            self.say(at, message, format!("Add the key {name}.{doc}"));
        }
        if let Some(choice) = object.choice {
            self.exclusive(at, object, choice);
        }
    }

    /// Whether a key belongs to this kind of machine.
    fn fits(&mut self, at: &At<'_>, key: &'static Key, object: &'static Object) {
        let Some(kind) = self.kind.filter(|kind| key.only.kind().is_some_and(|only| only != *kind)) else { return };
        let place = at.key_place();
        match key.only {
            Only::Both => {}
            Only::Idle(_, hint) => {
                let message = format!("{} has no effect in a {}", key.name, kind.as_str());
                self.problems.push(Problem::warning(&place, message).hint(hint));
            }
            Only::Kind(only, hint) => {
                let of = if std::ptr::eq(object, &TOP) { String::new() } else { format!(" of {}", object.what) };
                let message = format!("{}{of} belongs to a {}, and this is a {}", key.name, only.as_str(), kind.as_str());
                self.problems.push(Problem::invalid(&place, message).hint(hint));
            }
        }
    }

    fn unknown(&mut self, at: &At<'_>, name: &str, object: &'static Object) {
        let keys = self.keys(object);
        let near = nearest(name, keys.iter().copied());
        let inside = TOP.keys.iter().find(|key| object_of(key.shape).is_some_and(|inner| inner.key(name).is_some()));
        let first = match (near, inside) {
            (Some(near), _) => format!("Did you mean {near}? "),
            (None, Some(home)) if std::ptr::eq(object, &TOP) => format!("It belongs into {}. ", home.name),
            (None, _) if TOP.key(name).is_some() && !std::ptr::eq(object, &TOP) => {
                format!("{name} stands at the top, without indentation. ")
            }
            (None, _) => String::new(),
        };
        let message = format!("{name} is not a key of {}", object.what);
        let problem = Problem::invalid(&at.key_place(), message);
        self.problems.push(problem.hint(format!("{first}The keys are {}.", keys.join(", "))));
    }

    /// The keys that an object has in this kind of machine.
    fn keys(&self, object: &'static Object) -> Vec<&'static str> {
        let fits = |key: &&Key| self.kind.is_none_or(|kind| key.only.kind().is_none_or(|only| only == kind));
        object.keys.iter().filter(fits).map(|key| key.name).collect()
    }

    fn exclusive(&mut self, at: &At<'_>, object: &'static Object, choice: Choice) {
        let mut written = choice.of.iter().filter_map(|name| Some((*name, at.get(name)?)));
        let Some((first, _)) = written.next() else {
            if choice.needed {
                let keys = self.keys(object);
                let fitting: Vec<&str> = choice.of.iter().copied().filter(|name| keys.contains(name)).collect();
                let needed = if let [only] = fitting.as_slice() { (*only).to_owned() } else { format!("one of {}", fitting.join(", ")) };
                self.say(at, format!("{} needs {needed}", object.what), "Add the key.");
            }
            return;
        };
        for (second, other) in written.collect::<Vec<_>>() {
            let problem = Problem::invalid(&other.key_place(), format!("{first} and {second} exclude each other"));
            self.problems.push(problem.hint("Keep one of the two."));
        }
    }

    fn list(&mut self, at: &At<'_>, shape: Shape, inner: Shape, most: usize) {
        let Some(items) = at.node.as_list() else { return self.wrong(at, shape) };
        if items.len() > most {
            let message = format!("{} has {} items, and {most} is the most", last(&at.path), items.len());
            self.say(at, message, "Remove some.");
        }
        at.items().iter().for_each(|item| self.value(item, inner));
    }

    fn words(&mut self, at: &At<'_>, shape: Shape, form: &'static Form) {
        match (at.text(), at.node.as_list()) {
            (Some(text), _) => self.form(at, text, form),
            (None, Some([])) => self.say(at, format!("{} is empty", last(&at.path)), format!("Write {}.", form.what)),
            (None, Some(_)) => at.items().iter().for_each(|item| self.value(item, Shape::Text(form))),
            (None, None) => self.wrong(at, shape),
        }
    }

    fn command(&mut self, at: &At<'_>) {
        match (at.text(), at.node.as_list()) {
            (Some(text), _) if text.trim().is_empty() => self.say(at, "the command is empty", "Write a command, or remove the line."),
            (Some(text), _) => self.characters(at, text, true),
            (None, Some([])) => self.say(at, "the command is empty", "Write a program and its arguments, or remove the line."),
            (None, Some(_)) => at.items().iter().for_each(|item| self.value(item, Shape::Prose)),
            (None, None) => self.wrong(at, Shape::Command),
        }
    }

    fn map(&mut self, at: &At<'_>, shape: Shape, form: &'static Form, inner: Shape) {
        if at.node.as_map().is_none() {
            return self.wrong(at, shape);
        }
        for (name, value) in at.entries() {
            if let Err(fault) = (form.check)(name) {
                self.problems.push(Problem::invalid(&value.key_place(), fault.message).hint(fault.hint));
            }
            self.value(&value, inner);
        }
    }

    fn form(&mut self, at: &At<'_>, text: &str, form: &'static Form) {
        self.characters(at, text, false);
        if let Err(fault) = (form.check)(text) {
            self.say(at, fault.message, fault.hint);
        }
    }

    /// A domain's definition is XML, which cannot hold every character.
    fn characters(&mut self, at: &At<'_>, text: &str, lines: bool) {
        if let Some(c) = text.chars().find(|c| forbidden(*c, lines)) {
            let name = last(&at.path);
            if c == '\n' {
                return self.say(at, format!("{name} has several lines"), "Write it in one.");
            }
            let message = format!("{name} has the control character U+{:04X}", u32::from(c));
            self.say(at, message, "Remove it; what needs it can lie in a file.");
        }
    }

    fn loose(&mut self, at: &At<'_>) {
        match (at.node.as_scalar(), at.node.display()) {
            (Some(_), Some(text)) => self.characters(at, &text, false),
            (Some(_) | None, _) => self.wrong(at, Shape::Loose),
        }
    }

    fn choice(&mut self, at: &At<'_>, shape: Shape, choices: &'static [&'static str]) {
        let Some(text) = at.text() else { return self.wrong(at, shape) };
        if choices.contains(&text) {
            return;
        }
        let list = choices.join(", ");
        let hint = match nearest(text, choices.iter().copied()) {
            Some(near) => format!("Did you mean {near}? It is one of {list}."),
            None => format!("Write one of {list}."),
        };
        self.say(at, format!("{text:?} is no value of {}", last(&at.path)), hint);
    }

    fn whole(&mut self, at: &At<'_>, shape: Shape, least: i64, most: i64) {
        match at.whole() {
            Some(value) if (least..=most).contains(&value) => {}
            Some(value) => self.range(at, value.to_string(), least.to_string(), most.to_string()),
            None => self.wrong(at, shape),
        }
    }

    fn number(&mut self, at: &At<'_>, shape: Shape, least: f64, most: f64) {
        match number(at.node) {
            Some(value) if (least..=most).contains(&value) => {}
            Some(value) => self.range(at, value.to_string(), least.to_string(), most.to_string()),
            None => self.wrong(at, shape),
        }
    }

    fn bytes(&mut self, at: &At<'_>, shape: Shape, (least, most, step): (u64, u64, u64)) {
        let Some(value) = at.node.as_scalar().and_then(units::bytes) else { return self.wrong(at, shape) };
        match u64::try_from(value) {
            Ok(value) if (least..=most).contains(&value) => {
                let above = value.next_multiple_of(step);
                if above != value {
                    let message = format!("{} must be a multiple of {}, and this is {value} bytes", last(&at.path), size(step));
                    self.say(at, message, format!("Write {}.", size(above)));
                }
            }
            Ok(value) => self.range(at, size(value), size(least), size(most)),
            Err(_) => self.range(at, value.to_string(), size(least), size(most)),
        }
    }

    fn time(&mut self, at: &At<'_>, shape: Shape, least: u64, most: u64) {
        let Some(value) = at.text().and_then(units::duration) else { return self.wrong(at, shape) };
        let seconds = std::time::Duration::from_secs;
        if value < seconds(least) || value > seconds(most) {
            let show = units::go_duration;
            self.range(at, show(value), show(seconds(least)), show(seconds(most)));
        }
    }

    fn range(&mut self, at: &At<'_>, value: String, least: String, most: String) {
        let message = format!("{} is out of range: {value}", last(&at.path));
        self.say(at, message, format!("Write something from {least} to {most}."));
    }

    fn file(&mut self, at: &At<'_>) {
        let Some(written) = at.text() else { return self.wrong(at, Shape::File) };
        match files::resolve("", written) {
            Ok(path) if self.files.has_file(&path) => {}
            Ok(path) if self.files.has_folder(&path) => self.say(at, format!("{written:?} is a folder"), "Name a file of the bundle."),
            Ok(path) => self.problems.push(missing_file(self.files, &at.place(), &path, "file")),
            Err(outside @ (Outside::Absolute | Outside::Above | Outside::Home)) => {
                self.say(at, format!("{written} {outside}"), "Put the file into the bundle, and write its path there.");
            }
        }
    }

    fn wrong(&mut self, at: &At<'_>, shape: Shape) {
        let subject = if at.path.is_empty() { "the definition" } else { last(&at.path) };
        let wanted = expected(shape);
        if at.node.is_null() {
            return self.say(at, format!("{subject} must be {wanted}, and nothing is there"), "Write a value, or remove the key.");
        }
        let text = at.text().filter(|text| text.len() < 40);
        let shown = text.map(|text| format!(" {text:?}")).unwrap_or_default();
        let problem = Problem::invalid(&at.place(), format!("{subject} must be {wanted}, and this is {}{shown}", at.node.kind()));
        self.problems.push(match advice(at.node, shape) {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }
}

/// How a value of the wrong kind becomes one of the right kind.
fn advice(node: &Node, shape: Shape) -> Option<String> {
    let written = node.source.as_deref().map(str::to_owned).or_else(|| node.display()).filter(|text| text.len() < 40);
    match (shape, written) {
        (
            Shape::Text(_) | Shape::Prose | Shape::Choice(_) | Shape::File | Shape::Short(..) | Shape::Command | Shape::Words(_),
            Some(text),
        ) => node.as_text().is_none().then(|| format!("Put it in quotes: {text:?}.")),
        (Shape::Bool | Shape::True, _) => Some("Write true or false, without quotes.".to_owned()),
        (Shape::Whole(..) | Shape::Number(..), Some(text)) if text.parse::<f64>().is_ok() && node.as_text().is_some() => {
            Some(format!("Write it without quotes: {text}."))
        }
        (Shape::Time(..), Some(text)) if node.as_text().is_none() => Some(format!("Give a unit: {text}s.")),
        (Shape::Time(..), _) => Some("Write a number with a unit: 30s, 1m30s, 2h.".to_owned()),
        (Shape::Bytes(..), _) => Some("Write a whole number with a unit: 512MiB, 2GiB.".to_owned()),
        (Shape::List(..), Some(text)) => Some(format!("Write a list: [{text}].")),
        (Shape::List(..), None) => Some("Begin each item with a dash.".to_owned()),
        (Shape::Object(object), _) => {
            let keys: Vec<&str> = object.keys.iter().map(|key| key.name).collect();
            Some(format!("Write keys with colons; they are {}.", keys.join(", ")))
        }
        (Shape::Map(..), _) => Some("Write names with colons: name: value.".to_owned()),
        (_, _) => None,
    }
}

/// A number that is one in YAML.
pub(crate) fn number(node: &Node) -> Option<f64> {
    node.as_text().is_none().then(|| node.as_scalar().and_then(units::number)).flatten()
}

/// The last part of a path: the key, and which item of it.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
