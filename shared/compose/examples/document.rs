//! Prints `docs/compose.md`: `cargo run -q -p orrery-compose --example document > docs/compose.md`.

#![allow(clippy::print_stdout)]

fn main() {
    print!("{}", orrery_compose::schema::document());
}
