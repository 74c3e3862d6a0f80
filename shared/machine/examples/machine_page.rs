//! Prints `docs/machine.md`: `cargo run -q -p orrery-machine --example machine_page > docs/machine.md`.

#![allow(clippy::print_stdout)]

fn main() {
    print!("{}", orrery_machine::schema::document());
}
