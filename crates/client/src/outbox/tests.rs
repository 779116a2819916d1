//! The outbox against a model of a hub, under losses, crashes and restarts.

use std::collections::BTreeMap;

use protocol::{
    device::{
        Channel, Clock, Hello,
        data::{self, Batch},
    },
    ids::Id,
};

use super::*;

mod model;

/// A hello with so many channels.
pub(crate) fn hello(device: &str, channels: usize) -> Hello {
    let channel = |n: usize| ChannelDecl::gauge(Id::new(&format!("c{n}")).unwrap());
    Hello {
        device: Id::new(device).unwrap(),
        spool: 1,
        first: 1,
        next: 1,
        clock: Clock::Unix,
        now_us: None,
        import: false,
        features: Vec::new(),
        channels: (0..channels).map(channel).collect(),
        title: Some("Under test".into()),
        model: None,
        firmware: None,
        labels: BTreeMap::new(),
    }
}

/// Pushes a message that carries `id`, with `rows` more readings to make it long.
fn push(outbox: &mut Outbox, id: u64, rows: usize) -> u64 {
    let mut frame = FrameWriter::default();
    frame.scalar(0, 0.0, id as f64);
    frame.column(0, &vec![0; rows], &vec![0.5; rows]);
    outbox.push(&mut frame, 0.0)
}

/// The number and the id that a frame carries.
fn carried(frame: &[u8]) -> (u64, u64) {
    let channel = Channel { scale: 1.0, offset: 0.0, states: Vec::new() };
    let mut batch = Batch::default();
    data::decode(frame, &[channel], &mut batch).unwrap();
    (batch.seq, batch.values[0] as u64)
}

fn sync(outbox: &mut Outbox) {
    while let Some(sync) = outbox.sync_work() {
        let result = sync.work.run();
        outbox.synced(&sync, &result);
        result.unwrap();
    }
}

fn on_disk(folder: &Path) -> Outbox {
    Outbox::on_disk(Folder::open(folder).unwrap(), hello("d", 1), 0).unwrap()
}

/// Everything that is to be sent after `sent`.
fn all_following(outbox: &mut Outbox, sent: u64) -> Vec<Outgoing> {
    outbox.following(sent, u64::MAX, usize::MAX)
}

#[test]
fn what_overflows_is_told_as_a_gap_and_the_newest_stays() {
    let mut outbox = Outbox::in_memory(hello("d", 1), 0);
    for id in 1..=200 {
        push(&mut outbox, id, 1_000);
    }
    assert!(outbox.byte_len() <= outbox.bytes_max());
    let first = outbox.front().oldest().unwrap();
    assert_eq!(outbox.dropped(), first - 1);
    let items = all_following(&mut outbox, 0);
    assert_eq!(items[0], Outgoing::Gap { from: 1, to: first - 1, reason: "spool overflow" });
    assert_eq!(items.last().unwrap().through(), 200);
    // One message alone may be larger than anything the bound was meant for: it stays.
    let mut outbox = Outbox { bytes_max: 10, ..Outbox::in_memory(hello("d", 1), 0) };
    push(&mut outbox, 1, 1_000);
    push(&mut outbox, 2, 1_000);
    assert_eq!((outbox.waiting(), outbox.front().oldest()), (1, Some(2)));
}

#[test]
fn a_spool_that_is_found_is_drained_under_its_own_hello_before_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = on_disk(folder.path());
    outbox.declare(hello("d", 3).channels);
    let old = outbox.hello(5).spool;
    push(&mut outbox, 1, 0);
    sync(&mut outbox);
    drop(outbox);

    let mut outbox = on_disk(folder.path());
    push(&mut outbox, 2, 0);
    sync(&mut outbox);
    let found = outbox.hello(5);
    assert_eq!((found.spool, found.channels.len(), found.first, found.next), (old, 3, 1, 2));
    assert!(!outbox.advance(), "it is not drained yet");
    outbox.acknowledge(1).unwrap();
    assert!(outbox.advance());
    let new = outbox.hello(5);
    assert!(new.spool != old && new.channels.len() == 1 && new.next == 2);
    outbox.acknowledge(1).unwrap();
    outbox.tidy();
    drop(outbox);
    assert_eq!(Folder::open(folder.path()).unwrap().list().unwrap(), BTreeMap::new(), "nothing is left behind");
}

#[test]
fn a_boot_clock_gives_its_time_only_for_the_present_boot() {
    let folder = tempfile::tempdir().unwrap();
    let boot = || Hello { clock: Clock::Boot, ..hello("d", 1) };
    let mut outbox = Outbox::on_disk(Folder::open(folder.path()).unwrap(), boot(), 0).unwrap();
    assert_eq!(outbox.hello(5).now_us, Some(5));
    push(&mut outbox, 1, 0);
    drop(outbox);
    let mut outbox = Outbox::on_disk(Folder::open(folder.path()).unwrap(), boot(), 0).unwrap();
    assert_eq!(outbox.hello(5).now_us, None);
}

#[test]
fn a_changed_list_of_channels_begins_a_new_spool_and_a_longer_one_does_not() {
    let mut outbox = Outbox::in_memory(hello("d", 1), 0);
    let spool = outbox.hello(0).spool;
    push(&mut outbox, 1, 0);
    outbox.declare(hello("d", 2).channels);
    assert_eq!((outbox.hello(0).spool, outbox.hello(0).channels.len()), (spool, 2));
    outbox.declare(hello("d", 1).channels);
    assert_eq!(outbox.hello(0).spool, spool, "what waits is drained first");
    outbox.acknowledge(1).unwrap();
    assert!(outbox.advance() && outbox.hello(0).spool != spool);
}

#[test]
fn a_damaged_file_loses_what_stands_behind_the_damage_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = on_disk(folder.path());
    // 12 kB each: several files.
    let ids: Vec<u64> = (1..=60).collect();
    for &id in &ids {
        push(&mut outbox, id, 1_000);
    }
    sync(&mut outbox);
    drop(outbox);
    let files: Vec<(u64, PathBuf)> =
        Folder::open(folder.path()).unwrap().list().unwrap().into_values().flatten().collect();
    let (begin, path) = &files[1];
    let (end, _) = files[2];
    let mut bytes = fs::read(path).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(path, bytes).unwrap();

    let mut outbox = on_disk(folder.path());
    let items = all_following(&mut outbox, 0);
    let gaps: Vec<_> = items.iter().filter(|item| matches!(item, Outgoing::Gap { .. })).collect();
    let [Outgoing::Gap { from, to, reason: "spool damaged" }] = gaps[..] else { panic!("{gaps:?}") };
    assert!(from > begin && *to == end - 1, "{from}..={to} of {begin}..{end}");
    let arrived = items.iter().filter(|item| matches!(item, Outgoing::Message { .. })).count() as u64;
    assert_eq!(arrived, 60 - (to - from + 1));
    assert_eq!(all_following(&mut outbox, 0).len(), items.len(), "asked again, the answer is the same");
}

#[test]
fn a_file_goes_only_when_what_was_written_after_it_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = on_disk(folder.path());
    push(&mut outbox, 1, 1_000);
    sync(&mut outbox);
    // Far beyond the bound: a power cut now may take every file that came later.
    for id in 2..=300 {
        push(&mut outbox, id, 1_000);
    }
    assert!(outbox.dropped() > 100);
    let first_on_disk = |outbox: &Outbox| {
        let files = outbox.folder.as_ref().unwrap().list().unwrap();
        *files.values().next().unwrap().keys().next().unwrap()
    };
    assert_eq!(first_on_disk(&outbox), 1, "the only file that is sure to tell of message 1");
    sync(&mut outbox);
    assert_eq!(Some(first_on_disk(&outbox)), outbox.front().oldest());
}

#[test]
fn a_disk_that_fails_leaves_the_queue_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = on_disk(&folder.path().join("spool"));
    push(&mut outbox, 1, 0);
    sync(&mut outbox);
    fs::remove_dir_all(folder.path().join("spool")).unwrap();
    // The open file still takes writes; the next one cannot be made.
    for id in 2..=100 {
        push(&mut outbox, id, 1_000);
    }
    assert!(!outbox.is_on_disk());
    // What was in the lost file and not in memory any more is a gap; all the rest arrives.
    let items = all_following(&mut outbox, 0);
    assert_eq!(items.last().unwrap().through(), 100);
    let messages = items.iter().filter(|item| matches!(item, Outgoing::Message { .. })).count();
    assert!(messages >= 99 - 30, "{messages}");
}

#[test]
fn a_folder_has_one_device_and_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = on_disk(folder.path());
    push(&mut outbox, 1, 0);
    assert!(matches!(Folder::open(folder.path()), Err(FolderError::InUse(_))));
    drop(outbox);
    let other = Outbox::on_disk(Folder::open(folder.path()).unwrap(), hello("e", 1), 0);
    assert!(matches!(other, Err(FolderError::OtherDevice { .. })));
}

#[test]
fn a_spool_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("00000001-0000000000000001.spool");
    fs::write(&path, b"HWSPOOL\x02 of the future").unwrap();
    let mut outbox = on_disk(folder.path());
    push(&mut outbox, 1, 0);
    outbox.acknowledge(1).unwrap();
    assert!(path.exists() && outbox.is_drained());
}

#[test]
fn the_hub_having_more_than_was_pushed_is_stale() {
    let mut outbox = Outbox::in_memory(hello("d", 1), 0);
    let spool = outbox.hello(0).spool;
    push(&mut outbox, 1, 0);
    assert_eq!(outbox.acknowledge(2), Err(Stale));
    assert_eq!(outbox.discard_front(), 1);
    assert!(outbox.hello(0).spool != spool && outbox.is_drained());
}
