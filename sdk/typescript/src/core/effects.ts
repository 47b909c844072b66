/** What the core asks of its shell, and the writes that a commit carries. A shell performs effects in their order. */

import type { ClientFrame, Hello, Id } from "./frames.js";
import type { State } from "./lifecycle.js";

/** Facts for the profile; its adapter says what each does to its tables. */
export type Write =
  | { save_message: SaveMessage }
  | { save_answer: { message_id: Id; conversation: Id; seq: number; at: number; code: number } }
  | { save_stream: { conversation: Id; stream: number } }
  | { save_cursor: { seq: number; rev: number } }
  | { save_receipt: { conversation: Id; delivered: number; read: number } }
  | { save_read: { conversation: Id; seq: number } }
  | { drop_read_wanted: { conversation: Id } }
  | { save_gap: { at: number } }
  | { expire: { before_at: number } };

/** A row of the mailbox: from somebody else, or a copy of what one of my devices sent. May be known already. */
export interface SaveMessage {
  own: boolean;
  conversation: Id;
  sender: Id;
  device: number;
  message_id: Id;
  seq: number;
  peer_seq: number;
  at: number;
  payload: string;
  content_type: number;
  alg: number;
}

/** A Send whose payload the shell takes from the outbox. */
export interface SendMessage {
  conversation: Id;
  stream: number;
  client_seq: number;
  answered: number;
  message_id: Id;
  after: number;
}

export type Effect =
  /** Make all writes durable in one transaction, then call `committed(number)`. One is in flight at a time. */
  | { commit: { number: number; writes: readonly Write[] } }
  /** Call `token(...)`, `tokenUnavailable(...)` or `loggedOut()`. fresh: the one in hand is no longer good. */
  | { need_token: { fresh: boolean } }
  /**
   * Open a WebSocket, then call `opened(...)`, or `lost(...)` when that failed.
   * `hello`: for the upgrade, which saves a round trip; null when it must wait for a commit.
   */
  | { connect: { hello: Hello | null } }
  /** Close the WebSocket; no `lost(...)` is expected for it. */
  | { close_connection: { code: number } }
  | { send_frame: ClientFrame }
  | { send_message: SendMessage }
  | { state: { state: State; reason: string } }
  | { presence_seen: { user: Id; status: number; last_seen: number } }
  | { typing_seen: { conversation: Id; sender: Id; active: boolean } };
