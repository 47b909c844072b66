//! The first HTTP request head of a connection: an upgrade to Iris, a wrong attempt at one, or something for the API.
//!
//! Nothing after the first head is ever read as HTTP: what is not an upgrade goes to the API byte by byte, so the two cannot
//! disagree about where a request ends.

pub mod early;
mod fields;
pub mod plaintext;

use ring::digest;

use fields::{is_extension, is_host, is_token, Fields};

pub const PATH: &str = "/v1/connect";
pub const SUBPROTOCOL: &str = "iris.v1.pb";

const WEBSOCKET_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3
const VERSION: &str = "13";
const KEY_CHARS: usize = 24; // base64 of 16 bytes

/// What the first head was.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    Incomplete,
    /// A good upgrade: the head's length, the answer to its key, and the first message where it came with it.
    Upgrade {
        length: usize,
        accept: String,
        hello: Option<Vec<u8>>,
    },
    /// To be answered with this and closed.
    Refused(Refusal),
    /// Not an Iris upgrade: for the API.
    Foreign,
}

/// An HTTP answer that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NotHttp,
    HeadTooLarge,
    BadUpgrade(&'static str),
    Version,
    Subprotocol,
    TooManyConnections,
    SpeaksTls,
    ApiUnreachable,
    TooManyPipes,
}

impl Refusal {
    /// The name under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::HeadTooLarge => "head_too_large",
            Self::BadUpgrade(_) => "bad_upgrade",
            Self::Version => "version",
            Self::Subprotocol => "subprotocol",
            Self::TooManyConnections => "too_many_connections",
            Self::SpeaksTls => "speaks_tls",
            Self::ApiUnreachable => "api_unreachable",
            Self::TooManyPipes => "too_many_pipes",
        }
    }

    /// The whole answer.
    pub fn answer(self) -> String {
        let (status, title, more) = match self {
            Self::NotHttp => ("400 Bad Request", "this is not an HTTP/1.1 request", ""),
            Self::HeadTooLarge => (
                "431 Request Header Fields Too Large",
                "the request head is too large",
                "",
            ),
            Self::BadUpgrade(why) => ("400 Bad Request", why, ""),
            Self::Version => (
                "426 Upgrade Required",
                "only WebSocket version 13 is spoken",
                // RFC 9110, 15.5.22: it says what to upgrade to, and 7.8: as an option of this connection
                "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            ),
            Self::Subprotocol => (
                "400 Bad Request",
                "the subprotocol iris.v1.pb must be offered",
                "",
            ),
            Self::TooManyConnections => (
                "429 Too Many Requests",
                "too many connections from this address",
                "Retry-After: 10\r\n",
            ),
            Self::SpeaksTls => (
                "400 Bad Request",
                "this port speaks TLS: use https:// or wss://",
                "",
            ),
            Self::ApiUnreachable => (
                "503 Service Unavailable",
                "the API cannot be reached",
                "Retry-After: 5\r\n",
            ),
            Self::TooManyPipes => (
                "503 Service Unavailable",
                "too many requests at once",
                "Retry-After: 5\r\n",
            ),
        };
        let number = &status[..3];
        let body = format!("{{\"title\":\"{title}\",\"status\":{number}}}\n");
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nX-Content-Type-Options: nosniff\r\n{more}Connection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

/// The answer that completes an upgrade.
pub fn switching(accept: &str, subprotocol: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    )
}

/// Reads the head at the front of `input`; `max` is the largest head in bytes.
pub fn read_head(input: &[u8], max: usize) -> Head {
    if input
        .first()
        .is_some_and(|first| !first.is_ascii_alphabetic())
    {
        return Head::Refused(Refusal::NotHttp);
    }
    let searched = &input[..input.len().min(max)];
    let Some(end) = searched.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if input.len() >= max {
            Head::Refused(Refusal::HeadTooLarge)
        } else {
            Head::Incomplete
        };
    };
    // Field values may hold bytes above 127; what is compared below is ASCII.
    let head = String::from_utf8_lossy(&input[..end]);
    let mut lines = head.split("\r\n");
    let Some((method, target, version)) = request_line(lines.next().unwrap_or_default()) else {
        return Head::Refused(Refusal::NotHttp);
    };
    if path_of(target) != PATH {
        return Head::Foreign;
    }
    let fields = Fields::read(lines);
    if !fields
        .as_ref()
        .is_some_and(|fields| fields.has_token("upgrade", "websocket"))
    {
        return Head::Foreign;
    }
    match fields.map_or(Err(Refusal::NotHttp), |fields| {
        judge(&fields, method, version)
    }) {
        Ok((accept, hello)) => Head::Upgrade {
            length: end + 4,
            accept,
            hello,
        },
        Err(refusal) => Head::Refused(refusal),
    }
}

fn request_line(line: &str) -> Option<(&str, &str, &str)> {
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let good = words.next().is_none()
        && method.bytes().all(is_token)
        && !target.is_empty()
        && matches!(version, "HTTP/1.1" | "HTTP/1.0");
    good.then_some((method, target, version))
}

/// The path of a request target in origin form or, as a proxy sends it, in absolute form (RFC 9112, 3.2).
fn path_of(target: &str) -> &str {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (front, rest) = target.split_at_checked(scheme.len())?;
        front.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let origin = rest.map_or(target, |rest| {
        rest.find(['/', '?']).map_or("", |start| &rest[start..])
    });
    origin.split('?').next().unwrap_or_default()
}

/// Whether a head asks well for Iris: the answer to its key and the early Hello, or why not.
fn judge(
    fields: &Fields<'_>,
    method: &str,
    version: &str,
) -> Result<(String, Option<Vec<u8>>), Refusal> {
    let bad = |why| Err(Refusal::BadUpgrade(why));
    if method != "GET" || version != "HTTP/1.1" {
        return bad("an upgrade is a GET of HTTP/1.1");
    }
    if !fields.only("host").is_some_and(is_host) {
        return bad("exactly one good Host is needed");
    }
    if !fields.has_token("connection", "upgrade") {
        return bad("Connection: Upgrade is missing");
    }
    if fields.all("transfer-encoding").next().is_some()
        || fields.all("content-length").any(|length| length != "0")
    {
        return bad("an upgrade has no body");
    }
    if fields.only("sec-websocket-version") != Some(VERSION) {
        return Err(Refusal::Version);
    }
    let Some(key) = fields.only("sec-websocket-key").filter(|key| is_key(key)) else {
        return bad("Sec-WebSocket-Key must be 16 bytes in base64");
    };
    // Names of subprotocols are compared with their case (RFC 6455, 4.1).
    if !fields
        .parts("sec-websocket-protocol")
        .any(|name| name == SUBPROTOCOL)
    {
        return Err(Refusal::Subprotocol);
    }
    // None is taken up, but a malformed list must fail the connection (RFC 6455, 9.1).
    if !fields
        .parts("sec-websocket-extensions")
        .all(|part| part.is_empty() || is_extension(part))
    {
        return bad("Sec-WebSocket-Extensions is malformed");
    }
    let hello = early::first_message(fields.parts("sec-websocket-protocol"));
    Ok((accept(key), hello))
}

fn is_key(key: &str) -> bool {
    let bytes = key.as_bytes();
    bytes.len() == KEY_CHARS
        && bytes.ends_with(b"==")
        && bytes[..KEY_CHARS - 2]
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

fn accept(key: &str) -> String {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(WEBSOCKET_GUID.as_bytes());
    base64(hash.finish().as_ref())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0, |group, &byte| group << 8 | usize::from(byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[group >> (18 - 6 * place) & 63];
            text.push(if place > chunk.len() {
                '='
            } else {
                letter as char
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8192;
    const GOOD: &str = "GET /v1/connect HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Protocol: iris.v9.pb, iris.v1.pb\r\n\r\n";

    fn read(head: &str) -> Head {
        read_head(head.as_bytes(), MAX)
    }

    fn without(line: &str) -> String {
        assert!(GOOD.contains(line), "{line}");
        GOOD.replace(line, "")
    }

    fn with(old: &str, new: &str) -> String {
        assert!(GOOD.contains(old), "{old}");
        GOOD.replace(old, new)
    }

    #[test]
    fn the_example_of_rfc_6455() {
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_string();
        let good = Head::Upgrade {
            length: GOOD.len(),
            accept: accept.clone(),
            hello: None,
        };
        assert_eq!(read(GOOD), good);
        assert_eq!(read(&format!("{GOOD}frames")), good);
        let answer = switching(&accept, SUBPROTOCOL);
        assert!(answer.contains(&accept) && answer.contains(": iris.v1.pb\r\n"));
    }

    #[test]
    fn hello_may_come_with_the_upgrade() {
        for offer in [
            "iris.v1.pb, iris.v1.pb.early, iris.early.AQID",
            "iris.early.AQID\r\nSec-WebSocket-Protocol: iris.v1.pb.early,iris.v1.pb",
        ] {
            match read(&with("iris.v9.pb, iris.v1.pb", offer)) {
                Head::Upgrade { hello, .. } => assert_eq!(hello, Some(vec![1, 2, 3])),
                other => panic!("{other:?}"),
            }
        }
        // Older servers do not know it: what they need has to be offered too.
        let alone = with(
            "iris.v9.pb, iris.v1.pb",
            "iris.v1.pb.early, iris.early.AQID",
        );
        assert_eq!(read(&alone), Head::Refused(Refusal::Subprotocol));
    }

    #[test]
    fn every_front_part_is_incomplete() {
        for end in 0..GOOD.len() {
            assert_eq!(read(&GOOD[..end]), Head::Incomplete, "{end}");
        }
    }

    #[test]
    fn variants_that_are_good() {
        for head in [
            with("/v1/connect", "/v1/connect?x=1"),
            with("/v1/connect", "HTTP://a:1/v1/connect?x=1"),
            with("Upgrade: websocket", "uPGRADE:\tWebSocket "),
            with(
                "iris.v9.pb, iris.v1.pb",
                "x\r\nsec-websocket-protocol:iris.v1.pb",
            ),
            with("Host: a", "Host: a\r\nContent-Length: 0"),
            with(
                "Host: a",
                "Host: a\r\nSec-WebSocket-Extensions: permessage-deflate",
            ),
            with(
                "Host: a",
                "Host: a\r\nSec-WebSocket-Extensions: a; b=c; d=\"e\",, f\r\nSec-WebSocket-Extensions:",
            ),
            with("Host: a", "Host: [::1]:8460"),
        ] {
            assert!(matches!(read(&head), Head::Upgrade { .. }), "{head}");
        }
    }

    #[test]
    fn wrong_upgrades_are_refused() {
        let cases = [
            (with("GET", "POST"), "400"),
            (with("HTTP/1.1", "HTTP/1.0"), "400"),
            (without("Host: a\r\n"), "400"),
            (with("Host: a", "Host: a\r\nHost: b"), "400"),
            (with("keep-alive, Upgrade", "keep-alive"), "400"),
            (with("Host: a", "Host: a\r\nContent-Length: 3"), "400"),
            (
                with("Host: a", "Host: a\r\nTransfer-Encoding: chunked"),
                "400",
            ),
            (without("Sec-WebSocket-Version: 13\r\n"), "426"),
            (with("Version: 13", "Version: 8"), "426"),
            (
                without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
                "400",
            ),
            (
                with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
                "400",
            ),
            (
                with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!Q=="),
                "400",
            ),
            (
                with(
                    "Host: a",
                    "Host: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                ),
                "400",
            ),
            (
                without("Sec-WebSocket-Protocol: iris.v9.pb, iris.v1.pb\r\n"),
                "400",
            ),
            (with(", iris.v1.pb", ", IRIS.v1.pb"), "400"),
            (with("iris.v1.pb\r", "iris.v1.pb\u{a0}\r"), "400"),
            (with("Host: a", "Host: a b"), "400"),
            (with("Host: a", "Host: a,b"), "400"),
            (
                with("Host: a", "Host: a\r\nSec-WebSocket-Extensions: a b"),
                "400",
            ),
            (
                with("Host: a", "Host: a\r\nSec-WebSocket-Extensions: a; =b"),
                "400",
            ),
            (
                with("Host: a", "Host: a\r\nSec-WebSocket-Extensions: a; b=\"c"),
                "400",
            ),
        ];
        for (head, status) in cases {
            match read(&head) {
                Head::Refused(refusal) => assert!(
                    refusal.answer().starts_with(&format!("HTTP/1.1 {status} ")),
                    "{head}"
                ),
                other => panic!("{other:?} for {head}"),
            }
        }
        let refusal = Refusal::Version;
        assert!(refusal
            .answer()
            .contains("\r\nSec-WebSocket-Version: 13\r\n"));
    }

    #[test]
    fn everything_else_is_for_the_api() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_string(),
            "POST /v1/register HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}".to_string(),
            with("/v1/connect", "/v1/connecting"),
            with("/v1/connect", "/other"),
            with("/v1/connect", "http://v1/connect"),
            with("/v1/connect", "ws://a/v1/connect"),
            without("Upgrade: websocket\r\n"),
            with("Upgrade: websocket", "Upgrade: h2c"),
        ] {
            assert_eq!(read(&head), Head::Foreign, "{head}");
        }
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for head in [
            "\x16\x03\x01",
            "\0",
            " GET / HTTP/1.1\r\n\r\n",
            "hello\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(read(head), Head::Refused(Refusal::NotHttp), "{head:?}");
        }
        let folded = with("Host: a", "Host: a\r\n b");
        assert_eq!(read(&folded), Head::Foreign);
        for hidden in ["X: y\nContent-Length: 5", "X: y\rz", "X: \0"] {
            let head = with("Host: a", &format!("Host: a\r\n{hidden}"));
            assert_eq!(read(&head), Head::Foreign, "{hidden:?}");
        }
    }

    #[test]
    fn a_head_has_a_limit() {
        let filler = format!("GET /v1/connect HTTP/1.1\r\nX: {}\r\n", "x".repeat(MAX));
        assert_eq!(read(&filler), Head::Refused(Refusal::HeadTooLarge));
        assert_eq!(
            read_head(GOOD.as_bytes(), GOOD.len() - 1),
            Head::Refused(Refusal::HeadTooLarge)
        );
        assert!(matches!(
            read_head(GOOD.as_bytes(), GOOD.len()),
            Head::Upgrade { .. }
        ));
    }
}
