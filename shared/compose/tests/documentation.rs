//! The page about Compose says what the table says.

#![allow(clippy::unwrap_used)]

use orrery_compose::schema;

#[test]
fn the_page_is_made_from_the_table() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compose.md");
    let written = std::fs::read_to_string(page).unwrap();
    let stale = "docs/compose.md is stale: cargo run -q -p orrery-compose --example document > docs/compose.md";
    assert!(written == schema::document(), "{stale}");
    assert!(written.contains("| `ports` |") && written.contains("| `post_start` |"), "{written}");
}
