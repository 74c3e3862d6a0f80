//! Compares what this crate makes of real definitions with what Compose made of them.
//!
//! `cargo run -p orrery-compose --example corpus -- <folder> [case]`: the folder has one folder a
//! case, with the files of a bundle and either `expected.json` or `rejected.txt`.

#![allow(clippy::print_stdout)]

#[path = "../tests/corpus_cases/mod.rs"]
mod corpus_cases;

use corpus_cases::{Case, Verdict};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        println!("usage: corpus <folder> [case]");
        return;
    };
    let only = arguments.next();
    let cases: Vec<Case> =
        corpus_cases::all(&folder).into_iter().filter(|case| only.as_ref().is_none_or(|only| case.name == *only)).collect();
    let (mut same, mut verdicts) = (0, 0);
    for case in &cases {
        let verdict = case.verdict();
        verdicts += usize::from(!matches!(verdict, Verdict::Wrong(_)));
        match verdict {
            Verdict::Same => same += 1,
            Verdict::Differs(differences) => println!("DIFFERS {}\n{}", case.name, differences.join("\n")),
            Verdict::Wrong(why) => println!("VERDICT {}\n{}", case.name, why.join("\n")),
        }
        if only.is_some() {
            println!("{}", case.report().join("\n"));
        }
    }
    println!("{} cases, {verdicts} with the same verdict, {same} with the same form", cases.len());
}
