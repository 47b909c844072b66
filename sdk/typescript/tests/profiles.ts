/** Profiles for tests: IndexedDB in memory, ids and payloads that can be read in a failure. */

import "fake-indexeddb/auto";
import { encodeContent, type Ref } from "../src/content/codec.js";
import type { SaveMessage, Write } from "../src/core/effects.js";
import { toHex } from "../src/ids.js";
import { ProfileStore } from "../src/store/store.js";
import type { Payload } from "../src/wire.js";

export const ADA = "00000a0a0a0a0a0a0a0a0a0a0a0a0a0a";
export const BOB = "00000b0b0b0b0b0b0b0b0b0b0b0b0b0b";
export const TALK = ADA + BOB;

export const HOLDER = "me";

let opened = 0;

/** A new profile of Ada's. */
export async function openStore(): Promise<ProfileStore> {
  opened += 1;
  const store = await ProfileStore.open(`profile-${opened}`, () => undefined);
  await store.setMeta({ user: ADA, device: 1 });
  await store.hold(HOLDER);
  return store;
}

/** A message id that says its number. */
export const idOf = (number: number): string => number.toString(16).padStart(32, "0");

export const text = (body: string, reply_to?: Ref): Payload =>
  encodeContent({ kind: "text", body, reply_to, forwarded: false, mentions: [] });

/** What Bob wrote. */
export function fromBob(number: number, at: number, payload: Payload = text(`message ${number}`)): Write {
  const { content_type, alg } = payload;
  const save_message: SaveMessage = {
    ...{ own: false, conversation: TALK, sender: BOB, device: 1, message_id: idOf(number), seq: number },
    ...{ peer_seq: 0, at, payload: toHex(payload.payload), content_type, alg },
  };
  return { save_message };
}

/** A copy of what Ada wrote, on another device of hers or on this one. */
export function ownCopy(message_id: string, peer_seq: number, at: number, payload: Payload = text("copy")): Write {
  const { content_type, alg } = payload;
  const save_message: SaveMessage = {
    ...{ own: true, conversation: TALK, sender: ADA, device: 2, message_id, seq: 900 + peer_seq, peer_seq, at },
    ...{ payload: toHex(payload.payload), content_type, alg },
  };
  return { save_message };
}

export const accepted = (message_id: string, seq: number, at: number): Write => ({
  save_answer: { message_id, conversation: TALK, seq, at, code: 0 },
});

export const refused = (message_id: string, code: number): Write => ({
  save_answer: { message_id, conversation: TALK, seq: 0, at: 0, code },
});
