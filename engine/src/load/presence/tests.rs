//! The storm's judge on what no server told.

use super::*;
use crate::load::link::Target;
use crate::load::{Numbers, Plan, Shared};
use std::net::SocketAddr;

/// Five users who each watch the next two; 0 goes away.
fn stormed(check: impl FnOnce(&mut Storm<'_, '_>)) -> Vec<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let plan = Plan {
        address,
        root: Vec::new(),
        tokens: vec![String::new(); 5],
        users: (0..5).map(|name| vec![name; 16]).collect(),
        numbers: Numbers {
            watches: 2,
            away_every: 5,
            ..Numbers::default()
        },
    };
    let shared = Shared::new(1);
    let target = Target::plain(address);
    let mut crowd = Crowd::new(&plan, &target, &shared, 0..5, None).unwrap();
    check(&mut Storm::new(&mut crowd));
    crowd.report.faults
}

fn told(user: u8, status: Status) -> Body {
    Body::Presence(pb::Presence {
        user: vec![user; 16],
        status: status as i32,
        last_seen: 0,
    })
}

/// Everybody asks and is answered.
fn ask(storm: &mut Storm<'_, '_>) {
    for watcher in 0..5 {
        for place in 1..=2 {
            let user = ((watcher + place) % 5) as u8;
            storm.take(watcher, &told(user, Status::Online)).unwrap();
        }
    }
    assert_eq!(storm.awaited, 0);
}

#[test]
fn each_watcher_is_told_of_each_change_once() {
    let faults = stormed(|storm| {
        ask(storm);
        storm.go();
        assert_eq!(storm.awaited, 2); // 3 and 4 watch 0
        for watcher in [3, 4] {
            storm.take(watcher, &told(0, Status::Offline)).unwrap();
        }
        storm.expect_return();
        assert_eq!(storm.awaited, 4); // and two answers to 0 itself
        for watcher in [3, 4] {
            storm.take(watcher, &told(0, Status::Online)).unwrap();
        }
        storm.take(0, &told(1, Status::Online)).unwrap();
        storm.take(0, &told(2, Status::Online)).unwrap();
        assert_eq!(storm.awaited, 0);
        storm.conclude();
    });
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn whoever_is_told_wrongly_says_so() {
    stormed(|storm| {
        ask(storm);
        let again = storm.take(1, &told(2, Status::Online));
        assert!(again.unwrap_err().contains("was Some(Online)"));
        storm.go();
        assert!(storm
            .take(1, &told(4, Status::Offline))
            .unwrap_err()
            .contains("not watched"));
        assert!(
            storm.take(1, &told(3, Status::Offline)).is_err(),
            "who stays"
        );
        storm.take(3, &told(0, Status::Offline)).unwrap();
        assert!(storm.take(3, &told(0, Status::Offline)).is_err(), "twice");
        assert!(storm.take(4, &told(0, Status::Hidden)).is_err());
    });
}

#[test]
fn whoever_is_not_told_is_a_fault() {
    let faults = stormed(|storm| {
        ask(storm);
        storm.go();
        storm.take(3, &told(0, Status::Offline)).unwrap();
        storm.conclude();
    });
    assert!(faults[0].contains("connection 0 sees"), "{faults:?}");
    assert!(faults[1].contains("connection 3 sees"), "{faults:?}");
}
