//! The durable part of the state: tables in history's database, written in the same transactions as its chunks, so
//! that the database at sequence S and the journal after S always fit together. Numbers of the wire are at most 2^53,
//! so SQLite's signed integers hold them.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{codec, device::ChannelDecl};
use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

use super::fold::{Delivery, Device, GapNote, State, Stream};

/// What has changed since the last commit, by number.
#[derive(Debug, Default)]
pub struct Dirty {
    /// Devices whose description, ledger or last arrival changed.
    pub devices: BTreeSet<u32>,
    /// Streams whose mark moved or whose channels changed.
    pub streams: BTreeSet<u32>,
    /// Devices whose set of series, their declarations or their streams changed.
    pub catalogue: BTreeSet<u32>,
}

impl Dirty {
    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.streams.is_empty() && self.catalogue.is_empty()
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.devices.clear();
        self.streams.clear();
        self.catalogue.clear();
    }
}

/// Why the state cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("the hub's state cannot be read from or written to the database")]
    Sql(#[from] rusqlite::Error),
    /// A row is not what this version writes.
    #[error("a row of the hub's state cannot be read: {0}")]
    Row(#[from] codec::CodecError),
}

/// Makes the tables where they are missing.
pub fn create_tables(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS hub_device (number INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
         CREATE TABLE IF NOT EXISTS hub_series (number INTEGER PRIMARY KEY, device INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
         CREATE TABLE IF NOT EXISTS hub_stream (number INTEGER PRIMARY KEY, device INTEGER NOT NULL, spool INTEGER NOT NULL,
             forgotten_by INTEGER, body BLOB NOT NULL) STRICT;
         CREATE TABLE IF NOT EXISTS hub_mark (number INTEGER PRIMARY KEY, mark INTEGER NOT NULL, newest_us INTEGER,
             last_used_us INTEGER NOT NULL) STRICT;",
    )?;
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct DeviceBody {
    id: String,
    title: Option<String>,
    model: Option<String>,
    firmware: Option<String>,
    labels: BTreeMap<String, String>,
    last_arrival_us: i64,
    /// Databases of older versions have none.
    #[serde(default)]
    cadence_us: Option<i64>,
    stored: u64,
    refused: BTreeMap<String, u64>,
    lost: u64,
    readings_stored: u64,
    readings_dropped: u64,
    gaps: Vec<GapBody>,
}

#[derive(Serialize, Deserialize)]
struct GapBody {
    from: u64,
    to: u64,
    reason: String,
    arrival_us: i64,
    before_us: Option<i64>,
    behind_us: Option<i64>,
    stream: u32,
}

#[derive(Serialize, Deserialize)]
struct StreamBody {
    channels: Vec<ChannelDecl>,
    series: Vec<Option<u32>>,
}

impl GapBody {
    fn new(gap: &GapNote) -> Self {
        Self {
            from: gap.from,
            to: gap.to,
            reason: gap.reason.clone(),
            arrival_us: gap.arrival_us,
            before_us: gap.before_us,
            behind_us: gap.behind_us,
            stream: gap.stream,
        }
    }

    fn into_note(self) -> GapNote {
        GapNote {
            from: self.from,
            to: self.to,
            reason: self.reason,
            arrival_us: self.arrival_us,
            before_us: self.before_us,
            behind_us: self.behind_us,
            stream: self.stream,
        }
    }
}

impl DeviceBody {
    fn new(device: &Device) -> Self {
        let delivery = &device.delivery;
        Self {
            id: device.id.to_string(),
            title: device.title.clone(),
            model: device.model.clone(),
            firmware: device.firmware.clone(),
            labels: device.labels.clone(),
            last_arrival_us: device.last_arrival_us,
            cadence_us: device.cadence_us,
            stored: delivery.stored,
            refused: delivery.refused.iter().map(|(&code, &count)| (code.to_owned(), count)).collect(),
            lost: delivery.lost,
            readings_stored: delivery.readings_stored,
            readings_dropped: delivery.readings_dropped,
            gaps: device.gaps.iter().map(GapBody::new).collect(),
        }
    }

    fn into_device(self) -> Device {
        Device {
            title: self.title,
            model: self.model,
            firmware: self.firmware,
            labels: self.labels,
            last_arrival_us: self.last_arrival_us,
            cadence_us: self.cadence_us,
            delivery: Delivery {
                stored: self.stored,
                refused: self.refused.iter().map(|(code, &count)| (Delivery::known_code(code), count)).collect(),
                lost: self.lost,
                readings_stored: self.readings_stored,
                readings_dropped: self.readings_dropped,
            },
            gaps: self.gaps.into_iter().map(GapBody::into_note).collect(),
            ..Device::new(&self.id)
        }
    }
}

/// Writes what changed; called inside history's transaction.
pub fn save(transaction: &Transaction, state: &State, dirty: &Dirty) -> Result<(), StoreError> {
    let mut put_device = transaction.prepare_cached("INSERT OR REPLACE INTO hub_device VALUES (?1, ?2)")?;
    for &number in dirty.devices.union(&dirty.catalogue) {
        let body = codec::to_vec(&DeviceBody::new(&state.devices[number as usize]));
        put_device.execute(params![number, body])?;
    }
    let mut put_series = transaction.prepare_cached("INSERT OR REPLACE INTO hub_series VALUES (?1, ?2, ?3)")?;
    let mut drop_marks = transaction
        .prepare_cached("DELETE FROM hub_mark WHERE number IN (SELECT number FROM hub_stream WHERE device = ?1)")?;
    let mut drop_streams = transaction.prepare_cached("DELETE FROM hub_stream WHERE device = ?1")?;
    let mut put_stream = transaction.prepare_cached("INSERT OR REPLACE INTO hub_stream VALUES (?1, ?2, ?3, ?4, ?5)")?;
    // Marks move with every commit, channel lists hardly ever: apart, a thousand marks are some pages and not hundreds.
    let mut put_mark = transaction.prepare_cached("INSERT OR REPLACE INTO hub_mark VALUES (?1, ?2, ?3, ?4)")?;
    let mut save_mark = |number: u32, stream: &Stream| {
        put_mark.execute(params![number, stream.mark as i64, stream.newest_us, stream.last_used_us]).map(drop)
    };
    for &number in &dirty.catalogue {
        let device = &state.devices[number as usize];
        for &series in &device.series {
            put_series.execute(params![series, number, codec::to_vec(&state.series[series as usize].decl)])?;
        }
        drop_marks.execute([number])?;
        drop_streams.execute([number])?;
        let remembered = device.streams.iter().map(|&number| (number, None));
        let forgotten = device.forgotten.iter().map(|&(number, seq)| (number, Some(seq as i64)));
        for (number, forgotten_by) in remembered.chain(forgotten) {
            let Some(stream) = state.streams.get(&number) else { continue };
            let body = codec::to_vec(&StreamBody { channels: stream.decls.clone(), series: stream.series.clone() });
            put_stream.execute(params![number, stream.device, stream.spool as i64, forgotten_by, body])?;
            save_mark(number, stream)?;
        }
    }
    for &number in &dirty.streams {
        if let Some(stream) = state.streams.get(&number) {
            save_mark(number, stream)?;
        }
    }
    Ok(())
}

/// Reads the whole state back.
pub fn load(connection: &Connection) -> Result<State, StoreError> {
    let mut state = State::default();
    let mut devices = connection.prepare("SELECT number, body FROM hub_device ORDER BY number")?;
    let mut rows = devices.query([])?;
    while let Some(row) = rows.next()? {
        let body: DeviceBody = codec::from_slice(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
        state.restore_device(row.get(0)?, body.into_device());
    }
    let mut series = connection.prepare("SELECT number, device, body FROM hub_series ORDER BY number")?;
    let mut rows = series.query([])?;
    while let Some(row) = rows.next()? {
        let (number, device): (u32, u32) = (row.get(0)?, row.get(1)?);
        let decl: ChannelDecl = codec::from_slice(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?;
        state.put_series(number, device, decl);
    }
    let mut streams = connection.prepare(
        "SELECT number, device, spool, mark, newest_us, last_used_us, forgotten_by, body
         FROM hub_stream JOIN hub_mark USING (number) ORDER BY number",
    )?;
    let mut rows = streams.query([])?;
    while let Some(row) = rows.next()? {
        let (number, device): (u32, u32) = (row.get(0)?, row.get(1)?);
        let body: StreamBody = codec::from_slice(row.get_ref(7)?.as_blob().map_err(rusqlite::Error::from)?)?;
        let known = &mut state.devices[device as usize];
        match row.get::<_, Option<i64>>(6)? {
            Some(seq) => known.forgotten.push((number, seq as u64)),
            None => known.streams.push_back(number),
        }
        state.next_stream = state.next_stream.max(number + 1);
        state.streams.insert(
            number,
            Stream {
                device,
                spool: row.get::<_, i64>(2)? as u64,
                mark: row.get::<_, i64>(3)? as u64,
                durable: row.get::<_, i64>(3)? as u64,
                newest_us: row.get(4)?,
                last_used_us: row.get(5)?,
                channels: body.channels.iter().map(ChannelDecl::decoding).collect(),
                decls: body.channels,
                series: body.series,
            },
        );
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use protocol::ids::Id;

    use super::*;
    use crate::state::record::{CatalogueRecord, DataHead, GapRecord};

    #[test]
    fn what_was_saved_is_loaded_equal() {
        let mut state = State::default();
        for spool in 1..=12 {
            let record = CatalogueRecord {
                stream: spool,
                device: 0,
                id: Id::new("shed").expect("valid"),
                spool: u64::from(spool),
                title: Some("Shed".into()),
                model: None,
                firmware: Some("1.2".into()),
                labels: BTreeMap::from([("room".into(), "north".into())]),
                channels: vec![ChannelDecl::gauge(Id::new("temp").expect("valid"))],
                series: vec![Some(0)],
            };
            state.apply_catalogue(&record, u64::from(spool), i64::from(spool));
        }
        state.prune(10);
        state.apply_data(&DataHead { stream: 12, seq: 9, shift_us: 0, flags: 0 }, 77);
        state.apply_gap(&GapRecord { stream: 12, from: 10, to: 11, reason: "spool full".into() }, 78);
        state.count_readings(12, Some((70, 80)), 5, 2);
        let mut connection = Connection::open_in_memory().expect("a database");
        create_tables(&connection).expect("tables");
        let transaction = connection.transaction().expect("a transaction");
        let dirty = Dirty { devices: [0].into(), streams: [12].into(), catalogue: [0].into() };
        save(&transaction, &state, &dirty).expect("saved");
        transaction.commit().expect("committed");
        state.streams.values_mut().for_each(|stream| stream.durable = stream.mark);
        assert_eq!(load(&connection).expect("loaded"), state);
    }
}
