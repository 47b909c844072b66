//! A presence storm: users who each watch the ones behind them in a ring; a share of them goes away and comes back, all at
//! once. Each watcher must be told of each change, once.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;

use super::crowd::Crowd;
use super::MS;
use crate::codec::pb::{self, server_frame::Body, Status};
use crate::codec::ClientFrame;

const PATIENCE_MS: u64 = 60_000;

struct Storm<'c, 'a> {
    crowd: &'c mut Crowd<'a>,
    numbers: HashMap<&'a [u8], usize>, // connections by user
    seen: Vec<Vec<Option<Status>>>,    // by watcher and place behind it
    away: Vec<bool>,
    since: Vec<u64>, // when a user began to go, or all began to come back
    state: State,
    awaited: u64, // tellings
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Asking,
    Going,
    Coming,
}

pub fn play(crowd: &mut Crowd<'_>) {
    let mut storm = Storm::new(crowd);
    let everybody: Vec<usize> = (0..storm.seen.len()).collect();
    for &watcher in &everybody {
        storm.watch(watcher);
    }
    storm.run(everybody, VecDeque::new());
    storm.crowd.tell("measure");
    storm.go();
    storm.run(Vec::new(), VecDeque::new());
    storm.crowd.tell("gone");
    storm.come();
    storm.crowd.tell("stop");
}

impl<'c, 'a> Storm<'c, 'a> {
    fn new(crowd: &'c mut Crowd<'a>) -> Self {
        let (count, watches) = (crowd.part.len(), crowd.plan.numbers.watches as usize);
        let every = crowd.plan.numbers.away_every.max(1) as usize;
        let users = crowd.plan.users.iter().map(Vec::as_slice);
        Self {
            numbers: users.zip(0..).collect(),
            seen: vec![vec![None; watches]; count],
            away: (0..count).map(|number| number % every == 0).collect(),
            since: vec![crowd.shared.now(); count],
            state: State::Asking,
            awaited: (count * watches) as u64,
            crowd,
        }
    }

    fn watched(&self, watcher: usize) -> impl Iterator<Item = usize> {
        let count = self.seen.len();
        (1..=self.seen[watcher].len()).map(move |place| (watcher + place) % count)
    }

    fn watch(&mut self, watcher: usize) {
        let ids = &self.crowd.plan.users;
        let users = self
            .watched(watcher)
            .map(|user| ids[user].clone())
            .collect();
        self.crowd
            .send(watcher, ClientFrame::Watch(pb::Watch { users }));
        self.crowd.flush(watcher);
    }

    /// How many who stay watch someone who goes.
    fn pairs(&self) -> u64 {
        let stays = (0..self.seen.len()).filter(|watcher| !self.away[*watcher]);
        let gone = stays.map(|watcher| {
            self.watched(watcher)
                .filter(|user| self.away[*user])
                .count()
        });
        gone.sum::<usize>() as u64
    }

    fn go(&mut self) {
        self.state = State::Going;
        self.awaited = self.pairs();
        for user in 0..self.seen.len() {
            if self.away[user] {
                self.since[user] = self.crowd.shared.now();
                self.crowd.close(user);
                self.seen[user].fill(None);
            }
        }
    }

    fn come(&mut self) {
        let who = self.expect_return();
        self.run(Vec::new(), who);
        if !self.crowd.shared.ended.load(Relaxed) {
            self.conclude();
        }
    }

    /// Who comes back. From now on its watchers are to be told, and it is to be answered.
    fn expect_return(&mut self) -> VecDeque<usize> {
        self.state = State::Coming;
        let who: VecDeque<usize> = (0..self.seen.len())
            .filter(|user| self.away[*user])
            .collect();
        let answers = who.len() * self.crowd.plan.numbers.watches as usize;
        self.awaited = self.pairs() + answers as u64;
        let now = self.crowd.shared.now();
        self.since.fill(now);
        who
    }

    /// Everybody is online: who does not see that?
    fn conclude(&mut self) {
        for (user, seen) in self.seen.iter().enumerate() {
            if seen.iter().any(|seen| *seen != Some(Status::Online)) {
                let what = format!("connection {user} sees {seen:?}, and all are online");
                self.crowd.report.fault(what);
            }
        }
    }

    /// Takes what is said (first by `links`) and opens `coming`, until everything awaited has been told.
    fn run(&mut self, mut links: Vec<usize>, mut coming: VecDeque<usize>) {
        let until = self.crowd.shared.now() + PATIENCE_MS * MS;
        let mut opening = 0;
        while self.awaited > 0 || !coming.is_empty() || opening > 0 {
            if self.crowd.shared.ended.load(Relaxed) {
                return;
            }
            if self.crowd.shared.now() > until {
                let missing = self.awaited;
                return self
                    .crowd
                    .give_up(format!("{missing} times nobody was told"));
            }
            while opening < self.crowd.plan.numbers.concurrency {
                let Some(user) = coming.pop_front() else {
                    break;
                };
                self.crowd.open(user);
                opening += 1;
            }
            for link in std::mem::take(&mut links) {
                while let Some(body) = self.crowd.next(link) {
                    if !self.crowd.is_welcomed(link) {
                        if self.crowd.welcome(link, &body) {
                            opening -= 1;
                            self.watch(link);
                        }
                    } else if let Err(what) = self.take(link, &body) {
                        self.crowd.give_up(format!("connection {link}: {what}"));
                    }
                }
                self.crowd.flush(link);
            }
            links = self.crowd.wait(50);
        }
    }

    fn take(&mut self, watcher: usize, body: &Body) -> Result<(), String> {
        let Body::Presence(told) = body else {
            return Err(format!("unexpected {body:?}"));
        };
        let count = self.seen.len();
        let user = self.numbers.get(told.user.as_slice()).copied();
        let place = user.map(|user| (user + count - watcher - 1) % count);
        let (Some(user), Some(place)) = (user, place) else {
            return Err(format!("not watched: {told:?}"));
        };
        let Some(seen) = self.seen[watcher].get_mut(place) else {
            return Err(format!("not watched: {told:?}"));
        };
        let (before, now) = (*seen, Status::try_from(told.status).ok());
        *seen = now;
        let goes = self.away[user];
        let what = match (self.state, before, now) {
            (_, None, Some(Status::Online)) => "answered",
            (State::Coming, None, Some(Status::Offline)) if goes => {
                self.awaited += 1; // and then that it is back
                "answered"
            }
            (State::Going, Some(Status::Online), Some(Status::Offline)) if goes => "offline",
            (State::Coming, Some(Status::Offline), Some(Status::Online)) if goes => "online",
            _ => {
                return Err(format!(
                    "connection {user} was {before:?}, and now {told:?} is told"
                ))
            }
        };
        let Some(awaited) = self.awaited.checked_sub(1) else {
            return Err(format!("told once too often: {told:?}"));
        };
        self.awaited = awaited;
        if what != "answered" || self.state == State::Asking {
            let took = self.crowd.shared.now() - self.since[user];
            self.crowd.report.time(what, took);
        }
        self.crowd.report.count(what, 1);
        self.crowd.shared.done.fetch_add(1, Relaxed);
        Ok(())
    }
}
