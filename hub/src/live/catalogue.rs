//! The catalogue as messages: devices, their channels and their states, cut to what a message may have. Pure.

use bytes::Bytes;
use protocol::{
    codec,
    limits::{LIVE_CONTROL_BYTES_MAX, LIVE_FRAME_BYTES_MAX},
    live::{DeviceRow, HubMessage, control::DeviceChange},
};

/// What a message has besides its rows.
const AROUND_ROWS_BYTES: usize = 64;
/// Rows of states in a message: one has at most some 115 bytes.
const STATES_PER_MESSAGE: usize = LIVE_FRAME_BYTES_MAX / 128;

/// Rows of devices as messages of [`LIVE_FRAME_BYTES_MAX`], or more for a device that does not fit one. When `full`, the
/// first says that it replaces everything known; there is one even without devices.
pub fn rows(devices: impl IntoIterator<Item = DeviceRow>, full: bool) -> Vec<Bytes> {
    let (mut messages, mut rows, mut bytes) = (Vec::new(), Vec::new(), AROUND_ROWS_BYTES);
    let mut give = |devices: Vec<DeviceRow>| {
        let message = HubMessage::Catalogue { full: full && messages.is_empty(), devices, removed: Vec::new() };
        messages.push(Bytes::from(message.encode()));
    };
    let mut is_any = full;
    for row in devices {
        let (row, row_bytes) = fitting(row);
        if bytes + row_bytes > LIVE_FRAME_BYTES_MAX && !rows.is_empty() {
            give(std::mem::take(&mut rows));
            bytes = AROUND_ROWS_BYTES;
        }
        bytes += row_bytes;
        rows.push(row);
        is_any = true;
    }
    if is_any {
        give(rows);
    }
    messages
}

/// A row that fits a message, with its length. What a device can declare at once does; one that has collected more texts
/// over several firmwares loses the names of states first, then titles and units.
fn fitting(mut row: DeviceRow) -> (DeviceRow, usize) {
    let mut bytes = codec::to_vec(&row).len();
    if bytes + AROUND_ROWS_BYTES > LIVE_CONTROL_BYTES_MAX {
        row.channels.iter_mut().for_each(|channel| channel.states.clear());
        bytes = codec::to_vec(&row).len();
    }
    if bytes + AROUND_ROWS_BYTES > LIVE_CONTROL_BYTES_MAX {
        row.channels.iter_mut().for_each(|channel| (channel.title, channel.unit) = (None, None));
        bytes = codec::to_vec(&row).len();
    }
    (row, bytes)
}

/// States of devices as messages.
pub fn states(changes: &[DeviceChange]) -> impl Iterator<Item = Bytes> {
    let message = |devices: &[DeviceChange]| HubMessage::Devices { devices: devices.to_vec() };
    changes.chunks(STATES_PER_MESSAGE).map(move |devices| Bytes::from(message(devices).encode()))
}

#[cfg(test)]
mod tests {
    use protocol::{
        device::Kind,
        limits::{CHANNELS_PER_DEVICE_MAX, STATES_MAX, TEXT_CHARS_MAX},
        live::{DeviceState, SeriesRow},
    };

    use super::*;

    fn device(id: &str, channels: usize, text: &str, states: usize) -> DeviceRow {
        let channel = |number: usize| SeriesRow {
            id: number as u32,
            device: id.to_owned(),
            channel: format!("{number:064}"),
            title: Some(text.to_owned()),
            unit: Some(text.to_owned()),
            kind: Kind::State,
            decimals: Some(2),
            period_ms: Some(1.5),
            states: vec![text.to_owned(); states],
        };
        DeviceRow {
            id: id.to_owned(),
            title: None,
            model: None,
            firmware: None,
            labels: [(text.to_owned(), text.to_owned())].into(),
            state: DeviceState::Fresh,
            last_seen: Some(1),
            connected: true,
            channels: (0..channels).map(channel).collect(),
        }
    }

    fn read(messages: &[Bytes], bytes_max: usize) -> Vec<(bool, Vec<DeviceRow>)> {
        let read = |message: &Bytes| {
            assert!(message.len() <= bytes_max, "{} bytes", message.len());
            match HubMessage::decode(message).expect("readable") {
                HubMessage::Catalogue { full, devices, .. } => (full, devices),
                other => panic!("{other:?}"),
            }
        };
        messages.iter().map(read).collect()
    }

    #[test]
    fn a_large_catalogue_comes_in_messages_of_bounded_size_and_only_the_first_replaces() {
        let devices: Vec<_> = (0..300).map(|i| device(&format!("d{i}"), 20, "temperature", 1)).collect();
        let messages = read(&rows(devices.clone(), true), LIVE_FRAME_BYTES_MAX);
        assert!(messages.len() > 10);
        assert_eq!(messages.iter().filter(|(full, _)| *full).count(), 1);
        assert!(messages[0].0);
        assert_eq!(messages.into_iter().flat_map(|(_, devices)| devices).collect::<Vec<_>>(), devices);
        assert_eq!(read(&rows([], true), LIVE_FRAME_BYTES_MAX), [(true, Vec::new())]);
        assert_eq!(rows([], false), Vec::<Bytes>::new());
    }

    #[test]
    fn whatever_a_device_declares_its_row_fits_a_message() {
        let longest = "\u{1f321}".repeat(TEXT_CHARS_MAX);
        for (text, states, has_states, has_titles) in [
            ("on", STATES_MAX, true, true),
            (&longest[..80], STATES_MAX, false, true),
            (&longest, STATES_MAX, false, false),
        ] {
            let row = device("d", CHANNELS_PER_DEVICE_MAX, text, states);
            let [(_, devices)] = &read(&rows([row.clone()], false), LIVE_CONTROL_BYTES_MAX)[..] else {
                panic!("one message")
            };
            let channel = &devices[0].channels[0];
            assert_eq!((!channel.states.is_empty(), channel.title.is_some()), (has_states, has_titles), "{text}");
            assert_eq!(devices[0].channels.len(), CHANNELS_PER_DEVICE_MAX);
        }
    }

    #[test]
    fn states_come_in_messages_of_bounded_size() {
        let change = |i: u64| DeviceChange {
            id: format!("{i:064}"),
            state: DeviceState::Overdue,
            last_seen: Some(1 << 52),
            connected: false,
        };
        let changes: Vec<_> = (0..2_000).map(change).collect();
        let messages: Vec<Bytes> = states(&changes).collect();
        assert!(messages.iter().all(|message| message.len() <= LIVE_FRAME_BYTES_MAX) && messages.len() == 4);
    }
}
