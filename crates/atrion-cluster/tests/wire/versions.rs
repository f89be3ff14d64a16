//! Old and new versions in one cluster.
//!
//! The new one is a 1.1 that exists only here: it says four more bytes about each change and about
//! the node, has a section of its own, and a flag that one may ignore.

use atrion_cluster::wire::{Frame, MINOR, WireError};
use atrion_core::merge::Stamp;
use atrion_state::peers::{NodeId, RouteId};

use super::{change, full, open};

const HEADER: usize = 54;
const CHANGE: usize = 29;

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// What version 1.1 sends where 1.0 sends `old`, which has three changed routes.
fn newer(old: &[u8]) -> Vec<u8> {
    let (header, sections) = old.split_at(HEADER);
    let mut new = header.to_vec();
    new[5] = MINOR + 1;
    new[6] |= 0b100;
    new[8] = HEADER as u8 + 4;
    new.extend_from_slice(b"1.1!");
    let (head, body) = sections.split_at(5);
    new.extend_from_slice(&[head[0], CHANGE as u8 + 4, 0, head[3], head[4]]);
    let (items, others) = body.split_at(CHANGE * number(&head[3..5]));
    for item in items.chunks(CHANGE) {
        new.extend_from_slice(item);
        new.extend_from_slice(b"tail");
    }
    new.extend_from_slice(others);
    new.extend_from_slice(&[200, 3, 0, 2, 0, 1, 2, 3, 4, 5, 6]);
    new.extend_from_slice(&[201, 0, 0, 2, 0, 1, 0, 9, 0, 0]);
    let length = (new.len() as u32).to_le_bytes();
    new[10..14].copy_from_slice(&length);
    new
}

/// The routes that a reader of version 1.1 finds changed in `frame`, and what each says in its
/// additional field, if it is there.
fn read_by_newer(frame: &[u8]) -> Vec<(u64, Option<Vec<u8>>)> {
    let mut at = number(&frame[8..10]);
    while at < frame.len() {
        let (section, item) = (frame[at], number(&frame[at + 1..at + 3]));
        let count = number(&frame[at + 3..at + 5]);
        if section == 1 {
            let items = frame[at + 5..][..item * count].chunks(item);
            return items
                .map(|item| {
                    (number(&item[..8]) as u64, item.get(CHANGE..CHANGE + 4).map(Vec::from))
                })
                .collect();
        }
        at += 5 + item * count;
    }
    Vec::new()
}

#[test]
fn an_older_reader_understands_a_newer_minor_version() {
    let mut frame = full(&open());
    let old = open().encode(&frame).unwrap();
    let new = newer(&old);
    assert_eq!(new.len(), old.len() + 4 + 3 * 4 + 11 + 10);
    assert_eq!(open().decode(&new).unwrap(), frame);
    // Bits of a stance that mean something later mean nothing now.
    let mut later = new;
    later[HEADER + 4 + 5 + 28] |= 0xF8;
    assert_eq!(open().decode(&later).unwrap(), frame);
    frame.changes.clear();
    assert_ne!(open().decode(&later).unwrap(), frame);
}

#[test]
fn a_newer_reader_understands_this_version() {
    let frame = full(&open());
    let old = open().encode(&frame).unwrap();
    let routes: Vec<u64> = frame.changes.iter().map(|change| change.route.0).collect();
    let without: Vec<_> = routes.iter().map(|route| (*route, None)).collect();
    assert_eq!(read_by_newer(&old), without, "the tail is not there, and nothing else is amiss");
    let with: Vec<_> = routes.iter().map(|route| (*route, Some(b"tail".to_vec()))).collect();
    assert_eq!(read_by_newer(&newer(&old)), with);
}

#[test]
fn every_minor_version_is_understood_and_no_other_major_one() {
    let mut frame = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence: 1 });
    frame.changes.push(change(RouteId(1)));
    let mut bytes = open().encode(&frame).unwrap().to_vec();
    for minor in 0..=u8::MAX {
        bytes[5] = minor;
        assert_eq!(open().decode(&bytes), Ok(frame.clone()));
    }
    for major in 2..=u8::MAX {
        bytes[4] = major;
        let refused = WireError::NewerMajor { found: major, supported: 1 };
        assert_eq!(open().decode(&bytes), Err(refused));
        assert_eq!(open().decode(&bytes[..5]), Err(refused), "whatever follows");
    }
    assert_eq!(
        open().decode(&bytes).unwrap_err().to_string(),
        "major version is 255, supported is 1"
    );
}

#[test]
fn flags_that_must_be_understood_are_not_ignored() {
    let frame = Frame::new(NodeId(1), Stamp { incarnation: 1, sequence: 1 });
    let bytes = open().encode(&frame).unwrap();
    for bit in 1..16 {
        if bit == 8 {
            continue; // authentication
        }
        let mut flagged = bytes.to_vec();
        flagged[6 + bit / 8] |= 1 << (bit % 8);
        let expected = match bit {
            1..8 => Ok(frame.clone()),
            _ => Err(WireError::UnknownFlags { flags: 1 << bit }),
        };
        assert_eq!(open().decode(&flagged), expected, "bit {bit}");
    }
}
