//! Plaintext HTTP on a port that speaks TLS: a browser is shown a page that says what to do, anybody else gets a line of JSON.
//!
//! The page has passed through the network unprotected, so it asks for nothing and vouches for nothing. It keeps no state, and
//! of the request it repeats a Host that is a plain name or address, nothing else.

use std::net::Ipv6Addr;

use ring::digest;

use super::fields::Fields;
use super::{base64, request_line, Refusal};

const HOST_CHARS_MAX: usize = 253 + 6; // a name (RFC 1035, 2.3.4), a colon, a port
const STYLE: &str =
    "body{font:1em/1.5 system-ui,sans-serif;max-width:40em;margin:2em auto;padding:0 1em}\
    code{overflow-wrap:anywhere}:root{color-scheme:light dark}";

/// The whole answer to plaintext; None while the head has not come as a whole and may still be one of at most `max` bytes.
///
/// `fingerprint` is the SHA-256 of the certificate that the port shows.
pub fn answer(input: &[u8], max: usize, fingerprint: &[u8]) -> Option<String> {
    let searched = &input[..input.len().min(max)];
    let find = |what: &[u8]| searched.windows(what.len()).position(|part| part == what);
    let Some(end) = find(b"\r\n\r\n") else {
        let is_http = find(b"\r\n")
            .is_none_or(|end| request_line(&String::from_utf8_lossy(&searched[..end])).is_some());
        return (!is_http || input.len() >= max).then(|| Refusal::SpeaksTls.answer());
    };
    let head = String::from_utf8_lossy(&searched[..end]);
    let mut lines = head.split("\r\n");
    let Some((method, _, _)) = request_line(lines.next().unwrap_or_default()) else {
        return Some(Refusal::SpeaksTls.answer());
    };
    let mut whole = match Fields::read(lines) {
        Some(fields) if matches!(method, "GET" | "HEAD") && wants_page(&fields) => {
            page(fields.only("host").and_then(link), fingerprint)
        }
        _ => Refusal::SpeaksTls.answer(),
    };
    if method == "HEAD" {
        let body = whole.find("\r\n\r\n").map_or(whole.len(), |at| at + 4);
        whole.truncate(body);
    }
    Some(whole)
}

/// Whether somebody names HTML among what they take, as every browser does for a page.
fn wants_page(fields: &Fields<'_>) -> bool {
    fields.parts("accept").any(|part| {
        let mut words = part.split(';').map(|word| word.trim_matches([' ', '\t']));
        let is_html = words
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        let is_refused = |weight: &str| {
            let digits = weight.strip_prefix(['q', 'Q']).unwrap_or_default();
            let digits = digits.strip_prefix('=').unwrap_or("1");
            digits.bytes().all(|byte| matches!(byte, b'0' | b'.'))
        };
        is_html && !words.any(is_refused)
    })
}

/// Where the same port is spoken to with TLS; None for a Host that is not a plain name or address, perhaps with a port.
fn link(host: &str) -> Option<String> {
    let (name, rest) = match host.strip_prefix('[') {
        Some(inside) => {
            let (address, rest) = inside.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (&host[..address.len() + 2], rest)
        }
        None => {
            let (name, rest) = host.split_at(host.find(':').unwrap_or(host.len()));
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            let is_name = name.bytes().all(is_plain) && !name.is_empty();
            (
                Some(name).filter(|_| is_name && !name.starts_with(['-', '.']))?,
                rest,
            )
        }
    };
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        None if rest.is_empty() => 80, // what a browser leaves out without TLS
        _ => return None,
    };
    (host.len() <= HOST_CHARS_MAX && port != 0u16).then(|| format!("https://{name}:{port}/"))
}

fn page(link: Option<String>, fingerprint: &[u8]) -> String {
    let digits: Vec<String> = fingerprint
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let digits = digits.join(":");
    let way = link.map_or_else(
        || "Write <code>https://</code> in front of the address.".to_owned(),
        |link| format!("Go to <a href=\"{link}\">{link}</a>."),
    );
    let body = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Iris: this port speaks TLS</title><style>{STYLE}</style></head><body>
<h1>This server speaks TLS only</h1>
<p>It is an Iris server, and your browser has asked without TLS. {way}</p>
<h2>If your browser warns you</h2>
<p>It does when nobody but the server itself vouches for its certificate, as among friends. Before you go on, open the
certificate in the warning and compare its SHA-256 fingerprint with the end of the line <code>iris://…</code> that you were
sent, or ask the owner: <code>iris invite</code> prints it. This server says that it is</p>
<p><code>{digits}</code></p>
<p>Nothing protected this page on its way to you: what counts is what the browser shows and what the owner says. If the two
differ, do not go on.</p>
<h2>For the owner: no warning any more</h2>
<p><code>iris serve --public --acme chat.example.org</code> gets a certificate for a name of yours.
<code>--tls-certificate FILE --tls-key FILE</code> takes one that you have.</p>
</body></html>
"
    );
    let style = base64(digest::digest(&digest::SHA256, STYLE.as_bytes()).as_ref());
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n\
         Vary: Accept\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8192;
    const PRINT: [u8; 32] = [0xab; 32];
    const ASKED: &str =
        "GET / HTTP/1.1\r\nHost: a.example:8443\r\nAccept: text/html,*/*;q=0.8\r\n\r\n";

    fn told(request: &str) -> Option<String> {
        answer(request.as_bytes(), MAX, &PRINT)
    }

    fn with(old: &str, new: &str) -> String {
        assert!(ASKED.contains(old), "{old}");
        ASKED.replace(old, new)
    }

    fn is_page(answer: &str) -> bool {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert!(head.contains("\r\nConnection: close"), "{head}");
        assert!(!body.to_ascii_lowercase().contains("script"));
        let length = format!("\r\nContent-Length: {}\r\n", body.len());
        assert!(body.is_empty() || head.contains(&length), "{head}");
        head.contains("Content-Type: text/html")
    }

    #[test]
    fn who_gets_the_page_and_who_the_line() {
        let long = with("Host", &format!("X: {}\r\nHost", "x".repeat(MAX)));
        let twice = format!("{ASKED}{ASKED}");
        for (request, is_html) in [
            (ASKED.to_owned(), true),
            (with("GET / ", "GET /v1/info?a=b "), true),
            (with("GET / ", "HEAD / "), true),
            (with("GET / ", "GET http://a.example:8443/ "), true),
            (with("HTTP/1.1", "HTTP/1.0"), true),
            (with("text/html", "TEXT/HTML;charset=utf-8;q=0.9"), true),
            (with("text/html,", "text/plain\r\nAccept: text/html,"), true),
            (with("Host: a.example:8443\r\n", ""), true), // but without a link
            (twice, true),                                // only the first is answered
            (with("text/html", "text/html;q=0"), false),
            (with("text/html", "text/html;q=0.000"), false),
            (with("text/html", "application/json"), false),
            (with("text/html", "text/htmlx"), false),
            (with("Accept: text/html,*/*;q=0.8\r\n", ""), false),
            (with("GET / ", "POST / "), false),
            (with("GET / ", "GET  / "), false),
            (with("HTTP/1.1", "HTTP/2.0"), false),
            (with("Host:", "Ho st:"), false),
            (with("Host: a", "Host: \0"), false),
            (long, false),
            ("EHLO a\r\n".to_owned(), false), // no HTTP: no head to wait for
            ("PRI * HTTP/2.0\r\n".to_owned(), false),
        ] {
            let answer = told(&request).expect("an answer");
            assert_eq!(is_page(&answer), is_html, "{request}");
            assert_eq!(
                answer.contains("Content-Type: application/problem+json"),
                !is_html
            );
        }
    }

    #[test]
    fn every_front_part_is_waited_for_and_head_gets_no_body() {
        for end in 0..ASKED.len() {
            assert_eq!(told(&ASKED[..end]), None, "{end}");
        }
        for accept in ["text/html", "text/plain"] {
            let asked = with("text/html", accept);
            let (got, bare) = (told(&asked), told(&asked.replace("GET", "HEAD")));
            let (got, bare) = (got.unwrap(), bare.unwrap());
            assert_eq!(bare, got[..got.find("\r\n\r\n").unwrap() + 4]);
        }
    }

    #[test]
    fn only_a_plain_host_becomes_a_link() {
        let longest = format!("{}.example:8443", "a".repeat(HOST_CHARS_MAX - 13));
        for (host, link) in [
            ("a.example:8443", Some("https://a.example:8443/")),
            ("A-1.example", Some("https://A-1.example:80/")),
            ("192.168.1.20:8460", Some("https://192.168.1.20:8460/")),
            ("[fe80::1]:8460", Some("https://[fe80::1]:8460/")),
            ("[::1]", Some("https://[::1]:80/")),
            (&longest, Some(format!("https://{longest}/").as_str())),
            (&format!("a{longest}"), None),
            ("", None),
            ("a:", None),
            ("a:0", None),
            ("a:65536", None),
            ("a:+1", None),
            ("a:1:2", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[a.example]:1", None),
            ("[fe80::1%25eth0]:1", None),
            ("-a", None),
            (".", None),
            ("a/b", None),
            ("user@a", None),
            ("a\"onclick=x", None),
            ("<script>alert(1)</script>", None),
            ("a&amp;b", None),
            ("ä.example", None),
            ("a b", None),
            ("a, b", None),
        ] {
            let answer = told(&with("a.example:8443", host)).unwrap();
            assert!(is_page(&answer), "{host}");
            let found = answer
                .split("href=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            assert_eq!(found, link, "{host}");
            assert_eq!(
                answer.contains("Write <code>https://</code>"),
                link.is_none()
            );
        }
        let two = told(&with("Host: a", "Host: b\r\nHost: a")).unwrap();
        assert!(is_page(&two) && !two.contains("href"));
    }

    #[test]
    fn the_page_says_the_fingerprint_and_its_style_is_the_only_thing_allowed() {
        let answer = told(ASKED).unwrap();
        assert!(answer.contains(&["AB"; 32].join(":")));
        assert!(answer.len() < 4096, "{}", answer.len());
        let style = answer.split("<style>").nth(1).unwrap();
        let style = style.split("</style>").next().unwrap();
        let hash = base64(digest::digest(&digest::SHA256, style.as_bytes()).as_ref());
        assert!(answer.contains(&format!("default-src 'none'; style-src 'sha256-{hash}';")));
    }
}
