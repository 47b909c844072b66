//! Hello with the upgrade, which saves a round trip: among the subprotocols that a client offers are `iris.v1.pb.early` and
//! one whose name holds the bytes of its first message, in base64url without padding (RFC 4648, 5).

use super::SUBPROTOCOL;

/// What the server picks when it has taken the Hello; it needs no other then.
pub const EARLY: &str = "iris.v1.pb.early";
/// What the name with the Hello begins with.
pub const HELLO: &str = "iris.early.";

/// The first message among what is offered. None where it is not well offered: then it has to come as a frame.
pub fn first_message<'a>(offered: impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    let (mut is_early, mut found) = (false, None);
    for name in offered {
        is_early |= name == EARLY;
        if let Some(text) = name.strip_prefix(HELLO) {
            if found.replace(text).is_some() {
                return None; // two of them: which is meant?
            }
        }
    }
    found.filter(|_| is_early).and_then(decode)
}

/// The names to offer, beside `iris.v1.pb`, for a Hello of these bytes.
pub fn offer(message: &[u8]) -> String {
    let text: String = super::base64(message)
        .chars()
        .filter(|letter| *letter != '=')
        .map(|letter| match letter {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    format!("{SUBPROTOCOL}, {EARLY}, {HELLO}{text}")
}

/// base64url without padding, in its one canonical spelling.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.as_bytes().chunks(4) {
        let mut group = 0_u32;
        for letter in four {
            group = group << 6 | value(*letter)?;
        }
        // So many letters of the last group are so many bits; what is left of them must be zero.
        let (count, spare) = match four.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if group & ((1 << spare) - 1) != 0 {
            return None;
        }
        bytes.extend_from_slice(&(group >> spare).to_be_bytes()[4 - count..]);
    }
    Some(bytes)
}

fn value(letter: u8) -> Option<u32> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(offered: &str) -> Option<Vec<u8>> {
        first_message(offered.split(',').map(str::trim))
    }

    #[test]
    fn what_is_offered_is_read() {
        for size in 1..70 {
            let message: Vec<u8> = (0..size).map(|n| (n * 37 + 250) as u8).collect();
            assert_eq!(read(&offer(&message)), Some(message));
        }
        assert_eq!(
            read("iris.early.-_8, iris.v1.pb.early"),
            Some(vec![251, 255])
        );
    }

    #[test]
    fn what_is_not_well_offered_is_not_taken() {
        for offered in [
            "iris.v1.pb",
            "iris.v1.pb.early",
            "iris.early.AAAA", // without the name of the version
            "iris.v1.pb.early, iris.early.AAAA, iris.early.AAAA", // twice
            "iris.v1.pb.early, iris.early.",
            "iris.v1.pb.early, iris.early.A",
            "iris.v1.pb.early, iris.early.AAAAA",
            "iris.v1.pb.early, iris.early.AB", // bits that are left are not zero
            "iris.v1.pb.early, iris.early.AAB",
            "iris.v1.pb.early, iris.early.AA==",
            "iris.v1.pb.early, iris.early.AA+A",
            "IRIS.v1.pb.early, iris.early.AAAA",
        ] {
            assert_eq!(read(offered), None, "{offered}");
        }
    }
}
