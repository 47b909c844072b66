//! Our reader of the first HTTP head against httparse: what is taken for an upgrade is one, as long as httparse says, with
//! the answer that tungstenite gives to its key; and every head that httparse understands and that is an upgrade is taken.
//!
//! Input: the head. A byte above 127 at its front stands for the usual head up to there, so that mutations begin further in.

use _engine::http::early::{self, EARLY};
use _engine::http::{plaintext, read_head, Head, PATH, SUBPROTOCOL};
use httparse::{Request, Status};
use tungstenite::handshake::derive_accept_key;

const MAX: usize = 1024;
const FIELDS_MAX: usize = 512; // more than MAX bytes can hold: a field takes three
const USUAL: &str = "GET /v1/connect HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: iris.v1.pb\r\n";

pub fn run(data: &[u8]) {
    let head: Vec<u8> = match data.split_first() {
        Some((&first, rest)) if first > 127 => {
            let cut = usize::from(first - 128) * USUAL.len() / 127;
            [&USUAL.as_bytes()[..cut], rest].concat()
        }
        _ => data.to_vec(),
    };
    check_plaintext(&head);
    let got = read_head(&head, MAX);
    check_pieces(&head, &got);
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = Request::new(&mut fields);
    let parsed = request.parse(&head);
    match got {
        Head::Upgrade {
            length,
            accept,
            hello,
        } => {
            assert!(length <= MAX, "longer than the limit");
            assert_eq!(
                parsed,
                Ok(Status::Complete(length)),
                "not a head, or of another length"
            );
            let key = expected(&request, false).expect("taken for an upgrade");
            assert_eq!(accept, derive_accept_key(key), "the answer to the key");
            if let Some(hello) = hello {
                let again = early::offer(&hello);
                let name = again.rsplit(", ").next().expect("the last of three");
                let text = String::from_utf8_lossy(&head);
                assert!(text.contains(name) && text.contains(EARLY), "not offered");
            }
        }
        Head::Incomplete => assert!(head.len() < MAX),
        Head::Refused(refusal) => {
            let answer = refusal.answer();
            let (front, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
            assert!(front.starts_with("HTTP/1.1 4"), "{front}");
            assert!(front.contains(&format!("Content-Length: {}\r\n", body.len())));
            refuses_rightly(parsed, &request, &head);
        }
        Head::Foreign => refuses_rightly(parsed, &request, &head),
    }
}

/// The same bytes on a port that speaks TLS: the answer is whole, and repeats nothing that could be more than a link.
fn check_plaintext(head: &[u8]) {
    let Some(answer) = plaintext::answer(head, MAX, &[0; 32]) else {
        return assert!(head.len() < MAX);
    };
    let (front, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
    assert!(front.starts_with("HTTP/1.1 400 "), "{front}");
    let length = format!("Content-Length: {}\r\n", body.len());
    assert!(body.is_empty() && head.starts_with(b"HEAD ") || front.contains(&length));
    let links: Vec<_> = body.split("href=\"").skip(1).collect();
    assert!(links.len() <= 1);
    for link in links {
        let (target, _) = link.split_once('"').expect("an end");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:/[]".contains(&byte);
        assert!(
            target.starts_with("https://") && target.bytes().all(plain),
            "{target}"
        );
    }
    assert!(!body.contains("<script") && answer.len() < 4 * MAX);
}

/// What came in pieces is judged as early as possible, and never otherwise later.
fn check_pieces(head: &[u8], whole: &Head) {
    let (mut least, mut most) = (0, head.len());
    while least < most {
        let middle = (least + most) / 2;
        match read_head(&head[..middle], MAX) {
            Head::Incomplete => least = middle + 1,
            _ => most = middle,
        }
    }
    assert_eq!(
        *whole,
        read_head(&head[..least], MAX),
        "decided otherwise with {least} bytes"
    );
    assert!(least == 0 || read_head(&head[..least - 1], MAX) == Head::Incomplete);
}

fn refuses_rightly(
    parsed: Result<Status<usize>, httparse::Error>,
    request: &Request<'_, '_>,
    head: &[u8],
) {
    let Ok(Status::Complete(length)) = parsed else {
        return;
    };
    // httparse takes a bare line feed for the end of a line and empty lines in front (RFC 9112, 2.2: may); we do not.
    let feeds = head[..length]
        .iter()
        .enumerate()
        .filter(|(_, &byte)| byte == b'\n');
    let strict = head[0].is_ascii_alphabetic()
        && feeds
            .map(|(at, _)| at)
            .all(|at| at > 0 && head[at - 1] == b'\r');
    assert!(
        !(strict && length <= MAX && expected(request, true).is_some()),
        "an upgrade was not taken: {request:?}"
    );
}

/// The path of a target, in origin form or in absolute form (RFC 9112, 3.2).
fn path_of(target: &str) -> &str {
    let origin = match target.split_once("://") {
        Some((scheme, rest))
            if ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) =>
        {
            rest.find(['/', '?']).map_or("", |at| &rest[at..])
        }
        _ => target,
    };
    origin.split('?').next().unwrap_or_default()
}

/// The key, when this is a good upgrade to Iris: docs/protocol.md and RFC 6455, 4.2.1, by what httparse read. `simple`: of
/// what can be written in many ways (Host, extensions), only the simplest counts.
fn expected<'h>(request: &Request<'h, '_>, simple: bool) -> Option<&'h [u8]> {
    let all = |name: &'static str| {
        let fields = request.headers.iter();
        fields
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    };
    let only = |name| all(name).next().filter(|_| all(name).count() == 1);
    let tokens = |name| {
        all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
    };
    let has =
        |name, token: &str| tokens(name).any(|one| one.eq_ignore_ascii_case(token.as_bytes()));
    let good = path_of(request.path?) == PATH
        && request.method == Some("GET")
        && request.version == Some(1)
        && has("upgrade", "websocket")
        && has("connection", "upgrade")
        && only("host").is_some_and(|host| !simple || host.iter().all(u8::is_ascii_alphanumeric))
        && (!simple || all("sec-websocket-extensions").next().is_none())
        && all("transfer-encoding").next().is_none()
        && all("content-length").all(|length| length == b"0")
        && only("sec-websocket-version") == Some(b"13")
        && tokens("sec-websocket-protocol").any(|one| one == SUBPROTOCOL.as_bytes());
    let key = only("sec-websocket-key")?;
    let (digits, end) = key.split_at_checked(22)?;
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    (good && end == b"==" && digits.iter().all(is_base64)).then_some(key)
}
