//! What must fit together across a definition. The rules look at the tree, so that they speak even when some value elsewhere
//! is wrong; what the table says of single values is not said again.

mod cloud_init;
mod devices;
mod networks;
mod starting;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use orrery_compose::{Files, Problem, units};

use crate::model::Kind;
use crate::schema::MIB;
use crate::tree::At;

pub(crate) use devices::name as disk_name;

/// Looks at what must fit together.
pub(crate) fn check(root: &At<'_>, kind: Option<Kind>, files: &Files, problems: &mut Vec<Problem>) {
    let mut rules = Rules { root, kind, problems };
    rules.memory();
    rules.disks();
    rules.networks();
    rules.ports();
    rules.boot();
    rules.init();
    rules.idmap();
    rules.ready();
    rules.secrets();
    rules.cloud_init(files);
}

struct Rules<'a> {
    root: &'a At<'a>,
    kind: Option<Kind>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Rules<'a> {
    fn wrong(&mut self, at: &At<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::invalid(&at.place(), message).hint(hint));
    }

    fn warn(&mut self, at: &At<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::warning(&at.place(), message).hint(hint));
    }

    fn is_vm(&self) -> bool {
        self.kind == Some(Kind::Vm)
    }

    /// What stands under `source`, when that key does.
    fn source(&self, key: &str) -> Option<At<'a>> {
        self.root.get("source")?.get(key)
    }

    /// Those that have the same value as an earlier one, each with the line of that one.
    fn twice<'n, T: Eq + Hash>(items: impl IntoIterator<Item = (At<'n>, T)>) -> Vec<(At<'n>, u32)> {
        let mut lines: HashMap<T, u32> = HashMap::new();
        let mut again = Vec::new();
        for (at, value) in items {
            match lines.entry(value) {
                Entry::Occupied(first) => again.push((at, *first.get())),
                Entry::Vacant(new) => {
                    new.insert(at.place().line);
                }
            }
        }
        again
    }

    /// What memory there is, and what the limits on it leave.
    fn memory(&mut self) {
        let bytes = |at: &At<'_>| at.node.as_scalar().and_then(units::bytes).and_then(|bytes| u64::try_from(bytes).ok());
        let written = self.root.get("memory");
        let memory = written.as_ref().map_or(Some(512 * MIB), bytes);
        let Some(memory) = memory else { return };
        let shares = self.root.get("shares");
        let share = |key: &str| shares.as_ref().and_then(|shares| shares.get(key));
        if let Some(limit) = share("memory_limit").filter(|_| self.is_vm())
            && bytes(&limit).is_some_and(|limit| limit <= memory)
        {
            let hint = "Leave some 256MiB above memory for QEMU itself, or remove it: a vm has no more than its memory in any case.";
            self.wrong(&limit, "memory_limit is not more than memory, so that the vm would be killed", hint);
        }
        if let Some(reservation) = share("memory_reservation")
            && bytes(&reservation).is_some_and(|reservation| reservation > memory)
        {
            self.wrong(&reservation, "memory_reservation is more than memory", "Write at most as much as memory.");
        }
        let small = self.is_vm() && (16 * MIB..128 * MIB).contains(&memory) && self.source("kernel").is_none();
        if let Some(at) = written.filter(|_| small) {
            self.warn(&at, "few systems start with less than 128MiB", "Write 512MiB or more, unless you know that it is enough.");
        }
    }

    /// The first process of a container.
    fn init(&mut self) {
        let Some(init) = self.root.get("init") else { return };
        let first = if init.node.as_list().is_some() { init.items().into_iter().next() } else { Some(init.clone()) };
        if let Some(first) = first
            && first.text().is_some_and(|text| !text.starts_with('/'))
        {
            let text = first.text().unwrap_or_default();
            let hint = "Write the path of a program in the container, such as /sbin/init, and its arguments as further items of a list.";
            self.wrong(&first, format!("{text:?} is no absolute path"), hint);
        } else if init.text().is_some_and(|text| text.contains(' ')) {
            let text = init.text().unwrap_or_default();
            let words: Vec<&str> = text.split_whitespace().collect();
            self.warn(
                &init,
                format!("{text:?} is one path with spaces in it"),
                format!("For arguments write a list: [{}].", words.join(", ")),
            );
        }
    }

    /// Without a map of users, root inside is root outside.
    fn idmap(&mut self) {
        let open = self.kind == Some(Kind::Container) && self.root.flag("idmap") == Some(false);
        if let Some(at) = self.root.get("idmap").filter(|_| open) {
            self.warn(&at, "root in this container is root of the host", "Remove idmap: false, unless every program in it is trusted.");
        }
    }

    /// What an author writes in clear is part of that version for ever.
    fn secrets(&mut self) {
        const WORDS: [&str; 7] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY"];
        let Some(environment) = self.root.get("environment") else { return };
        for (name, value) in environment.entries() {
            let upper = name.to_ascii_uppercase();
            let secret = WORDS.iter().any(|word| upper.contains(word)) && !upper.ends_with("_FILE");
            if secret && value.node.display().is_some_and(|text| !text.is_empty()) {
                let message = format!("{name} looks like a secret, and stands in this version for ever");
                self.warn(&value, message, "Put it into a file that is in the container already, and name that file here.");
            }
        }
    }
}
