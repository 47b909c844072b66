/** What stands in a conversation, from top to bottom: days, the unread marker, messages in groups. Pure. */

import type { Message } from "@iris-im/sdk";
import { dayOf } from "./words.js";

const GROUP_MS = 5 * 60_000; // so close together one person's messages are a group

export type Item =
  | { readonly kind: "day"; readonly key: string; readonly at: number }
  | { readonly kind: "unread"; readonly key: string; readonly count: number }
  | {
      readonly kind: "message";
      readonly key: string;
      readonly message: Message;
      /** The first, or the last, of a group. */
      readonly first: boolean;
      readonly last: boolean;
    };

/** The name of a message in a list: ids are unique only for one sender. */
export function keyOf(message: { readonly sender: string; readonly messageId: string }): string {
  return `${message.sender}/${message.messageId}`;
}

/** The items of a stretch of messages. `unread`: the marker stands before the message of this key. */
export function timeline(
  messages: readonly Message[],
  unread: { readonly before: string; readonly count: number } | undefined,
): Item[] {
  const items: Item[] = [];
  let previous: Message | undefined;
  for (const [at, message] of messages.entries()) {
    const key = keyOf(message);
    const day = previous === undefined || dayOf(previous.at) !== dayOf(message.at);
    if (day) items.push({ kind: "day", key: `day/${dayOf(message.at)}/${key}`, at: message.at });
    const marker = unread?.before === key;
    if (marker) items.push({ kind: "unread", key: "unread", count: unread.count });
    const next = messages[at + 1];
    items.push({
      kind: "message",
      key,
      message,
      first: day || marker || !together(previous, message),
      last: next === undefined || unread?.before === keyOf(next) || !together(message, next),
    });
    previous = message;
  }
  return items;
}

function together(one: Message | undefined, other: Message): boolean {
  return (
    one !== undefined &&
    one.sender === other.sender &&
    other.at - one.at < GROUP_MS &&
    dayOf(one.at) === dayOf(other.at)
  );
}
