//! The fold itself: devices, their spools with marks, their series, and the delivery ledger.

use std::collections::{BTreeMap, HashMap, VecDeque};

use journal::{Kind, Record};
use protocol::{
    device::{Channel, ChannelDecl, Refusal},
    limits::SPOOLS_REMEMBERED,
};

use crate::number_map::NumberMap;

use super::record::{CatalogueRecord, DataHead, GapRecord, PayloadError, RefusedRecord, decode};

/// Gap notes a device keeps for its page; older ones are in history's table.
const GAP_NOTES_KEPT: usize = 64;
/// A learned cadence moves by a sixteenth of each new interval, and only up to four times itself: an outage is no cadence.
const LEARNING_SHARE: i64 = 16;

/// Everything that records add up to. Indices of `devices` and `series` are the hub's numbers of them.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct State {
    /// All devices ever seen.
    pub devices: Vec<Device>,
    /// All series ever seen.
    pub series: Vec<Series>,
    /// Spools whose marks are remembered, by stream number.
    pub streams: NumberMap<u32, Stream>,
    /// The number that the next new stream gets.
    pub next_stream: u32,
    by_id: HashMap<Box<str>, u32>,
}

/// One device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id.
    pub id: Box<str>,
    /// What people call it.
    pub title: Option<String>,
    /// Hardware model.
    pub model: Option<String>,
    /// Software version on the device.
    pub firmware: Option<String>,
    /// Free key and value pairs.
    pub labels: BTreeMap<String, String>,
    /// Its series in the order they were first declared.
    pub series: Vec<u32>,
    /// Its remembered streams, in the order they were made.
    pub streams: VecDeque<u32>,
    /// Streams whose marks are forgotten, each with the record that forgot it. Their channels are still needed to
    /// read older records of the journal again, see [`State::prune`].
    pub forgotten: Vec<(u32, u64)>,
    /// When its last message arrived, microseconds.
    pub last_arrival_us: i64,
    /// How often messages come, learned from their arrivals, microseconds; none until there were two.
    pub cadence_us: Option<i64>,
    /// What became of its messages.
    pub delivery: Delivery,
    /// The latest gaps.
    pub gaps: VecDeque<GapNote>,
}

/// The ledger of one device. It counts messages; received = stored + duplicate + refused.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Messages on disk.
    pub stored: u64,
    /// Messages whose content was refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Messages that will never come.
    pub lost: u64,
    /// Readings on disk.
    pub readings_stored: u64,
    /// Readings left out because the device or the hub had too many series.
    pub readings_dropped: u64,
}

/// Messages that will never come, where they are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapNote {
    /// First missing number.
    pub from: u64,
    /// Last missing number.
    pub to: u64,
    /// Why.
    pub reason: String,
    /// When the hub learned of it, microseconds.
    pub arrival_us: i64,
    /// The newest reading before it, microseconds; none when there was none.
    pub before_us: Option<i64>,
    /// The first reading behind it, microseconds; none until it comes.
    pub behind_us: Option<i64>,
    /// The stream it belongs to.
    pub stream: u32,
}

/// One channel of one device, across all its spools.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The hub's number of the device.
    pub device: u32,
    /// As last declared.
    pub decl: ChannelDecl,
}

/// One spool of one device: its channel list and its mark.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// The hub's number of the device.
    pub device: u32,
    /// The spool's id; 0 is the hub's own.
    pub spool: u64,
    /// The highest message number that is in the run: judges duplicates.
    pub mark: u64,
    /// The highest message number known to be on disk: the only one ever acknowledged. Moved by the pipeline at each
    /// commit, not by records.
    pub durable: u64,
    /// The arrival of the last record that was about it, microseconds: the one unused for longest is forgotten first.
    pub last_used_us: i64,
    /// The newest time of a reading on it, microseconds.
    pub newest_us: Option<i64>,
    /// What decoding needs, in the spool's order.
    pub channels: Vec<Channel>,
    /// The declarations, in the spool's order.
    pub decls: Vec<ChannelDecl>,
    /// The series each channel goes to.
    pub series: Vec<Option<u32>>,
}

/// What a record did, so that whoever applies it can act on it.
#[derive(Debug, PartialEq)]
pub enum Applied<'a> {
    /// Readings of one stream, still encoded.
    Data(DataHead, &'a [u8]),
    /// A device, its spool or its channels are new or changed.
    Catalogue(CatalogueRecord),
    /// Messages are missing.
    Gap(GapRecord),
    /// A message was refused.
    Refused(RefusedRecord),
    /// An event that only history's table keeps.
    Event,
}

impl State {
    /// The hub's number of a device.
    pub fn device_number(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The stream of a spool, if it is remembered.
    pub fn stream_of(&self, device: u32, spool: u64) -> Option<u32> {
        let device = self.devices.get(device as usize)?;
        device.streams.iter().rev().copied().find(|number| self.streams.get(number).is_some_and(|s| s.spool == spool))
    }

    /// The device's series for a channel name.
    pub fn series_of(&self, device: u32, channel: &str) -> Option<u32> {
        let device = self.devices.get(device as usize)?;
        device.series.iter().copied().find(|&number| self.series[number as usize].decl.name.as_str() == channel)
    }

    /// Applies one record. Data and marks cost a map look-up; the readings themselves are the caller's to decode.
    pub fn apply<'a>(&mut self, record: &Record<'a>) -> Result<Applied<'a>, PayloadError> {
        match record.kind {
            Kind::Data => {
                let (head, frame) = DataHead::decode(record.payload)?;
                self.apply_data(&head, record.arrival_us);
                Ok(Applied::Data(head, frame))
            }
            Kind::Gap => {
                let gap: GapRecord = decode(record.payload)?;
                self.apply_gap(&gap, record.arrival_us);
                Ok(Applied::Gap(gap))
            }
            Kind::Refused => {
                let refused: RefusedRecord = decode(record.payload)?;
                self.apply_refused(&refused, record.arrival_us);
                Ok(Applied::Refused(refused))
            }
            Kind::Catalogue => {
                let catalogue: CatalogueRecord = decode(record.payload)?;
                self.apply_catalogue(&catalogue, record.seq, record.arrival_us);
                Ok(Applied::Catalogue(catalogue))
            }
            Kind::Connect | Kind::Disconnect | Kind::HubStart | Kind::HubStop | Kind::Timer | Kind::Operator => {
                Ok(Applied::Event)
            }
        }
    }

    /// Moves the marks for one data message.
    pub fn apply_data(&mut self, head: &DataHead, arrival_us: i64) {
        self.note_hole(head.stream, head.seq, arrival_us);
        if let Some(device) = self.move_mark(head.stream, head.seq, arrival_us) {
            device.delivery.stored += 1;
        }
    }

    /// Counts the readings of a data message, once decoded; `span_us` is their oldest and newest time.
    pub fn count_readings(&mut self, stream: u32, span_us: Option<(i64, i64)>, stored: u64, dropped: u64) {
        let Some(known) = self.streams.get_mut(&stream) else { return };
        let device = &mut self.devices[known.device as usize];
        device.delivery.readings_stored += stored;
        device.delivery.readings_dropped += dropped;
        let Some((oldest_us, newest_us)) = span_us else { return };
        known.newest_us = known.newest_us.max(Some(newest_us));
        if let Some(gap) = device.gaps.back_mut().filter(|gap| gap.stream == stream && gap.behind_us.is_none()) {
            gap.behind_us = Some(oldest_us);
        }
    }

    /// Moves the marks across a gap and notes it.
    pub fn apply_gap(&mut self, gap: &GapRecord, arrival_us: i64) {
        let before_us = self.streams.get(&gap.stream).and_then(|stream| stream.newest_us);
        let Some(device) = self.move_mark(gap.stream, gap.to, arrival_us) else { return };
        // A device may claim any number of losses; it shall not be able to overflow anything.
        device.delivery.lost = device.delivery.lost.saturating_add(gap.to - gap.from + 1);
        if device.gaps.len() == GAP_NOTES_KEPT {
            device.gaps.pop_front();
        }
        device.gaps.push_back(GapNote {
            from: gap.from,
            to: gap.to,
            reason: gap.reason.clone(),
            arrival_us,
            before_us,
            behind_us: None,
            stream: gap.stream,
        });
    }

    /// Moves the marks for a refused message and counts it.
    pub fn apply_refused(&mut self, refused: &RefusedRecord, arrival_us: i64) {
        self.note_hole(refused.stream, refused.seq, arrival_us);
        if let Some(device) = self.move_mark(refused.stream, refused.seq, arrival_us) {
            *device.delivery.refused.entry(refused.refusal().code()).or_default() += 1;
        }
    }

    /// The journal holds a stream's run without a hole; where there is one, records were damaged on disk.
    fn note_hole(&mut self, stream: u32, seq: u64, arrival_us: i64) {
        let Some(mark) = self.streams.get(&stream).map(|stream| stream.mark) else { return };
        if seq > mark + 1 {
            let reason = "damaged on the hub's disk".to_owned();
            self.apply_gap(&GapRecord { stream, from: mark + 1, to: seq - 1, reason }, arrival_us);
        }
    }

    fn move_mark(&mut self, stream: u32, seq: u64, arrival_us: i64) -> Option<&mut Device> {
        // A stream that is not known was forgotten (more than eight newer spools): its marks are gone by design.
        let stream = self.streams.get_mut(&stream)?;
        stream.mark = stream.mark.max(seq);
        stream.last_used_us = stream.last_used_us.max(arrival_us);
        let device = &mut self.devices[stream.device as usize];
        device.note_arrival(arrival_us);
        Some(device)
    }

    /// Puts a device, a spool and its channels in place; `seq` and `arrival_us` are the record's.
    pub fn apply_catalogue(&mut self, record: &CatalogueRecord, seq: u64, arrival_us: i64) {
        let device = self.device_or_placeholder(record.device);
        device.id = record.id.as_str().into();
        device.title.clone_from(&record.title);
        device.model.clone_from(&record.model);
        device.firmware.clone_from(&record.firmware);
        device.labels.clone_from(&record.labels);
        self.by_id.insert(record.id.as_str().into(), record.device);
        for (decl, series) in record.channels.iter().zip(&record.series) {
            if let Some(series) = *series {
                self.put_series(series, record.device, decl.clone());
            }
        }
        self.next_stream = self.next_stream.max(record.stream + 1);
        let device = &mut self.devices[record.device as usize];
        let stream = self.streams.entry(record.stream).or_insert_with(|| {
            device.streams.push_back(record.stream);
            Stream {
                device: record.device,
                spool: record.spool,
                mark: 0,
                durable: 0,
                last_used_us: 0,
                newest_us: None,
                channels: Vec::new(),
                decls: Vec::new(),
                series: Vec::new(),
            }
        });
        stream.last_used_us = stream.last_used_us.max(arrival_us);
        stream.channels = record.channels.iter().map(ChannelDecl::decoding).collect();
        stream.decls.clone_from(&record.channels);
        stream.series.clone_from(&record.series);
        self.forget_old_streams(record.device, record.stream, seq);
    }

    /// The device of this number. After damage to the journal the record that made it may be lost: then it is here
    /// under a name that says so, and numbers stay what they are.
    fn device_or_placeholder(&mut self, number: u32) -> &mut Device {
        while self.devices.len() <= number as usize {
            let name = format!("lost-device-{}", self.devices.len());
            self.devices.push(Device::new(&name));
        }
        &mut self.devices[number as usize]
    }

    /// Puts a series in place; numbers before it that no record speaks of stay placeholders of the same device.
    pub(super) fn put_series(&mut self, number: u32, device: u32, decl: ChannelDecl) {
        while self.series.len() <= number as usize {
            self.series.push(Series { device, decl: decl.clone() });
        }
        self.series[number as usize] = Series { device, decl };
        let series = &mut self.devices[device as usize].series;
        if !series.contains(&number) {
            series.push(number);
        }
    }

    /// Keeps the marks of the last spools only; the hub's own (spool 0) and the one just spoken of are never forgotten.
    fn forget_old_streams(&mut self, device: u32, current: u32, seq: u64) {
        let device = &mut self.devices[device as usize];
        loop {
            let spools = device.streams.iter().filter_map(|&number| Some((number, self.streams.get(&number)?)));
            let forgettable: Vec<_> = spools.filter(|&(_, stream)| stream.spool != 0).collect();
            if forgettable.len() <= SPOOLS_REMEMBERED {
                return;
            }
            let others = forgettable.iter().filter(|&&(number, _)| number != current);
            let Some(&(oldest, _)) = others.min_by_key(|(number, stream)| (stream.last_used_us, *number)) else {
                return;
            };
            device.streams.retain(|&number| number != oldest);
            device.forgotten.push((oldest, seq));
        }
    }

    /// Lets go of forgotten streams that no record from `replay_from` on can be about. Gives the devices that had some.
    pub fn prune(&mut self, replay_from: u64) -> Vec<u32> {
        let mut pruned = Vec::new();
        for (number, device) in self.devices.iter_mut().enumerate() {
            let before = device.forgotten.len();
            device.forgotten.retain(|&(stream, seq)| {
                let is_needed = seq >= replay_from;
                if !is_needed {
                    self.streams.remove(&stream);
                }
                is_needed
            });
            if device.forgotten.len() < before {
                pruned.push(number as u32);
            }
        }
        pruned
    }

    /// Puts a stored device back.
    pub(super) fn restore_device(&mut self, number: u32, device: Device) {
        self.by_id.insert(device.id.clone(), number);
        *self.device_or_placeholder(number) = device;
    }
}

impl Device {
    /// A device of which only the id is known.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            title: None,
            model: None,
            firmware: None,
            labels: BTreeMap::new(),
            series: Vec::new(),
            streams: VecDeque::new(),
            forgotten: Vec::new(),
            last_arrival_us: 0,
            cadence_us: None,
            delivery: Delivery::default(),
            gaps: VecDeque::new(),
        }
    }

    /// A record replayed once more teaches nothing: its arrival is no later than the last one.
    fn note_arrival(&mut self, arrival_us: i64) {
        let interval_us = arrival_us - self.last_arrival_us;
        if interval_us <= 0 {
            return;
        }
        if self.last_arrival_us > 0 {
            let learned_us = self.cadence_us.unwrap_or(interval_us);
            let share_us = (interval_us.min(learned_us.saturating_mul(4)) - learned_us) / LEARNING_SHARE;
            self.cadence_us = Some(learned_us + share_us);
        }
        self.last_arrival_us = arrival_us;
    }
}

impl Delivery {
    /// Messages refused for whatever reason.
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// The static name of a stored refusal code.
    pub(super) fn known_code(code: &str) -> &'static str {
        Refusal::from_code(code).unwrap_or(Refusal::Malformed).code()
    }
}

#[cfg(test)]
mod tests;
