/**
 * The profile's tables in IndexedDB. One database is one device of one user. Ids are hex, times ms.
 *
 * What an index does not find it leaves out, so optional fields say which rows an index holds. Payloads are read anew each time
 * they are shown; only what a row is (a message, or an action on one) is settled when it comes, so a version that knows more kinds
 * of actions adds a step to database.ts that looks again.
 */

import type { DBSchema, IDBPDatabase, IDBPTransaction } from "idb";
import type { Id } from "../core/frames.js";

/** A message, or something that was said about one. */
export interface HistoryRow {
  sender: Id;
  message_id: Id;
  /** Local number of the row, never reused. */
  n: number;
  /** On the same line of numbers: when the row was last changed; `n` at first. */
  changed: number;
  /** message: from somebody else; sent: by this device; own: by another of mine; gap: some older ones are lost. */
  kind: "message" | "sent" | "own" | "gap";
  conversation: Id;
  device: number;
  /** message: in my mailbox; sent, own: in the recipient's; 0: not accepted. */
  seq: number;
  /** Of this machine's clock until accepted. */
  at: number;
  /** "" for what others sent; else queued, accepted, delivered, read, expired, refused. */
  state: string;
  code: number;
  payload: Uint8Array;
  content_type: number;
  alg: number;
  /** Where it stands on the screen; absent: it is not shown. */
  order?: number;
  /** A message of somebody else that is shown: its seq. */
  unread?: number;
  /** The state that a receipt or the time may change. */
  awaits?: "accepted" | "delivered";
  /** What this edit, reaction or deletion is about. */
  target?: string;
  /** There are edits, reactions or deletions of this message. */
  acted?: 1;
  /** Deleted for me. */
  hidden?: 1;
  /** Its words were deleted: the payload is empty. A message is shown as deleted for good. */
  wiped?: 1;
}

/** A message that waits for its answer, or keeps the place of one that does. Its payload is in the history. */
export interface OutboxRow {
  /** The row's `n`: the order of sending. */
  id: number;
  message_id: Id;
  conversation: Id;
  /** 1: kept while one before it is not: places are numbers. */
  answered: 0 | 1;
}

export interface ConversationRow {
  conversation: Id;
  /** On the history's line of numbers: when something of this row that is shown was last changed. */
  changed: number;
  /** In which this device numbers its messages, and the number of the first row of the outbox. */
  stream: number;
  base: number;
  /** Highest `at` seen. */
  last_at: number;
  /** Registers: the peer's devices and the peer, in the peer's seqs; this user, in this user's. */
  delivered: number;
  peer_read: number;
  read: number;
  /** Not yet shown by the server; 0: nothing wanted. */
  read_wanted: number;
  /** Actions here whose message has not come. */
  orphans: number;
  muted_until: number;
  pinned: boolean;
  archived: boolean;
  draft: string;
}

/** One of which nothing is known yet. */
export function emptyConversation(conversation: Id): ConversationRow {
  return {
    ...{ conversation, changed: 0, stream: 1, base: 1, last_at: 0, delivered: 0, peer_read: 0, read: 0 },
    ...{ read_wanted: 0, orphans: 0, muted_until: 0, pinned: false, archived: false, draft: "" },
  };
}

/** Names of a user, as the server said at `seen_at`. */
export interface PersonRow {
  user: Id;
  handle: string;
  name: string;
  seen_at: number;
}

export interface ProfileSchema extends DBSchema {
  meta: { key: string; value: unknown };
  history: {
    key: [Id, Id];
    value: HistoryRow;
    indexes: {
      changed: number;
      screen: [Id, number, Id, Id];
      unread: [Id, number];
      awaits: [Id, string, number];
      expiry: [string, number];
      actions: [Id, string];
    };
  };
  outbox: { key: number; value: OutboxRow; indexes: { message: Id; places: [Id, number, number] } };
  conversations: { key: Id; value: ConversationRow; indexes: { changed: number } };
  people: { key: Id; value: PersonRow; indexes: { handle: string } };
}

export type Database = IDBPDatabase<ProfileSchema>;
export const TABLES = ["meta", "history", "outbox", "conversations", "people"] as const;
/** A transaction that may write every table. */
export type Writing = IDBPTransaction<ProfileSchema, (typeof TABLES)[number][], "readwrite">;
