//! What the fuzz targets do with their input. Each `run` panics when it finds something wrong, and is also called with every
//! file of corpus/ by `cargo test`.

pub mod codec;
pub mod input;
pub mod life;
pub mod proxy;
pub mod tls;
pub mod upgrade;
pub mod websocket;

/// A target's name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets by name.
pub const TARGETS: [Target; 6] = [
    ("codec", codec::run),
    ("life", life::run),
    ("proxy", proxy::run),
    ("tls", tls::run),
    ("upgrade", upgrade::run),
    ("websocket", websocket::run),
];
