/** Between the core's frames and the bytes on the wire (protocol/iris/v1/frames.proto). */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { SendMessage } from "./core/effects.js";
import type * as f from "./core/frames.js";
import { fromHex, toHex } from "./ids.js";
import { ClientFrameSchema, type ServerFrame, ServerFrameSchema } from "./pb/frames_pb.js";

export const CONTENT_TYPE_IRIS = 1;
export const ALGORITHM_NONE = 0;

/** What a Send carries; the shell takes it from the profile. */
export interface Payload {
  readonly payload: Uint8Array;
  readonly content_type: number;
  readonly alg: number;
}

type Body = NonNullable<Parameters<typeof create<typeof ClientFrameSchema>>[1]>["body"];

/** A frame's bytes. */
export function encodeFrame(frame: f.ClientFrame): Uint8Array {
  return toBinary(ClientFrameSchema, create(ClientFrameSchema, { body: bodyOf(frame) }));
}

function bodyOf(frame: f.ClientFrame): NonNullable<Body> {
  if ("hello" in frame) {
    const { token, seq, rev, client } = frame.hello;
    return { case: "hello", value: { token, client, cursor: { seq: BigInt(seq), rev: BigInt(rev) } } };
  }
  if ("ack" in frame) return { case: "ack", value: { seq: BigInt(frame.ack.seq), rev: BigInt(frame.ack.rev) } };
  if ("read" in frame) {
    return { case: "read", value: { conversation: fromHex(frame.read.conversation), seq: BigInt(frame.read.seq) } };
  }
  if ("typing" in frame) {
    const { conversation, active } = frame.typing;
    return { case: "typing", value: { conversation: fromHex(conversation), active } };
  }
  if ("watch" in frame) return { case: "watch", value: { users: frame.watch.users.map(fromHex) } };
  return { case: "refresh", value: { token: frame.refresh.token } };
}

/** A Send's bytes. */
export function encodeSend(send: SendMessage, payload: Payload): Uint8Array {
  return toBinary(
    ClientFrameSchema,
    create(ClientFrameSchema, {
      body: {
        case: "send",
        value: {
          conversation: fromHex(send.conversation),
          stream: BigInt(send.stream),
          clientSeq: BigInt(send.client_seq),
          answered: BigInt(send.answered),
          messageId: fromHex(send.message_id),
          after: BigInt(send.after),
          payload: payload.payload,
          contentType: payload.content_type,
          alg: payload.alg,
        },
      },
    }),
  );
}

/** A frame without a body: the server answers it with a Problem, which nothing else heeds. So it tells a dead connection. */
export const PROBE: Uint8Array = new Uint8Array(0);

/** The frame in a binary message; undefined when it is none of this protocol. Frames of a later version are `unknown`. */
export function decodeFrame(data: Uint8Array): f.ServerFrame | undefined {
  try {
    return frameOf(fromBinary(ServerFrameSchema, data).body);
  } catch {
    return undefined; // cut, damaged or of something else: as unknown as a later version's
  }
}

function frameOf(body: ServerFrame["body"]): f.ServerFrame {
  switch (body.case) {
    case "welcome": {
      const { limits, time, head, headRev, oldest, reset, user, device, tokenExpiresAt } = body.value;
      return {
        welcome: {
          limits: {
            payload_bytes_max: limits?.payloadBytesMax ?? 0,
            send_window: limits?.sendWindow ?? 0,
            watches_max: limits?.watchesMax ?? 0,
            send_repeat_ms: limits?.sendRepeatMs ?? 0,
          },
          time: Number(time),
          head: Number(head),
          head_rev: Number(headRev),
          oldest: Number(oldest),
          reset,
          user: toHex(user),
          device,
          token_expires_at: Number(tokenExpiresAt),
        },
      };
    }
    case "accepted":
      return { accepted: { ...answerOf(body.value), seq: Number(body.value.seq), at: Number(body.value.at) } };
    case "rejected": {
      const { code, retry, expected, currentStream, retryAfterMs } = body.value;
      return {
        rejected: {
          ...answerOf(body.value),
          code,
          retry,
          expected: Number(expected),
          current_stream: Number(currentStream),
          retry_after_ms: retryAfterMs,
        },
      };
    }
    case "deliver": {
      const { seq, prev, kind, conversation, sender, device, messageId, at, peerSeq, payload, contentType, alg } =
        body.value;
      return {
        deliver: {
          seq: Number(seq),
          prev: Number(prev),
          kind,
          conversation: toHex(conversation),
          sender: toHex(sender),
          device,
          message_id: toHex(messageId),
          at: Number(at),
          peer_seq: Number(peerSeq),
          payload: toHex(payload),
          content_type: contentType,
          alg,
        },
      };
    }
    case "receipt": {
      const { rev, prevRev, conversation, delivered, read } = body.value;
      return {
        receipt: { ...registerOf(rev, prevRev, conversation), delivered: Number(delivered), read: Number(read) },
      };
    }
    case "readSync": {
      const { rev, prevRev, conversation, seq } = body.value;
      return { read_sync: { ...registerOf(rev, prevRev, conversation), seq: Number(seq) } };
    }
    case "presence": {
      const { user, status, lastSeen } = body.value;
      return { presence: { user: toHex(user), status, last_seen: Number(lastSeen) } };
    }
    case "typing": {
      const { conversation, sender, active } = body.value;
      return { typing: { conversation: toHex(conversation), sender: toHex(sender), active } };
    }
    case "goAway":
      return { go_away: { within_ms: body.value.withinMs } };
    case "refreshed":
      return { refreshed: { token_expires_at: Number(body.value.tokenExpiresAt) } };
    case "problem": {
      const { code, frame, retry, retryAfterMs } = body.value;
      return { problem: { code, frame, retry, retry_after_ms: retryAfterMs } };
    }
    default:
      return { unknown: true };
  }
}

function answerOf(answer: {
  conversation: Uint8Array;
  stream: bigint;
  clientSeq: bigint;
  messageId: Uint8Array;
}): Pick<f.Accepted, "conversation" | "stream" | "client_seq" | "message_id"> {
  return {
    conversation: toHex(answer.conversation),
    stream: Number(answer.stream),
    client_seq: Number(answer.clientSeq),
    message_id: toHex(answer.messageId),
  };
}

function registerOf(rev: bigint, prevRev: bigint, conversation: Uint8Array) {
  return { rev: Number(rev), prev_rev: Number(prevRev), conversation: toHex(conversation) };
}
