//! Receivers that come late: while they are away, each is sent a backlog of messages; then all come and take it.

use std::collections::VecDeque;

use super::crowd::Crowd;
use super::pairs::Pair;
use super::MS;
use crate::codec::pb::{self, server_frame::Body};
use crate::codec::ClientFrame;

const SENDS_PER_S: u64 = 800; // of a sender: below the server's sends_per_second_max
const WAIT_MS: i32 = 10;
/// By the tenth of the backlog in which a message was accepted: does it matter how much waits already?
const ACCEPTED: [&str; 10] = [
    "accepted_0",
    "accepted_1",
    "accepted_2",
    "accepted_3",
    "accepted_4",
    "accepted_5",
    "accepted_6",
    "accepted_7",
    "accepted_8",
    "accepted_9",
];

struct Late {
    pair: Pair,
    sent: u64,
    due: VecDeque<u64>, // when what is not answered was due
    answered: u64,
    after: u64,
    delivered: u64,
    cursor: u64,
}

/// Plays all of it with a crowd of which only the senders (the even connections) have come.
pub fn play(crowd: &mut Crowd<'_>) {
    let first = crowd.part.start / 2;
    let mut lates: Vec<Late> = (first..crowd.part.end / 2)
        .map(|number| Late {
            pair: Pair::new(crowd.plan, number),
            sent: 0,
            due: VecDeque::new(),
            answered: 0,
            after: 0,
            delivered: 0,
            cursor: 0,
        })
        .collect();
    send_all(crowd, &mut lates);
    if !crowd.shared.meet() {
        return;
    }
    crowd.tell("measure");
    let receivers: Vec<usize> = (0..lates.len()).map(|index| 2 * index + 1).collect();
    let began = crowd.shared.now();
    crowd.arrive(&receivers);
    take_all(crowd, &mut lates, &receivers);
    let took = crowd.shared.now() - began;
    crowd.tell("stop");
    crowd.report.time("measured", took);
    for late in &lates {
        crowd.report.count("delivered_total", late.delivered);
        crowd.report.count("accepted_total", late.answered);
        let (number, backlog) = (late.pair.number, crowd.plan.numbers.backlog);
        if late.answered != backlog || late.delivered != backlog {
            let (answered, delivered) = (late.answered, late.delivered);
            crowd.report.fault(format!(
                "pair {number}: of {backlog} messages {answered} accepted, {delivered} delivered"
            ));
        }
    }
}

fn send_all(crowd: &mut Crowd<'_>, lates: &mut [Late]) {
    let (backlog, window) = (crowd.plan.numbers.backlog, crowd.send_window);
    let began = crowd.shared.now();
    let (mut answered_at, mut tenths) = (began, 0);
    while lates.iter().any(|late| late.answered < backlog) && crowd.goes_on(answered_at) {
        let due = ((crowd.shared.now() - began) / MS * SENDS_PER_S / 1000).min(backlog);
        for (index, late) in lates.iter_mut().enumerate() {
            while late.sent < due.min(late.answered + window) {
                late.sent += 1;
                let due_at = began + late.sent * 1000 * MS / SENDS_PER_S;
                late.due.push_back(due_at);
                let size = crowd.plan.numbers.payload_bytes;
                let send = late
                    .pair
                    .message(late.sent, late.answered, late.after, size);
                crowd.send(2 * index, ClientFrame::Send(send));
            }
            crowd.flush(2 * index);
        }
        for link in crowd.wait(WAIT_MS) {
            while let Some(body) = crowd.next(link) {
                let late = &mut lates[link / 2];
                match body {
                    Body::Accepted(accepted) if accepted.client_seq == late.answered + 1 => {
                        let tenth = late.answered * 10 / backlog;
                        late.answered += 1;
                        late.after = accepted.at;
                        answered_at = crowd.shared.now();
                        let took = answered_at.saturating_sub(late.due.pop_front().unwrap_or(0));
                        crowd.report.time(ACCEPTED[tenth as usize], took);
                    }
                    other => crowd.give_up(format!("connection {link}: unexpected {other:?}")),
                }
            }
            crowd.flush(link);
        }
        let all = lates.iter().map(|late| late.answered * 10 / backlog);
        let all = all.min().unwrap_or(0);
        while tenths < all {
            tenths += 1;
            crowd.tell("tenth");
        }
    }
}

fn take_all(crowd: &mut Crowd<'_>, lates: &mut [Late], receivers: &[usize]) {
    let backlog = crowd.plan.numbers.backlog;
    let mut links = receivers.to_vec(); // what came right behind a Welcome has been read already
    let mut taken_at = crowd.shared.now();
    while lates.iter().any(|late| late.delivered < backlog) && crowd.goes_on(taken_at) {
        for link in links {
            let late = &mut lates[link / 2];
            let before = late.cursor;
            while let Some(body) = crowd.next(link) {
                match body {
                    Body::Deliver(deliver) if link % 2 == 1 => take(crowd, late, &deliver),
                    Body::Receipt(_) if link % 2 == 0 => crowd.report.count("receipts", 1),
                    other => crowd.give_up(format!("connection {link}: unexpected {other:?}")),
                }
            }
            if late.cursor > before {
                taken_at = crowd.shared.now();
                let (seq, rev) = (late.cursor, 0);
                crowd.send(link, ClientFrame::Ack(pb::Ack { seq, rev }));
                if late.delivered == backlog {
                    let opened_at = crowd.opened_at(link);
                    crowd.report.time("caught_up", taken_at - opened_at);
                }
            }
            crowd.flush(link);
        }
        links = crowd.wait(WAIT_MS);
    }
}

/// Takes a row that is the next one; a repeat is dropped.
fn take(crowd: &mut Crowd<'_>, late: &mut Late, deliver: &pb::Deliver) {
    if deliver.prev > late.cursor || deliver.seq <= late.cursor {
        crowd.report.count("dropped", 1);
        return;
    }
    let number = late.delivered + 1;
    let size = crowd.plan.numbers.payload_bytes;
    let is_right = deliver.message_id == late.pair.message_id(number)
        && deliver.payload == late.pair.payload(number, size);
    if !is_right {
        crowd.give_up(format!(
            "lost, doubled or out of order: expected {number}, got {deliver:?}"
        ));
    }
    late.delivered = number;
    late.cursor = deliver.seq;
}
