/**
 * IrisClient: one device of one user, for people who write clients and bots.
 *
 *     const iris = await IrisClient.open({ server: "https://chat.example.org", platform: browserPlatform() });
 *     iris.on((event) => { ... });
 *     const sent = await iris.send(await iris.resolve("@bob"), "hello");
 *
 * It works offline: what is sent waits in the profile (IndexedDB), which holds the history too. Many tabs may open one
 * profile: one of them holds its connection, all of them show the same and can send; when that one ends another takes over.
 */

import type { Api, Proof } from "./api.js";
import type { Limits } from "./catalogue.js";
import type { Reference, TextContent } from "./content/content.js";
import type {
  Connection,
  Conversation,
  Event,
  Listener,
  Message,
  Place,
  Presence,
  Profile,
  Unsubscribe,
} from "./events.js";
import type { Platform } from "./platform/platform.js";

export interface OpenOptions {
  /** https://chat.example.org; http only on loopback. A page of the server itself says `location.origin`. */
  readonly server: string;
  readonly platform: Platform;
  /** Which profile of this origin; "iris" by default. Another name is another device. */
  readonly profile?: string;
  /** Never connect: history and API only. */
  readonly hold?: boolean;
  readonly limits?: Partial<Limits>;
}

/** What a profile is, without the network. */
export interface ProfileInfo {
  readonly server: string;
  readonly user: string;
  readonly handle: string;
  readonly device: number;
}

/** A message that is durable in the outbox. */
export interface Sent {
  readonly messageId: string;
}

/** A part of the history, in the order of the screen. */
export interface Page {
  readonly messages: readonly Message[];
  /** There is more before the first one, or behind the last one. */
  readonly moreBefore: boolean;
  readonly moreAfter: boolean;
}

export interface SearchOptions {
  readonly conversation?: string;
  /** Go on behind the last result of the search before. */
  readonly before?: Place;
  readonly limit?: number;
}

/** How a client is made; `IrisClient` is of this type. */
export interface IrisClients {
  /** What profile there is; undefined: log in first. */
  profile(options: OpenOptions): Promise<ProfileInfo | undefined>;
  /** Open a profile and begin to connect; does not wait for the connection. ProfileError when there is none. */
  open(options: OpenOptions): Promise<IrisClient>;
  /**
   * Link a device, make its profile and open it. A profile of the same user keeps its history and becomes the new device;
   * one of another user is a ProfileError (`erase` it first). ApiError, Offline.
   */
  logIn(options: OpenOptions, given: Proof & { handle: string; deviceName: string }): Promise<IrisClient>;
  /** The API without a token: `info()` and `register(...)`. */
  api(options: OpenOptions): Api;
  /** Delete the profile and everything in it, also what waits in its outbox. No tab may have it open. */
  erase(options: OpenOptions): Promise<void>;
}

export interface IrisClient {
  readonly user: string;
  readonly handle: string;
  readonly device: number;
  readonly server: string;
  /** The API with this device's token. */
  readonly api: Api;
  readonly connection: Connection;
  /** Whether this tab holds the connection. For diagnosis only: all tabs can do the same. */
  readonly holdsConnection: boolean;

  // --- life ---

  /** Close the connection, hand it to another tab, close the profile. What is in the outbox stays there. */
  close(): Promise<void>;
  /** Try to connect now instead of waiting (the network is back, the page is in front). */
  reconnect(): void;
  /** Unlink this device and erase its profile. Offline: ApiError or Offline, and nothing is erased, unless `force`. */
  logOut(options?: { readonly force?: boolean }): Promise<void>;
  /** How many messages of mine have no answer of the server yet. */
  waiting(): Promise<number>;

  // --- events ---

  /** Hear every event from now on. What a listener throws becomes an uncaught error; the other listeners still hear. */
  on(listener: Listener): Unsubscribe;
  /** The same as an async iterator, for bots; it ends when the client is closed. */
  events(): AsyncIterableIterator<Event>;

  // --- sending ---

  /**
   * Put a message into the outbox. It is durable when this resolves; events tell what becomes of it. `to` is a conversation
   * or a user id. PayloadTooLarge, OutboxFull, ApiError SELF. A draft of this text is cleared in the same transaction.
   */
  send(to: string, content: string | TextContent): Promise<Sent>;
  /** Choose an emoji for a message; "" takes mine back. */
  react(target: Reference & { conversation: string }, emoji: string): Promise<Sent>;
  /** Replace the text of a message of mine. */
  edit(target: Reference & { conversation: string }, content: string | TextContent): Promise<Sent>;
  /** Delete a message of mine on every device of both. */
  deleteForEveryone(target: Reference & { conversation: string }): Promise<Sent>;
  /** No longer show a message on this device, nor keep its words here. */
  deleteForMe(target: Reference & { conversation: string }): Promise<void>;
  /** Send a refused or expired message once more, as a new one in the place of the old. */
  sendAgain(target: Reference & { conversation: string }): Promise<Sent>;

  // --- history ---

  /** All conversations with a message or a draft: pinned ones first, then newest first. Archived ones are included. */
  conversations(): Promise<Conversation[]>;
  /** One line of the list, also when nothing was ever written. `of` is a conversation or a user id. */
  conversation(of: string): Promise<Conversation>;
  /**
   * A page of a conversation: the newest `limit` messages, or those before or after a place, or those `around` one (jump to a
   * reply, to a search result, to the first unread).
   */
  messages(
    conversation: string,
    options?: { readonly before?: Place; readonly after?: Place; readonly around?: Place; readonly limit?: number },
  ): Promise<Page>;
  /** One message; undefined when this device does not have it. */
  message(reference: Reference): Promise<Message | undefined>;
  /** The first message from somebody else that is not read. */
  firstUnread(conversation: string): Promise<Message | undefined>;
  /** Messages whose text holds every word of `text`, newest first. Only this device's history is searched. */
  search(text: string, options?: SearchOptions): Promise<Message[]>;

  /** When this device learned, ms since 1970, that older messages could not be kept for it; ascending, the newest 64. */
  gaps(): Promise<readonly number[]>;

  // --- read, typing, presence ---

  /** I have read up to this message, or all of the conversation. Reaches the server also when offline now. */
  markRead(conversation: string, seq?: number): Promise<void>;
  /** Show that I am typing; repeat it every 4 s. Nothing happens while offline. */
  setTyping(conversation: string, active: boolean): void;
  /** Hear of these people's presence, for this tab; replaces its earlier set. The newest ones count above the limit (256). */
  watch(users: Iterable<string>): void;
  /** What was last told of a watched user. */
  presence(user: string): Presence | undefined;
  /** Who is typing in a conversation just now. */
  typing(conversation: string): readonly string[];

  // --- people ---

  /** The user id of @handle (or of a user or conversation id). ApiError UNKNOWN_USER, Offline. */
  resolve(who: string): Promise<string>;
  /** The conversation with a user. */
  conversationWith(user: string): string;
  /** The other user of a conversation. */
  peerOf(conversation: string): string;
  /** Names of a user: what is known here at once, asked for anew when that is old; an event tells a change. */
  profile(user: string): Promise<Profile | undefined>;

  // --- what this device alone keeps ---

  /** Keep typed text. "" forgets it. */
  setDraft(conversation: string, text: string): Promise<void>;
  mute(conversation: string, until: number): Promise<void>;
  pin(conversation: string, pinned: boolean): Promise<void>;
  archive(conversation: string, archived: boolean): Promise<void>;
  /** A setting of this device (theme, notifications); undefined when it was never set. */
  setting(name: string): Promise<unknown>;
  setSetting(name: string, value: unknown): Promise<void>;
}
