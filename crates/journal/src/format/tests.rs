//! The format on disk, byte by byte: journals outlive releases.

use super::*;
use crate::Config;
use crate::block::Block;
use crate::log::Log;
use crate::test_disk::TestDisk;

/// A row for each 16 bytes.
fn hex(bytes: &[u8]) -> Vec<String> {
    let row = |row: &[u8]| format!("{:032x}", u128::from_be_bytes(row.try_into().unwrap()));
    bytes.chunks(16).map(row).collect()
}

#[test]
fn the_bytes_on_disk_stay_what_they_are() {
    let config = Config { reserve_bytes: 0, ..Config::default() };
    let disk = TestDisk::new(0);
    let (mut log, _) = Log::open(disk.clone(), config, 6, 1).unwrap();
    let mut block = Block::new();
    block.push(7, Kind::Data, 1_700_000_000_000_000, &[b"a read", b"ing"]);
    block.push(8, Kind::Timer, -1, &[]);
    log.commit(&mut block).unwrap();
    block.push(9, Kind::Operator, 0, &[&[0xFF; 3]]);
    log.commit(&mut block).unwrap();
    log.close().unwrap();
    let name = "00000000000000000007-910a2dec89025cc1.journal";
    let bytes = disk.read_file(name).expect("the name is part of the format");
    let expected = "
        48574a4f55524e4c01000000e0f37b34
        c15c0289ec2d0a910700000000000000
        06000000000000000000000000000000
        00000000000000000000000000000000
        b748574213c20a7f2b00000002000000
        07000000000000000600000000000000
        c15c0289ec2d0a91bc30eb1d09000000
        00401e18240a06000161207265616469
        6e677856765000000000ffffffffffff
        ffff09b7485742c166d6401400000001
        00000009000000000000000800000000
        000000c15c0289ec2d0a919fe7fee203
        00000000000000000000000affffffb7
        485742e70531f900000000000000000a
        000000000000000900000000000000c1
        5c0289ec2d0a91000000000000000000
        00000000000000000000000000000000
    ";
    assert_eq!(hex(&bytes[..272]), expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn names_tell_what_a_file_is() {
    let name = segment_name(7, 0xABC);
    assert_eq!(name, "00000000000000000007-0000000000000abc.journal");
    assert_eq!(FileName::parse(&name), Some(FileName::Segment { first_seq: 7, id: 0xABC }));
    assert_eq!(FileName::parse(&set_aside_name(&name)), Some(FileName::SetAside));
    assert_eq!(FileName::parse(&spare_name(0xABC)), Some(FileName::Spare));
    for foreign in ["", "lock", "7-abc.journal", "-.journal", "0000000000000000000x-0000000000000abc.journal"] {
        assert_eq!(FileName::parse(foreign), None, "{foreign}");
    }
}

#[test]
fn every_kind_has_its_number() {
    for number in 0..=u8::MAX {
        let kind = Kind::from_number(number);
        assert_eq!(kind.is_some(), (1..=10).contains(&number));
        assert!(kind.is_none_or(|kind| kind as u8 == number));
    }
}
