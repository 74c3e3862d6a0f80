//! Definitions against what Compose makes of them: the small set of our own that lies beside this
//! file, or a larger one where `ORRERY_CORPUS` names its folder.

#![allow(clippy::unwrap_used)]

mod corpus_cases;

use corpus_cases::Verdict;
use orrery_compose::{Files, LoadOptions};

fn disagreements(folder: &str) -> (usize, Vec<String>) {
    let cases = corpus_cases::all(folder);
    let told = cases.iter().filter_map(|case| match case.verdict() {
        Verdict::Same => None,
        Verdict::Differs(why) | Verdict::Wrong(why) => Some(format!("{}\n{}", case.name, why.join("\n"))),
    });
    (cases.len(), told.collect())
}

#[test]
fn definitions_mean_what_they_mean_to_compose() {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/definitions").to_owned();
    let folder = std::env::var("ORRERY_CORPUS").unwrap_or(own);
    let (count, wrong) = disagreements(&folder);
    assert!(count >= 20, "only {count} definitions are in {folder}");
    let agreeing = count - wrong.len();
    assert!(agreeing * 100 >= count * 98, "{agreeing} of {count} agree:\n{}", wrong.join("\n"));
}

/// What Compose takes or not, snippet by snippet. A block begins with `### accepted` or `### rejected`; what is
/// decided otherwise here, on purpose, has the reason behind it.
#[test]
fn verdicts_are_those_of_compose() {
    let text = include_str!("verdicts.txt");
    let mut wrong = Vec::new();
    let mut count = 0;
    for block in text.split("### ").skip(1) {
        let (title, definition) = block.split_once('\n').unwrap();
        let (verdict, reason) = title.split_once(':').unwrap_or((title, ""));
        let expected = (verdict == "accepted") == reason.is_empty();
        let outcome = orrery_compose::load(&Files::of_compose(definition), &LoadOptions::default());
        count += 1;
        if outcome.is_valid() != expected {
            let errors: Vec<String> = outcome.errors().map(ToString::to_string).collect();
            wrong.push(format!("{title}\n{definition}{}", errors.join("\n")));
        }
    }
    assert!(count > 400, "only {count} snippets were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
