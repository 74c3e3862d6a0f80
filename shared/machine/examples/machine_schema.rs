//! Prints `machine.schema.json`: `cargo run -q -p orrery-machine --example machine_schema > shared/machine/machine.schema.json`.

#![allow(clippy::print_stdout)]

fn main() {
    println!("{:#}", orrery_machine::schema::json_schema());
}
