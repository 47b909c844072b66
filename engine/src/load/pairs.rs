//! Pairs that exchange messages: the first of each sends, the second acks, the first takes the receipts. Every frame is
//! checked against what the protocol promises: each message accepted once, delivered once, in order, to the right one.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use super::crowd::Crowd;
use super::{Plan, MS};
use crate::codec::pb::{self, server_frame::Body};
use crate::codec::ClientFrame;

const STREAM: u64 = 1;
const WAIT_MS_MAX: u64 = 50;

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Warm,
    Measure,
    Drain,
}

/// A message that is on its way.
struct Flight {
    sent_at: u64,   // paced: when it was due
    accepted: u64,  // its seq; 0: not yet
    delivered: u64, // its seq; 0: not yet
}

pub struct Pair {
    pub number: usize,
    conversation: Vec<u8>,
    flights: VecDeque<Flight>, // without a receipt; the first has the number `receipted` + 1
    receipted: u64,
    answered: u64,
    delivered: u64,
    cursor: u64,    // of the receiver
    acked: u64,     // of it
    rev: u64,       // of the sender
    rev_acked: u64, // of it
    after: u64,
    paused_until: u64,  // a refusal asked for patience; 0: none did
    refused: bool,      // once, for a while
    due: VecDeque<u64>, // paced: messages that wait for the window
}

impl Pair {
    pub fn new(plan: &Plan, number: usize) -> Self {
        let mut users = [&plan.users[2 * number][..], &plan.users[2 * number + 1][..]];
        users.sort_unstable();
        Self {
            number,
            conversation: users.concat(),
            flights: VecDeque::new(),
            receipted: 0,
            answered: 0,
            delivered: 0,
            cursor: 0,
            acked: 0,
            rev: 0,
            rev_acked: 0,
            after: 0,
            paused_until: 0,
            refused: false,
            due: VecDeque::new(),
        }
    }

    /// The Send of message `number`.
    pub fn message(&self, number: u64, answered: u64, after: u64, size: u64) -> pb::Send {
        pb::Send {
            conversation: self.conversation.clone(),
            stream: STREAM,
            client_seq: number,
            answered,
            message_id: self.message_id(number),
            after,
            payload: self.payload(number, size),
            content_type: pb::ContentType::Iris as i32,
            alg: 0,
        }
    }

    fn sent(&self) -> u64 {
        self.receipted + self.flights.len() as u64
    }

    fn flight(&mut self, number: u64) -> Option<&mut Flight> {
        let index = number.checked_sub(self.receipted + 1)?;
        self.flights.get_mut(index as usize)
    }

    /// 16 bytes that name pair and number, and look like chance to whoever hashes them.
    pub fn message_id(&self, number: u64) -> Vec<u8> {
        let name = (self.number as u64) << 40 | number;
        let mixed = name.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [name.to_be_bytes(), mixed.to_be_bytes()].concat()
    }

    pub fn payload(&self, number: u64, size: u64) -> Vec<u8> {
        vec![(self.number as u64 ^ number) as u8; size as usize]
    }
}

/// Lets the pairs of a crowd talk for the planned time, then waits until everything is answered.
pub fn exchange(crowd: &mut Crowd<'_>) {
    let mut exchange = Exchange::new(crowd);
    exchange.run();
}

struct Exchange<'c, 'a> {
    crowd: &'c mut Crowd<'a>,
    pairs: Vec<Pair>,
    phase: Phase,
    window: u64,
    measure_at: u64,
    stop_at: u64,
    drained_at: u64,
    measured_from: u64,
    planned: u64,                 // paced: messages that were due so far
    acks: VecDeque<(u64, usize)>, // when, for which pair; receipts are to be acked
    paused: Vec<usize>,
}

impl<'c, 'a> Exchange<'c, 'a> {
    fn new(crowd: &'c mut Crowd<'a>) -> Self {
        let (plan, first) = (crowd.plan, crowd.part.start / 2);
        let pairs = (first..crowd.part.end / 2).map(|number| Pair::new(plan, number));
        let started = crowd.shared.started.load(Relaxed);
        let measure_at = started + plan.numbers.warm_ms * MS;
        let stop_at = measure_at + plan.numbers.measure_ms * MS;
        Self {
            pairs: pairs.collect(),
            phase: Phase::Warm,
            window: match plan.numbers.rate {
                0 => plan.numbers.window.min(crowd.send_window),
                _ => crowd.send_window,
            },
            measure_at,
            stop_at,
            drained_at: stop_at + plan.numbers.drain_ms * MS,
            measured_from: 0,
            planned: 0,
            acks: VecDeque::new(),
            paused: Vec::new(),
            crowd,
        }
    }

    fn run(&mut self) {
        for index in 0..self.pairs.len() {
            self.fill(index);
        }
        while !self.crowd.shared.ended.load(Relaxed) {
            let now = self.crowd.shared.now();
            self.change_phase(now);
            if self.phase == Phase::Drain && (self.finished() || now > self.drained_at) {
                break;
            }
            self.pace(now);
            self.resume(now);
            self.ack_receipts(now);
            let timeout = self.timeout(now);
            for link in self.crowd.wait(timeout) {
                self.turn(link);
            }
        }
        self.conclude();
    }

    fn change_phase(&mut self, now: u64) {
        if self.phase == Phase::Warm && now >= self.measure_at {
            self.crowd.tell("measure");
            self.measured_from = self.crowd.shared.now();
            self.phase = Phase::Measure;
        }
        if self.phase == Phase::Measure && now >= self.stop_at {
            let measured = now.saturating_sub(self.measured_from);
            self.phase = Phase::Drain;
            self.crowd.tell("stop");
            // The longest of all threads; they differ by a turn.
            self.crowd.report.time("measured", measured);
        }
    }

    fn finished(&self) -> bool {
        self.pairs
            .iter()
            .all(|pair| pair.flights.is_empty() && pair.due.is_empty())
    }

    fn timeout(&self, now: u64) -> i32 {
        let mut until = now + WAIT_MS_MAX * MS;
        if let Some(&(at, _)) = self.acks.front() {
            until = until.min(at);
        }
        for &index in &self.paused {
            until = until.min(self.pairs[index].paused_until);
        }
        if self.crowd.plan.numbers.rate != 0 && self.phase != Phase::Drain {
            until = until.min(now + MS);
        }
        match self.phase {
            Phase::Warm => until = until.min(self.measure_at),
            Phase::Measure => until = until.min(self.stop_at),
            Phase::Drain => {}
        }
        until.saturating_sub(now).div_ceil(MS) as i32
    }

    /// Paced load: messages become due by the clock, whatever the server does, and are timed from then on.
    fn pace(&mut self, now: u64) {
        let rate = self.crowd.plan.numbers.rate;
        if rate == 0 || self.phase == Phase::Drain || self.pairs.is_empty() {
            return;
        }
        // This thread's share of the rate, in messages per second.
        let share =
            rate as f64 * self.crowd.part.len() as f64 / self.crowd.plan.tokens.len() as f64;
        let started = self.crowd.shared.started.load(Relaxed);
        let wanted = ((now - started) as f64 * share / 1e9) as u64;
        while self.planned < wanted {
            let index = (self.planned % self.pairs.len() as u64) as usize;
            let due = started + (self.planned as f64 * 1e9 / share) as u64;
            self.planned += 1;
            self.pairs[index].due.push_back(due);
            self.fill(index);
        }
    }

    /// Repeats what was refused for a while, in order.
    fn resume(&mut self, now: u64) {
        let pairs = &self.pairs;
        let (ready, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.paused)
            .into_iter()
            .partition(|index| pairs[*index].paused_until <= now);
        self.paused = waiting;
        for index in ready {
            let pair = &mut self.pairs[index];
            pair.paused_until = 0;
            for number in pair.answered + 1..=pair.sent() {
                self.send(index, number);
            }
            self.fill(index);
            self.crowd.flush(2 * index);
        }
    }

    fn ack_receipts(&mut self, now: u64) {
        while self.acks.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, index)) = self.acks.pop_front() {
                self.ack_rev(index);
                self.crowd.flush(2 * index);
            }
        }
    }

    fn ack_rev(&mut self, index: usize) {
        let pair = &mut self.pairs[index];
        if pair.rev > pair.rev_acked {
            pair.rev_acked = pair.rev;
            let ack = pb::Ack {
                seq: 0,
                rev: pair.rev,
            };
            self.crowd.send(2 * index, ClientFrame::Ack(ack));
        }
    }

    /// Sends what the window has room for.
    fn fill(&mut self, index: usize) {
        let closed_loop = self.crowd.plan.numbers.rate == 0;
        let before = self.pairs[index].sent();
        loop {
            let pair = &mut self.pairs[index];
            let number = pair.sent() + 1;
            if pair.paused_until != 0 || number > pair.answered + self.window {
                break;
            }
            let sent_at = match pair.due.pop_front() {
                Some(due) => due,
                None if closed_loop && self.phase != Phase::Drain => self.crowd.shared.now(),
                None => break,
            };
            pair.flights.push_back(Flight {
                sent_at,
                accepted: 0,
                delivered: 0,
            });
            self.send(index, number);
        }
        if self.pairs[index].sent() > before {
            self.ack_rev(index); // it travels with them
            self.crowd.flush(2 * index);
        }
    }

    fn send(&mut self, index: usize, number: u64) {
        let pair = &self.pairs[index];
        let size = self.crowd.plan.numbers.payload_bytes;
        let send = pair.message(number, pair.answered, pair.after, size);
        self.crowd.send(2 * index, ClientFrame::Send(send));
        self.crowd.report.count("sent_total", 1);
    }

    /// Everything that one connection has to say.
    fn turn(&mut self, link: usize) {
        let (index, now) = (link / 2, self.crowd.shared.now());
        while let Some(body) = self.crowd.next(link) {
            let outcome = match (link % 2, body) {
                (0, Body::Accepted(accepted)) => self.accepted(index, &accepted, now),
                (0, Body::Receipt(receipt)) => self.receipt(index, &receipt, now),
                (0, Body::Rejected(rejected)) => self.rejected(index, &rejected, now),
                (1, Body::Deliver(deliver)) => self.deliver(index, &deliver, now),
                (_, other) => Err(format!("unexpected {other:?}")),
            };
            if let Err(what) = outcome {
                let side = ["sender", "receiver"][link % 2];
                let number = self.pairs[index].number;
                self.crowd
                    .report
                    .fault(format!("pair {number}, {side}: {what}"));
            }
        }
        match link % 2 {
            0 => self.fill(index),
            _ => self.ack(index),
        }
        self.crowd.flush(link);
    }

    /// Acks what the receiver has taken: once a turn, at once.
    fn ack(&mut self, index: usize) {
        let pair = &mut self.pairs[index];
        if pair.cursor > pair.acked {
            pair.acked = pair.cursor;
            let (seq, rev) = (pair.cursor, 0);
            self.crowd
                .send(2 * index + 1, ClientFrame::Ack(pb::Ack { seq, rev }));
        }
    }

    fn accepted(&mut self, index: usize, accepted: &pb::Accepted, now: u64) -> Result<(), String> {
        let pair = &mut self.pairs[index];
        let number = accepted.client_seq;
        if number != pair.answered + 1 || number > pair.sent() || accepted.stream != STREAM {
            return Err(format!("{} answered, now {accepted:?}", pair.answered));
        }
        if accepted.conversation != pair.conversation
            || accepted.message_id != pair.message_id(number)
        {
            return Err(format!("another message's {accepted:?}"));
        }
        if accepted.at <= pair.after {
            return Err(format!("time stands still: {accepted:?}"));
        }
        pair.answered = number;
        pair.after = accepted.at;
        let seq = accepted.seq;
        let Some(flight) = pair.flight(number) else {
            return Err(format!("a receipt came before {accepted:?}"));
        };
        flight.accepted = seq;
        if flight.delivered != 0 && flight.delivered != seq {
            return Err(format!("delivered as {}, {accepted:?}", flight.delivered));
        }
        let sent_at = flight.sent_at;
        self.crowd.shared.done.fetch_add(1, Relaxed);
        self.happened("accepted", sent_at, now);
        Ok(())
    }

    fn deliver(&mut self, index: usize, deliver: &pb::Deliver, now: u64) -> Result<(), String> {
        let size = self.crowd.plan.numbers.payload_bytes;
        let sender = &self.crowd.plan.users[2 * self.pairs[index].number];
        let pair = &mut self.pairs[index];
        if deliver.prev > pair.cursor || deliver.seq <= pair.cursor {
            self.crowd.report.count("dropped", 1); // a repeat, or a batch was lost: the rules allow both
            return Ok(());
        }
        let number = pair.delivered + 1;
        if deliver.message_id != pair.message_id(number) || number > pair.sent() {
            return Err(format!(
                "lost, doubled or out of order: expected {number}, got {deliver:?}"
            ));
        }
        let right = deliver.kind == pb::Kind::Message as i32
            && deliver.conversation == pair.conversation
            && deliver.sender == *sender
            && deliver.payload == pair.payload(number, size)
            && deliver.content_type == pb::ContentType::Iris as i32;
        if !right {
            return Err(format!("not what was sent: {deliver:?}"));
        }
        pair.delivered = number;
        pair.cursor = deliver.seq;
        let Some(flight) = pair.flight(number) else {
            return Err(format!("a receipt came before {deliver:?}"));
        };
        flight.delivered = deliver.seq;
        if flight.accepted != 0 && flight.accepted != deliver.seq {
            return Err(format!("accepted as {}, {deliver:?}", flight.accepted));
        }
        let sent_at = flight.sent_at;
        self.happened("delivered", sent_at, now);
        Ok(())
    }

    fn receipt(&mut self, index: usize, receipt: &pb::Receipt, now: u64) -> Result<(), String> {
        let pair = &mut self.pairs[index];
        if receipt.prev_rev > pair.rev || receipt.rev <= pair.rev {
            self.crowd.report.count("dropped", 1);
            return Ok(());
        }
        pair.rev = receipt.rev;
        if receipt.conversation != pair.conversation || receipt.read != 0 {
            return Err(format!("not about what was sent: {receipt:?}"));
        }
        if receipt.delivered > pair.acked {
            return Err(format!("acked up to {}, {receipt:?}", pair.acked));
        }
        self.acks
            .push_back((now + self.crowd.plan.numbers.ack_delay_ms * MS, index));
        let mut taken = Vec::new();
        while let Some(flight) = pair.flights.front() {
            if flight.accepted == 0 || flight.delivered == 0 || flight.accepted > receipt.delivered
            {
                break;
            }
            taken.push(flight.sent_at);
            pair.flights.pop_front();
            pair.receipted += 1;
        }
        if self.phase == Phase::Measure {
            self.crowd.report.count("receipts", 1);
        }
        for sent_at in taken {
            self.happened("receipted", sent_at, now);
        }
        Ok(())
    }

    fn rejected(&mut self, index: usize, rejected: &pb::Rejected, now: u64) -> Result<(), String> {
        let pair = &mut self.pairs[index];
        let paused = pair.paused_until != 0;
        match pb::Retry::try_from(rejected.retry) {
            Ok(pb::Retry::After) => {
                self.crowd.report.count("refused", 1);
                pair.refused = true;
                let until = now + u64::from(rejected.retry_after_ms.max(1)) * MS;
                pair.paused_until = pair.paused_until.max(until);
                if !paused {
                    self.paused.push(index);
                }
                Ok(())
            }
            // What was sent behind a refused message stands behind a gap, and is repeated with it.
            Ok(pb::Retry::Gap) if pair.refused => Ok(()),
            _ => Err(format!("{rejected:?}")),
        }
    }

    /// Counts what happens in the measured time, and times the messages that were sent in it.
    fn happened(&mut self, what: &'static str, sent_at: u64, now: u64) {
        if self.phase == Phase::Measure {
            self.crowd.report.count(what, 1);
        }
        if self.phase != Phase::Warm && sent_at >= self.measured_from && sent_at < self.stop_at {
            self.crowd.report.time(what, now.saturating_sub(sent_at));
        }
    }

    fn conclude(&mut self) {
        for index in 0..self.pairs.len() {
            let pair = &self.pairs[index];
            let (sent, answered, delivered) = (pair.sent(), pair.answered, pair.delivered);
            let (number, receipted) = (pair.number, pair.receipted);
            self.crowd.report.count("accepted_total", answered);
            self.crowd.report.count("delivered_total", delivered);
            if answered != sent || delivered != sent || receipted != sent {
                self.crowd.report.fault(format!(
                    "pair {number}: of {sent} messages {answered} accepted, {delivered} delivered, {receipted} with a receipt"
                ));
            }
        }
    }
}
