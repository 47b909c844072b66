//! The relay against the load: nothing is lost on the way, by TCP and by TLS.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::load::{self, Numbers, Plan, Report};
use crate::{sys, tls};

/// Drives a relay with the load; what both counted.
fn relayed(with_tls: bool, chosen: &[(&str, u64)]) -> (Report, Done) {
    let listener = sys::listen(([127, 0, 0, 1], 0).into(), false).unwrap();
    let address = listener.local_addr().unwrap();
    let (root, key) = load::self_signed(address.ip()).unwrap();
    let config = with_tls.then(|| {
        let (chain, key) = (pem("CERTIFICATE", &root), pem("PRIVATE KEY", &key));
        let tickets = tls::tickets().unwrap();
        tls::server_config(&chain, &key, false, tickets).unwrap()
    });
    let (control, mut hand) = UnixStream::pair().unwrap();
    let (tell, told) = mpsc::channel();
    let relay = Relay::new(listener, config).unwrap();
    let thread =
        thread::spawn(move || relay.run(control.as_raw_fd(), |done| tell.send(done).unwrap()));
    let mut numbers = Numbers::default();
    let fixed = [
        ("pairs", 1),
        ("plain", u64::from(!with_tls)),
        ("warm_ms", 0),
    ];
    for (name, value) in fixed.iter().chain(chosen) {
        numbers.set(name, *value).unwrap();
    }
    let tokens: Vec<_> = (0..10).map(|number| format!("{number:016}")).collect();
    let users = tokens.iter().map(|token| token.clone().into()).collect();
    let plan = Plan {
        address,
        root,
        tokens,
        users,
        numbers,
    };
    let report = load::run(&plan, &mut |_, _| true).unwrap();
    hand.write_all(b"?").unwrap();
    let done = told.recv().unwrap();
    drop(hand);
    thread.join().unwrap().unwrap();
    (report, done)
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for three in der.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, n| {
            bits << 8 | u32::from(*three.get(n).unwrap_or(&0))
        });
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n)) as usize & 63];
            text.push(if n > three.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    format!("{text}\n-----END {label}-----\n").into_bytes()
}

#[test]
fn every_transfer_of_every_message_arrives() {
    for with_tls in [false, true] {
        for window in [1, 8] {
            let (report, done) = relayed(with_tls, &[("window", window), ("measure_ms", 200)]);
            assert_eq!(report.faults, Vec::<String>::new());
            let total = report.counts["accepted_total"];
            assert!(total > 100 && total == done.messages);
            assert_eq!(report.counts["sent_total"], total);
            assert_eq!(report.counts["delivered_total"], total);
            assert!(done.receipts > 0 && done.receipts <= total);
            if window == 1 {
                // A message, an Ack, a Receipt each, but for those that a receiver took two of in a turn.
                assert!(done.receipts > total * 9 / 10);
            }
        }
    }
}

#[test]
fn what_the_kernel_does_not_take_at_once_is_sent_later() {
    let (report, _) = relayed(
        false,
        &[
            ("window", 128),
            ("measure_ms", 200),
            ("payload_bytes", 60_000),
        ],
    );
    assert_eq!(report.faults, Vec::<String>::new());
    assert!(report.counts["delivered_total"] > 100);
}
