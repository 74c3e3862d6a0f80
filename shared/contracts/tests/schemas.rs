//! The committed schemas are the ones that the types give.

use std::path::Path;

#[test]
fn the_committed_schemas_are_not_stale() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (path, document) in orrery_contracts::schema::documents() {
        let committed = std::fs::read_to_string(docs.join(&path)).unwrap_or_default();
        let committed: serde_json::Value = serde_json::from_str(&committed).unwrap_or_default();
        assert!(committed == document, "docs/{path} is stale: run `cargo xtask schemas`");
    }
}

#[test]
fn the_page_of_problems_is_not_stale() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems.md");
    let committed = std::fs::read_to_string(page).unwrap_or_default();
    assert!(committed == orrery_contracts::schema::problems_page(), "docs/problems.md is stale: run `cargo xtask schemas`");
}
