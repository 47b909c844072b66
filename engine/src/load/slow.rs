//! Slow consumers: messages come by the clock to users who for a while do not read their socket, or read it and ack nothing.
//! Then they go on; a connection that the server has closed meanwhile is opened again. Nothing may be missing.

use std::sync::atomic::Ordering::Relaxed;

use super::crowd::Crowd;
use super::society::Society;
use super::MS;

pub fn play(crowd: &mut Crowd<'_>) {
    let numbers = &crowd.plan.numbers;
    let (rate, stall) = (numbers.rate, numbers.stall_ms * MS);
    let mut society = Society::new(crowd);
    for link in 0..society.devices.len() {
        society.turn(link); // what came behind a Welcome
    }
    let streams: Vec<usize> = (0..society.users.len() / 2)
        .map(|pair| society.stream(2 * pair, 2 * pair + 1))
        .collect();
    stop_taking(&mut society);
    society.measure();
    let began = society.now();
    let mut planned = 0;
    while society.now() < began + stall && !society.crowd.shared.ended.load(Relaxed) {
        let wanted = ((society.now() - began) as f64 * rate as f64 / 1e9) as u64;
        for number in planned..wanted {
            let due = began + (number as f64 * 1e9 / rate as f64) as u64;
            society.send(streams[number as usize % streams.len()], due);
        }
        planned = wanted;
        society.step(society.now() + 2 * MS);
    }
    society.crowd.tell("stalled");
    take_again(&mut society);
    society.stop();
    society.drain();
}

/// Every other receiver leaves its socket unread, the rest acks nothing.
fn stop_taking(society: &mut Society<'_, '_>) {
    for link in (1..society.devices.len()).step_by(2) {
        if link % 4 == 1 {
            society.crowd.fragile.insert(link);
            society.crowd.heed(link, false);
        } else {
            society.devices[link].acks = false;
        }
    }
}

/// All take what waits for them; how long each needs for it is timed.
fn take_again(society: &mut Society<'_, '_>) {
    let (began, patience) = (society.now(), society.crowd.plan.numbers.drain_ms * MS);
    let mut late: Vec<usize> = (1..society.devices.len()).step_by(2).collect();
    for &link in &late {
        if link % 4 == 1 {
            society.crowd.heed(link, true);
        }
        society.devices[link].acks = true;
        society.ack(link);
        society.crowd.flush(link);
    }
    while !late.is_empty()
        && society.now() < began + patience
        && !society.crowd.shared.ended.load(Relaxed)
    {
        for link in std::mem::take(&mut society.crowd.broken) {
            society.crowd.report.count("closed", 1);
            society.come_back(link);
        }
        society.step(society.now() + 10 * MS);
        let took = society.now() - began;
        let (done, rest) = late.into_iter().partition(|link| society.has_all(*link));
        late = rest;
        let done: Vec<usize> = done;
        for _ in done {
            society.crowd.report.time("caught_up", took);
        }
    }
}
