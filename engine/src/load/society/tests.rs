//! The judge on frames that no server sent: what is right is taken, everything else is told.

use super::*;
use crate::load::link::Target;
use crate::load::{Numbers, Plan, Shared};
use std::net::SocketAddr;

/// Two users with two devices each: 0 and 1 are Ada's, 2 and 3 Bob's. Ada's first has sent Bob two messages.
fn judged(check: impl FnOnce(&mut Society<'_, '_>)) -> Vec<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let plan = Plan {
        address,
        root: Vec::new(),
        tokens: vec![String::new(); 4],
        users: [1, 1, 2, 2].map(|name| vec![name; 16]).to_vec(),
        numbers: Numbers::default(),
    };
    let shared = Shared::new(1);
    let target = Target::plain(address);
    let mut crowd = Crowd::new(&plan, &target, &shared, 0..4, None).unwrap();
    crowd.send_window = 32;
    let mut society = Society::new(&mut crowd);
    assert_eq!(society.stream(0, 1), 0);
    society.send(0, 0);
    society.send(0, 0);
    check(&mut society);
    std::mem::take(&mut society.crowd.report.faults)
}

fn conversation() -> Vec<u8> {
    [[1; 16], [2; 16]].concat()
}

fn accepted(number: u64) -> pb::Accepted {
    pb::Accepted {
        conversation: conversation(),
        stream: STREAM,
        client_seq: number,
        message_id: message_id(0, number),
        seq: 10 + number,
        at: 100 + number,
    }
}

/// Bob's row 10 + number; Ada's copy is her row number.
fn row(number: u64, is_copy: bool) -> pb::Deliver {
    let (seq, kind) = match is_copy {
        true => (number, pb::Kind::OwnCopy),
        false => (10 + number, pb::Kind::Message),
    };
    pb::Deliver {
        seq,
        prev: seq - 1,
        kind: kind as i32,
        conversation: conversation(),
        sender: vec![1; 16],
        device: 1,
        message_id: message_id(0, number),
        at: 100 + number,
        peer_seq: if is_copy { 10 + number } else { 0 },
        payload: vec![number as u8; 128],
        content_type: pb::ContentType::Iris as i32,
        alg: 0,
    }
}

fn receipt(rev: u64, delivered: u64, read: u64) -> pb::Receipt {
    pb::Receipt {
        rev,
        prev_rev: rev - 1,
        conversation: conversation(),
        delivered,
        read,
    }
}

fn read_sync(seq: u64) -> pb::ReadSync {
    pb::ReadSync {
        rev: 1,
        prev_rev: 0,
        conversation: conversation(),
        seq,
    }
}

/// Rows 11 and 12 at Bob's devices; the first row has the row 10 before it.
fn take(society: &mut Society<'_, '_>, links: &[usize]) {
    for &link in links {
        for number in 1..=2 {
            let mut row = row(number, link < 2);
            row.prev = society.devices[link].cursor.seq;
            society.deliver(link, &row, 0).unwrap();
        }
        society.ack(link);
    }
}

#[test]
fn what_is_promised_is_taken_and_nothing_is_awaited_then() {
    let faults = judged(|society| {
        assert_eq!(society.awaited, 2 * (1 + 4 + 1));
        take(society, &[2]);
        society.receipt(0, &receipt(1, 12, 0), 0).unwrap(); // it may come before Accepted
        society.accepted(0, &accepted(1), 0).unwrap();
        society.accepted(0, &accepted(2), 0).unwrap();
        take(society, &[0, 1, 3]);
        assert!(society.is_done());
        society.read(2, 0, 12);
        assert!(!society.is_done(), "nobody was told of the read");
        for link in [0, 1] {
            let prev_rev = society.devices[link].cursor.rev;
            let rev = prev_rev + 1;
            let told = pb::Receipt {
                prev_rev,
                ..receipt(rev, 12, 12)
            };
            society.receipt(link, &told, 0).unwrap();
        }
        for link in [2, 3] {
            society.read_sync(link, &read_sync(12), 0).unwrap();
        }
        society.drain();
    });
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn a_row_that_is_not_the_next_one_of_its_stream_is_a_fault() {
    let first = || pb::Deliver {
        prev: 0,
        ..row(1, false)
    };
    let wrong: [(&str, pb::Deliver); 8] = [
        (
            "out of order",
            pb::Deliver {
                prev: 0,
                ..row(2, false)
            },
        ),
        (
            "out of order",
            pb::Deliver {
                prev: 0,
                ..row(3, false)
            },
        ),
        (
            "nobody's",
            pb::Deliver {
                message_id: vec![9; 16],
                ..first()
            },
        ),
        (
            "nobody's",
            pb::Deliver {
                message_id: message_id(1, 1),
                ..first()
            },
        ),
        (
            "not what",
            pb::Deliver {
                payload: vec![0; 128],
                ..first()
            },
        ),
        (
            "not what",
            pb::Deliver {
                sender: vec![2; 16],
                ..first()
            },
        ),
        (
            "not what",
            pb::Deliver {
                kind: pb::Kind::OwnCopy as i32,
                ..first()
            },
        ),
        (
            "not what",
            pb::Deliver {
                conversation: vec![1; 32],
                ..first()
            },
        ),
    ];
    judged(|society| {
        for (what, row) in &wrong {
            let fault = society.deliver(2, row, 0).unwrap_err();
            assert!(fault.contains(what), "{fault}");
        }
        society.deliver(2, &first(), 0).unwrap();
        let again = pb::Deliver {
            seq: 12,
            prev: 11,
            ..first()
        };
        assert!(society
            .deliver(2, &again, 0)
            .unwrap_err()
            .contains("doubled"));
        let copy = pb::Deliver {
            peer_seq: 12,
            ..row(1, true)
        };
        assert!(society
            .deliver(0, &copy, 0)
            .unwrap_err()
            .contains("known as 11"));
        assert!(society
            .deliver(0, &first(), 0)
            .unwrap_err()
            .contains("not what"));
    });
}

#[test]
fn a_repeat_and_a_row_behind_a_lost_one_are_dropped() {
    let faults = judged(|society| {
        society.deliver(2, &row(2, false), 0).unwrap(); // prev is above the cursor
        society
            .deliver(
                2,
                &pb::Deliver {
                    prev: 0,
                    ..row(1, false)
                },
                0,
            )
            .unwrap();
        society.deliver(2, &row(1, false), 0).unwrap();
        assert_eq!(society.crowd.report.counts["dropped"], 2);
        society.deliver(2, &row(2, false), 0).unwrap();
    });
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn an_answer_that_is_wrong_is_a_fault() {
    judged(|society| {
        let fault = |outcome: Result<(), String>| outcome.unwrap_err();
        assert!(fault(society.accepted(1, &accepted(1), 0)).contains("another"));
        assert!(fault(society.accepted(0, &accepted(2), 0)).contains("0 answered"));
        society.accepted(0, &accepted(1), 0).unwrap();
        assert!(fault(society.accepted(0, &accepted(1), 0)).contains("1 answered"));
        let still = pb::Accepted {
            at: 101,
            ..accepted(2)
        };
        assert!(fault(society.accepted(0, &still, 0)).contains("stands still"));
        let moved = pb::Deliver {
            seq: 12,
            prev: 0,
            ..row(1, false)
        };
        assert!(fault(society.deliver(2, &moved, 0)).contains("known as 11"));
        let refusal = |retry: pb::Retry| pb::Rejected {
            message_id: message_id(0, 2),
            retry: retry as i32,
            ..pb::Rejected::default()
        };
        assert!(society.rejected(0, &refusal(pb::Retry::Gap), 0).is_err());
        assert!(society.rejected(0, &refusal(pb::Retry::Never), 0).is_err());
        society.rejected(0, &refusal(pb::Retry::After), 0).unwrap();
        society.rejected(0, &refusal(pb::Retry::Gap), 0).unwrap();
    });
}

#[test]
fn receipts_and_reads_never_run_ahead() {
    judged(|society| {
        assert!(
            society.receipt(0, &receipt(1, 11, 0), 0).is_err(),
            "nobody has acked"
        );
        take(society, &[2]);
        society.receipt(1, &receipt(1, 12, 0), 0).unwrap();
        assert!(
            society.receipt(1, &receipt(2, 12, 12), 0).is_err(),
            "nobody has read"
        );
        assert!(society.read_sync(3, &read_sync(12), 0).is_err());
        society.read(2, 0, 11);
        assert!(society.read_sync(2, &read_sync(12), 0).is_err());
        let typing = |sender| pb::Typing {
            conversation: conversation(),
            sender: vec![sender; 16],
            active: true,
        };
        assert!(society.typing(2, &typing(2)).is_err());
        society.typing(2, &typing(1)).unwrap();
        let mut told = pb::Presence {
            user: vec![2; 16],
            status: pb::Status::Online as i32,
            last_seen: 0,
        };
        assert!(society.presence(0, &told).is_err(), "it did not ask");
        society.watch(0, &[1]);
        society.presence(0, &told).unwrap();
        told.status = pb::Status::Hidden as i32;
        assert!(society.presence(0, &told).is_err());
    });
}

#[test]
fn what_has_not_come_is_told_device_by_device() {
    let faults = judged(|society| {
        take(society, &[2, 0, 1]);
        society.accepted(0, &accepted(1), 0).unwrap();
        society.conclude();
    });
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("of 2 messages 1 accepted, 0 with a receipt"));
    assert!(faults[1].contains("connection 3 has 0 of 2 messages"));
}
