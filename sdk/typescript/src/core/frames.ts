/**
 * Frames as the core sees them: plain objects, named as in protocol/iris/v1/frames.proto. Ids are lower-case hex, times ms,
 * numbers exact (below 2^53). The shell turns them into bytes and back; the core never sees a payload of its own messages.
 */

export type Id = string;

export const KIND_MESSAGE = 1;
export const KIND_OWN_COPY = 2;
export const RETRY_NEVER = 1;
export const RETRY_AFTER = 2;
export const RETRY_GAP = 3;
export const RETRY_NEW_STREAM = 4;
/** Field numbers in ClientFrame, as a Problem names them. */
export const READ_FRAME = 4;
export const WATCH_FRAME = 6;
export const REFRESH_FRAME = 7;

export interface Hello {
  token: string;
  seq: number;
  rev: number;
  client: string;
}
export type ClientFrame =
  | { hello: Hello }
  | { ack: { seq: number; rev: number } }
  | { read: { conversation: Id; seq: number } }
  | { typing: { conversation: Id; active: boolean } }
  | { watch: { users: readonly Id[] } }
  | { refresh: { token: string } };

export interface ServerLimits {
  payload_bytes_max: number;
  send_window: number;
  watches_max: number;
  send_repeat_ms: number;
}
export interface Welcome {
  limits: ServerLimits;
  time: number;
  head: number;
  head_rev: number;
  oldest: number;
  reset: boolean;
  user: Id;
  device: number;
  token_expires_at: number;
}
export interface Accepted {
  conversation: Id;
  stream: number;
  client_seq: number;
  message_id: Id;
  seq: number;
  at: number;
}
export interface Rejected {
  conversation: Id;
  stream: number;
  client_seq: number;
  message_id: Id;
  code: number;
  retry: number;
  expected: number;
  current_stream: number;
  retry_after_ms: number;
}
export interface Deliver {
  seq: number;
  prev: number;
  kind: number;
  conversation: Id;
  sender: Id;
  device: number;
  message_id: Id;
  at: number;
  peer_seq: number;
  payload: string; // hex
  content_type: number;
  alg: number;
}
export interface Receipt {
  rev: number;
  prev_rev: number;
  conversation: Id;
  delivered: number;
  read: number;
}
export interface ReadSync {
  rev: number;
  prev_rev: number;
  conversation: Id;
  seq: number;
}
export interface Presence {
  user: Id;
  status: number;
  last_seen: number;
}
export interface Typing {
  conversation: Id;
  sender: Id;
  active: boolean;
}
export interface Problem {
  code: number;
  frame: number;
  retry: number;
  retry_after_ms: number;
}
export type ServerFrame =
  | { welcome: Welcome }
  | { accepted: Accepted }
  | { rejected: Rejected }
  | { deliver: Deliver }
  | { receipt: Receipt }
  | { read_sync: ReadSync }
  | { presence: Presence }
  | { typing: Typing }
  | { go_away: { within_ms: number } }
  | { refreshed: { token_expires_at: number } }
  | { problem: Problem }
  | { unknown: true };
