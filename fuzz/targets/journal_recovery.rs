#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| highwater_fuzz::journal_recovery::journal_recovery(bytes));
