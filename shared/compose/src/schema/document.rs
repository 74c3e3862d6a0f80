//! The table as a page for people: `docs/compose.md`.

use std::collections::HashSet;

use super::keys::{item_of, named_of, object_of};
use super::values::expected;
use super::{Class, DIFFERENCES, Key, Object, Shape, TOP};

const HEAD: &str = "# Compose: what works here

This page is made from the table that the checker and the editor use, and a test fails when it is stale. Make it anew with
`cargo run -q -p orrery-compose --example document > docs/compose.md`.

Every key of the Compose specification is in one of four classes; nothing is ignored in silence.

- **works**: it does what the specification says.
- **no effect**: it is accepted, and a note says why it changes nothing.
- **refused**: an error with file, line and column says what to do instead.
- **newer engine**: it works with engines from that API version on; a note says so.

Keys that begin with `x-` are accepted wherever the specification has them, and change nothing, as in Compose.
";

const AROUND: &str = "
## Around the keys

| what | class |
| --- | --- |
| anchors, aliases, merge keys (`<<`, chained and in lists) | works, within a budget |
| several documents in one file | works: each is merged over the one before |
| `compose.override.yaml` beside the definition, and files that `include` lists together | works, with `!reset` and `!override` |
| `extends`, also across files of the bundle | works |
| `include` with `path`, `env_file` and `project_directory` | works, within the bundle |
| profiles (`profiles`, `COMPOSE_PROFILES` in `.env`) | works |
| `$V`, `${V}`, `${V:-d}`, `${V-d}`, `${V:?e}`, `${V?e}`, `${V:+o}`, `${V+o}`, nested, and `$$` | works; an unset variable gets a warning |
| `.env` of the bundle, `env_file` with `required` and `format` | works, in Compose's own grammar |
| `COMPOSE_FILE` and `COMPOSE_PROJECT_NAME` in `.env` | no effect, with a note |
| `secret://name` as the whole value of a variable of `environment` | works: the stack's secret of this name; see [secrets.md](secrets.md) |
| `PWD` in interpolation | works: the folder of the version's bundle, with a note |
";

/// The page.
pub fn document() -> String {
    let mut writer = Writer::default();
    writer.sections("", Shape::Object(&TOP), WORKS);
    let of = |wanted: &str| writer.classes.iter().filter(|class| **class == wanted).count();
    let (all, works, idle, refused, newer) = (writer.classes.len(), of(WORKS), of(IDLE), of(REFUSED), of(NEWER));
    let mut page = HEAD.to_owned();
    page.push_str(&format!("\n{all} keys: {works} work, {idle} have no effect, {refused} are refused, {newer} need a newer engine.\n"));
    page.push_str(&writer.body);
    page.push_str(AROUND);
    page.push_str("\n## Where Orrery decides otherwise than Docker Compose\n\n");
    page.push_str("Measured against Docker Compose 2.40.3. All else has the same verdict and the same canonical form.\n\n");
    page.push_str("| what | Compose | here | why |\n| --- | --- | --- | --- |\n");
    for row in DIFFERENCES {
        page.push_str(&format!("| {} | {} | {} | {} |\n", row.what, row.compose, row.here, row.why));
    }
    page
}

const WORKS: &str = "works";
const IDLE: &str = "no effect";
const REFUSED: &str = "refused";
const NEWER: &str = "newer engine";

#[derive(Default)]
struct Writer {
    body: String,
    classes: Vec<&'static str>,
    seen: HashSet<(&'static str, &'static str)>,
}

impl Writer {
    /// The section of an object and those of the objects below it, each once. What stands under a key without effect,
    /// or under one that is refused, is of that class too.
    fn sections(&mut self, path: &str, shape: Shape, above: &'static str) {
        if let Some(object) = object_of(shape) {
            self.section(path, object, above);
        } else if let Some(inner) = item_of(shape) {
            self.sections(&format!("{path}[]"), inner, above);
        } else if let Some(inner) = named_of(shape) {
            self.sections(&format!("{path}.*"), inner, above);
        }
    }

    fn section(&mut self, path: &str, object: &'static Object, above: &'static str) {
        if !self.seen.insert((object.what, above)) {
            return;
        }
        let title = if path.is_empty() { "The definition".to_owned() } else { format!("`{path}`: {}", object.what) };
        self.body.push_str(&format!("\n## {title}\n\n| key | value | class | about |\n| --- | --- | --- | --- |\n"));
        for key in object.keys {
            let (class, about) = class(key, above);
            self.classes.push(class);
            let required = if object.required.contains(&key.name) { " (required)" } else { "" };
            let value = expected(key.shape);
            self.body.push_str(&format!("| `{}`{required} | {value} | {class} | {about} |\n", key.name));
        }
        for key in object.keys {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            let (class, _) = class(key, above);
            self.sections(&path, key.shape, if class == NEWER { WORKS } else { class });
        }
    }
}

fn class(key: &Key, above: &'static str) -> (&'static str, String) {
    if above != WORKS {
        return (above, key.doc.to_owned());
    }
    match key.class {
        Class::Works => (WORKS, key.doc.to_owned()),
        Class::NoEffect(why) => (IDLE, format!("{} {why}", key.doc)),
        Class::Refused(instead) => (REFUSED, format!("{} {instead}", key.doc)),
        Class::NeedsEngine(api) => (NEWER, format!("{} API {api}.", key.doc)),
    }
}
