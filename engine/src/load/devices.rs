//! Users with several devices each: the first device of every other user sends to the next user, as fast as answers come. Each
//! message is a row for every device of the receiver, and a copy for every device of the sender.

use std::sync::atomic::Ordering::Relaxed;

use super::crowd::Crowd;
use super::society::{News, Phase, Society};
use super::MS;

pub fn play(crowd: &mut Crowd<'_>) {
    let numbers = &crowd.plan.numbers;
    let (warm, measure, window) = (numbers.warm_ms, numbers.measure_ms, numbers.window);
    let mut society = Society::new(crowd);
    for link in 0..society.devices.len() {
        society.turn(link); // what came behind a Welcome
    }
    let began = society.now();
    for pair in 0..society.users.len() / 2 {
        let stream = society.stream(society.users[2 * pair].links.start, 2 * pair + 1);
        for _ in 0..window {
            society.send(stream, began);
        }
    }
    let (measure_at, stop_at) = (began + warm * MS, began + (warm + measure) * MS);
    while society.phase != Phase::Drain && !society.crowd.shared.ended.load(Relaxed) {
        let now = society.now();
        let until = match society.phase {
            Phase::Warm if now >= measure_at => {
                society.measure();
                stop_at
            }
            Phase::Warm => measure_at,
            _ => stop_at,
        };
        if now >= stop_at {
            society.stop();
            break;
        }
        society.step(until);
        for news in std::mem::take(&mut society.news) {
            if let News::Accepted(stream) = news {
                let now = society.now();
                society.send(stream, now);
            }
        }
    }
    society.drain();
}
