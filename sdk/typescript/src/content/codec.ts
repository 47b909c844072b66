/**
 * Between payloads and what they say (protocol/iris/v1/content.proto). Ids in hex, mentions in code points, as on the wire.
 * What this version cannot read is `unknown`: a body of a later version, an action without a target, bytes of something else.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { LIMITS } from "../catalogue.js";
import { fromHex, isMessageId, toHex } from "../ids.js";
import {
  type Content,
  ContentSchema,
  type Mention as PbMention,
  type Reference as PbReference,
} from "../pb/content_pb.js";
import { ALGORITHM_NONE, CONTENT_TYPE_IRIS, type Payload } from "../wire.js";

/** Names a message: ids are unique only for one sender. */
export interface Ref {
  readonly sender: string;
  readonly message_id: string;
}

/** `length` code points of the body from `start` on. */
export interface Named {
  readonly user: string;
  readonly start: number;
  readonly length: number;
}

export interface Text {
  readonly kind: "text";
  readonly body: string;
  readonly reply_to: Ref | undefined;
  readonly forwarded: boolean;
  readonly mentions: readonly Named[];
}

/** What changes how another message is shown. */
export type Action =
  | { readonly kind: "reaction"; readonly target: Ref; readonly emoji: string }
  | { readonly kind: "edit"; readonly target: Ref; readonly body: string; readonly mentions: readonly Named[] }
  | { readonly kind: "delete"; readonly target: Ref };

export type Said = Text | Action | { readonly kind: "unknown" };

const UNKNOWN: Said = { kind: "unknown" };
const ID_BYTES = 16;
const utf8 = new TextEncoder();

export const isAction = (said: Said): said is Action => "target" in said;

/** The payload. Throws RangeError: text that is not Unicode (lone surrogates), a long emoji, unsound mentions or ids. */
export function encodeContent(said: Text | Action): Payload {
  const body = bodyOf(said);
  const payload = toBinary(ContentSchema, create(ContentSchema, { body }));
  return { payload, content_type: CONTENT_TYPE_IRIS, alg: ALGORITHM_NONE };
}

function bodyOf(said: Text | Action) {
  switch (said.kind) {
    case "text": {
      const { forwarded, reply_to } = said;
      const mentions = namedOut(said.body, said.mentions);
      const replyTo = reply_to === undefined ? {} : { replyTo: refOut(reply_to) };
      return { case: "text", value: { body: unicode(said.body), forwarded, mentions, ...replyTo } } as const;
    }
    case "reaction": {
      if (utf8.encode(said.emoji).length > LIMITS.reaction_bytes_max) {
        throw new RangeError(`a reaction has at most ${LIMITS.reaction_bytes_max} bytes`);
      }
      return { case: "reaction", value: { target: refOut(said.target), emoji: unicode(said.emoji) } } as const;
    }
    case "edit": {
      const mentions = namedOut(said.body, said.mentions);
      return { case: "edit", value: { target: refOut(said.target), body: unicode(said.body), mentions } } as const;
    }
    case "delete":
      return { case: "delete", value: { target: refOut(said.target) } } as const;
  }
}

/** What a payload says. It never throws. */
export function decodeContent({ payload, content_type, alg }: Payload): Said {
  if (content_type !== CONTENT_TYPE_IRIS || alg !== ALGORITHM_NONE) return UNKNOWN;
  try {
    return saidOf(fromBinary(ContentSchema, payload)) ?? UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}

function saidOf({ body }: Content): Said | undefined {
  if (body.case === "text") {
    const { replyTo, forwarded, mentions } = body.value;
    const words = body.value.body;
    return { kind: "text", body: words, reply_to: refIn(replyTo), forwarded, mentions: namedIn(words, mentions) };
  }
  const target = refIn(body.value?.target);
  if (target === undefined) return undefined;
  switch (body.case) {
    case "reaction": {
      const { emoji } = body.value;
      return utf8.encode(emoji).length <= LIMITS.reaction_bytes_max ? { kind: "reaction", target, emoji } : undefined;
    }
    case "edit": {
      const words = body.value.body;
      return { kind: "edit", target, body: words, mentions: namedIn(words, body.value.mentions) };
    }
    case "delete":
      return { kind: "delete", target };
  }
}

function unicode(text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw new RangeError("the text is not Unicode: half of a surrogate pair");
  return text;
}

function refOut({ sender, message_id }: Ref) {
  if (!isMessageId(message_id) || !isMessageId(sender)) throw new RangeError("a reference names 16 bytes each");
  return { sender: fromHex(sender), messageId: fromHex(message_id) };
}

function refIn(ref: PbReference | undefined): Ref | undefined {
  if (ref?.sender.length !== ID_BYTES || ref.messageId.length !== ID_BYTES) return undefined;
  return { sender: toHex(ref.sender), message_id: toHex(ref.messageId) };
}

function namedOut(body: string, mentions: readonly Named[]) {
  if (mentions.length > LIMITS.mentions_max) throw new RangeError(`a text has at most ${LIMITS.mentions_max} mentions`);
  const sound = soundOf(body, mentions);
  if (sound.length !== mentions.length) throw new RangeError("mentions lie inside the text and do not overlap");
  return sound.map(({ user, start, length }) => ({ user: fromHex(user), start, length }));
}

function namedIn(body: string, mentions: readonly PbMention[]): Named[] {
  const known = mentions.filter(({ user }) => user.length === ID_BYTES);
  const named = known.map(({ user, start, length }) => ({ user: toHex(user), start, length }));
  return soundOf(body, named).slice(0, LIMITS.mentions_max);
}

/** Those that lie inside the body behind the one before, by start. */
function soundOf(body: string, mentions: readonly Named[]): Named[] {
  if (mentions.length === 0) return [];
  const points = [...body].length;
  let end = 0;
  return [...mentions]
    .sort((one, other) => one.start - other.start)
    .filter(({ start, length }) => {
      if (length < 1 || start < end || start + length > points) return false;
      end = start + length;
      return true;
    });
}
