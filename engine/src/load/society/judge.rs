//! What the server says to the devices of a society, checked against what the protocol promises: each message accepted once,
//! delivered once to each device of the receiver and once to each of the sender's when there are several, in the order of its
//! stream, with the right content; receipts and read positions never above what was acked and read, and in the end just there.

use std::sync::atomic::Ordering::Relaxed;

use super::{named, News, Society, MS, STREAM};
use crate::codec::pb::{self, server_frame::Body};

type Outcome = Result<(), String>;

impl Society<'_, '_> {
    /// Everything that one connection has to say.
    pub fn turn(&mut self, link: usize) {
        let now = self.now();
        let before = self.devices[link].cursor.seq;
        while let Some(body) = self.crowd.next(link) {
            if !self.crowd.is_welcomed(link) {
                if self.crowd.welcome(link, &body) {
                    self.devices[link].came_at = now;
                    self.news.push(News::Came(link));
                }
                continue;
            }
            let outcome = match body {
                Body::Accepted(accepted) => self.accepted(link, &accepted, now),
                Body::Rejected(rejected) => self.rejected(link, &rejected, now),
                Body::Deliver(deliver) => self.deliver(link, &deliver, now),
                Body::Receipt(receipt) => self.receipt(link, &receipt, now),
                Body::ReadSync(read) => self.read_sync(link, &read, now),
                Body::Typing(typing) => self.typing(link, &typing),
                Body::Presence(told) => self.presence(link, &told),
                other => Err(format!("unexpected {other:?}")),
            };
            if let Err(what) = outcome {
                let user = self.devices[link].user;
                let fault = format!("user {user}, connection {link}: {what}");
                self.crowd.report.fault(fault);
            }
        }
        if self.devices[link].cursor.seq > before {
            self.ack(link);
        }
        self.crowd.flush(link);
    }

    pub(super) fn accepted(&mut self, link: usize, accepted: &pb::Accepted, now: u64) -> Outcome {
        let Some((index, number)) = named(&accepted.message_id) else {
            return Err(format!("nobody's {accepted:?}"));
        };
        let Some(stream) = self.streams.get_mut(index) else {
            return Err(format!("nobody's {accepted:?}"));
        };
        let right = stream.link == link
            && accepted.conversation == stream.conversation
            && (accepted.stream, accepted.client_seq) == (STREAM, number);
        if !right {
            return Err(format!("another message's {accepted:?}"));
        }
        if number != stream.answered + 1 || number > stream.sent() {
            return Err(format!("{} answered, now {accepted:?}", stream.answered));
        }
        if accepted.at <= stream.after {
            return Err(format!("time stands still: {accepted:?}"));
        }
        stream.answered = number;
        stream.after = accepted.at;
        let flight = &mut stream.flights[number as usize - 1];
        if flight.seq != 0 && flight.seq != accepted.seq {
            return Err(format!("delivered as {}, {accepted:?}", flight.seq));
        }
        flight.seq = accepted.seq;
        let sent_at = flight.sent_at;
        self.crowd.report.count("accepted_total", 1);
        self.crowd.shared.done.fetch_add(1, Relaxed);
        self.awaited -= 1;
        self.happened("accepted", sent_at, now);
        self.news.push(News::Accepted(index));
        self.receipts(index, now); // one may have come before
        self.fill(index);
        Ok(())
    }

    pub(super) fn rejected(&mut self, link: usize, rejected: &pb::Rejected, now: u64) -> Outcome {
        let stream = named(&rejected.message_id).and_then(|name| self.streams.get_mut(name.0));
        let Some(stream) = stream.filter(|stream| stream.link == link) else {
            return Err(format!("nobody's {rejected:?}"));
        };
        match pb::Retry::try_from(rejected.retry) {
            Ok(pb::Retry::After) => {
                let until = now + u64::from(rejected.retry_after_ms.max(1)) * MS;
                stream.paused_until = stream.paused_until.max(until);
                stream.refused = true;
                self.crowd.report.count("refused", 1);
                Ok(())
            }
            // What was sent behind a refused message stands behind a gap, and is repeated with it.
            Ok(pb::Retry::Gap) if stream.refused => Ok(()),
            _ => Err(format!("{rejected:?}")),
        }
    }

    pub(super) fn deliver(&mut self, link: usize, deliver: &pb::Deliver, now: u64) -> Outcome {
        let device = &self.devices[link];
        if deliver.prev > device.cursor.seq || deliver.seq <= device.cursor.seq {
            self.crowd.report.count("dropped", 1); // a repeat, or a batch was lost: the rules allow both
            return Ok(());
        }
        let Some((index, number)) = named(&deliver.message_id) else {
            return Err(format!("nobody's {deliver:?}"));
        };
        let Some(stream) = self.streams.get(index) else {
            return Err(format!("nobody's {deliver:?}"));
        };
        let is_copy = stream.from == device.user;
        let kind = match is_copy {
            true => pb::Kind::OwnCopy,
            false => pb::Kind::Message,
        };
        let right = (is_copy || stream.to == device.user)
            && deliver.kind == kind as i32
            && deliver.conversation == stream.conversation
            && deliver.sender == self.id(stream.from)
            && deliver.payload == self.payload(index, number)
            && deliver.content_type == pb::ContentType::Iris as i32;
        if !right {
            return Err(format!("not what was sent: {deliver:?}"));
        }
        let expected = device.taken.get(&index).map_or(1, |last| last + 1);
        if number != expected || number > stream.sent() {
            return Err(format!(
                "lost, doubled or out of order: expected {expected}, got {deliver:?}"
            ));
        }
        let seq = if is_copy {
            deliver.peer_seq
        } else {
            deliver.seq
        };
        let flight = &mut self.streams[index].flights[number as usize - 1];
        if flight.seq != 0 && flight.seq != seq {
            return Err(format!("known as {}, {deliver:?}", flight.seq));
        }
        flight.seq = seq;
        let sent_at = flight.sent_at;
        let device = &mut self.devices[link];
        device.taken.insert(index, number);
        device.cursor.seq = deliver.seq;
        let is_live = device.came_at <= sent_at;
        self.awaited -= 1;
        match (is_copy, is_live) {
            (true, true) => self.happened("copied", sent_at, now),
            (true, false) => self.count("copied_late"),
            (false, true) => {
                self.crowd.report.count("delivered_total", 1);
                self.happened("delivered", sent_at, now);
            }
            (false, false) => {
                self.crowd.report.count("delivered_total", 1);
                self.count("delivered_late");
            }
        }
        if !is_copy {
            let (stream, seq) = (index, deliver.seq);
            self.news.push(News::Delivered { link, stream, seq });
        }
        self.receipts(index, now);
        Ok(())
    }

    /// Whether a register is the next one; then it is taken.
    fn takes_register(&mut self, link: usize, prev_rev: u64, rev: u64, now: u64) -> bool {
        let device = &mut self.devices[link];
        if prev_rev > device.cursor.rev || rev <= device.cursor.rev {
            self.crowd.report.count("dropped", 1);
            return false;
        }
        device.cursor.rev = rev;
        let delay = self.crowd.plan.numbers.ack_delay_ms * MS;
        self.acks.push_back((now + delay, link));
        true
    }

    /// The other user of a conversation of this one.
    fn peer(&self, user: usize, conversation: &[u8]) -> Option<usize> {
        match *self.peers.get(conversation)? {
            (one, other) if one == user => Some(other),
            (one, other) if other == user => Some(one),
            _ => None,
        }
    }

    pub(super) fn receipt(&mut self, link: usize, receipt: &pb::Receipt, now: u64) -> Outcome {
        if !self.takes_register(link, receipt.prev_rev, receipt.rev, now) {
            return Ok(());
        }
        let user = self.devices[link].user;
        let Some(peer) = self.peer(user, &receipt.conversation) else {
            return Err(format!("not about what was sent: {receipt:?}"));
        };
        let (acked, read) = (self.users[peer].acked, self.users[peer].reads.get(&user));
        if receipt.delivered > acked || receipt.read > read.copied().unwrap_or(0) {
            return Err(format!("acked {acked}, read {read:?}, {receipt:?}"));
        }
        let told = self.devices[link].told.entry(peer).or_default();
        told.delivered = told.delivered.max(receipt.delivered);
        told.read = told.read.max(receipt.read);
        self.count("receipts");
        if let Some(&stream) = self.routes.get(&(link, peer)) {
            self.receipts(stream, now);
        }
        Ok(())
    }

    /// Messages of a stream that the receipt of its device covers.
    fn receipts(&mut self, index: usize, now: u64) {
        loop {
            let stream = &self.streams[index];
            let told = self.devices[stream.link].told.get(&stream.to);
            let delivered = told.map_or(0, |told| told.delivered);
            let flight = stream.flights.get(stream.receipted as usize);
            let Some(flight) = flight.filter(|flight| (1..=delivered).contains(&flight.seq)) else {
                return;
            };
            let sent_at = flight.sent_at;
            self.streams[index].receipted += 1;
            self.awaited -= 1;
            self.happened("receipted", sent_at, now);
        }
    }

    pub(super) fn read_sync(&mut self, link: usize, read: &pb::ReadSync, now: u64) -> Outcome {
        if !self.takes_register(link, read.prev_rev, read.rev, now) {
            return Ok(());
        }
        let user = self.devices[link].user;
        let peer = self.peer(user, &read.conversation);
        let wish = peer.and_then(|peer| self.users[user].reads.get(&peer));
        let (Some(peer), Some(wish)) = (peer, wish) else {
            return Err(format!("nothing was read: {read:?}"));
        };
        if read.seq > *wish {
            return Err(format!("read up to {wish}, {read:?}"));
        }
        let told = self.devices[link].told.entry(peer).or_default();
        told.own_read = told.own_read.max(read.seq);
        self.count("read_syncs");
        Ok(())
    }

    pub(super) fn typing(&mut self, link: usize, typing: &pb::Typing) -> Outcome {
        let peer = self.peer(self.devices[link].user, &typing.conversation);
        if peer.is_none_or(|peer| typing.sender != self.id(peer)) {
            return Err(format!("nobody types there: {typing:?}"));
        }
        self.count("typings");
        Ok(())
    }

    pub(super) fn presence(&mut self, link: usize, told: &pb::Presence) -> Outcome {
        let known = [pb::Status::Online as i32, pb::Status::Offline as i32];
        if !self.watches[link] || !known.contains(&told.status) {
            return Err(format!("not asked for, or hidden: {told:?}"));
        }
        self.count("presences");
        Ok(())
    }

    /// Whether everything has come that must.
    pub(super) fn is_done(&self) -> bool {
        self.awaited == 0 && self.missing_reads().is_empty()
    }

    /// What was read, and whom nobody told so.
    fn missing_reads(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (reader, user) in self.users.iter().enumerate() {
            for (&peer, &seq) in &user.reads {
                let told = |link: usize, of: usize| {
                    self.devices[link]
                        .told
                        .get(&of)
                        .copied()
                        .unwrap_or_default()
                };
                for link in user.links.clone() {
                    if told(link, peer).own_read != seq {
                        missing.push(format!("connection {link}: no ReadSync of {seq}"));
                    }
                }
                for link in self.users[peer].links.clone() {
                    if told(link, reader).read != seq {
                        missing.push(format!("connection {link}: no receipt of a read at {seq}"));
                    }
                }
            }
        }
        missing
    }

    /// Says what has not come.
    pub(super) fn conclude(&mut self) {
        let mut faults = self.missing_reads();
        for (index, stream) in self.streams.iter().enumerate() {
            let sent = stream.sent() + stream.due.len() as u64;
            let (answered, receipted) = (stream.answered, stream.receipted);
            if answered != sent || receipted != sent {
                faults.push(format!(
                    "user {} to {}: of {sent} messages {answered} accepted, {receipted} with a receipt",
                    stream.from, stream.to
                ));
            }
            let own = self.users[stream.from].links.clone();
            let copies = own.filter(|_| self.users[stream.from].links.len() > 1);
            for link in self.users[stream.to].links.clone().chain(copies) {
                let taken = self.devices[link].taken.get(&index).copied().unwrap_or(0);
                if taken != sent {
                    let (from, to) = (stream.from, stream.to);
                    faults.push(format!(
                        "connection {link} has {taken} of {sent} messages from user {from} to {to}"
                    ));
                }
            }
        }
        for fault in faults {
            self.crowd.report.fault(fault);
        }
    }
}
