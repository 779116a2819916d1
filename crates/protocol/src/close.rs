//! WebSocket close codes as this hub uses them (RFC 6455 section 7.4; 4000 and above are private use).

/// Done: the peer said bye, everything it sent is on disk.
pub const DONE: u16 = 1000;
/// The hub is stopping.
pub const STOPPING: u16 = 1001;
/// The other side broke RFC 6455 itself, for example by sending an unmasked frame.
pub const PROTOCOL_ERROR: u16 = 1002;
/// A text message came where only binary ones are understood.
pub const TEXT_MESSAGE: u16 = 1003;
/// A message could not be read, not even its sequence number.
pub const UNREADABLE: u16 = 1007;
/// A rule was broken: no hello in time, a bad hello, silence beyond the keep-alive.
pub const POLICY: u16 = 1008;
/// A message was larger than the limit.
pub const TOO_BIG: u16 = 1009;
/// The hub cannot write to its disk: nothing more will be acknowledged.
pub const CANNOT_WRITE: u16 = 1011;
/// The hub is restarting; come back soon.
pub const RESTARTING: u16 = 1012;
/// Too much at once; the reason is `retry_after_ms=N`.
pub const OVERLOADED: u16 = 1013;
/// Another connection introduced itself as this device; the loser waits at least 60 s (a cloned SD card).
pub const TAKEN_OVER: u16 = 4001;

/// Reads `retry_after_ms=N` from the reason of a 1013 close, milliseconds.
pub fn retry_after_ms(reason: &str) -> Option<u64> {
    reason.strip_prefix("retry_after_ms=")?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reason_of_an_overload_is_read_and_nothing_else() {
        assert_eq!(super::retry_after_ms("retry_after_ms=1500"), Some(1500));
        assert_eq!(super::retry_after_ms("retry later"), None);
        assert_eq!(super::retry_after_ms("retry_after_ms=soon"), None);
    }
}
