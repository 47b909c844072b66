/**
 * What a client shows and tells: messages, conversations, events. Ids are text (users 26 letters, conversations 64 and
 * messages 32 hex digits), times ms since 1970. Every object is plain data: it may be kept, compared and posted.
 */

import type { Body, Reaction } from "./content/content.js";

/** offline: between attempts, or not asked to connect. closed: for good, a person must act. */
export type ConnectionState = "offline" | "connecting" | "catching_up" | "live" | "closed";

/** What the connection is doing. */
export interface Connection {
  readonly state: ConnectionState;
  /** Why it was lost or is closed: the name of a close code such as TOKEN_REVOKED or REPLACED; else "". */
  readonly reason: string;
  /** catching_up: rows that have come, and how many are expected at most; `total` is 0 when that cannot be known. */
  readonly done: number;
  readonly total: number;
  /** offline: when the next attempt is due, ms since 1970; 0 when none is planned. */
  readonly retryAt: number;
}

/** How far a message of mine has got; "" for what others wrote. Steps may be skipped, none goes back. */
export type MessageState = "" | "queued" | "accepted" | "delivered" | "read" | "refused" | "expired";

/** The place of a message in its conversation, as both ends sort it. Compare with `comparePlaces`. */
export interface Place {
  readonly at: number;
  readonly sender: string;
  readonly messageId: string;
}

/** A message as it is shown: its edits, deletion and reactions are applied. */
export interface Message {
  readonly messageId: string;
  readonly conversation: string;
  readonly sender: string;
  /** The sender's device. */
  readonly device: number;
  /** Written by this user, on this device or another. */
  readonly own: boolean;
  /** The server's time; of this machine's clock while queued. */
  readonly at: number;
  /** In this user's mailbox: what `markRead` takes. 0 for own messages. */
  readonly seq: number;
  readonly state: MessageState;
  /** Why it was refused: a name of the errors' catalogue such as NOT_ALLOWED; else "". */
  readonly code: string;
  readonly body: Body;
  /** When it was last edited, 0: never. */
  readonly editedAt: number;
  readonly reactions: readonly Reaction[];
  /** For `messages({before})` and for sorting. A queued message sorts behind all others. */
  readonly place: Place;
}

/** What this device alone keeps for a conversation. */
export interface LocalSettings {
  /** No notifications before this time, ms since 1970; 0: not muted. Infinity: until further notice. */
  readonly mutedUntil: number;
  readonly pinned: boolean;
  readonly archived: boolean;
  /** Text that was typed and not sent. */
  readonly draft: string;
}

/** A line of the conversation list. */
export interface Conversation extends LocalSettings {
  readonly conversation: string;
  /** The other user. */
  readonly peer: string;
  /** The highest time of a message here, 0 when there is none. */
  readonly lastAt: number;
  readonly unread: number;
  readonly last: Message | undefined;
  /** How far this user has read, in seqs of the own mailbox: the unread marker goes behind it. */
  readonly readSeq: number;
}

/** Somebody whom I watch. `lastSeen` is 0 when it is not told. */
export interface Presence {
  readonly user: string;
  readonly status: "online" | "offline" | "hidden";
  readonly lastSeen: number;
}

/** A user's public names. */
export interface Profile {
  readonly user: string;
  readonly handle: string;
  readonly name: string;
}

/**
 * Events. The first four are told after the commit that made them true, in every tab alike; the others speak of now.
 */
export type Event =
  /** Messages that are new here, and messages whose text, state or reactions changed. One event per conversation and commit. */
  | {
      readonly kind: "messages";
      readonly conversation: string;
      readonly added: readonly Message[];
      readonly changed: readonly Message[];
    }
  /** Messages that this device no longer shows (deleted for me). */
  | { readonly kind: "removed"; readonly conversation: string; readonly messageIds: readonly string[] }
  /** A line of the list changed: unread, last message, local settings. `undefined` lines are not told. */
  | { readonly kind: "conversation"; readonly conversation: Conversation }
  /** The server could not keep some older messages for this device any longer. */
  | { readonly kind: "gap"; readonly at: number }
  | { readonly kind: "presence"; readonly presence: Presence }
  | { readonly kind: "typing"; readonly conversation: string; readonly sender: string; readonly active: boolean }
  | { readonly kind: "connection"; readonly connection: Connection }
  /** A user's handle or name was learned or has changed. */
  | { readonly kind: "profile"; readonly profile: Profile };

export type Listener = (event: Event) => void;

/** Ends a subscription. */
export type Unsubscribe = () => void;

/** The order on both screens: by time, then sender, then message id. */
export function comparePlaces(one: Place, other: Place): number {
  if (one.at !== other.at) return one.at - other.at;
  if (one.sender !== other.sender) return one.sender < other.sender ? -1 : 1;
  if (one.messageId === other.messageId) return 0;
  return one.messageId < other.messageId ? -1 : 1;
}
