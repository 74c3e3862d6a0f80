//! What the libvirt executor's own code says of a machine's definition. It adds no rule of its own, and lies in the checker's
//! binary.

use orrery_contracts::Bundle;
use orrery_machine::{Files, load};

use crate::check::{Check, Field, definition_file};
use crate::checker::problem;
use crate::machine_form;

/// Looks at a machine's bundle in its wire form, and tells what was found as JSON.
#[must_use]
pub fn check_machine_json(bundle: &str) -> String {
    serde_json::to_string(&check(&read(bundle))).unwrap_or_default()
}

/// A definition with a field of the form written into it: the text, or why it is not, as JSON.
#[must_use]
pub fn fill_machine_json(text: &str, field: &str, value: &str) -> String {
    let filled = match serde_json::from_str::<Field>(field) {
        Ok(field) => machine_form::fill(text, field, value),
        Err(error) => Err(error.to_string()),
    };
    serde_json::to_string(&filled).unwrap_or_default()
}

fn read(bundle: &str) -> Bundle {
    serde_json::from_slice(bundle.as_bytes()).unwrap_or_default()
}

fn files(bundle: &Bundle) -> Files {
    bundle.files.iter().map(|(path, file)| (path.clone(), file.bytes.clone())).collect()
}

fn check(bundle: &Bundle) -> Check {
    let outcome = load(&files(bundle));
    let text = bundle.files.get(&definition_file(bundle)).and_then(|file| file.as_text().map(str::to_owned));
    Check {
        problems: outcome.problems.iter().map(problem).collect(),
        form: text.and_then(|text| machine_form::read(&text)),
        ..Check::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_contracts::FileContent;

    fn bundle(text: &str) -> Bundle {
        Bundle { files: [("machine.yaml".to_owned(), FileContent::text(text))].into() }
    }

    #[test]
    fn a_wrong_key_is_told_at_its_place() {
        let found = check(&bundle("kind: vm\nsource: {box: debian-12}\nmemroy: 1GiB\n"));
        assert_eq!((found.blocking(), found.problems[0].line), (1, 3));
        assert!(found.problems[0].hint.as_deref().unwrap().contains("memory"));
        assert_eq!(check(&Bundle::default()).problems[0].file, "machine.yaml");
    }

    #[test]
    fn what_is_told_across_the_border_is_what_was_found() {
        let bundle = bundle("kind: vm\nsource: {box: debian-12}\ncpus: 2\n");
        let told: Check = serde_json::from_str(&check_machine_json(&serde_json::to_string(&bundle).unwrap())).unwrap();
        assert_eq!(told, check(&bundle));
        assert_eq!(told.form.unwrap()[&Field::Cpus], "2");
        let filled: Result<String, String> = serde_json::from_str(&fill_machine_json("cpus: 2\n", "\"Cpus\"", "4")).unwrap();
        assert_eq!(filled.unwrap(), "cpus: 4\n");
    }
}
