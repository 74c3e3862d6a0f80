//! Hands what the fuzzer makes up to `orrery_fuzz::command`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| orrery_fuzz::command::run(bytes));
