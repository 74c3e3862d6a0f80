//! Hands what the fuzzer makes up to `orrery_fuzz::compose`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| orrery_fuzz::compose::run(bytes));
