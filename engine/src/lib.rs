//! The engine: sockets, TLS, HTTP upgrade, WebSocket and the codec of frames; and the thread that waits for the disk (log_sync.rs).
//!
//! It knows bytes, frames and limits; it knows nothing of users, messages or policies. Python takes decoded frames in batches
//! (`Engine::drain`) and gives frames to send in batches (`Engine::send`). Only python.rs knows Python.

mod admission;
pub mod catalogue;
mod clock;
pub mod codec;
mod conn;
mod dialog;
mod ending;
pub mod engine;
pub mod floor;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod handover;
pub mod http;
pub mod limits;
mod listener;
pub mod load;
pub mod log_sync;
mod pipe;
pub mod proxy;
mod slab;
pub mod stats;
mod sys;
mod timers;
pub mod tls;
mod turn;
mod worker;
pub mod ws;

#[cfg(feature = "python")]
mod python;
