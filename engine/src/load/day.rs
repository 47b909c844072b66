//! A mixed day: users come and go, chat in bursts with typing, read, and catch up with what came while they were away. Who
//! does what, and when, follows from the numbers of the plan and a seed; what the server makes of it changes nothing of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering::Relaxed;

use super::chance::Chance;
use super::crowd::Crowd;
use super::society::{News, Society};
use super::{Numbers, MS};

const DAY_MS: f64 = 86_400_000.0;
const LEAVE_AGAIN_MS: u64 = 5; // a device that waits for an answer stays so long at least
const CATCH_UP_AT_ONCE: usize = 64; // devices that come when the day is over

/// Times in ns, as they pass in the load.
struct Model {
    online: f64, // share of the users
    session: f64,
    away: f64,
    chat: f64, // from one chat that an online user begins to the next
    gap: u64,
    typing: u64,
    read_after: u64,
}

impl Model {
    fn new(numbers: &Numbers) -> Self {
        let passed = |ms: f64| ms * MS as f64 / numbers.compression as f64;
        let online = (numbers.online_per_mille as f64 / 1000.0).clamp(0.001, 0.999);
        let peak = numbers.peak_per_mille as f64 / 1000.0;
        // Those who are online send what all send in the day.
        let chats =
            numbers.messages_per_user_day as f64 * peak / numbers.chat_messages as f64 / online;
        let session = passed(numbers.session_ms as f64);
        Self {
            online,
            session,
            away: session * (1.0 - online) / online,
            chat: passed(DAY_MS) / chats,
            gap: passed(numbers.chat_gap_ms as f64) as u64,
            typing: passed(numbers.typing_ms as f64) as u64,
            read_after: passed(numbers.read_after_ms as f64) as u64,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Talk {
    speaker: usize,
    listener: usize,
    left: u64, // messages
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Begin(usize), // a session of a user
    End(usize),
    Leave(usize),     // a device, which has perhaps something unanswered
    Chat(usize, u64), // in this session of the user
    Type(Talk),
    Say(Talk),
    Read { link: usize, peer: usize, seq: u64 },
}

struct Day<'c, 'a> {
    society: Society<'c, 'a>,
    model: Model,
    chance: Chance,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    sessions: Vec<u64>, // of each user, until now; odd: one is going on
}

pub fn play(crowd: &mut Crowd<'_>) {
    let numbers = &crowd.plan.numbers;
    let (warm, measure) = (numbers.warm_ms * MS, numbers.measure_ms * MS);
    let (model, chance) = (Model::new(numbers), Chance::new(numbers.seed));
    let society = Society::new(crowd);
    let mut day = Day {
        sessions: vec![0; society.users.len()],
        events: BinaryHeap::new(),
        model,
        chance,
        society,
    };
    let began = day.society.now();
    for user in 0..day.society.users.len() {
        let wait = match day.chance.happens(day.model.online) {
            true => day.chance.wait(warm as f64 / 4.0), // who is online already
            false => day.chance.wait(day.model.away),
        };
        day.at(began + wait, Event::Begin(user));
    }
    day.run(began + warm);
    day.society.measure();
    day.run(began + warm + measure);
    day.society.stop();
    day.evening();
}

impl Day<'_, '_> {
    fn at(&mut self, at: u64, event: Event) {
        self.events.push(Reverse((at, event)));
    }

    fn run(&mut self, until: u64) {
        while self.society.now() < until && !self.society.crowd.shared.ended.load(Relaxed) {
            let now = self.society.now();
            while let Some(&Reverse((at, event))) = self.events.peek() {
                if at > now {
                    break;
                }
                self.events.pop();
                self.happen(at, event);
            }
            let next = self.events.peek().map_or(until, |event| event.0 .0);
            self.society.step(next.min(until));
            self.hear();
        }
    }

    fn is_on(&self, user: usize) -> bool {
        self.sessions[user] % 2 == 1 && self.device(user).is_some()
    }

    /// The device a user has in hand.
    fn device(&self, user: usize) -> Option<usize> {
        let mut links = self.society.users[user].links.clone();
        links.find(|link| self.society.crowd.is_welcomed(*link))
    }

    fn happen(&mut self, at: u64, event: Event) {
        match event {
            Event::Begin(user) => self.begin(user, at),
            Event::End(user) => {
                self.sessions[user] += 1;
                for link in self.society.users[user].links.clone() {
                    self.at(at, Event::Leave(link));
                }
                let wait = self.chance.wait(self.model.away);
                self.at(at + wait, Event::Begin(user));
            }
            Event::Leave(link) => self.leave(link, at),
            Event::Chat(user, session) if self.sessions[user] == session => {
                if self.is_on(user) {
                    let listener = self.partner(user);
                    self.talk(
                        at,
                        user,
                        listener,
                        self.society.crowd.plan.numbers.chat_messages,
                    );
                }
                let wait = self.chance.wait(self.model.chat);
                self.at(at + wait, Event::Chat(user, session));
            }
            Event::Chat(..) => {}
            Event::Type(talk) => {
                if let Some(link) = self.device(talk.speaker) {
                    self.society.type_to(link, talk.listener);
                }
                self.at(at + self.model.typing, Event::Say(talk));
            }
            Event::Say(talk) => self.say(talk, at),
            Event::Read { link, peer, seq } => {
                if self.society.crowd.is_welcomed(link) {
                    self.society.read(link, peer, seq);
                }
            }
        }
    }

    fn begin(&mut self, user: usize, at: u64) {
        self.sessions[user] += 1;
        let links = self.society.users[user].links.clone();
        let second = self.society.crowd.plan.numbers.second_device_percent as f64 / 100.0;
        for link in links.clone() {
            // One that is still waiting to leave stays.
            let comes = link == links.start || self.chance.happens(second);
            if comes && !self.society.crowd.is_open(link) {
                self.society.come_back(link);
            }
        }
        let (session, chat) = (
            self.chance.wait(self.model.session),
            self.chance.wait(self.model.chat),
        );
        self.at(at + session, Event::End(user));
        self.at(at + chat, Event::Chat(user, self.sessions[user]));
    }

    fn leave(&mut self, link: usize, at: u64) {
        let user = self.society.devices[link].user;
        if self.sessions[user] % 2 == 1 || !self.society.crowd.is_open(link) {
            return; // the next session has begun, or it was not there
        }
        if self.society.crowd.is_welcomed(link) && self.society.is_answered(link) {
            self.society.leave(link);
        } else {
            self.at(at + LEAVE_AGAIN_MS * MS, Event::Leave(link));
        }
    }

    /// The contacts of a user are those next to it.
    fn contacts(&self, user: usize) -> Vec<usize> {
        let count = self.society.users.len();
        let each =
            (self.society.crowd.plan.numbers.contacts as usize / 2).clamp(1, (count - 1) / 2);
        let steps = (1..=each).chain(count - each..count);
        steps.map(|step| (user + step) % count).collect()
    }

    fn partner(&mut self, user: usize) -> usize {
        let contacts = self.contacts(user);
        let online: Vec<usize> = contacts
            .iter()
            .copied()
            .filter(|user| self.is_on(*user))
            .collect();
        let share = self.society.crowd.plan.numbers.online_partner_percent as f64 / 100.0;
        let among = match !online.is_empty() && self.chance.happens(share) {
            true => online,
            false => contacts,
        };
        among[self.chance.below(among.len())]
    }

    fn talk(&mut self, at: u64, speaker: usize, listener: usize, left: u64) {
        let talk = Talk {
            speaker,
            listener,
            left,
        };
        self.at(at, Event::Type(talk));
    }

    fn say(&mut self, talk: Talk, at: u64) {
        let Some(link) = self.device(talk.speaker) else {
            return; // gone in the middle of a chat
        };
        let stream = self.society.stream(link, talk.listener);
        self.society.send(stream, at);
        if talk.left > 1 {
            let (mut speaker, mut listener) = (talk.speaker, talk.listener);
            if self.is_on(listener) {
                (speaker, listener) = (listener, speaker); // who answers
            }
            self.talk(at + self.model.gap, speaker, listener, talk.left - 1);
        }
    }

    fn hear(&mut self) {
        for news in std::mem::take(&mut self.society.news) {
            match news {
                News::Came(link) => {
                    self.society.count("logins");
                    let contacts = self.contacts(self.society.devices[link].user);
                    self.society.watch(link, &contacts);
                    self.society.repeat_reads(link);
                }
                News::Delivered { link, stream, seq } => {
                    let user = self.society.devices[link].user;
                    if self.device(user) == Some(link) {
                        let (peer, at) = (self.society.streams[stream].from, self.society.now());
                        self.at(at + self.model.read_after, Event::Read { link, peer, seq });
                    }
                }
                News::Accepted(_) => {}
            }
        }
    }

    /// All devices come, so that everybody has everything.
    fn evening(&mut self) {
        let links = 0..self.society.devices.len();
        let mut away: Vec<usize> = links
            .filter(|link| !self.society.crowd.is_open(*link))
            .collect();
        let until = self.society.now() + self.society.crowd.plan.numbers.drain_ms * MS;
        while !away.is_empty()
            && self.society.now() < until
            && !self.society.crowd.shared.ended.load(Relaxed)
        {
            for link in away.split_off(away.len().saturating_sub(CATCH_UP_AT_ONCE)) {
                self.society.come_back(link);
            }
            while self.opening() && self.society.now() < until {
                self.society.step(until);
                self.hear();
            }
        }
        self.society.drain();
    }

    fn opening(&self) -> bool {
        let crowd = &self.society.crowd;
        let mut links = 0..self.society.devices.len();
        !crowd.shared.ended.load(Relaxed)
            && links.any(|link| crowd.is_open(link) && !crowd.is_welcomed(link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_from_the_numbers_of_a_day() {
        let numbers = Numbers {
            compression: 100,
            online_per_mille: 200,
            session_ms: 100_000,
            messages_per_user_day: 40,
            peak_per_mille: 2000,
            chat_messages: 4,
            chat_gap_ms: 10_000,
            typing_ms: 2_000,
            read_after_ms: 5_000,
            ..Numbers::default()
        };
        let model = Model::new(&numbers);
        let second = 1e9;
        assert_eq!((model.session, model.away), (second, 4.0 * second));
        // 80 messages a day at the peak are 20 chats; the fifth that is online begins them all: one in 864 s.
        assert!((model.chat - 8.64 * second).abs() < 1.0);
        assert_eq!(
            (model.gap, model.typing, model.read_after),
            (100 * MS, 20 * MS, 50 * MS)
        );
    }
}
