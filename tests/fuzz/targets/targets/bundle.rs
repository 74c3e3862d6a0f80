//! Hands what the fuzzer makes up to `orrery_fuzz::bundle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| orrery_fuzz::bundle::run(bytes));
