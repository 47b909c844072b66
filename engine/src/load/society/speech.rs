//! What the devices of a society say: messages within the window, acks, typing, reads, watches.

use super::{message_id, Flight, Society, STREAM};
use crate::codec::pb;
use crate::codec::ClientFrame;

impl Society<'_, '_> {
    /// The conversation of two users, which from here on is known.
    pub(super) fn conversation(&mut self, one: usize, other: usize) -> Vec<u8> {
        let mut ids = [self.id(one), self.id(other)];
        ids.sort_unstable();
        let conversation = ids.concat();
        self.peers
            .entry(conversation.clone())
            .or_insert((one, other));
        conversation
    }

    /// A message that is due; it goes as soon as the window allows.
    pub fn send(&mut self, stream: usize, due: u64) {
        self.streams[stream].due.push_back(due);
        self.fill(stream);
    }

    pub(super) fn fill(&mut self, index: usize) {
        let window = self.crowd.send_window;
        let (before, link) = (self.streams[index].sent(), self.streams[index].link);
        loop {
            let stream = &mut self.streams[index];
            let number = stream.sent() + 1;
            if stream.paused_until != 0 || number > stream.answered + window {
                break;
            }
            let Some(sent_at) = stream.due.pop_front() else {
                break;
            };
            stream.flights.push(Flight { sent_at, seq: 0 });
            let (from, to) = (stream.from, stream.to);
            let copies = Some(self.users[from].links.len()).filter(|count| *count > 1);
            // Accepted, a row for each device, a copy for each of the sender's, a receipt.
            let rows = self.users[to].links.len() + copies.unwrap_or(0);
            self.awaited += 2 + rows as u64;
            self.say(index, number);
        }
        if self.streams[index].sent() > before {
            self.ack(link); // it travels with them
            self.crowd.flush(link);
        }
    }

    fn say(&mut self, index: usize, number: u64) {
        let stream = &self.streams[index];
        let send = pb::Send {
            conversation: stream.conversation.clone(),
            stream: STREAM,
            client_seq: number,
            answered: stream.answered,
            message_id: message_id(index, number),
            after: stream.after,
            payload: self.payload(index, number),
            content_type: pb::ContentType::Iris as i32,
            alg: 0,
        };
        self.crowd.send(stream.link, ClientFrame::Send(send));
        self.crowd.report.count("sent_total", 1);
    }

    pub(super) fn payload(&self, stream: usize, number: u64) -> Vec<u8> {
        let size = self.crowd.plan.numbers.payload_bytes as usize;
        vec![(stream as u64 ^ number) as u8; size]
    }

    pub fn type_to(&mut self, link: usize, to: usize) {
        let conversation = self.conversation(self.devices[link].user, to);
        let active = true;
        let typing = pb::SetTyping {
            conversation,
            active,
        };
        self.crowd.send(link, ClientFrame::Typing(typing));
        self.crowd.flush(link);
    }

    /// The user has read what `peer` wrote up to this seq of the own mailbox.
    pub fn read(&mut self, link: usize, peer: usize, seq: u64) {
        let user = self.devices[link].user;
        let conversation = self.conversation(user, peer);
        let wish = self.users[user].reads.entry(peer).or_insert(0);
        *wish = seq.max(*wish);
        let seq = *wish;
        let read = pb::Read { conversation, seq };
        self.crowd.send(link, ClientFrame::Read(read));
        self.crowd.flush(link);
    }

    /// Says again what this device has not been shown as read.
    pub fn repeat_reads(&mut self, link: usize) {
        let device = &self.devices[link];
        let reads = &self.users[device.user].reads;
        let shown = |peer: &usize| device.told.get(peer).map_or(0, |told| told.own_read);
        let missing = reads.iter().filter(|(peer, seq)| shown(peer) < **seq);
        let missing: Vec<(usize, u64)> = missing.map(|(peer, seq)| (*peer, *seq)).collect();
        for (peer, seq) in missing {
            self.read(link, peer, seq);
        }
    }

    /// Asks to be told of these users.
    pub fn watch(&mut self, link: usize, users: &[usize]) {
        self.watches[link] = true;
        let users = users.iter().map(|user| self.id(*user).to_vec()).collect();
        self.crowd
            .send(link, ClientFrame::Watch(pb::Watch { users }));
        self.crowd.flush(link);
    }

    /// Repeats what was refused for a while, in order.
    pub(super) fn resume(&mut self, now: u64) {
        for index in 0..self.streams.len() {
            let stream = &mut self.streams[index];
            if stream.paused_until != 0 && stream.paused_until <= now {
                stream.paused_until = 0;
                for number in stream.answered + 1..=stream.sent() {
                    self.say(index, number);
                }
                self.fill(index);
                let link = self.streams[index].link;
                self.crowd.flush(link);
            }
        }
    }

    /// Acks what a device has taken.
    pub fn ack(&mut self, link: usize) {
        let device = &mut self.devices[link];
        if device.acks && device.cursor != device.acked {
            device.acked = device.cursor;
            let pb::Cursor { seq, rev } = device.cursor;
            let user = &mut self.users[device.user];
            user.acked = user.acked.max(seq);
            self.crowd
                .send(link, ClientFrame::Ack(pb::Ack { seq, rev }));
        }
    }
}
