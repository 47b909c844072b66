/** From the profile's rows to what applications see: ids as text, numbers as names. */

import { ERRORS } from "./catalogue.js";
import type { Named, Ref, Text } from "./content/codec.js";
import type { Body, Mention, Reference, TextContent } from "./content/content.js";
import type { Shown } from "./content/fold.js";
import type { Conversation, Message, MessageState, Place } from "./events.js";
import { isMessageId, peerOf, userRaw, userText } from "./ids.js";
import type { ListRow, ShownRow, Spot } from "./store/read.js";
import type { ConversationRow } from "./store/schema.js";

const NAMES_MAX = 4096;
const names = new Map<string, string>();

/** `userText`, remembered: a page of messages names few people. */
export function nameOf(raw: string): string {
  let text = names.get(raw);
  if (text === undefined) {
    text = userText(raw);
    if (names.size >= NAMES_MAX) names.clear();
    names.set(raw, text);
  }
  return text;
}

/** The catalogue's name of a refusal; the number as text when it is of a later version; "" for 0. */
export const errorName = (code: number): string => (code === 0 ? "" : (ERRORS.get(code)?.name ?? String(code)));

const referenceOf = ({ sender, message_id }: Ref): Reference => ({ sender: nameOf(sender), messageId: message_id });

/** Throws RangeError for what names no message. */
export function refOf({ sender, messageId }: Reference): Ref {
  if (!isMessageId(messageId)) throw new RangeError(`"${messageId}" is not a message id`);
  return { sender: userRaw(sender), message_id: messageId };
}

/** Mentions count in code points on the wire and in UTF-16 units in texts of JavaScript. */
function mentionsOf(body: string, named: readonly Named[]): Mention[] {
  if (named.length === 0) return [];
  const points = [...body];
  const units = (from: number, to: number) => points.slice(from, to).join("").length;
  return named.map(({ user, start, length }) => ({
    ...{ user: nameOf(user), start: units(0, start), length: units(start, start + length) },
  }));
}

function namedOf(body: string, mentions: readonly Mention[]): Named[] {
  const points = (to: number) => [...body.slice(0, to)].length;
  return mentions.map(({ user, start, length }) => {
    const first = points(start);
    return { user: userRaw(user), start: first, length: points(start + length) - first };
  });
}

/** What `send` and `edit` are given, for the codec. */
export function textOf(content: string | TextContent): Text {
  const given = typeof content === "string" ? { text: content } : content;
  const { text, mentions = [], reply, forwarded = false } = given;
  const reply_to = reply === undefined ? undefined : refOf(reply);
  return { kind: "text", body: text, mentions: namedOf(text, mentions), reply_to, forwarded };
}

function bodyOf({ kind, body, mentions, reply_to, forwarded }: Shown): Body {
  if (kind !== "text") return { kind };
  const reply = reply_to === undefined ? undefined : referenceOf(reply_to);
  return { kind, text: body, mentions: mentionsOf(body, mentions), reply, forwarded };
}

export const spotOf = ({ at, sender, messageId }: Place): Spot => [at, userRaw(sender), messageId];

export function messageOf({ row, shown }: ShownRow): Message {
  const { message_id: messageId, conversation, device, at } = row;
  const own = row.kind !== "message";
  const sender = nameOf(row.sender);
  return {
    ...{ messageId, conversation, sender, device, own, at, seq: own ? 0 : row.seq },
    ...{ state: row.state as MessageState, code: errorName(row.code), body: bodyOf(shown), editedAt: shown.edited_at },
    reactions: shown.reactions.map(({ emoji, users }) => ({ emoji, users: users.map(nameOf) })),
    place: { at: row.order ?? at, sender, messageId },
  };
}

export function conversationOf({ row, unread, last }: ListRow, user: string): Conversation {
  const { conversation, pinned, archived, draft } = row;
  return {
    ...{ conversation, pinned, archived, draft, unread, mutedUntil: row.muted_until },
    peer: nameOf(peerOf(conversation, user)),
    lastAt: last?.row.at ?? 0,
    last: last === undefined ? undefined : messageOf(last),
    readSeq: readOf(row),
  };
}

const readOf = (row: ConversationRow): number => Math.max(row.read, row.read_wanted);

/** Pinned ones first, then those with the newest message. */
export function compareConversations(one: Conversation, other: Conversation): number {
  if (one.pinned !== other.pinned) return one.pinned ? -1 : 1;
  if (one.lastAt !== other.lastAt) return other.lastAt - one.lastAt;
  return one.conversation < other.conversation ? -1 : 1;
}
