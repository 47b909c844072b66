/** What stands in a conversation, from top to bottom: days, the unread marker, gaps, messages in groups. Pure. */

import type { Message } from "@iris-im/sdk";
import { dayOf } from "./words.js";

const GROUP_MS = 5 * 60_000; // so close together one person's messages are a group

export type Item =
  | { readonly kind: "day"; readonly key: string; readonly at: number }
  | { readonly kind: "unread"; readonly key: string; readonly count: number }
  /** The server could not keep some of what was said before this. */
  | { readonly kind: "gap"; readonly key: string }
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

/**
 * The items of a stretch of messages. `unread`: the marker stands before the message of this key. `gaps`: when this device learned of
 * them, ascending; each stands before the first message after it. `more`: the conversation goes on beyond the stretch.
 */
export function timeline(
  messages: readonly Message[],
  unread: { readonly before: string; readonly count: number } | undefined,
  gaps: readonly number[] = [],
  more: { readonly before: boolean; readonly after: boolean } = { before: false, after: false },
): Item[] {
  const items: Item[] = [];
  const gapIn = (after: number, to: number) => gaps.some((at) => after < at && at <= to);
  let previous: Message | undefined;
  for (const [at, message] of messages.entries()) {
    const key = keyOf(message);
    const above = previous?.at ?? (more.before ? message.at : Number.NEGATIVE_INFINITY);
    const gap = gapIn(above, message.at);
    if (gap) items.push({ kind: "gap", key: `gap/${key}` });
    const day = previous === undefined || dayOf(previous.at) !== dayOf(message.at);
    if (day) items.push({ kind: "day", key: `day/${dayOf(message.at)}/${key}`, at: message.at });
    const marker = unread?.before === key;
    if (marker) items.push({ kind: "unread", key: "unread", count: unread.count });
    const next = messages[at + 1];
    items.push({
      kind: "message",
      key,
      message,
      first: day || marker || gap || !together(previous, message),
      last: next === undefined || unread?.before === keyOf(next) || !together(message, next),
    });
    previous = message;
  }
  if (previous !== undefined && !more.after && gapIn(previous.at, Number.POSITIVE_INFINITY)) {
    items.push({ kind: "gap", key: "gap/end" });
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
