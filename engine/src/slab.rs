//! The connections of one thread by id. An id names thread, slot and generation and is never used again.

use std::collections::VecDeque;

use crate::conn::Conn;

const SLOT_BITS: u32 = 22;
const GENERATION_BITS: u32 = 35;
const SLOTS_MAX: usize = 1 << SLOT_BITS;
const GENERATIONS_MAX: u64 = 1 << GENERATION_BITS;
/// Threads that ids have room for: 6 bits, so that an id is below 2**63.
pub const THREADS_MAX: usize = 64;

/// The thread that has the connection.
pub fn thread_of(id: u64) -> usize {
    (id >> (SLOT_BITS + GENERATION_BITS)) as usize
}

fn slot_of(id: u64) -> usize {
    id as usize & (SLOTS_MAX - 1)
}

struct Slot {
    id: u64, // of the connection, or of the next one
    conn: Option<Box<Conn>>,
}

pub struct Slab {
    thread: u64,
    slots: Vec<Slot>,
    free: VecDeque<usize>, // the one free for the longest time first
    count: usize,
}

impl Slab {
    pub fn new(thread: usize) -> Self {
        Self {
            thread: thread as u64,
            slots: Vec::new(),
            free: VecDeque::new(),
            count: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// An unused id; `None` when all slots are taken. `insert` must follow.
    pub fn reserve(&mut self) -> Option<u64> {
        if let Some(slot) = self.free.pop_front() {
            return Some(self.slots[slot].id);
        }
        let slot = self.slots.len();
        if slot == SLOTS_MAX {
            return None;
        }
        let id = self.thread << (SLOT_BITS + GENERATION_BITS) | slot as u64;
        self.slots.push(Slot { id, conn: None });
        Some(id)
    }

    pub fn insert(&mut self, conn: Box<Conn>) {
        let slot = &mut self.slots[slot_of(conn.id)];
        debug_assert!(slot.id == conn.id && slot.conn.is_none());
        slot.conn = Some(conn);
        self.count += 1;
    }

    /// Takes a connection out to work on it; `put_back` or `remove` must follow. `None` when the id is not, or no longer, known.
    pub fn take(&mut self, id: u64) -> Option<Box<Conn>> {
        let slot = self.slots.get_mut(slot_of(id))?;
        if slot.id != id {
            return None;
        }
        slot.conn.take()
    }

    pub fn put_back(&mut self, conn: Box<Conn>) {
        let slot = &mut self.slots[slot_of(conn.id)];
        slot.conn = Some(conn);
    }

    /// Ends the life of an id whose connection was taken out.
    pub fn remove(&mut self, id: u64) {
        self.count -= 1;
        let slot = &mut self.slots[slot_of(id)];
        slot.id += 1 << SLOT_BITS;
        // A slot that has used up its generations is never used again.
        if (slot.id >> SLOT_BITS) & (GENERATIONS_MAX - 1) != 0 {
            self.free.push_back(slot_of(id));
        }
    }

    /// The ids of all connections.
    pub fn ids(&self) -> Vec<u64> {
        self.slots
            .iter()
            .filter(|slot| slot.conn.is_some())
            .map(|slot| slot.id)
            .collect()
    }
}
