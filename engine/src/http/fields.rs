//! The header fields of one HTTP head, and the forms that their values must have.

pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token)
}

/// The spaces that may stand around a field's value and its parts (RFC 9110, 5.6.3).
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Whether a Host can be one: a name or an address, perhaps a port (RFC 9112, 3.2).
pub fn is_host(host: &str) -> bool {
    host.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(&byte))
}

/// One element of Sec-WebSocket-Extensions (RFC 6455, 9.1).
pub fn is_extension(text: &str) -> bool {
    let mut parts = text.split(';').map(trim);
    parts.next().is_some_and(is_word)
        && parts.all(|parameter| match parameter.split_once('=') {
            None => is_word(parameter),
            Some((name, value)) => {
                let quoted = trim(value)
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'));
                is_word(trim(name)) && is_word(quoted.unwrap_or(trim(value)))
            }
        })
}

pub struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    pub fn read(lines: impl Iterator<Item = &'a str>) -> Option<Self> {
        lines
            .map(|line| {
                let (name, value) = line.split_once(':')?;
                let value = trim(value);
                // RFC 9110, 5.5: another reader may end a line at a bare CR or LF.
                let good =
                    is_word(name) && !value.chars().any(|c| c.is_ascii_control() && c != '\t');
                good.then_some((name, value))
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    pub fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'a str> + 'n {
        self.0
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    pub fn only(&self, name: &str) -> Option<&'a str> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The elements of a list, which may be spread over several fields.
    pub fn parts<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'a str> + 'n {
        self.all(name).flat_map(|value| value.split(',')).map(trim)
    }

    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.parts(name)
            .any(|part| part.eq_ignore_ascii_case(token))
    }
}
