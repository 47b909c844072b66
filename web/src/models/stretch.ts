/** A stretch of a conversation without gaps, and how news join it. Pure. */

import { comparePlaces, type Message } from "@iris-im/sdk";
import { keyOf } from "./timeline.js";

export interface Stretch {
  readonly messages: readonly Message[];
  readonly moreBefore: boolean;
  readonly moreAfter: boolean;
}

/** The stretch with what was told, and which of the added ones were not in it. What belongs beyond an edge stays there. */
export function merge(
  stretch: Stretch,
  added: readonly Message[],
  changed: readonly Message[],
): { readonly messages: readonly Message[]; readonly news: readonly Message[] } {
  const byKey = new Map(stretch.messages.map((one) => [keyOf(one), one]));
  const [first, last] = [stretch.messages[0], stretch.messages.at(-1)];
  for (const message of changed) if (byKey.has(keyOf(message))) byKey.set(keyOf(message), message);
  const news: Message[] = [];
  for (const message of added) {
    const known = byKey.has(keyOf(message));
    if (!known) news.push(message);
    const beyond =
      (stretch.moreAfter && last !== undefined && comparePlaces(message.place, last.place) > 0) ||
      (stretch.moreBefore && first !== undefined && comparePlaces(message.place, first.place) < 0);
    if (known || !beyond) byKey.set(keyOf(message), message);
  }
  const messages = [...byKey.values()].sort((one, other) => comparePlaces(one.place, other.place));
  return { messages, news };
}

/** At most `most` of it, from the end or from the beginning. */
export function cut(stretch: Stretch, most: number, keep: "end" | "begin"): Stretch {
  const { messages, moreBefore, moreAfter } = stretch;
  if (messages.length <= most) return stretch;
  if (keep === "end") return { messages: messages.slice(-most), moreBefore: true, moreAfter };
  return { messages: messages.slice(0, most), moreBefore, moreAfter: true };
}
